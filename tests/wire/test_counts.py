"""What is counted as it happens."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.counts import TOGETHER, Histogram, PoolCounts

BOUNDS = (0.1, 1.0, 10.0)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 5.0, 10.0, 11.0]), max_size=3 * TOGETHER))
def test_each_size_is_in_every_bucket_that_it_fits(sizes: list[float]) -> None:
    histogram = Histogram(BOUNDS)
    for size in sizes:
        histogram.add(size)
    numbers, total = histogram.buckets()
    assert numbers == [*(sum(size <= bound for size in sizes) for bound in BOUNDS), len(sizes)]
    assert abs(total - sum(sizes)) < 1e-6


def test_another_thread_sees_each_size_once() -> None:
    histogram, done = Histogram(BOUNDS), Event()

    def look() -> list[int]:
        seen = []
        while not done.is_set():
            seen.append(histogram.buckets().numbers[-1])
        return seen

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            for _ in range(40 * TOGETHER):
                histogram.add(0.5)
            done.set()
            seen = looking.result()
    finally:
        done.set()
        sys.setswitchinterval(interval)
    assert seen == sorted(seen)
    assert histogram.buckets().numbers == [0, *[40 * TOGETHER] * 3]


def test_an_idle_connection_is_no_wait() -> None:
    counts = PoolCounts()
    counts.at_once = 3
    counts.waits.add(0.3)
    numbers, seconds = counts.all_waits()
    assert (numbers[0], numbers[-1], seconds) == (3, 4, 0.3)
