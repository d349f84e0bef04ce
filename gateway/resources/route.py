"""LLMRoute: which requests to a host go to which providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from attrs import field, frozen

from gateway.messages import Secret
from gateway.resources import syntax
from gateway.resources.backend_refs import BACKEND_REFS, MIRROR, BackendRef, Mirror, findings_between
from gateway.resources.header_changes import HEADERS, HeaderChanges
from gateway.resources.matches import MATCH, RouteMatch
from gateway.resources.problems import Places
from gateway.resources.retries import FALLBACK_ON, RETRIES, Retries
from gateway.resources.shapes import Boolean, Choice, Duration, Field, Finding, ListOf, Record, Text, Values
from gateway.resources.timeouts import UPSTREAM_TIMEOUTS


@frozen
class StickToHeader:
    """Requests with the same value of a header go to the same backend."""

    name: str
    """Lower case."""


@frozen
class StickToClient:
    """Requests of the same client go to the same backend."""


Sticky: TypeAlias = StickToHeader | StickToClient


@frozen
class Rule:
    """One rule; the first that matches wins."""

    name: str | None
    matches: tuple[RouteMatch, ...]
    """Any of them; empty matches everything."""
    backend_refs: tuple[BackendRef, ...]
    timeouts: Mapping[str, float]
    """Those that were written, as `Timeouts` names them; in seconds."""
    headers: HeaderChanges = field(factory=HeaderChanges)
    sticky: Sticky | None = None
    """None lets backends take turns."""
    fallback: tuple[BackendRef, ...] = ()
    """Tried in this order after the chosen one."""
    retries: Retries = field(factory=Retries)
    fallback_on: tuple[str, ...] = ()
    """Provider error codes and statuses."""
    hedge_after: float | None = None
    """Seconds without content; None for no second attempt."""
    mirror: Mirror | None = None
    on_stream_break: str = "continue"
    """`continue` or `error`."""
    on_client_disconnect: str = "cancel"
    """`cancel` or `drain`."""
    on_all_open: str = "error"
    """`error` or `leastBad`."""
    keep_alive: float | None = None
    """Seconds between two comments; None sends none."""

    @property
    def every_backend_ref(self) -> tuple[BackendRef, ...]:
        """All that it names."""
        mirrored = (self.mirror.backend_ref,) if self.mirror is not None else ()
        return (*self.backend_refs, *self.fallback, *mirrored)


@frozen
class LLMRoute:
    """One route as written."""

    name: str
    tenant: str
    host: str
    """A host in lower case without trailing dot, `*.suffix` or `*`."""
    gateways: tuple[str, ...]
    """Names of listeners; empty for all."""
    rules: tuple[Rule, ...]
    from_outside: tuple[Secret, ...]
    """Every value that came from the environment or a file, wherever in the document it stands."""
    places: Places = field(eq=False, repr=False)


_NOTHING: Mapping[str, Any] = MappingProxyType({})

_STICKY = Record(
    (
        Field("header", Text(syntax.HEADER_NAME), "The header whose value chooses the backend."),
        Field("client", Boolean(), "`true`: the client chooses it, as far as it is known."),
    ),
    at_least=1,
    at_most=1,
    check=lambda values: (
        (Finding("client", "can only be true: leave `sticky` out for backends that take turns"),)
        if values["client"] is False
        else ()
    ),
    build=lambda values: StickToHeader(values["header"]) if values["header"] else StickToClient(),
)


def _rule_findings(values: Values) -> Iterator[Finding]:
    yield from findings_between(values["backendRefs"] or (), values["fallback"] or ())
    if "hedge" in values.written and "fallback" not in values.written:
        yield Finding(
            "hedge", "has no effect without `fallback`: there is no backend to ask as well", "warning"
        )


def _rule_of(values: Values) -> Rule:
    hedge = values["hedge"]
    return Rule(
        name=values["name"],
        matches=values["matches"] or (),
        backend_refs=values["backendRefs"],
        timeouts=values["timeouts"] or _NOTHING,
        headers=values["headers"] or HeaderChanges(),
        sticky=values["sticky"],
        fallback=values["fallback"] or (),
        retries=values["retries"] or Retries(),
        fallback_on=values["fallbackOn"] or (),
        hedge_after=hedge and hedge["after"],
        mirror=values["mirror"],
        on_stream_break=values["onStreamBreak"] or "continue",
        on_client_disconnect=values["onClientDisconnect"] or "cancel",
        on_all_open=values["onAllOpen"] or "error",
        keep_alive=values["keepAlive"],
    )


_HEDGE = Record(
    (
        Field(
            "after",
            Duration(0.1),
            "Without content for so long the next backend is asked, too.",
            required=True,
        ),
    )
)

_RULE = Record(
    (
        Field("name", Text(syntax.WORD), "Chooses the provider's routeSpecificConfigs; unique in its route."),
        Field("matches", ListOf(MATCH, at_least=1), "Any block; inside a block all.  Everything unless written."),
        Field("backendRefs", BACKEND_REFS, "The providers to choose from.", required=True),
        Field("fallback", BACKEND_REFS, "Tried one after the other where the chosen provider fails."),
        Field("retries", RETRIES, "What is tried again at one backend."),
        Field("fallbackOn", FALLBACK_ON, "Errors that move on to the next backend instead of to the client."),
        Field("timeouts", UPSTREAM_TIMEOUTS, "How long a provider may take here."),
        Field("hedge", _HEDGE, "A second attempt, at the next backend; the first content wins."),
        Field("mirror", MIRROR, "Copies of requests go there, and the answers nowhere."),
        Field(
            "onStreamBreak",
            Choice(("continue", "error")),
            "A stream that breaks goes on at the next backend, or ends in an error; continue unless written.",
        ),
        Field(
            "onClientDisconnect",
            Choice(("cancel", "drain")),
            "What a client has left is broken off, or read to its end; cancel unless written.",
        ),
        Field(
            "onAllOpen",
            Choice(("error", "leastBad")),
            "With every backend left alone the client gets 503, or the least bad is tried; error unless written.",
        ),
        Field("keepAlive", Duration(1.0), "How often a waiting client is sent a comment; never unless written."),
        Field("headers", HEADERS, "What is changed in the heads of requests and answers."),
        Field("sticky", _STICKY, "The same backend for the same value, instead of turns."),
    ),
    check=_rule_findings,
    build=_rule_of,
)  # fmt: skip


def _route_findings(values: Values) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, rule in enumerate(values["rules"] or ()):
        if rule is None or rule.name is None:
            continue
        earlier = first.setdefault(rule.name, index)
        if earlier != index:
            yield Finding(
                f"rules[{index}].name", f"is the name of rules[{earlier}] too; a rule's name is its own"
            )


ROUTE_SPEC = Record(
    (
        Field(
            "host",
            Text(syntax.ROUTE_HOST),
            "A provider's host, a made-up name, *.suffix, or *.",
            required=True,
        ),
        Field("gateways", ListOf(Text(syntax.WORD)), "Names of listeners; all unless written."),
        Field("rules", ListOf(_RULE, at_least=1), "In order; the first that matches wins.", required=True),
    ),
    check=_route_findings,
)


def route_of(
    name: str, tenant: str, values: Values, places: Places, from_outside: tuple[Secret, ...]
) -> LLMRoute:
    """The route that a whole and valid spec describes."""
    return LLMRoute(
        name, tenant, values["host"], values["gateways"] or (), values["rules"], from_outside, places
    )
