"""The readings of the last hour, and the charts' points."""

from __future__ import annotations

from bisect import bisect_left

import pytest

from gateway.serving.page.counts import tally
from gateway.serving.page.history import COARSE_SECONDS, FINE_SECONDS, RECENT_SECONDS, WHOLE_SECONDS, History
from gateway.serving.page.reading import Reading
from gateway.telemetry.families import BUCKETS
from gateway.telemetry.outcomes import Outcome

UNIX = 1_000_000.0


def reading(at: float, requests: int, slow: int = 0) -> Reading:
    """So many requests, of which some took two seconds and the others none."""
    duration = [0] * (len(BUCKETS) + 1)
    duration[0], duration[bisect_left(BUCKETS, 2.0)] = requests - slow, slow
    return Reading(at, UNIX + at, tally({(200, Outcome.OK): requests}, {}, duration=duration), {})


def history(*times: float) -> History:
    """One request a second."""
    made = History()
    for at in times:
        made.add(reading(at, round(at)))
    return made


def test_nothing_is_known_at_first() -> None:
    empty = History()
    assert (empty.recent, empty.points(), empty.newest_point()) == (None, [], None)
    one = history(0.0)
    assert (one.points(), one.newest_point()) == ([], None)
    assert one.recent is not None
    assert one.recent.seconds == 0


def test_a_point_is_taken_over_some_seconds() -> None:
    made = history(0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    made.add(reading(12.0, 30))
    point = made.newest_point()
    assert point is not None
    assert point["time"] == UNIX + 12
    assert point["ok"] == 2.8  # 28 since the reading at 2 s
    assert point["failed"] == 0


def test_a_second_reading_of_one_moment_is_none() -> None:
    made = history(0.0, 10.0, 10.0)
    assert [point["ok"] for point in made.points()] == [1.0]


def test_percentiles_are_of_what_came_between() -> None:
    made = History()
    made.add(reading(0.0, 100))
    made.add(reading(10.0, 110, slow=10))
    point = made.newest_point()
    assert point is not None
    assert 1.0 < (point["latency50"] or 0.0) <= 2.5
    made.add(reading(20.0, 110, slow=10))
    point = made.newest_point()
    assert point is not None
    assert point["latency50"] is None


def test_old_readings_are_thinned_out_and_very_old_ones_dropped() -> None:
    made = history(*(each * 2.0 for each in range(3000)))
    points = made.points()
    times = [point["time"] or 0.0 for point in points]
    last = UNIX + 5998
    assert last - 3600 <= times[0] <= last - 3600 + 2 * COARSE_SECONDS
    assert times == sorted(set(times))
    assert len(points) <= FINE_SECONDS / 2 + 3600 / COARSE_SECONDS + 2
    assert all(point["ok"] == 1.0 for point in points)


@pytest.mark.parametrize("apart", [2.0, 10.0, 17.0, 40.0])
def test_tables_look_back_about_a_minute(apart: float) -> None:
    made = History()
    for number in range(100):
        made.add(reading(number * apart, number))
        recent = made.recent
        assert recent is not None
        assert recent.now.at == number * apart
        if number * apart >= RECENT_SECONDS:
            assert abs(recent.seconds - RECENT_SECONDS) <= max(apart, WHOLE_SECONDS / 2)


@pytest.mark.parametrize("apart", [2.0, 7.0, 10.0, 29.0, 31.0])
def test_few_readings_are_kept_whole(apart: float) -> None:
    """Each holds something for every backend that something happened at."""
    made = History()
    for number in range(500):
        made.add(reading(number * apart, number))
        assert len(made._readings) <= 4
