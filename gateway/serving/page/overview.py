"""Everything that the page shows, at one moment: gathered in the reactor's thread, put together in another one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from attrs import frozen

from gateway.live.standing import BreakerStanding, KeyStanding
from gateway.resources.problems import Problem
from gateway.serving.page.counts import Counts, Pair, between, ended_between, total
from gateway.serving.page.history import Recent
from gateway.serving.page.inventory import Inventory, ShownRule, unread
from gateway.serving.status import Since
from gateway.snapshot.backends import Backend
from gateway.snapshot.generations import Generation
from gateway.snapshot.stable_names import ProviderName, SeriesLabels
from gateway.telemetry.recent_failures import RecentFailure

MOST_ROWS = 100
"""Of each table: beyond these a page is no longer read, only carried."""

FINE_ATTEMPTS = frozenset({"ok", "cancelled"})
"""Outcomes of attempts that are held against nobody."""


@frozen(eq=False)
class Seen:
    """What there is to be seen at one moment; nothing in it changes afterwards."""

    version: str
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
    failures: tuple[RecentFailure, ...]
    """The newest first."""


class Activity:
    """What went on at something: since the start, and in the last minute.

    Few rows of a table are shown, and of the others nothing is wanted but how requests and attempts have ended.
    """

    __slots__ = ("_pairs", "ended", "seconds")

    def __init__(self, pairs: Collection[Pair], seconds: float) -> None:
        """Put it together.

        :param pairs: what was counted up to a minute ago, and up to now, at each backend that is part of it.
        :param seconds: how long that minute is; 0 where there is nothing to compare with yet.
        """
        self._pairs = pairs
        self.ended = ended_between(pairs)
        """In the last minute."""
        self.seconds = seconds

    @property
    def lately(self) -> Counts:
        """All that was counted in the last minute."""
        return between(self._pairs)

    @property
    def total(self) -> Counts:
        """All that was counted since the start."""
        return total(now for _, now in self._pairs)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.ended.requests / self.seconds if self.seconds else 0.0

    @property
    def failing(self) -> float:
        """The share of requests that went wrong and were not the client's doing, 0 to 1."""
        requests = self.ended.requests
        return self.ended.failed / requests if requests else 0.0


@frozen(eq=False)
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


@frozen(eq=False)
class BackendRow:
    """One backend of a rule."""

    backend: Backend
    role: str
    """Empty for one that requests are shared among by weight, else `fallback` or `mirror`."""
    configured: float | None
    """Its share by weight, 0 to 1; None for those that have a role."""
    observed: float | None
    """Its share of the answers of the last minute; None where there were none."""
    activity: Activity


@frozen(eq=False)
class RuleRow:
    """One rule of a route."""

    shown: ShownRule
    activity: Activity
    backends: tuple[BackendRow, ...]


@frozen(eq=False)
class ProviderRow:
    """One provider."""

    backend: Backend
    """As one rule has it."""
    keys: tuple[KeyStanding, ...]
    connections: Mapping[str, float]
    """How many, by state."""
    activity: Activity

    @property
    def attempts(self) -> int:
        """Of the last minute; who was passed over is not counted."""
        return sum(number for outcome, number in self._attempts().items() if outcome != "open")

    @property
    def faults(self) -> dict[str, int]:
        """What went wrong with those, by outcome."""
        return {
            outcome: number
            for outcome, number in self._attempts().items()
            if number and outcome not in FINE_ATTEMPTS and outcome != "open"
        }

    @property
    def failing(self) -> float:
        """The share of attempts that failed, 0 to 1."""
        attempts = self.attempts
        return sum(self.faults.values()) / attempts if attempts else 0.0

    @property
    def is_in_trouble(self) -> bool:
        """Some key of it cannot be used now."""
        return any(key.breaker is not BreakerStanding.CLOSED or not key.is_usable for key in self.keys)

    def _attempts(self) -> dict[str, int]:
        return self.activity.ended.attempts


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
    activities = _Activities(seen.recent)
    return Overview(
        seen=seen,
        whole=activities.whole(),
        tenants=tuple(_tenants(seen, activities)),
        rules=tuple(_rule(shown, activities) for shown in seen.inventory.rules),
        providers=tuple(_providers(seen, activities)),
        problems=seen.generation.problems if seen.generation is not None else (),
    )


