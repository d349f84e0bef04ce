"""Request -> tenant -> route -> rule."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.messages import RequestHead
from gateway.snapshot.tables import Match, RouteTable, RuleTable, Snapshot, TenantTable

NO_LABELS: Mapping[str, str] = {}
"""The labels of a client that nobody has told apart."""


def tenant_for(snapshot: Snapshot, head: RequestHead) -> TenantTable | None:
    """Whose request this is: the anonymous tenant that names the host."""
    return snapshot.anonymous.find(head.host)


def route_for(tenant: TenantTable, host: str, listener: str) -> RouteTable | None:
    """The tenant's most specific route for this host that answers on this listener.

    :param listener: its name, or "" for a listener without one, which answers to every `gateways`.
    """
    if not listener:
        return tenant.routes.find(host)
    return tenant.routes.find(host, lambda route: _answers_on(route.gateways, listener))


def rule_for(
    route: RouteTable, head: RequestHead, listener: str, source_labels: Mapping[str, str] = NO_LABELS
) -> RuleTable | None:
    """The first rule of which some block of matches holds.

    :param source_labels: those of the calling client.
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
                if _suits_caller(match, listener, source_labels):
                    return rule
    return None


def _suits_caller(match: Match, listener: str, source_labels: Mapping[str, str]) -> bool:
    for name, label in match.source_labels:
        if source_labels.get(name) != label:
            return False
    return _answers_on(match.gateways, listener)


def _answers_on(gateways: frozenset[str], listener: str) -> bool:
    return not gateways or not listener or listener in gateways
