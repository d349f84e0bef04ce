from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.messages import TokenUsage
from gateway.resources.drills import Drill, Length
from gateway.simulator.replies import Streamed, Whole
from gateway.simulator.steps import Begin, Blurt, BreakOff, End, Respond, Say, Step, Wait
from gateway.simulator.tampering import WRONG_BY, steps_of

BODY = b"0123456789"
WHOLE = Whole(200, [(b"a", b"b")], BODY)
COUNTED = TokenUsage(7, 3)
EVENTS = [b"event 1\n\n", b"event 2\n\n"]
STREAM = b"opening" + b"".join(EVENTS) + b"finishusage" + b"data: [DONE]\n\n"


def stream(drill: Drill) -> list[Step]:
    usage = Say(b"usage", usage=COUNTED)
    streamed = Streamed([(b"a", b"b")], b"opening", map(Say, EVENTS), lambda: Say(b"finish"), usage, {}, 7)
    return list(steps_of(streamed, drill))


def said(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, Say))


def test_nothing_is_done_unasked() -> None:
    assert list(steps_of(WHOLE, Drill())) == [Respond(200, [(b"a", b"b")], BODY)]
    assert said(stream(Drill())) == STREAM


@pytest.mark.parametrize("size", [1, 4000, 4001, 100_000])
def test_huge_headers(size: int) -> None:
    for step in (next(steps_of(WHOLE, Drill(huge_headers=size))), stream(Drill(huge_headers=size))[0]):
        assert isinstance(step, Begin | Respond)
        padding = [value for name, value in step.headers if name.startswith(b"x-padding-")]
        assert sum(map(len, padding)) == size
        assert (b"a", b"b") in step.headers


def test_gzip() -> None:
    (step,) = steps_of(WHOLE, Drill(gzip=True))
    assert isinstance(step, Respond)
    assert (b"content-encoding", b"gzip") in step.headers
    assert gzip.decompress(step.body) == BODY


def test_a_compressed_stream_can_be_read_event_by_event() -> None:
    steps = stream(Drill(gzip=True))
    assert isinstance(steps[0], Begin)
    assert (b"content-encoding", b"gzip") in steps[0].headers
    assert steps[-1] == End()
    reader = zlib.decompressobj(wbits=31)
    read = [reader.decompress(step.data) for step in steps if isinstance(step, Say)]
    assert read[:3] == [b"opening", *EVENTS]
    assert b"".join(read) == STREAM
    assert reader.eof


@pytest.mark.parametrize("size", range(len(STREAM) + 2))
def test_a_stream_is_cut_after_any_byte(size: int) -> None:
    steps = stream(Drill(cut_after_bytes=size))
    assert said(steps) == STREAM[: min(size, len(STREAM) - 1)]
    assert steps[-1] == BreakOff()


def test_a_stream_that_will_be_cut_keeps_its_pace() -> None:
    steps = stream(Drill(cut_after_bytes=len(STREAM), first_content_delay=1.0, chunk_delay=2.0))
    first, second = steps.index(Wait(1.0)), steps.index(Wait(2.0))
    assert said(steps[:first]) == b"opening"
    assert said(steps[first:second]) == EVENTS[0]


@pytest.mark.parametrize(("length", "by"), [("longer", WRONG_BY), ("shorter", -WRONG_BY)])
def test_a_wrong_content_length(length: Length, by: int) -> None:
    (plain,) = steps_of(WHOLE, Drill(content_length=length))
    (streamed,) = stream(Drill(content_length=length))
    for step, body in ((plain, BODY), (streamed, STREAM)):
        assert isinstance(step, Blurt)
        head, _, sent = step.data.partition(b"\r\n\r\n")
        assert sent == body
        assert b"\r\ncontent-length: %d" % (len(body) + by) in head
        assert head.startswith(b"HTTP/1.1 200 OK\r\na: b\r\n")


def test_a_trickle() -> None:
    steps = list(steps_of(WHOLE, Drill(trickle=0.1)))
    assert steps[0] == Begin(200, [(b"a", b"b")], 10)
    assert steps[1:-1] == [step for byte in BODY for step in (Wait(0.1), Say(bytes([byte])))]
    assert steps[-1] == End()
    assert said(stream(Drill(trickle=0.1))) == STREAM


def told(steps: list[Step]) -> list[TokenUsage | None]:
    return [step.usage for step in steps if isinstance(step, Say | Respond) and step.usage is not None]


@pytest.mark.parametrize("drill", [Drill(), Drill(gzip=True), Drill(trickle=0.1)])
def test_usage_is_told_once_whatever_the_bytes_look_like(drill: Drill) -> None:
    assert told(stream(drill)) == [COUNTED]
    assert told(list(steps_of(Whole(200, [], BODY, 7, 10, COUNTED), drill))) == [COUNTED]


def test_usage_is_told_with_its_last_byte() -> None:
    before = len(STREAM) - len(b"data: [DONE]\n\n")
    assert told(stream(Drill(cut_after_bytes=before - 1))) == []
    assert told(stream(Drill(cut_after_bytes=before))) == [COUNTED]


def test_an_error_is_not_broken_by_what_always_breaks_answers() -> None:
    refused = Whole(503, [], BODY)
    assert list(steps_of(refused, Drill(status=503, cut_after=3))) == [Respond(503, [], BODY)]