class _Activities:
    """What went on, to be asked by who is meant."""

    def __init__(self, recent: Recent | None) -> None:
        self._recent = recent
        self._seconds = recent.seconds if recent is not None else 0.0
        self._now = recent.now.backends if recent is not None else {}
        self._before = recent.before.backends if recent is not None else {}
        self._by_tenant: dict[str, list[SeriesLabels]] = {}
        self._by_rule: dict[tuple[str, str, str], list[SeriesLabels]] = {}
        for labels in self._now:
            self._by_tenant.setdefault(labels.tenant, []).append(labels)
            self._by_rule.setdefault((labels.tenant, labels.route, labels.rule), []).append(labels)

    @property
    def tenants(self) -> Iterable[str]:
        """Whose requests there were."""
        return self._by_tenant

    @property
    def labels(self) -> Iterable[SeriesLabels]:
        """All that something went on at."""
        return self._now

    def whole(self) -> Activity:
        """Everything together."""
        if self._recent is None:
            return Activity((), 0.0)
        return Activity([(self._recent.before.whole, self._recent.now.whole)], self._seconds)

    def of_tenant(self, name: str) -> Activity:
        return self.of(self._by_tenant.get(name, ()))

    def of_rule(self, tenant: str, route: str, rule: str) -> Activity:
        return self.of(self._by_rule.get((tenant, route, rule), ()))

    def of(self, several: Iterable[SeriesLabels]) -> Activity:
        """All of these together."""
        now, before = self._now, self._before
        return Activity(
            [(before.get(labels), tally) for labels in several if (tally := now.get(labels)) is not None],
            self._seconds,
        )


def _tenants(seen: Seen, activities: _Activities) -> Iterable[TenantRow]:
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


def _rule(shown: ShownRule, activities: _Activities) -> RuleRow:
    route, rule = shown.route, shown.rule
    roles = [
        *((backend, "") for backend in rule.backends),
        *((backend, "fallback") for backend in rule.fallback),
        *([(rule.mirror.backend, "mirror")] if rule.mirror is not None else []),
    ]
    providers = [backend.provider for backend, _ in roles]
    of_labels = []
    for backend, _ in roles:
        labels = {backend.labels}
        if providers.count(backend.provider) == 1:
            labels.add(unread(backend.labels))
        of_labels.append(labels)
    of_backends = [activities.of(labels) for labels in of_labels]
    if route.name:
        activity = activities.of_rule(route.tenant, route.name, rule.name)
    else:  # by a provider's own host: all of these, and requests for which there is no route, have the same labels
        activity = activities.of(set().union(*of_labels))
    answered = sum(each.ended.requests for each in of_backends)
    weights = sum(rule.weights)
    return RuleRow(
        shown,
        activity,
        tuple(
            BackendRow(
                backend=backend,
                role=role,
                configured=None if role else backend.weight / weights if len(rule.backends) > 1 else 1.0,
                observed=of_backend.ended.requests / answered if answered and role != "mirror" else None,
                activity=of_backend,
            )
            for (backend, role), of_backend in zip(roles, of_backends, strict=True)
        ),
    )


def _providers(seen: Seen, activities: _Activities) -> Iterable[ProviderRow]:
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


Row = TypeVar("Row", TenantRow, RuleRow, ProviderRow)


def most_telling(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """As many rows as a page shows, in their order: those where something fails, then those with the most traffic."""
    if len(rows) <= MOST_ROWS:
        return rows
    ranked = sorted(range(len(rows)), key=lambda index: _weight(rows[index]), reverse=True)
    return tuple(rows[index] for index in sorted(ranked[:MOST_ROWS]))


def _weight(row: TenantRow | RuleRow | ProviderRow) -> tuple[bool, float, float]:
    in_trouble = row.is_in_trouble if isinstance(row, ProviderRow) else False
    if isinstance(row, TenantRow):
        in_trouble = row.standing in ("last_good", "missing")
    return in_trouble, row.activity.ended.failed, row.activity.ended.requests
