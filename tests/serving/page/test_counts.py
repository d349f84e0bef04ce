"""What was counted, kept in few bytes, and reckoned with."""

from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.retrying import Fault
from gateway.serving.page.counts import ATTEMPTS, Tally, between, ended_between, tally, total
from gateway.telemetry.families import BUCKETS, FIRST_TOKEN_BUCKETS, OVERHEAD_BUCKETS
from gateway.telemetry.outcomes import Outcome

NUMBERS = st.integers(0, 1 << 40)


def buckets(bounds: tuple[float, ...]) -> st.SearchStrategy[list[int]]:
    """A few of all buckets have something in them."""
    some = st.dictionaries(st.integers(0, len(bounds)), NUMBERS, max_size=3)
    return some.map(lambda filled: [filled.get(place, 0) for place in range(len(bounds) + 1)])


TALLIES = st.builds(
    tally,
    st.dictionaries(st.tuples(st.sampled_from([200, 400, 500]), st.sampled_from(Outcome)), NUMBERS),
    st.dictionaries(st.sampled_from([*ATTEMPTS]), NUMBERS),
    tokens=st.tuples(NUMBERS, NUMBERS),
    duration=buckets(BUCKETS),
    first_token=buckets(FIRST_TOKEN_BUCKETS),
    overhead=buckets(OVERHEAD_BUCKETS),
    costs=st.dictionaries(st.sampled_from(["USD", "CNY"]), st.integers(0, 1000).map(float)),
)


def test_everything_that_was_counted_can_be_had_again() -> None:
    made = tally(
        {(200, Outcome.OK): 5, (499, Outcome.CLIENT_LEFT): 2, (200, Outcome.ANSWER_CUT): 1},
        {"ok": 6, Fault.OPEN: 3},
        tokens=(1 << 35, 7),
        duration=[1, *[0] * (len(BUCKETS) - 1), 2],
        first_token=[3, *[0] * len(FIRST_TOKEN_BUCKETS)],
        overhead=[0, 4, *[0] * (len(OVERHEAD_BUCKETS) - 1)],
        costs={"USD": 1.5},
    )
    counts = total([made])
    assert (counts.requests, counts.refused, counts.failed) == (8, 2, 1)
    assert counts.attempts == {"ok": 6, "open": 3}
    assert (counts.input_tokens, counts.output_tokens) == (1 << 35, 7)
    assert counts.duration.numbers == [*[1] * len(BUCKETS), 3]
    assert counts.first_token.numbers == [3] * (len(FIRST_TOKEN_BUCKETS) + 1)
    assert counts.overhead.numbers == [0, *[4] * len(OVERHEAD_BUCKETS)]
    assert counts.costs == {"USD": 1.5}
    assert made.happened == 17 + (1 << 35) + 7


@given(st.lists(TALLIES, max_size=4))
def test_a_sum_can_be_kept_like_the_rest(tallies: list[Tally]) -> None:
    assert total([total(tallies).tally()]) == total(tallies)


@given(TALLIES, TALLIES)
def test_what_was_counted_between_two_moments(then: Tally, more: Tally) -> None:
    now = total([then, more]).tally()
    lately = between([(then, now)])
    assert lately.duration == total([more]).duration
    assert lately.attempts == total([more]).attempts
    assert (lately.requests, lately.input_tokens) == (total([more]).requests, total([more]).input_tokens)
    assert lately.costs == pytest.approx({**dict.fromkeys(now.currencies, 0.0), **total([more]).costs})
    ended = ended_between([(then, now)])
    assert (ended.requests, ended.refused, ended.failed) == (lately.requests, lately.refused, lately.failed)
    assert ended.attempts == lately.attempts


def test_who_was_not_there_before_began_at_nothing() -> None:
    now = tally({(200, Outcome.OK): 3}, {})
    assert between([(None, now)]).requests == ended_between([(None, now)]).requests == 3
    assert between([(now, now)]).requests == ended_between([(now, now)]).requests == 0


def test_what_has_been_forgotten_does_not_count_against_anything() -> None:
    then = tally({(200, Outcome.OK): 5}, {"ok": 5}, duration=[5, *[0] * len(BUCKETS)], costs={"USD": 10.0})
    now = tally({(200, Outcome.ANSWER_CUT): 1}, {}, costs={"USD": 4.0, "EUR": 1.0})
    since = between([(then, now)])
    assert since.costs == {"USD": 0.0, "EUR": 1.0}
    assert (since.requests, since.failed, ended_between([(then, now)]).requests) == (1, 1, 1)
    assert since.duration.quantile(0.5) is None


def test_a_tally_is_small_and_nothing_for_the_collector() -> None:
    """A hundred thousand of them lie in each of four readings."""
    spread = [1000 * (3 <= place < 11) for place in range(40)]
    made = tally(
        {(200, Outcome.OK): 7990, (499, Outcome.CLIENT_LEFT): 10},
        {"ok": 7990, "cut": 10},
        tokens=(400_000, 800_000),
        duration=spread[: len(BUCKETS) + 1],
        first_token=spread[: len(FIRST_TOKEN_BUCKETS) + 1],
        overhead=spread[: len(OVERHEAD_BUCKETS) + 1],
        costs={"USD": 80.0},
    )
    parts = (made, made.places, made.packed, made.amounts)
    assert sum(map(sys.getsizeof, parts)) < 400
    assert not any(map(gc.is_tracked, parts))
    assert made.currencies is tally({}, {}, costs={"USD": 1.0}).currencies
