"""Request -> tenant -> route -> rule, and by what it sticks to a backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from gateway.messages import RequestHead
from gateway.snapshot.clients import KnownClient
from gateway.snapshot.conditions import Match
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stickiness import Stickiness
from gateway.snapshot.tables import RouteTable, RuleTable, TenantTable

NO_LABELS: Mapping[str, str] = {}
"""The labels of a client that nobody has told apart."""


def tenant_for(
    snapshot: Snapshot, head: RequestHead, client: KnownClient | None = None
) -> TenantTable | None:
    """Whose request this is: the known client's own tenant, or else the anonymous one that names the host.

    :param client: who is asking; None where nobody knows.
    """
    if client is not None:
        return snapshot.tenants.get(client.tenant)
    return snapshot.anonymous.find(head.host)


def route_for(tenant: TenantTable, host: str, listener: str) -> RouteTable | None:
    """The tenant's most specific route for this host that answers on this listener.

    :param listener: its name, or "" for a listener without one, which answers to every `gateways`.
    """
    if not listener:
        return tenant.routes.find(host)
    return tenant.routes.find(host, lambda route: _answers_on(route.gateways, listener))


def rule_for(
    route: RouteTable,
    head: RequestHead,
    listener: str,
    source_labels: Mapping[str, str] = NO_LABELS,
    model: str | None = None,
) -> RuleTable | None:
    """The first rule of which some block of matches holds.

    :param source_labels: those of the calling client.
    :param model: what the client asked for in its body; None where it did not say, or the body is unread.
    """
    values = head.values
    for rule in route.rules:
        if not rule.matches:
            return rule
        for match in rule.matches:
            for header in match.headers:
                if not header.holds(values.get(header.name)):
                    break
            else:
                if match.only_headers or _suits(match, head, listener, source_labels, model):
                    return rule
    return None


def block_for(
    rule: RuleTable,
    head: RequestHead,
    listener: str,
    source_labels: Mapping[str, str] = NO_LABELS,
    model: str | None = None,
) -> int | None:
    """Which of the rule's blocks holds, by its index; None where the rule asks for nothing or none does."""
    for index, match in enumerate(rule.matches):
        if all(header.holds(head.values.get(header.name)) for header in match.headers) and _suits(
            match, head, listener, source_labels, model
        ):
            return index
    return None


def listeners_named(snapshot: Snapshot) -> set[str]:
    """The listeners that some `gateways` names."""
    routes = [route for table in snapshot.tenants.values() for _, route in table.routes.items()]
    matches = (match for route in routes for rule in route.rules for match in rule.matches)
    return set().union(*(route.gateways for route in routes), *(match.gateways for match in matches))


def sticky_value(
    sticky: Stickiness, head: RequestHead, client: KnownClient | None, address: str
) -> bytes | None:
    """By what the request sticks to a backend; None where it has nothing of the kind, and takes turns.

    :param client: who is asking; None where nobody knows.
    :param address: the IP address that the request comes from; empty where it has none.
    """
    if sticky.header is not None:
        return head.values.get(sticky.header) or None
    if client is not None:
        return f"{client.tenant}/{client.name}".encode()
    return address.encode() or None


def _suits(
    match: Match, head: RequestHead, listener: str, source_labels: Mapping[str, str], model: str | None
) -> bool:
    """Tell whether all holds that a block asks beside headers."""
    if match.path is not None and not match.path.holds(head.path):
        return False
    if match.method is not None and not match.method.holds(head.method):
        return False
    if match.query:
        parameters = _parameters(head.query)
        for parameter in match.query:
            if not parameter.holds(parameters.get(parameter.name)):
                return False
    if match.model is not None and not match.model.holds(model.encode() if model is not None else None):
        return False
    for name, label in match.source_labels:
        if source_labels.get(name) != label:
            return False
    return _answers_on(match.gateways, listener)


@lru_cache(maxsize=1)  # every block of every rule asks about the same query
def _parameters(query: bytes) -> Mapping[bytes, bytes]:
    """A query's parameters, percent-decoded; of several with one name the first counts, as in Envoy."""
    parameters: dict[bytes, bytes] = {}
    for part in query.split(b"&") if query else ():
        name, _, value = part.partition(b"=")
        parameters.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
    return parameters


def _answers_on(gateways: frozenset[str], listener: str) -> bool:
    return not gateways or not listener or listener in gateways
