"""What a snapshot has that the page can show: tenants, rules with their backends, providers.  Made once for each."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from attrs import frozen

from gateway.snapshot.backends import Backend
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import ProviderName, SeriesLabels
from gateway.snapshot.tables import RouteTable, RuleTable


@frozen(eq=False)
class ShownRule:
    """One rule, and the route that it is of."""

    route: RouteTable
    rule: RuleTable


@frozen(eq=False)
class Inventory:
    """What there is, in the order of tenants' and routes' names."""

    routes: Mapping[str, int]
    """How many routes a tenant has; every tenant is there."""
    rules: tuple[ShownRule, ...]
    providers: Mapping[ProviderName, Backend]
    """Every provider that some rule may ask, as one of them has it."""
    owners: Mapping[SeriesLabels, ProviderName]
    """Whose the provider is that series with these labels are of."""


NOTHING = Inventory({}, (), {}, {})


def inventory_of(snapshot: Snapshot) -> Inventory:
    """All of it."""
    routes: dict[str, int] = {}
    rules: list[ShownRule] = []
    providers: dict[ProviderName, Backend] = {}
    owners: dict[SeriesLabels, ProviderName] = {}
    for tenant, table in sorted(snapshot.tenants.items()):
        of_tenant = sorted((route for _, route in table.routes.items()), key=lambda each: each.host)
        routes[tenant] = len(of_tenant)
        for route in of_tenant:
            for rule in route.rules:
                rules.append(ShownRule(route, rule))
                for backend in rule.every_backend:
                    providers.setdefault(backend.name, backend)
                    owners[backend.labels] = backend.name
                    owners.setdefault(unread(backend.labels), backend.name)
    return Inventory(routes, tuple(rules), dict(sorted(providers.items())), owners)


def unread(labels: SeriesLabels) -> SeriesLabels:
    """The labels of requests whose bodies are streamed through: nobody has read which model stands there."""
    return msgspec.structs.replace(labels, model="")
