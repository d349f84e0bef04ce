"""What the gateway would do with a request, without doing it: the data plane's own decisions, for people to read."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from gateway.dialects.envelope import open_body
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.live import Live
from gateway.messages import RequestHead, Secret
from gateway.serving.models import models_of
from gateway.serving.outgoing import VIA_NAME, outgoing_request
from gateway.serving.routing import operation_of_body, operation_of_head, passes_through, route_of, rule_of
from gateway.snapshot.tables import Backend, Snapshot

_EXAMPLE_ID = b"the-request-id"
_EXAMPLE_VIA = VIA_NAME + b"this-gateway"


def explain(snapshot: Snapshot, live: Live, head: RequestHead, body: bytes, listener: str) -> Iterator[str]:
    """Tell it line by line.

    A refusal is told like anything else; nothing is raised.  Turns are read, not taken.
    """
    try:
        yield from _decisions(snapshot, live, head, body, listener)
    except GatewayError as error:
        yield f"refused    {error.status} {error.code}: {error.message}"


def _decisions(
    snapshot: Snapshot, live: Live, head: RequestHead, body: bytes, listener: str
) -> Iterator[str]:
    route = route_of(snapshot, head, listener, _EXAMPLE_VIA)
    yield f"tenant     {route.tenant}"
    yield f"route      {route.name or '(the provider itself)'}, host {route.host}"
    operation = operation_of_head(head)
    if operation in (Operation.MODELS, Operation.MODEL):
        yield f"answered   from the route: {', '.join(models_of(route)) or 'no model is configured'}"
        return
    envelope = None
    if not passes_through(operation, head):
        envelope = open_body(body)
        operation = operation_of_body(operation, head, envelope)
    assert operation is not None
    yield f"operation  {operation.value}"
    rule = rule_of(route, head, listener)
    yield f"rule       {rule.name or '(every request)'}"
    total = sum(rule.weights)
    chosen = live.next_backend(rule)
    for backend in rule.backends:
        turn = "  <- its turn at first" if backend is chosen and len(rule.backends) > 1 else ""
        share = f"{backend.weight}/{total}" if len(rule.backends) > 1 else "all"
        yield f"backend    {backend.provider_host}, provider {backend.provider}, share {share}{turn}"
    for backend in rule.backends:
        yield ""
        yield f"to {backend.destination}{_tls_of(backend)}:"
        request = outgoing_request(
            head, operation, envelope, _without_hidden(backend), request_id=_EXAMPLE_ID, via=_EXAMPLE_VIA
        )
        target = "(hidden)" if backend.path_is_hidden else request.target.decode("latin-1")
        yield f"  {request.method.decode()} {target} HTTP/1.1"
        for name, value in request.header_lines():
            yield f"  {name}: {'(hidden)' if isinstance(value, Secret) else value}"
        yield ""
        yield "  (the client's body, unread)" if request.body is None else f"  {request.body.decode()}"


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
