from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.balancing import next_turn


def turns(weights: list[int], number: int) -> list[int]:
    balances = [0] * len(weights)
    chosen = []
    for _ in range(number):
        index, balances = next_turn(weights, balances)
        chosen.append(index)
    return chosen


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([50, 50], [0, 1, 0, 1, 0, 1]),
        ([1], [0, 0, 0]),
        ([5, 1, 1], [0, 0, 1, 0, 2, 0, 0]),
        ([0, 1], [1, 1, 1]),
        ([2, 0, 1], [0, 2, 0, 0, 2, 0]),
    ],
)
def test_turns_come_in_this_order(weights: list[int], expected: list[int]) -> None:
    assert turns(weights, len(expected)) == expected


def test_ninety_to_ten_is_right_after_ten_requests() -> None:
    assert Counter(turns([90, 10], 10)) == {0: 9, 1: 1}


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any))
def test_each_backend_gets_exactly_its_share_of_a_full_round(weights: list[int]) -> None:
    chosen = Counter(turns(weights, sum(weights)))
    assert [chosen[index] for index in range(len(weights))] == weights


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(-50, 50)), min_size=1, max_size=5).filter(
        lambda pairs: any(weight for weight, _ in pairs)
    )
)
def test_a_backend_of_weight_nought_is_never_chosen_whatever_it_had_before(
    pairs: list[tuple[int, int]],
) -> None:
    weights = [weight for weight, _ in pairs]
    index, _ = next_turn(weights, [balance for _, balance in pairs])
    assert weights[index] > 0
