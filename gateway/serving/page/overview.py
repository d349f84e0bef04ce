"""Everything that the page shows, at one moment: gathered in the reactor's thread, put together in another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from gateway.live.standing import BreakerStanding, KeyStanding
from gateway.resources.problems import Problem
from gateway.serving.page.activity import Activities, Activity
from gateway.serving.page.history import Recent
from gateway.serving.page.inventory import Inventory, ShownBackend, ShownRule
from gateway.serving.status import Since
from gateway.snapshot.backends import Backend
from gateway.snapshot.generations import Generation
from gateway.snapshot.stable_names import ProviderName, SeriesLabels
from gateway.telemetry.recent_failures import Failures


@frozen(eq=False)
class Seen:
    """What there is to be seen at one moment; nothing in it changes afterwards."""

    time: float
    """Seconds of Unix time."""
    draining: bool
    ready: bool
    reasons: tuple[str, ...]
    """Why it is not ready, or what of the files is not in use."""
    generation: Generation | None
    since: Mapping[str, Since]
    """Since when each tenant stands as it stands."""
    inventory: Inventory
    standings: tuple[KeyStanding, ...]
    recent: Recent | None
    failures: tuple[Failures, ...]
    """The newest first."""


@frozen
class TenantRow:
    """One tenant; an empty name stands for who was refused before it was known whose it is."""

    name: str
    standing: str
    """As in `/config`; empty for one that has no files."""
    since: float | None
    """Since when, in seconds of Unix time."""
    errors: int
    warnings: int
    routes: int
    activity: Activity

    @property
    def is_in_trouble(self) -> bool:
        """It does not run on its files as they are."""
        return self.standing in ("last_good", "missing")


@frozen
class BackendRow:
    """One backend of a rule."""

    shown: ShownBackend
    observed: float | None
    """Its share of the answers of the last minute, 0 to 1; None where there were none."""


@frozen
class RuleRow:
    """One rule of a route."""

    shown: ShownRule
    activity: Activity
    backends: tuple[BackendRow, ...]

    @property
    def is_in_trouble(self) -> bool:
        """Some of its requests have failed in the last minute."""
        return self.activity.ended.failed > 0


@frozen
class ProviderRow:
    """One provider."""

    backend: Backend
    """As one rule has it."""
    keys: tuple[KeyStanding, ...]
    connections: Mapping[str, float]
    """How many, by state."""
    activity: Activity

    @property
    def failing(self) -> float:
        """The share of the last minute's attempts that is held against it, 0 to 1."""
        made = self.activity.ended.made
        return sum(self.activity.ended.faults.values()) / made if made else 0.0

    @property
    def is_in_trouble(self) -> bool:
        """Some key of it cannot be used now, or some of its attempts have failed in the last minute."""
        return bool(self.activity.ended.faults) or any(
            key.breaker is not BreakerStanding.CLOSED or not key.is_usable for key in self.keys
        )


@frozen(eq=False)
class Overview:
    """Everything that the page shows."""

    seen: Seen
    whole: Activity
    tenants: tuple[TenantRow, ...]
    rules: tuple[RuleRow, ...]
    providers: tuple[ProviderRow, ...]
    problems: tuple[Problem, ...]


def overview(seen: Seen) -> Overview:
    """Put together what there is to be seen."""
    activities = Activities(seen.recent)
    return Overview(
        seen=seen,
        whole=activities.whole(),
        tenants=tuple(_tenants(seen, activities)),
        rules=tuple(_rule(shown, activities) for shown in seen.inventory.rules),
        providers=tuple(_providers(seen, activities)),
        problems=seen.generation.problems if seen.generation is not None else (),
    )


def _tenants(seen: Seen, activities: Activities) -> Iterable[TenantRow]:
    states = seen.generation.tenants if seen.generation is not None else {}
    for name in sorted({*states, *seen.inventory.routes, *activities.tenants}):
        state, since = states.get(name), seen.since.get(name)
        problems = state.problems if state is not None else ()
        yield TenantRow(
            name=name,
            standing=state.standing if state is not None else "",
            since=since.standing if since is not None else None,
            errors=sum(problem.severity == "error" for problem in problems),
            warnings=sum(problem.severity == "warning" for problem in problems),
            routes=seen.inventory.routes.get(name, 0),
            activity=activities.of_tenant(name),
        )


def _rule(shown: ShownRule, activities: Activities) -> RuleRow:
    of_backends = [activities.of(each.labels) for each in shown.backends]
    if shown.is_of_a_providers_own_host:
        # All of these, and requests for which there is no route, have the same labels.
        activity = activities.of(frozenset().union(*(each.labels for each in shown.backends)))
    else:
        activity = activities.of_rule(shown.route.tenant, shown.route.name, shown.rule.name)
    answered = sum(each.ended.requests for each in of_backends)
    return RuleRow(
        shown,
        activity,
        tuple(
            BackendRow(
                each, of_backend.ended.requests / answered if answered and each.role != "mirror" else None
            )
            for each, of_backend in zip(shown.backends, of_backends, strict=True)
        ),
    )


def _providers(seen: Seen, activities: Activities) -> Iterable[ProviderRow]:
    labels: dict[ProviderName, list[SeriesLabels]] = {}
    for each in activities.labels:
        owner = seen.inventory.owners.get(each)
        if owner is not None:
            labels.setdefault(owner, []).append(each)
    keys: dict[ProviderName, list[KeyStanding]] = {}
    for standing in seen.standings:
        keys.setdefault((standing.owner, standing.provider), []).append(standing)
    connections: dict[ProviderName, dict[str, float]] = {}
    if seen.recent is not None:
        for (owner_tenant, provider, state), number in seen.recent.now.connections.items():
            connections.setdefault((owner_tenant, provider), {})[state] = number
    for name, backend in seen.inventory.providers.items():
        yield ProviderRow(
            backend=backend,
            keys=tuple(keys.get(name, ())),
            connections=connections.get(name, {}),
            activity=activities.of(labels.get(name, ())),
        )
