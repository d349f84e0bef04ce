from __future__ import annotations

import pytest
from attrs import evolve

from bench.asking import Received
from bench.doors import Door
from bench.expecting import Case, error, whole
from bench.faults import Outcome, Trial, table
from bench.judging import Ending, Verdict


class Silent(Door):
    """A door without a port."""

    def __init__(self, *requests: float) -> None:
        self.requests = list(requests)


CASE = Case("500, once", whole(2, 0), error(502))
PLAIN = Trial(CASE, False, "plain-0", Silent(1.0, 1.2), Silent())
STREAMED = evolve(PLAIN, stream=True, primary=Silent(1.0))
TOLD = {"x-llmgateway-attempts": "2"}
GOOD = Outcome(
    PLAIN,
    Verdict(Ending.WHOLE, model="small"),
    Received(200, TOLD, seconds=0.3),
    {"primary": 2, "fallback": 0},
    slack=0.0,
)
REFUSED = Outcome(
    STREAMED,
    Verdict(Ending.ERROR, "provider_reset"),
    Received(502, {}, seconds=0.1),
    {"primary": 1, "fallback": 0},
    slack=0.0,
)


def test_what_is_as_it_must_be_is_no_complaint() -> None:
    assert GOOD.complaints() == []
    assert REFUSED.complaints() == []


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (evolve(GOOD, verdict=Verdict(Ending.TRUNCATED)), "must be whole"),
        (evolve(GOOD, received=Received(200, TOLD, seconds=3.0)), "must take 0.7 s at most"),
        (evolve(GOOD, received=Received(200, {**TOLD, "x-llmgateway-attempts": "1"})), "tells of 1"),
        (
            evolve(GOOD, trial=evolve(PLAIN, primary=Silent(1.0, 1.1, 1.2))),
            "asked too often in too short a time",
        ),
        (evolve(REFUSED, received=Received(500)), "must be a 502"),
        (evolve(REFUSED, verdict=Verdict(Ending.ERROR, "cut", in_band=True)), "must be a 502"),
        (evolve(REFUSED, asked={"primary": 2, "fallback": 0}), "the primary must be asked 1×"),
        (evolve(REFUSED, asked={"primary": 1, "fallback": 1}), "the fallback must be asked 0×"),
    ],
)
def test_all_else_is(bad: Outcome, complaint: str) -> None:
    (told,) = bad.complaints()
    assert complaint in told


def test_a_provider_that_asks_to_wait_is_waited_for() -> None:
    waiting = evolve(PLAIN, case=Case("429", whole(2, 0, least=1.0)))
    assert evolve(GOOD, trial=waiting).complaints() == ["the provider asked to wait 1 s"]


def test_each_fault_has_a_line() -> None:
    assert table([GOOD, REFUSED]).splitlines()[2:] == [
        "| 500, once | whole | 2 + 0 | 0.3 | error 502, `provider_reset` | 1 + 0 | 0.1 |"
    ]
    streams_alone = evolve(REFUSED, verdict=Verdict(Ending.ERROR, "cut", in_band=True))
    assert table([streams_alone]).splitlines()[2:] == [
        "| 500, once | – |  |  | error event, `cut` | 1 + 0 | 0.1 |"
    ]


def test_of_three_each_is_judged() -> None:
    trial = evolve(
        PLAIN, case=evolve(CASE, second="close", plain=whole(2, 1, second=range(1, 3))), second=Silent()
    )
    of_three = evolve(
        GOOD, trial=trial, received=Received(200, {}), asked={"primary": 2, "second": 2, "fallback": 1}
    )
    assert of_three.complaints() == []
    assert of_three.attempts == "2 + 2 + 1"
    asked = evolve(of_three, asked={"primary": 2, "second": 3, "fallback": 1})
    assert asked.complaints() == ["the second must be asked 1 to 2×"]


def test_a_crowd_may_ask_often() -> None:
    trial = evolve(PLAIN, case=evolve(CASE, crowd=3), primary=Silent(1.0, 1.1, 1.2))
    assert evolve(GOOD, trial=trial).complaints() == []
