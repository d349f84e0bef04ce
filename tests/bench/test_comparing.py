from __future__ import annotations

import pytest
from attrs import evolve

from bench.comparing import WORKLOADS, doubts, load_result
from bench.measure import LoadResult, Sample

QUIET = Sample(cpu_us=20.0, per_second=1000.0, p50_us=1.0, p99_us=2.0, pace=1.0, others=0.01)


def test_wrk_prints_its_own_report_first_and_ours_last() -> None:
    printed = (
        "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\nRequests/sec:  123.4\n"
        '\n{"completed": 123, "seconds": 1.002003, "p50_us": 812.0, "p99_us": 4000.5, "failed": 2}\n'
    )
    assert load_result(printed) == LoadResult(
        completed=123, seconds=1.002003, p50_us=812.0, p99_us=4000.5, failed=2
    )


def test_quiet_rounds_leave_no_doubt() -> None:
    assert doubts({"nginx": [QUIET], "gateway": [QUIET]}) == []


@pytest.mark.parametrize(
    ("worst", "said"),
    [
        (evolve(QUIET, pace=0.6), "60% of the intended pace"),
        (evolve(QUIET, others=0.4), "up to 40% of the proxy's core"),
    ],
)
def test_one_bad_round_of_anyone_is_told(worst: Sample, said: str) -> None:
    (sentence,) = doubts({"nginx": [QUIET, QUIET], "gateway": [QUIET, worst]})
    assert said in sentence


def test_titles_tell_workloads_apart() -> None:
    assert len({workload.title for workload in WORKLOADS}) == len(WORKLOADS)
