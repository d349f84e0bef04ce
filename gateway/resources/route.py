"""LLMRoute: which requests to a host go to which providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

import re2
from attrs import field, frozen

from gateway.resources import syntax
from gateway.resources.problems import Places
from gateway.resources.shapes import (
    Field,
    Finding,
    ListOf,
    MapOf,
    NotBuilt,
    Record,
    RefusedField,
    Syntax,
    Text,
    Values,
    WholeNumber,
)
from gateway.resources.timeouts import UPSTREAM_TIMEOUTS

MatchKind: TypeAlias = Literal["exact", "prefix", "regex", "present"]


@frozen
class StringMatch:
    """What a header's value must be."""

    kind: MatchKind
    value: str
    """Empty for `present`.  A regex is RE2's and meant for the whole value."""


@frozen
class RouteMatch:
    """One block of `matches`: all of it must hold."""

    headers: Mapping[str, StringMatch]
    """Names in lower case."""
    source_labels: Mapping[str, str]
    gateways: tuple[str, ...]
    """Names of listeners; empty for all."""


@frozen
class BackendRef:
    """One provider that a rule may choose."""

    provider_host: str
    weight: int | None
    """None where it was not written, which only a single backend may do."""
    host_rewrite: str | None
    """The Host header to send instead of the provider's host."""
    model: str | None
    """What to ask this provider for instead of its config's model."""


@frozen
class Rule:
    """One rule; the first that matches wins."""

    name: str | None
    matches: tuple[RouteMatch, ...]
    """Any of them; empty matches everything."""
    backend_refs: tuple[BackendRef, ...]
    timeouts: Mapping[str, float]
    """Those that were written, of connect, headers, idle and request; in seconds."""


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
    places: Places = field(eq=False, repr=False)


_RE2 = re2.Options()
_RE2.log_errors = False


def _compiled(pattern: str) -> str:
    """The pattern, if RE2 can compile it."""
    if pattern != "*":
        try:
            re2.compile(pattern, _RE2)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace") if error.args else "unknown reason"
            raise ValueError(f"is not a regular expression of RE2 ({reason})") from None
    return pattern


_REGEX = Syntax(
    "a regular expression of one line, at most 1024 characters", r"[^\u0000-\u001f\u007f]{1,1024}", _compiled
)
_PREFIX = Syntax(
    "text of one line, 1 to 1024 characters (write {} for any value)", r"[^\u0000-\u001f\u007f]{1,1024}"
)


def _string_match_of(values: Values) -> StringMatch:
    for kind, value in values.decoded.items():
        if kind == "regex" and value == "*":
            break  # Istio takes this one for presence (its canBeConvertedToPresentMatch); RE2 knows no such pattern
        return StringMatch(cast(MatchKind, kind), value)
    return StringMatch("present", "")


_STRING_MATCH = Record(
    (
        Field("exact", Text(syntax.MATCHED, mentions=True), "The whole value."),
        Field("prefix", Text(_PREFIX, mentions=True), "How the value begins."),
        Field("regex", Text(_REGEX, mentions=True), "RE2 for the whole value."),
    ),
    at_most=1,
    build=_string_match_of,
)

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _match_findings(values: Values) -> Iterator[Finding]:
    if not any(len(part) for part in values.decoded.values()) and len(values.decoded) == len(values.written):
        yield Finding("", "an empty block would match everything; leave `matches` out if that is meant")


_MATCH = Record(
    (
        Field("headers", MapOf(syntax.HEADER_NAME, _STRING_MATCH), "By name; {} asks for presence."),
        Field("sourceLabels", MapOf(syntax.WORD, Text(syntax.LABEL_VALUE)), "The calling client's labels."),
        Field("gateways", ListOf(Text(syntax.WORD)), "Names of listeners; all unless written."),
        *(Field(name, NotBuilt()) for name in ("model", "path", "method", "queryParams", "withoutHeaders")),
    ),
    check=_match_findings,
    build=lambda values: RouteMatch(
        values["headers"] or _NOTHING, values["sourceLabels"] or _NOTHING, values["gateways"] or ()
    ),
)

_NO_INFERENCE_POOL = (
    "names an InferencePool, which only a gateway inside the cluster of its model servers can balance; "
    "this gateway reaches providers by host: write providerHost"
)

_BACKEND_REF = Record(
    (
        Field("providerHost", Text(syntax.HOST), "The host of an LLMProvider."),
        Field("weight", WholeNumber(0, 1_000_000), "Share of the requests, of the sum of all weights."),
        Field("hostRewrite", Text(syntax.HOST), "The Host header to send."),
        Field("model", Text(syntax.WORD), "What to ask this provider for."),
        Field("backendRef", RefusedField(_NO_INFERENCE_POOL)),
    ),
    check=lambda values: (
        (Finding("providerHost", "is missing"),)
        if not {"providerHost", "backendRef"} & values.written
        else ()
    ),
    build=lambda values: BackendRef(
        values["providerHost"], values["weight"], values["hostRewrite"], values["model"]
    ),
)


def _rule_findings(values: Values) -> Iterator[Finding]:
    backends: tuple[BackendRef | None, ...] = values["backendRefs"] or ()
    first: dict[tuple[str, str | None], int] = {}
    for index, backend in enumerate(backends):
        if backend is None or len(backends) == 1:
            continue
        if backend.weight is None:
            yield Finding(
                f"backendRefs[{index}].weight", "is missing: of several backendRefs each needs a weight"
            )
        earlier = first.setdefault((backend.provider_host, backend.model), index)
        if earlier != index:
            same = f"has the provider and the model of backendRefs[{earlier}]: add their weights instead"
            yield Finding(f"backendRefs[{index}].providerHost", same)
    weights = [backend.weight for backend in backends if backend is not None]
    if len(weights) == len(backends) > 1 and None not in weights and not any(weights):
        yield Finding("backendRefs", "has no weight above 0, so no backend could ever be chosen")


def _rule_of(values: Values) -> Rule:
    return Rule(
        values["name"], values["matches"] or (), values["backendRefs"], values["timeouts"] or _NOTHING
    )


_RULE = Record(
    (
        Field("name", Text(syntax.WORD), "Chooses the provider's routeSpecificConfigs; unique in its route."),
        Field("matches", ListOf(_MATCH, at_least=1), "Any block; inside a block all.  Everything unless written."),
        Field("backendRefs", ListOf(_BACKEND_REF, at_least=1), "The providers to choose from.", required=True),
        Field("timeouts", UPSTREAM_TIMEOUTS, "How long a provider may take here."),
        *(
            Field(name, NotBuilt())
            for name in (
                "fallback", "retries", "fallbackOn", "onStreamBreak", "onClientDisconnect", "hedge", "mirror",
                "keepAlive", "headers", "sticky",
            )
        ),
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


def route_of(name: str, tenant: str, values: Values, places: Places) -> LLMRoute:
    """The route that a whole and valid spec describes."""
    return LLMRoute(name, tenant, values["host"], values["gateways"] or (), values["rules"], places)
