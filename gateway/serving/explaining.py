"""What the gateway would do with a request, without doing it: the data plane's own decisions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from attrs import evolve

from gateway.dialects.envelope import open_body
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.live import Live
from gateway.messages import RequestHead, Secret
from gateway.policy.retrying import RetryPolicy
from gateway.serving.explanation import Decision, Explanation, PlannedRequest, Refusal
from gateway.serving.models import models_of
from gateway.serving.outgoing import VIA_NAME, Original, OutgoingRequest, outgoing_request
from gateway.serving.questions import Question
from gateway.serving.routing import operation_of_body, operation_of_head, passes_through, route_of, rule_of
from gateway.snapshot.backends import Backend
from gateway.snapshot.clients import KnownClient, key_of
from gateway.snapshot.conditions import Match
from gateway.snapshot.matching import NO_LABELS, block_for, sticky_value
from gateway.snapshot.rule_headers import HeaderEdit
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.tables import RuleTable
from gateway.wire.limits import DownstreamLimits
from gateway.wire.request_refusals import malformed

_EXAMPLE_ID = b"the-request-id"
_EXAMPLE_VIA = VIA_NAME + b"this-gateway"


def explain(
    snapshot: Snapshot | None,
    live: Live,
    question: Question,
    limits: DownstreamLimits,
    wall_clock: Callable[[], float] = time.time,
) -> Explanation:
    """Tell everything that would be decided about this request, up to its end or its refusal.

    Nothing is raised, and turns are read, not taken.

    :param snapshot: None where the gateway has read no configuration yet.
    :param wall_clock: seconds of Unix time, by which clients' keys end.
    """
    decisions: list[Decision] = []
    requests: list[PlannedRequest] = []
    refusal = None
    try:
        for step in _steps(snapshot, live, question, limits, wall_clock):
            if isinstance(step, Decision):
                decisions.append(step)
            else:
                requests.append(step)
    except GatewayError as error:
        refusal = Refusal(error.status, error.code, error.message)
    return Explanation(tuple(decisions), tuple(requests), refusal)


def _steps(
    snapshot: Snapshot | None,
    live: Live,
    question: Question,
    limits: DownstreamLimits,
    wall_clock: Callable[[], float],
) -> Iterator[Decision | PlannedRequest]:
    head, listener = question.head(limits), question.listener
    client = _client_of(snapshot, question, head, wall_clock)
    if client is not None:
        yield Decision("client", client.name)
    route = route_of(snapshot, head, listener, _EXAMPLE_VIA, client)
    yield Decision("tenant", route.tenant)
    yield Decision("route", f"{route.name or '(the provider itself)'}, host {route.host}")
    operation = operation_of_head(head)
    if operation in (Operation.MODELS, Operation.MODEL):
        models = ", ".join(models_of(route)) or "no model is configured"
        yield Decision("answered", f"from the route: {models}")
        return
    envelope = None
    if not passes_through(operation, head):
        envelope = open_body(question.content())
        operation = operation_of_body(operation, head, envelope)
    assert operation is not None
    yield Decision("operation", operation.value)
    rule = rule_of(route, head, listener, client, envelope)
    yield Decision("rule", rule.name or "(every request)")
    labels = client.labels if client is not None else NO_LABELS
    block = block_for(rule, head, listener, labels, envelope.model if envelope is not None else None)
    if block is not None:
        yield Decision("matched", f"matches[{block}]: {_asked(rule.matches[block])}")
    yield from _backends(rule, live, head, client, question.client_address)
    yield from _further_attempts(rule)
    for about, edit in (("request", rule.headers.request), ("answer", rule.headers.answer)):
        if edit.edits:
            yield Decision(about, _done(edit))
    original = Original(head, operation, envelope, _EXAMPLE_ID, _EXAMPLE_VIA)
    for backend in rule.every_backend:
        shown = _without_hidden(backend)
        yield _planned(outgoing_request(original, shown, shown.keys[0]))


def _client_of(
    snapshot: Snapshot | None, question: Question, head: RequestHead, wall_clock: Callable[[], float]
) -> KnownClient | None:
    """Who would be asking, by key or address."""
    if snapshot is None:
        return None
    try:
        names, address = question.client_certificate, question.client_address
        return snapshot.clients.identify(names, key_of(head), address, wall_clock())
    except ValueError:
        raise malformed("The client's address is not an IP address.") from None


def _asked(match: Match) -> str:
    return ", ".join(
        (
            *(condition.text for condition in match.conditions),
            *(f"label {name} exact {value}" for name, value in match.source_labels),
            *(f"listener {name}" for name in sorted(match.gateways)),
        )
    )


def _backends(
    rule: RuleTable, live: Live, head: RequestHead, client: KnownClient | None, address: str
) -> Iterator[Decision]:
    several, total = len(rule.backends) > 1, sum(rule.weights)
    sticky = None
    if rule.sticky is not None:
        sticky = sticky_value(rule.sticky, head, client, address)
        if rule.sticky.header is not None:
            by = f"header {rule.sticky.header.decode()}"
        else:
            by = f"client {client.name}" if client is not None else f"address {address}".rstrip()
        yield Decision(
            "sticky", f"by {by}" + ("" if sticky is not None else ", which is not there: by turns")
        )
    chosen = live.turns.next(rule, sticky)
    reason = "its turn at first" if sticky is None else "sticks to it"
    for backend in rule.backends:
        share = f"{backend.weight}/{total}" if several else "all"
        choice = f"  <- {reason}" if several and backend is chosen else ""
        yield Decision("backend", f"{_named(backend)}, share {share}{choice}")


def _named(backend: Backend) -> str:
    own_model = backend.key != backend.provider_host  # two of a rule may differ in nothing else
    model = f", model {backend.model}" if own_model else ""
    keys = f", keys {', '.join(key.name for key in backend.keys)}" if len(backend.keys) > 1 else ""
    return f"{backend.provider_host}, provider {backend.provider}{model}{keys}"


def _further_attempts(rule: RuleTable) -> Iterator[Decision]:
    """What is asked beside the backend that was chosen, and when."""
    for backend in rule.fallback:
        yield Decision("fallback", _named(backend))
    if rule.hedge_after is not None:
        yield Decision("hedge", f"the next backend too, without content for {rule.hedge_after:g} s")
    if rule.mirror is not None:
        yield Decision("mirror", f"{_named(rule.mirror.backend)}, {rule.mirror.percent}% of the requests")
    if rule.retries != RetryPolicy():
        named = rule.retries.retry_on
        on = "" if named is None else f", on {', '.join(sorted(named)) or 'nothing'}"
        yield Decision("retries", f"{rule.retries.attempts} tries of a backend at most{on}")


def _done(edit: HeaderEdit) -> str:
    """What is done to a head, by names: values may be secret."""
    done = (
        ("remove", sorted(edit.removed)),
        ("set", [name for name, _ in edit.set]),
        ("add", [name for name, _ in edit.added]),
    )
    return "; ".join(f"{verb} {b', '.join(names).decode()}" for verb, names in done if names)


def _planned(request: OutgoingRequest) -> PlannedRequest:
    head = request.head
    backend = head.backend
    return PlannedRequest(
        to=f"{backend.destination}{_tls_of(backend)}",
        method=head.method.decode(),
        target="(hidden)" if backend.path_is_hidden else head.target.decode("latin-1"),
        headers=tuple(
            (name, "(hidden)" if isinstance(value, Secret) else value)
            for name, value in request.header_lines()
        ),
        body=None if request.body is None else request.body.decode(),
    )


def _without_hidden(backend: Backend) -> Backend:
    """The backend without what parameters got from the environment or a file."""
    shown = tuple(
        (name, b'"(hidden)"' if name in backend.hidden_parameters else value)
        for name, value in backend.parameters
    )
    return evolve(backend, parameters=shown)


def _tls_of(backend: Backend) -> str:
    tls = backend.destination.tls
    if backend.destination.in_process:
        return " in this process"
    if tls is None:
        return ", plain HTTP"
    if not tls.verify:
        return f", TLS, SNI {tls.server_name}, certificate NOT checked"
    mutual = ", with a client certificate" if tls.client_certificate else ""
    return f", TLS, SNI {tls.server_name or 'none'}, certificate for {' or '.join(tls.names)}{mutual}"
