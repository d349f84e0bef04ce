"""What a snapshot has that the page can show: tenants, rules with their backends, providers.  Made once for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from attrs import frozen

from gateway.snapshot.backends import Backend
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import ProviderName, SeriesLabels
from gateway.snapshot.tables import RouteTable, RuleTable


@frozen(eq=False)
class ShownBackend:
    """One backend of a rule."""

    backend: Backend
    role: str
    """Empty for one that requests are shared among by weight, else `fallback` or `mirror`."""
    share: float | None
    """By weight, 0 to 1; None for those that have a role."""
    labels: frozenset[SeriesLabels]
    """Of what is counted here."""


@frozen(eq=False)
class ShownRule:
    """One rule, and the route that it is of."""

    route: RouteTable
    rule: RuleTable
    backends: tuple[ShownBackend, ...]

    @property
    def is_of_a_providers_own_host(self) -> bool:
        """No file has it: every provider can be asked by its own host."""
        return not self.route.name


@frozen(eq=False)
class Inventory:
    """What there is, in the order of tenants' and routes' names; written routes before providers' own hosts."""

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
                rules.append(ShownRule(route, rule, tuple(_backends(rule))))
                for backend in rule.every_backend:
                    providers.setdefault(backend.name, backend)
                    owners[backend.labels] = backend.name
                    owners.setdefault(unread(backend.labels), backend.name)
    rules.sort(key=lambda shown: shown.is_of_a_providers_own_host)
    return Inventory(routes, tuple(rules), dict(sorted(providers.items())), owners)


def _backends(rule: RuleTable) -> Iterator[ShownBackend]:
    weights, is_alone = sum(rule.weights), len(rule.backends) == 1
    names = [backend.provider for backend in rule.every_backend]
    for backend in rule.backends:
        share = 1.0 if is_alone else backend.weight / weights
        yield ShownBackend(backend, "", share, _labels(backend, names))
    for backend in rule.fallback:
        yield ShownBackend(backend, "fallback", None, _labels(backend, names))
    if rule.mirror is not None:
        yield ShownBackend(rule.mirror.backend, "mirror", None, _labels(rule.mirror.backend, names))


def _labels(backend: Backend, names: list[str]) -> frozenset[SeriesLabels]:
    """Of two models of one provider nobody can tell whose a request is that was not read."""
    read = {backend.labels}
    return frozenset(read | {unread(backend.labels)} if names.count(backend.provider) == 1 else read)


def unread(labels: SeriesLabels) -> SeriesLabels:
    """The labels of requests whose bodies are streamed through: nobody has read which model stands there."""
    return msgspec.structs.replace(labels, model="")
