"""What was counted up to one moment, as far as the page shows it.

Read from the metrics themselves, not from what a scraper gets: ninety lines for each backend would cost ten times as
much.  A backend at which nothing has happened since the last reading costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import add

from attrs import field, frozen
from prometheus_client import ProcessCollector

from gateway.serving.page.counts import ATTEMPTS, Sizes, Tally, how_it_ended, tally, total
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.series import Series, Timings
from gateway.telemetry.sources import Sources
from gateway.wire.counts import Histogram


@frozen(eq=False)
class Reading:
    """What was counted up to one moment, and how things stood."""

    at: float
    """Clock time in seconds."""
    time: float
    """The same moment in seconds of Unix time."""
    whole: Tally
    """Of all backends together."""
    backends: Mapping[SeriesLabels, Tally]
    """By backend.  Who was refused before it was known whose it is has labels that are empty."""
    in_flight: int = 0
    connections: Mapping[tuple[str, str, str], int] = field(factory=dict)
    """To providers: by the owner, the provider and the state."""
    lines_dropped: int = 0
    """Of the access log."""
    own_lines_dropped: int = 0
    captured_lines_dropped: int = 0
    """Of the capture log."""
    spans_lost: int = 0
    """That the tracing collector has not taken."""
    lag: Sizes = field(factory=lambda: Sizes((), [0]))
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
    backends: dict[SeriesLabels, Tally] = {}
    for labels, timings, clients in metrics.backends():
        backends[labels] = _tally(known.get(labels), _attempts(metrics, labels), timings, clients)
    for labels in metrics.attempted_backends():
        if labels not in backends:
            backends[labels] = _tally(known.get(labels), _attempts(metrics, labels), Timings(), [])
    process = {sample.name: sample.value for family in _PROCESS.collect() for sample in family.samples}
    return Reading(
        at=at,
        time=time,
        whole=total(backends.values()).tally(),
        backends=backends,
        in_flight=metrics.in_flight,
        connections=sources.upstream_connections(),
        lines_dropped=sources.lines_dropped(),
        own_lines_dropped=sources.own_lines_dropped(),
        captured_lines_dropped=sources.captured_lines_dropped(),
        spans_lost=sources.spans_lost(),
        lag=Sizes(sources.loop_lag.bounds, sources.loop_lag.buckets().numbers),
        memory=process.get("process_resident_memory_bytes", 0.0),
        started=process.get("process_start_time_seconds", time),
    )


_PROCESS = ProcessCollector(registry=None)


def _attempts(metrics: Metrics, labels: SeriesLabels) -> dict[str, int]:
    """How attempts at one backend have ended, with the status where that is what failed."""
    attempts = metrics.attempts(labels)
    if "status" in attempts:
        for status, number in metrics.attempt_statuses(labels).items():
            how = how_it_ended("status", status)
            if how in ATTEMPTS:
                attempts[how] = number
                attempts["status"] = max(0, attempts["status"] - number)
    return attempts


def _tally(last: Tally | None, attempts: Mapping[str, int], timings: Timings, clients: list[Series]) -> Tally:
    """What was counted at one backend; the last tally where nothing has happened since."""
    answers: dict[tuple[int, Outcome], int] = {}
    for series in clients:
        for answer, number in series.answers().items():
            answers[answer] = answers.get(answer, 0) + number
    given, made = sum(each.input_tokens for each in clients), sum(each.output_tokens for each in clients)
    # All else is counted where these are.
    if last is not None and last.happened == sum(answers.values()) + sum(attempts.values()) + given + made:
        return last
    costs: dict[str, float] = {}
    for series in clients:
        for currency, cost in series.costs.copy().items():
            costs[currency] = costs.get(currency, 0.0) + cost
    return tally(
        answers,
        attempts,
        tokens=(given, made),
        duration=_together(each.duration for each in clients),
        first_token=_together([timings.first_token]),
        overhead=_together([timings.overhead]),
        costs=costs,
    )


def _together(histograms: Iterable[Histogram | None]) -> Sequence[int]:
    """How many there were up to each bound and above the one before, in all of these."""
    sums: Sequence[int] = ()
    for histogram in histograms:
        if histogram is not None:
            numbers = histogram.numbers()
            sums = list(map(add, sums, numbers)) if sums else numbers
    return sums
