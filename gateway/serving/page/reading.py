"""What was counted up to one moment, as far as the page shows it.

Read from the metrics themselves, not from what a scraper gets: eighty samples for each backend would cost a hundred
times as much.  A backend at which nothing has happened since the last reading costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import add

from attrs import define, field, frozen
from prometheus_client import ProcessCollector

from gateway.serving.page.quantiles import quantile
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry import families
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.series import Series, Timings
from gateway.telemetry.sources import Sources

_CLIENTS_DOING = frozenset({Outcome.CLIENT_ERROR.value, Outcome.CLIENT_LEFT.value})
"""Outcomes that are held against nobody here."""


@define
class Sizes:
    """How many of something there were, by size."""

    bounds: tuple[float, ...]
    numbers: list[int]
    """How many were up to each bound, smaller ones included; the last has no bound."""

    @classmethod
    def none(cls, bounds: tuple[float, ...]) -> Sizes:
        """Not one."""
        return cls(bounds, [0] * (len(bounds) + 1))

    def include(self, numbers: list[int]) -> None:
        """Count these, too."""
        self.numbers = list(map(add, self.numbers, numbers))

    def since(self, before: Sizes) -> Sizes:
        """How many came since then; none where there were more then."""
        pairs = zip(self.numbers, before.numbers, strict=True)
        return Sizes(self.bounds, [max(0, now - then) for now, then in pairs])

    def quantile(self, share: float) -> float | None:
        """The size below which this share of them lies; None where there are none."""
        return quantile(share, self.bounds, self.numbers)


@define
class Counts:
    """What was counted since the start, or between two readings: the page shows sums and differences of these."""

    outcomes: dict[str, float] = field(factory=dict)
    """Exchanges that have ended, by how they did."""
    attempts: dict[str, float] = field(factory=dict)
    """Attempts that have ended, by how they did."""
    costs: dict[str, float] = field(factory=dict)
    """By currency."""
    input_tokens: float = 0
    output_tokens: float = 0
    duration: Sizes = field(factory=lambda: Sizes.none(families.BUCKETS))
    """Seconds that exchanges took."""
    first_token: Sizes = field(factory=lambda: Sizes.none(families.FIRST_TOKEN_BUCKETS))
    """Seconds to the first content of streams."""
    overhead: Sizes = field(factory=lambda: Sizes.none(families.OVERHEAD_BUCKETS))
    """Seconds of the gateway's own work."""

    def include(self, other: Counts) -> None:
        """Count all that another one has counted."""
        for mine, others in self._by_name(other):
            for name, number in others.items():
                mine[name] = mine.get(name, 0) + number
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.duration.include(other.duration.numbers)
        self.first_token.include(other.first_token.numbers)
        self.overhead.include(other.overhead.numbers)

    def since(self, before: Counts) -> Counts:
        """What was counted since then.  What has been forgotten since does not count against it."""
        outcomes, attempts, costs = (
            {name: max(0, number - then.get(name, 0)) for name, number in now.items()}
            for now, then in self._by_name(before)
        )
        return Counts(
            outcomes,
            attempts,
            costs,
            max(0, self.input_tokens - before.input_tokens),
            max(0, self.output_tokens - before.output_tokens),
            self.duration.since(before.duration),
            self.first_token.since(before.first_token),
            self.overhead.since(before.overhead),
        )

    @property
    def requests(self) -> float:
        """Exchanges that have ended, however they did."""
        return sum(self.outcomes.values())

    @property
    def refused(self) -> float:
        """Those that the client got wrong, or left."""
        return sum(number for outcome, number in self.outcomes.items() if outcome in _CLIENTS_DOING)

    @property
    def failed(self) -> float:
        """Those that went wrong and were not the client's doing."""
        return self.requests - self.refused - self.outcomes.get(Outcome.OK.value, 0)

    def _by_name(self, other: Counts) -> tuple[tuple[dict[str, float], dict[str, float]], ...]:
        return (
            (self.outcomes, other.outcomes),
            (self.attempts, other.attempts),
            (self.costs, other.costs),
        )


@frozen(eq=False)
class Reading:
    """What was counted up to one moment, and how things stood."""

    at: float
    """Clock time in seconds."""
    time: float
    """The same moment in seconds of Unix time."""
    whole: Counts
    backends: Mapping[SeriesLabels, Counts]
    """By backend.  Who was refused before it was known whose it is has labels that are empty."""
    in_flight: int = 0
    connections: Mapping[tuple[str, str, str], int] = field(factory=dict)
    """To providers: by the owner, the provider and the state."""
    lines_dropped: int = 0
    """Of the access log."""
    lag: Sizes = field(factory=lambda: Sizes.none(()))
    """By how many seconds the event loop was late."""
    memory: float = 0.0
    """Bytes."""
    started: float = 0.0
    """When the process began, in seconds of Unix time."""


def read(metrics: Metrics, sources: Sources, at: float, time: float, last: Reading | None) -> Reading:
    """Take a reading, in any thread.

    :param at: clock time in seconds.
    :param time: seconds of Unix time.
    :param last: the reading before; None for the first.
    """
    known = last.backends if last is not None else {}
    backends: dict[SeriesLabels, Counts] = {}
    attempts = metrics.attempts_by_outcome()
    for labels, timings, clients in metrics.backends():
        outcomes = _outcomes(clients)
        counts, tried = known.get(labels), attempts.pop(labels, {})
        # All else is counted where these are.
        if counts is None or (counts.outcomes, counts.attempts) != (outcomes, tried):
            counts = _counts(outcomes, tried, timings, clients)
        backends[labels] = counts
    for labels, tried in attempts.items():
        backends[labels] = Counts(attempts=dict(tried))
    whole = Counts()
    for counts in backends.values():
        whole.include(counts)
    process = {sample.name: sample.value for family in _PROCESS.collect() for sample in family.samples}
    return Reading(
        at=at,
        time=time,
        whole=whole,
        backends=backends,
        in_flight=metrics.in_flight,
        connections=sources.upstream_connections(),
        lines_dropped=sources.lines_dropped(),
        lag=Sizes(sources.loop_lag.bounds, sources.loop_lag.buckets().numbers),
        memory=process.get("process_resident_memory_bytes", 0.0),
        started=process.get("process_start_time_seconds", time),
    )


_PROCESS = ProcessCollector(registry=None)


def _outcomes(clients: list[Series]) -> dict[str, float]:
    outcomes: dict[str, float] = {}
    for series in clients:
        for (_, outcome), number in series.answers.copy().items():
            outcomes[outcome.value] = outcomes.get(outcome.value, 0) + number
    return outcomes


def _counts(
    outcomes: dict[str, float], attempts: Mapping[str, int], timings: Timings, clients: list[Series]
) -> Counts:
    counts = Counts(outcomes, dict(attempts))
    for series in clients:
        for currency, cost in series.costs.copy().items():
            counts.costs[currency] = counts.costs.get(currency, 0.0) + cost
        counts.input_tokens += series.input_tokens
        counts.output_tokens += series.output_tokens
        counts.duration.include(series.duration.buckets().numbers)
    counts.first_token.include(timings.first_token.buckets().numbers)
    counts.overhead.include(timings.overhead.buckets().numbers)
    return counts
