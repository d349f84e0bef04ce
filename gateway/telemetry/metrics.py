"""Counts what happens, and hands the counts to whoever scrapes.

The counts are plain integers that only the reactor's thread changes: a finished request costs 1 µs, against
4 µs with prometheus_client's locked values.  A scrape may read them in another thread.  It copies each
container in one step, so it sees a whole histogram; a request that ends meanwhile may be in one metric
already and in the next one not yet.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate

import twisted
from attrs import frozen
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric

from gateway import __version__
from gateway.live.standing import KeyStanding
from gateway.messages import TokenUsage
from gateway.snapshot.tables import ProviderName, SeriesLabels
from gateway.telemetry import families
from gateway.telemetry.families import BUCKET_NAMES, BUCKETS
from gateway.telemetry.outcomes import CheckResult, Outcome

NO_ROUTE = SeriesLabels(tenant="", route="", rule="", provider="", model="")
"""The labels of a request that was refused before it was known whose it is."""


class Series:
    """What has been counted for one set of labels."""

    __slots__ = ("answers", "buckets", "input_tokens", "output_tokens", "seconds")

    def __init__(self) -> None:
        self.answers: dict[tuple[int, Outcome], int] = {}
        """How many exchanges ended with this code and outcome."""
        self.buckets = [0] * len(BUCKET_NAMES)
        """How many took up to each bound and longer than the one before; the last has no bound."""
        self.seconds = 0.0
        """How long they took together."""
        self.input_tokens = 0
        self.output_tokens = 0

    def finished(self, code: int, outcome: Outcome, seconds: float, usage: TokenUsage | None) -> None:
        """Count one exchange that has ended.

        :param code: the status that the client saw; 499 where it left.
        :param seconds: how long the exchange took.
        :param usage: None where the provider did not say.
        """
        key = (code, outcome)
        self.answers[key] = self.answers.get(key, 0) + 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
        if usage is not None:
            self.input_tokens += usage.input
            self.output_tokens += usage.output


class ReloadResult(StrEnum):
    """What came of a change of the configuration."""

    APPLIED = "applied"
    """Every tenant runs on its files as they are."""
    PARTLY_APPLIED = "partly_applied"
    """Some tenants do, others keep their last good tables."""
    REJECTED = "rejected"
    """Nothing of it could be used."""


@frozen
class TenantConfiguration:
    """How one tenant's files stand."""

    tenant: str
    """Empty for what is no tenant's: the Gateway document, and problems that are nobody's."""
    successful: bool
    """It runs on its files as they are."""
    applied_at: float | None
    """When what it runs on was applied, in seconds of Unix time; None where it runs on nothing."""
    errors: int
    warnings: int


