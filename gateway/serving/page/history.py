"""The readings of the last hour, and what the charts show of them.

Readings are kept as they were, so that rates and percentiles can be had between any two of them, and leaving some out
makes the others no less right.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from attrs import frozen

from gateway.serving.page.counts import Tally, between
from gateway.serving.page.reading import Reading

KEPT_SECONDS = 3600.0

FINE_SECONDS = 300.0
"""Within these every reading is kept; of older ones one in `COARSE_SECONDS`."""

COARSE_SECONDS = 10.0

SMOOTHING_SECONDS = 10.0
"""What a point tells is taken over at least so long: between two readings little may happen."""

RECENT_SECONDS = 60.0
"""What tables show as happening now is taken over about so long."""

WHOLE_SECONDS = 30.0
"""So far apart are the readings that are kept whole: each holds something for every backend."""

Point = dict[str, float | None]


@frozen(eq=False)
class _Totals:
    """As much of a reading as charts need."""

    at: float
    time: float
    whole: Tally


@frozen(eq=False)
class Recent:
    """The latest reading, and the one that it is compared with."""

    now: Reading
    before: Reading

    @property
    def seconds(self) -> float:
        """How far they are apart; 0 where there is one only."""
        return self.now.at - self.before.at


class History:
    """The readings of the last hour."""

    def __init__(self) -> None:
        self._fine: deque[_Totals] = deque()
        self._coarse: deque[_Totals] = deque()
        self._readings: deque[Reading] = deque()
        """Whole, the last one and those that tables may compare it with: four at most."""

    def add(self, reading: Reading) -> None:
        """Remember a reading, if it was taken after all others: between two of one moment there are no rates."""
        if self._fine and reading.at <= self._fine[-1].at:
            return
        totals = _Totals(reading.at, reading.time, reading.whole)
        self._fine.append(totals)
        while self._fine[0].at < reading.at - FINE_SECONDS:
            self._fine.popleft()
        if not self._coarse or totals.at - self._coarse[-1].at >= COARSE_SECONDS:
            self._coarse.append(totals)
        while self._coarse[0].at < reading.at - KEPT_SECONDS:
            self._coarse.popleft()
        readings = self._readings
        if len(readings) > 1 and readings[-1].at - readings[-2].at < WHOLE_SECONDS:
            readings.pop()
        readings.append(reading)
        while len(readings) > 1 and readings[1].at <= reading.at - RECENT_SECONDS + WHOLE_SECONDS / 2:
            readings.popleft()

    @property
    def recent(self) -> Recent | None:
        """What has happened in the last minute; None before the first reading."""
        return Recent(self._readings[-1], self._readings[0]) if self._readings else None

    def points(self) -> list[Point]:
        """The whole hour, oldest first."""
        fine = tuple(self._fine)
        kept = [each for each in self._coarse if each.at < fine[0].at] if fine else []
        kept += fine
        return [point for index in range(1, len(kept)) if (point := _point(kept, index)) is not None]

    def newest_point(self) -> Point | None:
        """The last one of them; None before there are two readings."""
        return _point(tuple(self._fine), len(self._fine) - 1)


def _point(kept: Sequence[_Totals], index: int) -> Point | None:
    """What happened up to this reading; None where there is nothing to compare it with."""
    if index < 1:
        return None
    last, first = kept[index], index - 1
    while first > 0 and last.at - kept[first].at < SMOOTHING_SECONDS:
        first -= 1
    seconds = last.at - kept[first].at
    counts = between([(kept[first].whole, last.whole)])
    failed, refused = counts.failed, counts.refused
    return {
        "time": round(last.time, 1),
        "ok": _rate(counts.requests - failed - refused, seconds),
        "refused": _rate(refused, seconds),
        "failed": _rate(failed, seconds),
        **{f"latency{percent}": counts.duration.quantile(percent / 100) for percent in (50, 95, 99)},
        **{f"first{percent}": counts.first_token.quantile(percent / 100) for percent in (50, 95, 99)},
        "input": _rate(counts.input_tokens, seconds),
        "output": _rate(counts.output_tokens, seconds),
    }


def _rate(number: float, seconds: float) -> float:
    return round(number / seconds, 3)
