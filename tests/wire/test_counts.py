"""What is counted as it happens."""

from __future__ import annotations

import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.counts import Histogram, PoolCounts

BOUNDS = (0.1, 1.0, 10.0)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 5.0, 10.0, 11.0, float("nan")]), max_size=50))
def test_each_size_is_in_every_bucket_that_it_fits(sizes: list[float]) -> None:
    histogram = Histogram(BOUNDS)
    for size in sizes:
        histogram.add(size)
    bounds, numbers, total = histogram.buckets()
    assert bounds == BOUNDS
    known = [size for size in sizes if size == size]
    assert numbers[-1] == sum(histogram.numbers()) == len(sizes)
    if len(known) == len(sizes):
        assert numbers[:-1] == [sum(size <= bound for size in sizes) for bound in BOUNDS]
        assert abs(total - sum(sizes)) < 1e-6


@given(st.lists(st.floats(0, 20)), st.lists(st.floats(0, 20)))
def test_one_includes_another(sizes: list[float], others: list[float]) -> None:
    one, other, both = Histogram(BOUNDS), Histogram(BOUNDS), Histogram(BOUNDS)
    for histogram, some in ((one, sizes), (other, others), (both, sizes + others)):
        for size in some:
            histogram.add(size)
    one.include(other)
    assert one.numbers() == both.numbers()
    assert abs(one.buckets().sum - both.buckets().sum) < 1e-6


def test_it_takes_as_much_memory_however_much_is_counted() -> None:
    """There may be hundreds of thousands: what waits to be sorted into buckets would be gigabytes."""
    bounds = tuple(map(float, range(20)))
    tracemalloc.start()
    try:
        histograms = [Histogram(bounds) for _ in range(10)]
        for number in range(100_000):
            histograms[number % 10].add(number % 1009 / 50.0)
        counted_there = [tracemalloc.Filter(True, "*/gateway/wire/counts.py")]  # other threads run, too
        held = tracemalloc.take_snapshot().filter_traces(counted_there)
    finally:
        tracemalloc.stop()
    assert sum(histogram.buckets().numbers[-1] for histogram in histograms) == 100_000
    assert sum(trace.size for trace in held.traces) / 10 < 350


def test_another_thread_sees_each_size_once() -> None:
    histogram, done = Histogram(BOUNDS), Event()

    def look() -> list[tuple[int, float]]:
        seen = []
        while not done.is_set():
            _, numbers, total = histogram.buckets()
            seen.append((numbers[-1], total))
        return seen

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            for _ in range(20_000):
                histogram.add(0.5)
            done.set()
            seen = looking.result()
    finally:
        done.set()
        sys.setswitchinterval(interval)
    assert seen == sorted(seen)
    assert all(total == number / 2 for number, total in seen)
    assert histogram.buckets().numbers == [0, *[20_000] * 3]


def test_an_idle_connection_is_no_wait() -> None:
    counts = PoolCounts()
    counts.at_once = 3
    counts.waits.add(0.3)
    _, numbers, seconds = counts.all_waits()
    assert (numbers[0], numbers[-1], seconds) == (3, 4, 0.3)
