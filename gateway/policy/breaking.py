"""Circuit breaking: stop sending to a backend that keeps failing.

A breaker is a value.  Each function takes the breaker as it was and returns it as it is next; the caller keeps the
newest one.  Time is always a parameter, in seconds of the reactor's clock, so no test has to wait.  What counts as a
failure is the caller's to say.

    Closed --too many failures--> Open --cool-down is over, one request--> Probing --it succeeded--> Closed
                                   ^--------------------it failed---------------'
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import assert_never

import msgspec
from attrs import frozen


@frozen
class OutlierDetection:
    """When to stop sending to a backend, and for how long.  The defaults fit a provider that is one host."""

    consecutive_errors: int = 5
    """Failures in a row that open the breaker; 0: they never do."""
    failure_percent: float | None = None
    """Share of failures within `interval` that opens it; None: no share does."""
    interval: float = 10.0
    """Seconds that the share is taken over."""
    least_requests: int = 10
    """Within `interval`; among fewer no share opens it, for one failure in two says little."""
    base_ejection_time: float = 5.0
    """Seconds before the first probe, times the ejections that followed one another."""
    max_ejection_time: float = 60.0
    """Seconds before the first probe at most; `base_ejection_time` itself where that is longer."""


class Outcome(Enum):
    """How an attempt ended, for the breaker."""

    SUCCESS = "success"
    FAILURE = "failure"
    ABANDONED = "abandoned"
    """Nothing was learnt: the client left, or another attempt was faster."""


class Slice(msgspec.Struct, frozen=True, gc=False):
    """A tenth of the interval."""

    number: int
    """Clock time in tenths of the interval."""
    requests: int
    failures: int


class Closed(msgspec.Struct, frozen=True):
    """Requests pass."""

    in_a_row: int = 0
    """Failures since the last success."""
    window: tuple[Slice, ...] = ()
    """What happened within the interval, oldest first; empty where no share is asked for."""
    ejections: int = 0
    """How often it was open before."""
    since: float = 0.0
    """Clock time since when it is closed, in seconds."""


class Open(msgspec.Struct, frozen=True, gc=False):
    """Requests are refused."""

    until: float
    """Clock time at which one probe may pass, in seconds."""
    ejections: int
    """How often it was opened without a quiet time between, this time included."""


class Probing(msgspec.Struct, frozen=True, gc=False):
    """One request is under way to see whether the backend is well again; others are refused."""

    since: float
    """Clock time at which it was sent, in seconds."""
    ejections: int


Breaker = Closed | Open | Probing


def admits(breaker: Breaker, now: float) -> bool:
    """Tell whether a request may be sent."""
    match breaker:
        case Closed():
            return True
        case Open(until=until):
            return now >= until
        case Probing():
            return False
        case _:
            assert_never(breaker)


def begin(breaker: Breaker, now: float) -> tuple[Breaker, bool]:
    """Send a request, admitted or, as the least bad, in spite of all.

    :return: the breaker, and whether this request is the probe: whoever sends it tells `report`.
    """
    if isinstance(breaker, Open):
        return Probing(now, breaker.ejections), True
    return breaker, False


def report(
    breaker: Breaker, outcome: Outcome, settings: OutlierDetection, now: float, probe: bool
) -> Breaker:
    """Learn how a request ended.  Every request that began reports once, whatever became of it.

    :param probe: what `begin` said.  Others that began before the breaker opened say nothing new of the backend.
    """
    match breaker:
        case Closed():
            return _counted(breaker, outcome, settings, now)
        case Probing() if probe:
            return _probed(breaker, outcome, settings, now)
        case Open() | Probing():
            return breaker
        case _:
            assert_never(breaker)


def checked(breaker: Breaker, succeeded: bool, settings: OutlierDetection, now: float) -> Breaker:
    """Learn from a health check, a request of the gateway's own that nobody had to admit.

    Its failure counts like any other's.  Its success only ends a cool-down, so that the next request is the probe: that
    a cheap question is answered closes no breaker and makes up for no failure, for what clients ask may fail still.
    """
    match breaker:
        case Open(ejections=ejections) if succeeded:
            return Open(min(breaker.until, now), ejections)
        case Open() if now >= breaker.until:
            return report(Probing(now, breaker.ejections), Outcome.FAILURE, settings, now, probe=True)
        case Closed() if not succeeded:
            return _counted(breaker, Outcome.FAILURE, settings, now)
        case _:
            return breaker


def seconds_until_admitted(breaker: Breaker, now: float) -> float:
    """Seconds until a request may pass; 0 also while a probe is under way, which may end at any moment."""
    return max(0.0, breaker.until - now) if isinstance(breaker, Open) else 0.0


def least_bad(breakers: Sequence[Breaker]) -> int:
    """The index of the backend to try when none admits a request: the one whose probe is due first.

    A backend that is being probed comes last: what there is to learn is about to be learnt.
    """

    def badness(index: int) -> tuple[int, float]:
        match breakers[index]:
            case Closed():
                return 0, 0.0
            case Open(until=until):
                return 1, until
            case Probing(since=since):
                return 2, since
            case breaker:
                assert_never(breaker)

    return min(range(len(breakers)), key=badness)


def _counted(closed: Closed, outcome: Outcome, settings: OutlierDetection, now: float) -> Breaker:
    if outcome is Outcome.ABANDONED:
        return closed
    failed = outcome is Outcome.FAILURE
    in_a_row = closed.in_a_row + 1 if failed else 0
    window = closed.window
    if settings.failure_percent is not None:
        window = _window(window, failed, settings, now)
    elif in_a_row == closed.in_a_row:
        return closed
    if failed and (0 < settings.consecutive_errors <= in_a_row or _too_many(window, settings)):
        ejections = _remembered(closed, settings, now) + 1
        return Open(now + _ejection_time(ejections, settings), ejections)
    return Closed(in_a_row, window, closed.ejections, closed.since)


def _probed(probing: Probing, outcome: Outcome, settings: OutlierDetection, now: float) -> Breaker:
    match outcome:
        case Outcome.SUCCESS:
            return Closed(ejections=probing.ejections, since=now)
        case Outcome.FAILURE:
            # That it is still down is nothing new, so the time does not grow.  It halves: the backend is to be back
            # in use within one ejection time of its recovery, even where requests are few.
            return Open(now + _ejection_time(probing.ejections, settings) / 2, probing.ejections)
        case Outcome.ABANDONED:
            return Open(now, probing.ejections)
        case _:
            assert_never(outcome)


def _ejection_time(ejections: int, settings: OutlierDetection) -> float:
    base = settings.base_ejection_time
    return min(base * ejections, max(base, settings.max_ejection_time))


def _remembered(closed: Closed, settings: OutlierDetection, now: float) -> int:
    """Earlier ejections that still count: one is forgotten in each interval that the breaker stays closed.

    So does Envoy (envoyproxy.io, "Outlier detection", ejection algorithm).
    """
    return max(0, closed.ejections - int((now - closed.since) / settings.interval))


def _window(
    window: tuple[Slice, ...], failed: bool, settings: OutlierDetection, now: float
) -> tuple[Slice, ...]:
    number = int(now / settings.interval * 10)
    if window and window[-1].number == number:
        last = window[-1]
        return (*window[:-1], Slice(number, last.requests + 1, last.failures + failed))
    kept = (slice_ for slice_ in window if slice_.number > number - 10)
    return (*kept, Slice(number, 1, int(failed)))


def _too_many(window: tuple[Slice, ...], settings: OutlierDetection) -> bool:
    if settings.failure_percent is None:
        return False
    requests = sum(slice_.requests for slice_ in window)
    failures = sum(slice_.failures for slice_ in window)
    return requests >= settings.least_requests and failures * 100 >= settings.failure_percent * requests
