"""The worker rests where requests run, and ends when it is told to."""

from __future__ import annotations

import pytest

from gateway.watcher.pacing import REST_SECONDS, WORK_SECONDS, AbandonedError, Pace


class Time:
    """A clock that a test sets, and the rests that were taken."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []

    def seconds(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds


def test_it_rests_after_each_stretch_of_work() -> None:
    time = Time()
    pace = Pace(lambda: True, time.seconds, time.sleep)
    for _ in range(8):
        time.now += WORK_SECONDS / 4
        pace()
    assert time.rests == [REST_SECONDS] * 2


def test_nobody_waits_for_the_time() -> None:
    time = Time()
    pace = Pace(lambda: False, time.seconds, time.sleep)
    for _ in range(10):
        time.now += WORK_SECONDS
        pace()
    assert time.rests == []


def test_what_is_abandoned_ends() -> None:
    pace = Pace(lambda: True, Time().seconds)
    pace()
    pace.abandoned = True
    with pytest.raises(AbandonedError):
        pace()
