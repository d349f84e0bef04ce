from __future__ import annotations

import os
import time

import pytest

from bench.measure import LoadResult, core_seconds, cpu_seconds, memory, percentile, sample


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([1.0, 2.0], 50, 1.0),
        ([1.0, 2.0, 3.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 201)], 99, 198.0),
        ([1.0, 2.0], 100, 2.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_the_cpu_clock_is_the_one_this_process_reads_itself() -> None:
    before = time.process_time()
    read = cpu_seconds(os.getpid())
    assert before <= read <= time.process_time()


def test_a_process_that_is_not_there_has_no_clock() -> None:
    with pytest.raises(ProcessLookupError, match="process 999999999"):
        cpu_seconds(999_999_999)


def test_a_core_has_worked() -> None:
    assert core_seconds(min(os.sched_getaffinity(0))) > 0


def test_memory_is_in_mebibytes_and_its_peak_is_no_less() -> None:
    held = memory(os.getpid())
    assert 1 < held.now <= held.peak < 10_000


def test_a_sample_is_per_request_and_knows_what_others_took() -> None:
    load = LoadResult(completed=50_000, seconds=2.0, p50_us=900.0, p99_us=2000.0, failed=0, pace=0.9)
    found = sample(cpu=1.0, core=1.5, elapsed=2.5, load=load)
    assert found.cpu_us == pytest.approx(20)
    assert found.per_second == 25_000
    assert (found.p50_us, found.p99_us, found.pace) == (900.0, 2000.0, 0.9)
    assert found.others == pytest.approx(0.2)
