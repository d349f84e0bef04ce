"""Percentiles from a histogram's buckets."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.page.quantiles import quantile

BOUNDS, NUMBERS = (1.0, 2.0, 4.0, 8.0), (0, 10, 10, 20, 20)


@pytest.mark.parametrize(("share", "size"), [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.75, 6.0), (1.0, 8.0)])
def test_within_a_bucket_all_are_spread_evenly(share: float, size: float) -> None:
    assert quantile(share, BOUNDS, NUMBERS) == pytest.approx(size)


def test_nothing() -> None:
    assert quantile(0.5, (1.0,), (0, 0)) is None
    assert quantile(0.5, (), (0,)) is None


def test_above_all_bounds_it_is_the_highest() -> None:
    assert quantile(0.99, (1.0, 2.0), (1, 1, 5)) == 2.0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_share_is_no_smaller_size(counts: list[int], one: float, other: float) -> None:
    numbers = list(accumulate(counts))
    bounds = tuple(range(1, len(counts)))
    low, high = quantile(min(one, other), bounds, numbers), quantile(max(one, other), bounds, numbers)
    if low is not None and high is not None:
        assert 0 <= low <= high <= len(counts)
    else:
        assert not numbers[-1] or not bounds
