from __future__ import annotations

from itertools import islice

import msgspec
import pytest

from gateway.messages import TokenUsage
from gateway.resources.drills import Cut, Drill, Heartbeat
from gateway.simulator.replies import Streamed, Whole
from gateway.simulator.steps import Begin, BreakOff, End, Reset, Respond, Say, Step, Wait
from gateway.simulator.streaming import SECONDS_BEFORE_RESET, stream_steps, whole_steps

COUNTED = TokenUsage(7, 3)
FINISH = Say(b"finish")
USAGE = Say(b"usage", usage=COUNTED)
DONE = Say(b"data: [DONE]\n\n")
BEAT = b": beat\n\n"


def stream(drill: Drill) -> list[Step]:
    """The first steps of a stream of three events, its head left out."""
    events = [b'data: {"n":%d}\n\n' % number for number in range(3)]
    beats = dict.fromkeys(("comment", "ping", "empty", "role"), BEAT)
    begun, *steps = islice(
        stream_steps(
            Streamed([], b"opening", map(Say, events), lambda: FINISH, USAGE, beats, COUNTED.input), drill
        ),
        50,
    )
    assert begun == Begin(200, [], None, asked=7)
    return steps


def event(number: int) -> Say:
    return Say(b'data: {"n":%d}\n\n' % number)


OPENING = Say(b"opening")
WHOLE = [OPENING, event(0), event(1), event(2)]


def test_as_it_should_be() -> None:
    assert stream(Drill()) == [*WHOLE, FINISH, USAGE, DONE, End()]


def test_what_is_missing_at_the_end() -> None:
    assert stream(Drill(no_done=True)) == [*WHOLE, FINISH, USAGE, End()]
    assert stream(Drill(no_finish=True)) == [*WHOLE, USAGE, DONE, End()]
    assert stream(Drill(no_finish=True, no_done=True)) == [*WHOLE, USAGE, End()]


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("close", [BreakOff()]),
        ("reset", [Wait(SECONDS_BEFORE_RESET), Reset()]),
        ("end", [End()]),
        ("done", [DONE, End()]),
    ],
)
def test_cuts(how: Cut, ending: list[Step]) -> None:
    assert stream(Drill(cut_after=1, cut=how)) == [OPENING, event(0), *ending]
    assert stream(Drill(cut_after=9, cut=how)) == [*WHOLE, *ending]


def test_an_error_in_the_stream() -> None:
    *before, error, end = stream(Drill(error_after=2, code="overloaded"))
    assert before == [OPENING, event(0), event(1)]
    assert isinstance(error, Say)
    told = msgspec.json.decode(error.data.removeprefix(b"data: "))
    assert told["error"]["code"] == "overloaded"
    assert end == End()


def test_heartbeats_fill_the_time_before_contents_and_take_none_of_it() -> None:
    drill = Drill(first_content_delay=2.5, chunk_delay=0.5, heartbeat="comment")
    assert stream(drill)[:9] == [
        OPENING, Wait(1.0), Say(BEAT), Wait(1.0), Say(BEAT), Wait(0.5), event(0), Wait(0.5), event(1),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["comment", "ping", "empty", "role"])
def test_heartbeats_go_on_when_nothing_else_does(kind: Heartbeat) -> None:
    steps = stream(Drill(stall_after=1, heartbeat=kind, heartbeat_delay=0.2))
    assert steps[:2] == [OPENING, event(0)]
    assert steps[2:8] == [Wait(0.2), Say(BEAT)] * 3
    assert len(steps) == 49


def test_a_huge_event_means_the_same() -> None:
    _, huge, *rest = stream(Drill(huge_event=100_000))
    assert isinstance(huge, Say)
    assert len(huge.data) > 100_000
    told = msgspec.json.decode(huge.data.removeprefix(b"data: "))
    assert (told["n"], len(told["obfuscation"])) == (0, 100_000)
    assert rest[0] == event(1)


BODY = Whole(200, [], b"0123456789", COUNTED.input, 10, COUNTED)


@pytest.mark.parametrize("after", [{"cut_after": 4}, {"cut_after_bytes": 4}])
def test_a_plain_answer_is_cut(after: dict[str, int]) -> None:
    begun = Begin(200, [], 10, asked=7)
    assert list(whole_steps(BODY, Drill(**after))) == [begun, Say(b"0123"), BreakOff()]  # type: ignore[arg-type]
    reset = list(whole_steps(BODY, Drill(cut="reset", **after)))  # type: ignore[arg-type]
    assert reset == [begun, Say(b"0123"), Wait(SECONDS_BEFORE_RESET), Reset()]
    ended = list(whole_steps(BODY, Drill(cut="end", **after)))  # type: ignore[arg-type]
    assert ended == [Begin(200, [], 4, asked=7), Say(b"0123"), End()]


def test_usage_is_told_with_the_whole_answer_alone() -> None:
    assert list(whole_steps(BODY, Drill())) == [Respond(200, [], b"0123456789", 7, 10, COUNTED)]