class Metrics:
    """All counts of this process; a collector on the registry that it is given."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        upstream_connections: Callable[[], Mapping[tuple[str, str, str], int]] = dict,
        lines_dropped: Callable[[], int] = int,
        keys: Callable[[], Iterable[KeyStanding]] = tuple,
    ) -> None:
        """Make the counts and register them, together with those of the process and of Python.

        The callables are called in the thread that scrapes: what they read must be plain integers, or
        containers that they copy first.

        :param upstream_connections: how many connections there are by owner, provider and state.
        :param lines_dropped: how many lines the access log has lost.
        :param keys: how every key of every provider stands.
        """
        self.in_flight = 0
        """Exchanges that have begun and not ended; the exchange adds and takes away its one."""
        self._upstream_connections = upstream_connections
        self._lines_dropped = lines_dropped
        self._keys = keys
        self._series: dict[tuple[SeriesLabels, str], Series] = {}
        self._health_checks: Counter[tuple[str, str, CheckResult]] = Counter()
        self._attempts: dict[tuple[SeriesLabels, str], int] = {}
        self._hedges: dict[tuple[SeriesLabels, str], int] = {}
        self._mirrored: dict[tuple[SeriesLabels, str], int] = {}
        self._continuations: dict[tuple[SeriesLabels, str], int] = {}
        self._reloads = dict.fromkeys(ReloadResult, 0)
        self._tenants: Sequence[TenantConfiguration] = ()
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def series(self, labels: SeriesLabels, client: str) -> Series:
        """Where exchanges of these labels are counted; always the same one.

        :param labels: of the backend that answered or was tried last; `NO_ROUTE` where none was known.
        :param client: the configured name of the tenant's client; empty for an anonymous one.
        """
        key = (labels, client)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        return series

    def health_checked(self, provider: ProviderName, result: CheckResult) -> None:
        """Count a health check that has ended."""
        self._health_checks[*provider, result] += 1

    def attempted(self, labels: SeriesLabels, outcome: str) -> None:
        """Count an attempt that has ended, or a backend that was passed over.

        :param outcome: `ok`, `cancelled`, or a fault of `policy/retrying.py`.
        """
        key = (labels, outcome)
        self._attempts[key] = self._attempts.get(key, 0) + 1

    def hedged(self, labels: SeriesLabels, *, won: bool) -> None:
        """Count a second attempt that was made beside a slow one; these are its labels."""
        key = (labels, "won" if won else "lost")
        self._hedges[key] = self._hedges.get(key, 0) + 1

    def mirrored(self, labels: SeriesLabels, outcome: str) -> None:
        """Count a copy of a request that has ended, or was not made.

        :param outcome: as for an attempt, or `skipped`.
        """
        key = (labels, outcome)
        self._mirrored[key] = self._mirrored.get(key, 0) + 1

    def continued(self, labels: SeriesLabels, way: str) -> None:
        """Count a backend that was asked for the rest of a broken stream; the way is `prefill` or `from_start`."""
        key = (labels, way)
        self._continuations[key] = self._continuations.get(key, 0) + 1

    def reloaded(self, result: ReloadResult, tenants: Sequence[TenantConfiguration]) -> None:
        """Count a change of the configuration.

        :param tenants: how every tenant stands now; one that is missing is no longer shown.
        """
        self._reloads[result] += 1
        self._tenants = tuple(tenants)

    def collect(self) -> Iterator[Metric]:
        """Everything, as prometheus_client wants it."""
        yield from self._collect_series()
        in_flight = families.IN_FLIGHT.gauge()
        in_flight.add_metric([], self.in_flight)
        yield in_flight
        connections = families.UPSTREAM_CONNECTIONS.gauge()
        for name, number in self._upstream_connections().items():
            connections.add_metric(name, number)
        yield connections
        breakers, usable = families.BREAKER_STATE.gauge(), families.KEY_USABLE.gauge()
        for standing in self._keys():
            names = (standing.owner, standing.provider, standing.key)
            breakers.add_metric(names, standing.breaker.value)
            usable.add_metric(names, float(standing.is_usable))
        yield from (breakers, usable)
        checks = families.HEALTH_CHECKS.counter()
        for label_values, number in self._health_checks.copy().items():
            checks.add_metric(label_values, number)
        yield checks
        yield from self._collect_configuration()
        dropped = families.LINES_DROPPED.counter()
        dropped.add_metric([], self._lines_dropped())
        yield dropped
        build = families.BUILD.info()
        build.add_metric(
            [],
            {
                "version": __version__,
                "python": platform.python_version(),
                "twisted": twisted.__version__,
            },
        )
        yield build

    def _collect_series(self) -> Iterator[Metric]:
        requests = families.REQUESTS.counter()
        duration = families.DURATION.histogram()
        tokens = families.TOKENS.counter()
        for (labels, client), series in self._series.copy().items():
            values = (labels.tenant, client, labels.route, labels.rule, labels.provider, labels.model)
            for (code, outcome), number in series.answers.copy().items():
                requests.add_metric((*values, str(code), outcome), number)
            buckets = list(zip(BUCKET_NAMES, accumulate(series.buckets.copy()), strict=True))
            duration.add_metric(values, buckets, series.seconds)
            tokens.add_metric((*values, "input"), series.input_tokens)
            tokens.add_metric((*values, "output"), series.output_tokens)
        yield from (requests, duration, tokens)
        for family, counts in (
            (families.ATTEMPTS, self._attempts),
            (families.HEDGES, self._hedges),
            (families.CONTINUATIONS, self._continuations),
            (families.MIRRORED, self._mirrored),
        ):
            counter = family.counter()
            for (labels, value), number in counts.copy().items():
                names = (labels.tenant, labels.route, labels.rule, labels.provider, labels.model)
                counter.add_metric((*names, value), number)
            yield counter

    def _collect_configuration(self) -> Iterator[Metric]:
        successful = families.RELOAD_SUCCESSFUL.gauge()
        timestamp = families.RELOAD_TIMESTAMP.gauge()
        problems = families.PROBLEMS.gauge()
        for each in self._tenants:
            successful.add_metric([each.tenant], float(each.successful))
            if each.applied_at is not None:
                timestamp.add_metric([each.tenant], each.applied_at)
            problems.add_metric([each.tenant, "error"], each.errors)
            problems.add_metric([each.tenant, "warning"], each.warnings)
        reloads = families.RELOADS.counter()
        for result, number in self._reloads.items():
            reloads.add_metric([result], number)
        yield from (successful, timestamp, reloads, problems)
