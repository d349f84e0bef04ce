"""Counts what happens, and hands the counts to whoever scrapes.

The counts are plain numbers that only the reactor's thread changes: a finished request costs 2 µs, against
4 µs for one of prometheus_client's locked histograms.  A scrape may read them in another thread.  It copies each
container in one step, so it sees a whole histogram; a request that ends meanwhile may be in one metric
already and in the next one not yet.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence

import twisted
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from gateway import __version__
from gateway.snapshot.stable_names import ProviderName, SeriesLabels
from gateway.telemetry import families
from gateway.telemetry.attempt_counts import AttemptCounts, BackendCounts
from gateway.telemetry.discarded_counts import DiscardedCounts
from gateway.telemetry.family import Shown
from gateway.telemetry.gen_ai_counts import GenAiCounts
from gateway.telemetry.names import ConfiguredNames, Lingering
from gateway.telemetry.outcomes import CheckResult
from gateway.telemetry.reloads import ReloadResult, Reloads, TenantConfiguration
from gateway.telemetry.series import AllSeries
from gateway.telemetry.sources import Sources


class Metrics:
    """All counts of this process; a collector on the registry that it is given."""

    def __init__(self, registry: CollectorRegistry, sources: Sources | None = None) -> None:
        """Make the counts and register them, together with those of the process and of Python.

        :param sources: what is asked when somebody scrapes.
        """
        self.in_flight = 0
        """Exchanges that have begun and not ended; the exchange adds and takes away its one."""
        self._sources = sources or Sources()
        self._names: ConfiguredNames | None = None
        """Of the snapshot that there was at the last scrape."""
        self._series = AllSeries()
        self.series = self._series.of
        """Where exchanges of these labels and this client are counted."""
        self.backends = self._series.backends
        """What was counted at each backend, for who looks on without scraping."""
        self._attempts = AttemptCounts(families.ATTEMPTS)
        self.attempted = self._attempts.add
        """Counts an attempt that has ended, or a backend that was passed over, by its labels and its outcome: `ok`,
        `cancelled`, or a fault of `policy/retrying.py`."""
        self._statuses: BackendCounts[int] = BackendCounts()
        self.failed_with = self._statuses.add
        """Counts the status of an attempt that has failed with one, by its labels."""
        self._retries = AttemptCounts(families.RETRIES)
        self._fallbacks = AttemptCounts(families.FALLBACKS)
        self._hedges = AttemptCounts(families.HEDGES)
        self._continuations = AttemptCounts(families.CONTINUATIONS)
        self._mirrored = AttemptCounts(families.MIRRORED)
        self._discarded = DiscardedCounts()
        self.discarded = self._discarded.add
        """Counts an answer that no client got anything of."""
        self.gen_ai = GenAiCounts()
        """OpenTelemetry's own metrics, where they are asked for."""
        self._health_checks: Counter[tuple[str, str, CheckResult]] = Counter()
        self._reloads = Reloads()
        self._lingering_checks: Lingering[tuple[str, str, CheckResult]] = Lingering()
        self._lingering_pools: Lingering[ProviderName] = Lingering()
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    # -- attempts ------------------------------------------------------------------------------------

    def retried(self, labels: SeriesLabels) -> None:
        """Count a backend that is asked once more."""
        self._retries.add(labels, "")

    def fell_back(self, labels: SeriesLabels) -> None:
        """Count a backend that is asked because another one has not answered."""
        self._fallbacks.add(labels, "")

    def hedged(self, labels: SeriesLabels, *, won: bool) -> None:
        """Count a second attempt that was made beside a slow one; these are its labels."""
        self._hedges.add(labels, "won" if won else "lost")

    def mirrored(self, labels: SeriesLabels, outcome: str) -> None:
        """Count a copy of a request that has ended, or was not made.

        :param outcome: as for an attempt, or `skipped`.
        """
        self._mirrored.add(labels, outcome)

    def continued(self, labels: SeriesLabels, way: str) -> None:
        """Count a backend that was asked for the rest of a broken stream; the way is `prefill` or `from_start`."""
        self._continuations.add(labels, way)

    # -- the rest ------------------------------------------------------------------------------------

    def health_checked(self, provider: ProviderName, result: CheckResult) -> None:
        """Count a health check that has ended."""
        self._health_checks[*provider, result] += 1

    def reloaded(self, result: ReloadResult, tenants: Sequence[TenantConfiguration]) -> None:
        """Count a change of the configuration.

        :param tenants: how every tenant stands now; one that is missing is no longer shown.
        """
        self._reloads.reloaded(result, tenants)

    def attempts(self, labels: SeriesLabels) -> dict[str, int]:
        """How many attempts at this backend ended how.  May be asked in any thread."""
        return self._attempts.of(labels)

    def attempted_backends(self) -> list[SeriesLabels]:
        """At which backends there were attempts.  May be asked in any thread."""
        return self._attempts.backends()

    def attempt_statuses(self, labels: SeriesLabels) -> dict[int, int]:
        """How many attempts at one backend have failed with which status.  May be asked in any thread."""
        return self._statuses.of(labels)

    # -- a scrape ------------------------------------------------------------------------------------

    def collect(self) -> Iterator[Shown]:
        """Everything, for a scrape; `exposition.py` writes it."""
        self._forget_removed()
        yield from self._series.collect()
        yield from self._discarded.collect()
        for counts in self._attempt_counts:
            yield from counts.collect()
        yield from self.gen_ai.collect()
        in_flight = Shown(families.IN_FLIGHT)
        in_flight.add_metric([], self.in_flight)
        yield in_flight
        yield from self._sources.collect()
        checks = Shown(families.HEALTH_CHECKS)
        for label_values, number in self._health_checks.copy().items():
            checks.add_metric(label_values, number)
        yield checks
        yield from self._reloads.collect()
        build = Shown(families.BUILD)
        build.add_metric((__version__, platform.python_version(), twisted.__version__), 1)
        yield build

    @property
    def _attempt_counts(self) -> tuple[AttemptCounts, ...]:
        return (
            *(self._attempts, self._retries, self._fallbacks),
            *(self._hedges, self._continuations, self._mirrored),
        )

    def _forget_removed(self) -> None:
        """Let go of the counts of what is no longer configured: see `telemetry/names.py`."""
        snapshot, now = self._sources.snapshot(), self._sources.seconds()
        if snapshot is None:
            return
        names = self._names
        if names is None or names.identity is not snapshot.identity:
            names = self._names = ConfiguredNames.of(snapshot, names)
        providers = names.providers
        self._series.forget_removed(names, now)
        self._discarded.forget_removed(names, now)
        for counts in self._attempt_counts:
            counts.forget_removed(names, now)
        self._statuses.forget_removed(names, now)
        self.gen_ai.forget_removed(names, now)
        self._lingering_checks.forget(self._health_checks, lambda key: (key[0], key[1]) in providers, now)
        self._lingering_pools.forget(self._sources.pools, providers.__contains__, now)
