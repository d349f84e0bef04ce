"""Head -> route -> rule, or the refusal that the client is told.  Pure; exchanges and `explain` both decide here."""

from __future__ import annotations

from gateway.dialects.envelope import Envelope
from gateway.dialects.operations import Operation, operation_of
from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.serving.outgoing import has_passed
from gateway.snapshot.clients import KnownClient
from gateway.snapshot.hosts import specificity
from gateway.snapshot.matching import NO_LABELS, route_for, rule_for, tenant_for
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.tables import RouteTable, RuleTable

_TAKE_FILES = (
    Operation.IMAGE_EDITS,
    Operation.IMAGE_VARIATIONS,
    Operation.TRANSCRIPTIONS,
    Operation.TRANSLATIONS,
)


def route_of(
    snapshot: Snapshot | None,
    head: RequestHead,
    listener: str,
    via: bytes,
    client: KnownClient | None = None,
) -> RouteTable:
    """The route that answers for this request.

    :param client: who is asking; None where nobody knows.
    :raises GatewayError: `not_ready`, `loop_detected`, `host_misconfigured`, `invalid_api_key`, `host_not_allowed`,
        `no_route`.
    """
    if snapshot is None:
        raise GatewayError("not_ready", "The gateway has no configuration yet.")
    if has_passed(head, via):
        raise GatewayError("loop_detected", f"The provider for {head.host} is this gateway itself.")
    tenant = tenant_for(snapshot, head, client)
    if client is not None and tenant is None:
        raise GatewayError("host_misconfigured", "The configuration of the client's tenant has problems.")
    route = route_for(tenant, head.host, listener) if tenant is not None else None
    table = snapshot.withheld if client is None else snapshot.withheld_from.get(client.tenant)
    withheld = table.find(head.host) if table is not None else None
    if withheld is not None and specificity(withheld) > specificity(
        route.host if route is not None else None
    ):
        raise GatewayError("host_misconfigured", f"The configuration for the host {head.host} has problems.")
    if route is None:
        raise _nobody_answers(snapshot, head, client)
    return route


def _nobody_answers(snapshot: Snapshot, head: RequestHead, client: KnownClient | None) -> GatewayError:
    """Why there is no route, as far as this client may know: neither which tenants there are nor their hosts."""
    if client is not None:
        return GatewayError("host_not_allowed", f"The client has no access to the host {head.host}.")
    if snapshot.clients.identified:
        return GatewayError("invalid_api_key", "No client is known by this key, certificate or address.")
    return GatewayError("no_route", f"No route answers for the host {head.host}.")


def operation_of_head(head: RequestHead) -> Operation | None:
    """What the client wants done, as far as method and path tell; None where only the body can.

    :raises GatewayError: `no_route`, `method_not_allowed`, `unsupported_encoding`.
    """
    operation = operation_of(head.method, head.path)
    if operation is None and head.method != b"POST":
        raise GatewayError("no_route", f"{_shown(head.path)} is nothing that this gateway serves.")
    if head.header(b"content-encoding") not in (None, b"identity"):
        raise GatewayError("unsupported_encoding", "Send the body uncompressed.")
    return operation


def operation_of_body(operation: Operation | None, head: RequestHead, envelope: Envelope) -> Operation:
    """What the client wants done, now that the body is known: whatever has messages is chat, wherever it is sent.

    :raises GatewayError: `no_route`.
    """
    if operation is not None:
        return operation
    if not envelope.has_messages:
        raise GatewayError(
            "no_route", f"{_shown(head.path)} serves only requests with `messages` in their body."
        )
    return Operation.CHAT


def passes_through(operation: Operation | None, head: RequestHead) -> bool:
    """Tell whether the body is handed through as it is, unread: files, which are not JSON."""
    return operation in _TAKE_FILES and b"json" not in (head.header(b"content-type") or b"")


def rule_of(
    route: RouteTable,
    head: RequestHead,
    listener: str,
    client: KnownClient | None = None,
    envelope: Envelope | None = None,
) -> RuleTable:
    """The rule that answers.

    :param client: who is asking; None where nobody knows.
    :param envelope: the client's body, or None where it is handed through unread.
    :raises GatewayError: `no_route`, `no_backend`.
    """
    labels = client.labels if client is not None else NO_LABELS
    rule = rule_for(route, head, listener, labels, envelope.model if envelope is not None else None)
    if rule is None:
        raise GatewayError("no_route", f"No rule for the host {head.host} matches this request.")
    if not rule.backends:
        raise GatewayError("no_backend", f"No provider is left for the host {head.host}.")
    return rule


def _shown(path: bytes) -> str:
    return path[:200].decode("latin-1")
