"""Percentiles from a histogram's buckets, as Prometheus' `histogram_quantile` finds them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def quantile(share: float, bounds: Sequence[float], numbers: Sequence[float]) -> float | None:
    """The size below which this share of all lies, taken as evenly spread within its bucket.

    :param share: 0 to 1.
    :param bounds: upper bounds, the smallest first.
    :param numbers: how many are up to each bound, and last, how many there are.
    :return: the highest bound for what is above it; None where there is nothing.
    """
    total = numbers[-1]
    if not total:
        return None
    rank = share * total
    index = bisect_left(numbers, rank if rank > 0 else 1e-9)
    if index == len(bounds):
        return bounds[-1] if bounds else None
    lower, below = (bounds[index - 1], numbers[index - 1]) if index else (0.0, 0)
    return lower + (bounds[index] - lower) * (rank - below) / (numbers[index] - below)
