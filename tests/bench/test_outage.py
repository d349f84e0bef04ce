from __future__ import annotations

import pytest
from attrs import evolve

from bench.judging import Ending, Verdict
from bench.outage import Asked, Outage, Schedule

PRIMARY, FALLBACK = Verdict(Ending.WHOLE, model="small"), Verdict(Ending.WHOLE, model="large")


def asked(at: float, verdict: Verdict) -> Asked:
    return Asked(at, 0.1, verdict, 1)


GOOD = Outage(
    "503",
    [asked(0, PRIMARY), asked(2, FALLBACK), asked(4, FALLBACK), asked(14, PRIMARY)],
    down_at=1,
    up_at=11,
    attempts=9,
)


def test_everybody_is_answered_and_the_primary_is_back_soon() -> None:
    assert GOOD.complaints(0) == []
    assert GOOD.told() == "| 503 to everything | 4 | 4 | 0.1 s | 9 | 3.0 s |"


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (
            evolve(GOOD, asked=[*GOOD.asked, asked(15, Verdict(Ending.HANG))]),
            "request 4: HANG",
        ),
        (evolve(GOOD, attempts=10), "more than 9 attempts"),
        (evolve(GOOD, attempts=None), "more than 9 attempts"),
        (evolve(GOOD, asked=GOOD.asked[:3]), "not back within 5 s"),
        (evolve(GOOD, asked=[*GOOD.asked[:3], asked(16.5, PRIMARY)]), "not back within 5 s"),
    ],
)
def test_all_else_is_told(bad: Outage, complaint: str) -> None:
    (told,) = bad.complaints(0)
    assert told.startswith(complaint)


def test_a_busy_machine_gets_some_slack() -> None:
    late = evolve(GOOD, asked=[*GOOD.asked[:3], asked(16.5, PRIMARY)])
    assert late.complaints(1) == []


def test_the_outage_begins_between_two_requests() -> None:
    schedule = Schedule(down=60, every=2)
    assert schedule.well == 3.5
    assert schedule.requests == 36
