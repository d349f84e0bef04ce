"""A breaker's life as conversations: who is let through, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.breaking import (
    Breaker,
    Closed,
    Open,
    Outcome,
    OutlierDetection,
    Probing,
    admits,
    begin,
    checked,
    least_bad,
    report,
    seconds_until_admitted,
)

DEFAULTS = OutlierDetection()
SHARE = OutlierDetection(consecutive_errors=0, failure_percent=50)
SUCCESS, FAILURE, ABANDONED = Outcome


def after(outcomes: list[Outcome], settings: OutlierDetection = DEFAULTS, now: float = 0.0) -> Breaker:
    breaker: Breaker = Closed()
    for outcome in outcomes:
        breaker = report(breaker, outcome, settings, now, probe=False)
    return breaker


def ended(breaker: Breaker, outcome: Outcome, now: float, settings: OutlierDetection = DEFAULTS) -> Breaker:
    """The breaker after one request that it admitted began and ended."""
    assert admits(breaker, now)
    breaker, probe = begin(breaker, now)
    return report(breaker, outcome, settings, now, probe)


OPENED = after([FAILURE] * 5)
"""Open until 5."""


class TestOpening:
    def test_five_failures_in_a_row_open_it_for_five_seconds(self) -> None:
        assert isinstance(after([FAILURE] * 4), Closed)
        assert Open(until=5.0, ejections=1) == OPENED

    def test_a_success_between_begins_the_row_anew(self) -> None:
        assert isinstance(after([FAILURE] * 4 + [SUCCESS] + [FAILURE] * 4), Closed)

    def test_an_attempt_whose_client_left_neither_counts_nor_ends_the_row(self) -> None:
        assert isinstance(after([FAILURE] * 4 + [ABANDONED]), Closed)
        assert isinstance(after([FAILURE] * 4 + [ABANDONED] * 9 + [FAILURE]), Open)

    def test_nought_switches_the_row_off(self) -> None:
        assert isinstance(after([FAILURE] * 99, OutlierDetection(consecutive_errors=0)), Closed)

    def test_a_row_longer_than_a_reloaded_setting_opens_at_the_next_failure(self) -> None:
        breaker = after([FAILURE] * 4)
        assert isinstance(report(breaker, FAILURE, OutlierDetection(consecutive_errors=3), 0.0, False), Open)

    def test_success_after_success_makes_nothing_new(self) -> None:
        closed = Closed()
        assert report(closed, SUCCESS, DEFAULTS, 1.0, probe=False) is closed


class TestShare:
    def test_a_share_of_failures_within_the_interval_opens_it(self) -> None:
        assert isinstance(after([SUCCESS] * 5 + [FAILURE] * 4, SHARE), Closed)
        assert isinstance(after([SUCCESS] * 5 + [FAILURE] * 5, SHARE), Open)
        assert isinstance(after([SUCCESS] * 6 + [FAILURE] * 5, SHARE), Closed)

    def test_among_few_requests_no_share_opens_it(self) -> None:
        assert isinstance(after([FAILURE] * 9, SHARE), Closed)

    def test_it_is_a_failure_that_opens_it(self) -> None:
        assert isinstance(after([FAILURE] * 9 + [SUCCESS], SHARE), Closed)

    def test_what_is_older_than_the_interval_does_not_count(self) -> None:
        breaker = after([FAILURE] * 9, SHARE)
        assert isinstance(report(breaker, FAILURE, SHARE, 9.9, probe=False), Open)
        assert isinstance(report(breaker, FAILURE, SHARE, 10.0, probe=False), Closed)

    @given(st.lists(st.tuples(st.floats(0, 1.5), st.sampled_from(Outcome)), max_size=60))
    def test_the_window_is_right_to_a_tenth_and_never_longer_than_ten_slices(
        self, steps: list[tuple[float, Outcome]]
    ) -> None:
        breaker: Breaker = Closed()
        settings = OutlierDetection(consecutive_errors=0, failure_percent=101)
        now, times = 0.0, []
        for pause, outcome in steps:
            now += pause
            breaker = report(breaker, outcome, settings, now, probe=False)
            if outcome is not ABANDONED:
                times.append(int(now))
            assert isinstance(breaker, Closed)
            assert len(breaker.window) <= 10
        if times:
            assert isinstance(breaker, Closed)
            assert sum(slice_.requests for slice_ in breaker.window) == sum(
                time > times[-1] - 10 for time in times
            )


class TestProbing:
    def test_one_request_passes_when_the_time_is_over_and_no_second_beside_it(self) -> None:
        assert not admits(OPENED, 4.9)
        assert admits(OPENED, 5.0)
        probing, probe = begin(OPENED, 5.0)
        assert probe
        assert probing == Probing(since=5.0, ejections=1)
        assert not admits(probing, 500.0)

    def test_its_success_closes(self) -> None:
        breaker = ended(OPENED, SUCCESS, 5.0)
        assert isinstance(breaker, Closed)
        assert admits(breaker, 5.0)
        assert isinstance(after_failures(breaker, 4, 5.0), Closed)

    def test_its_failure_keeps_it_open_for_half_the_time(self) -> None:
        assert ended(OPENED, FAILURE, 6.0) == Open(until=8.5, ejections=1)

    def test_if_its_client_left_the_next_request_is_the_probe(self) -> None:
        breaker = ended(OPENED, ABANDONED, 6.0)
        assert admits(breaker, 6.0)
        assert begin(breaker, 6.0) == (Probing(since=6.0, ejections=1), True)

    @pytest.mark.parametrize("outcome", Outcome)
    def test_requests_that_began_earlier_decide_nothing(self, outcome: Outcome) -> None:
        assert report(OPENED, outcome, DEFAULTS, 1.0, probe=False) == OPENED
        probing, _ = begin(OPENED, 5.0)
        assert report(probing, outcome, DEFAULTS, 5.5, probe=False) == probing

    def test_a_request_sent_in_spite_of_all_is_the_probe_unless_there_is_one(self) -> None:
        probing, first = begin(OPENED, 1.0)
        again, second = begin(probing, 1.5)
        assert (first, second) == (True, False)
        assert again == probing

    def test_requests_through_a_closed_breaker_are_no_probes(self) -> None:
        assert begin(Closed(), 1.0) == (Closed(), False)


def after_failures(breaker: Breaker, number: int, now: float) -> Breaker:
    for _ in range(number):
        breaker = ended(breaker, FAILURE, now)
    return breaker


class TestGrowth:
    def test_each_ejection_soon_after_another_lasts_longer_up_to_the_longest(self) -> None:
        breaker: Breaker = Closed()
        now, lengths = 0.0, []
        for _ in range(14):
            breaker = after_failures(breaker, 5, now)
            lengths.append(seconds_until_admitted(breaker, now))
            now += lengths[-1]
            breaker = ended(breaker, SUCCESS, now)
        assert lengths == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60, 60]

    def test_quiet_intervals_are_forgiving(self) -> None:
        closed = Closed(ejections=4, since=100.0)
        assert after_failures(closed, 5, 109.0) == Open(until=134.0, ejections=5)
        assert after_failures(closed, 5, 125.0) == Open(until=140.0, ejections=3)
        assert after_failures(closed, 5, 500.0) == Open(until=505.0, ejections=1)

    def test_an_ejection_is_never_shorter_than_what_was_asked_for(self) -> None:
        settings = OutlierDetection(consecutive_errors=1, base_ejection_time=300)
        assert seconds_until_admitted(after([FAILURE], settings), 0.0) == 300


@pytest.mark.parametrize("gap", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("recovery", [60.0, 60.7, 61.3, 62.9, 64.1])
def test_a_backend_that_is_down_gets_few_requests_and_is_back_soon_after_its_recovery(
    gap: float, recovery: float
) -> None:
    breaker: Breaker = Closed()
    now, wasted = 0.0, 0
    while True:
        if admits(breaker, now):
            if now >= recovery:
                break
            breaker, probe = begin(breaker, now)
            breaker = report(breaker, FAILURE, DEFAULTS, now + 0.05, probe)
            wasted += 1
        now += gap
    assert now - recovery <= 5
    assert wasted <= 28


@pytest.mark.parametrize(
    ("breaker", "seconds"),
    [(Closed(), 0.0), (Open(12.0, 1), 2.0), (Open(9.0, 1), 0.0), (Probing(9.0, 1), 0.0)],
)
def test_how_long_until_a_request_may_pass(breaker: Breaker, seconds: float) -> None:
    assert seconds_until_admitted(breaker, 10.0) == seconds


@pytest.mark.parametrize(
    ("breakers", "best"),
    [
        ([Open(9.0, 1), Open(7.0, 5), Open(8.0, 1)], 1),
        ([Probing(1.0, 1), Open(90.0, 1)], 1),
        ([Probing(2.0, 1), Probing(1.0, 1)], 1),
        ([Open(1.0, 1), Closed(in_a_row=4)], 1),
    ],
)
def test_the_least_bad_is_the_one_that_is_due_first(breakers: list[Breaker], best: int) -> None:
    assert least_bad(breakers) == best


@given(st.lists(st.tuples(st.floats(0, 4), st.sampled_from(Outcome), st.integers(0, 3)), max_size=80))
def test_never_more_than_one_probe_and_never_shut_for_good(steps: list[tuple[float, Outcome, int]]) -> None:
    breaker: Breaker = Closed()
    under_way: list[bool] = []
    now = 0.0
    for pause, outcome, starts in steps:
        now += pause
        for _ in range(starts):
            if admits(breaker, now):
                breaker, probe = begin(breaker, now)
                under_way.append(probe)
        assert sum(under_way) == isinstance(breaker, Probing)
        if under_way:
            breaker = report(breaker, outcome, DEFAULTS, now, under_way.pop())
    for probe in under_way:
        breaker = report(breaker, FAILURE, DEFAULTS, now, probe)
    assert admits(breaker, now + 60)


class TestHealthChecks:
    def test_their_failures_count_like_others(self) -> None:
        breaker: Breaker = after([FAILURE] * 3)
        breaker = checked(breaker, False, DEFAULTS, 0.0)
        assert isinstance(breaker, Closed)
        assert checked(breaker, False, DEFAULTS, 0.0) == OPENED

    def test_their_success_makes_up_for_no_failure(self) -> None:
        breaker = after([FAILURE] * 4)
        assert checked(breaker, True, DEFAULTS, 0.0) is breaker

    def test_their_success_ends_the_cool_down_and_the_next_request_is_the_probe(self) -> None:
        breaker = checked(OPENED, True, DEFAULTS, 1.0)
        assert admits(breaker, 1.0)
        breaker, probe = begin(breaker, 1.0)
        assert probe
        assert not admits(breaker, 1.0)

    def test_their_success_after_it_postpones_nothing(self) -> None:
        assert checked(OPENED, True, DEFAULTS, 9.0) == OPENED

    def test_their_failure_within_it_says_nothing_new(self) -> None:
        assert checked(OPENED, False, DEFAULTS, 4.0) is OPENED

    def test_their_failure_after_it_spares_a_client_the_probe(self) -> None:
        breaker = checked(OPENED, False, DEFAULTS, 5.0)
        assert breaker == ended(OPENED, FAILURE, 5.0)
        assert not admits(breaker, 5.0)

    @pytest.mark.parametrize("succeeded", [True, False])
    def test_a_probe_that_is_under_way_decides(self, succeeded: bool) -> None:
        breaker, _ = begin(OPENED, 5.0)
        assert checked(breaker, succeeded, DEFAULTS, 6.0) is breaker

    def test_where_no_row_opens_it_theirs_does_not(self) -> None:
        breaker: Breaker = Closed()
        for _ in range(99):
            breaker = checked(breaker, False, OutlierDetection(consecutive_errors=0), 0.0)
        assert isinstance(breaker, Closed)
