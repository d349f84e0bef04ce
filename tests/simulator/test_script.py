from __future__ import annotations

import msgspec
import pytest

from gateway.simulator.script import Playwright
from gateway.simulator.steps import Begin, Blurt, BreakOff, End, Reset, Respond, Say, Step, Wait
from gateway.simulator.streaming import MALFORMED_EVENT
from gateway.simulator.tampering import GARBAGE
from tests.simulator.requests import CHAT, HELLO, head, json

PLAIN = json(messages=HELLO)
STREAM = json(messages=HELLO, stream=True)
WORDS = 7
"""Content events of an answer to HELLO."""


def playwright(*standing: str) -> Playwright:
    return Playwright(lambda: 0.0, lambda: 0.0, standing)


def steps(body: bytes, simulate: str) -> list[Step]:
    return list(playwright().script(head(CHAT, body, x_simulate=simulate), body))


def said(played: list[Step]) -> bytes:
    return b"".join(step.data for step in played if isinstance(step, Say))


def contents(played: list[Step]) -> int:
    """How many content events are said."""
    return said(played).count(b'"delta":{"content":"')


def test_a_plain_answer_is_one_step() -> None:
    (step,) = playwright().script(head(CHAT, PLAIN), PLAIN)
    assert isinstance(step, Respond)
    assert step.status == 200


def test_a_stream_begins_says_and_ends() -> None:
    played = list(playwright().script(head(CHAT, STREAM), STREAM))
    assert isinstance(played[0], Begin)
    assert (b"content-type", b"text/event-stream; charset=utf-8") in played[0].headers
    assert played[0].body_length is None
    assert said(played).endswith(b"data: [DONE]\n\n")
    assert played[-1] == End()
    assert contents(played) == WORDS


@pytest.mark.parametrize("body", [PLAIN, STREAM])
def test_drills_before_the_head(body: bytes) -> None:
    assert steps(body, "close") == [BreakOff()]
    assert steps(body, "reset") == [Reset()]
    assert steps(body, "garbage") == [Blurt(GARBAGE), BreakOff()]
    assert steps(body, "stall") == []
    assert steps(body, "delay=2s, reset") == [Wait(2.0), Reset()]
    (step,) = steps(body, "status=503")
    assert isinstance(step, Respond)
    assert step.status == 503
    waited, answered = steps(body, "delay=250ms, status=429, retry-after=1")
    assert waited == Wait(0.25)
    assert isinstance(answered, Respond)
    assert (b"retry-after", b"1") in answered.headers


def test_a_stream_is_paced() -> None:
    played = steps(STREAM, "first-content-delay=3s, chunk-delay=100ms")
    assert [step for step in played if isinstance(step, Wait)] == [Wait(3.0)] + [Wait(0.1)] * (WORDS - 1)
    assert [type(step) for step in played[:4]] == [Begin, Say, Wait, Say]


def test_the_length_of_an_answer() -> None:
    assert contents(steps(STREAM, "words=3")) == 3
    assert contents(steps(STREAM, "words=50, chunks=5")) == 5
    assert contents(steps(STREAM, "chunks=2")) == 2


@pytest.mark.parametrize(("after", "seen"), [(0, 0), (3, 3), (WORDS, WORDS), (100, WORDS)])
def test_a_stream_is_cut_or_stalls(after: int, seen: int) -> None:
    cut = steps(STREAM, f"cut-after={after}")
    assert cut[-1] == BreakOff()
    assert contents(cut) == seen
    stalled = steps(STREAM, f"stall-after={after}")
    assert stalled == cut[:-1]
    assert b'finish_reason":"stop' not in said(cut)


@pytest.mark.parametrize(("after", "missing"), [(10, None), (100_000, 1)])
def test_a_plain_body_is_cut_or_stalls(after: int, missing: int | None) -> None:
    begun, some, broken = steps(PLAIN, f"cut-after={after}")
    assert isinstance(begun, Begin)
    assert isinstance(some, Say)
    assert begun.body_length is not None
    assert len(some.data) == (after if missing is None else begun.body_length - missing)
    assert broken == BreakOff()
    assert steps(PLAIN, f"stall-after={after}") == [begun, some]


def test_a_malformed_event_comes_after_the_first_content() -> None:
    played = steps(STREAM, "malformed-event")
    assert played.count(Say(MALFORMED_EVENT)) == 1
    place = played.index(Say(MALFORMED_EVENT))
    assert contents(played[:place]) == 1
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(MALFORMED_EVENT.removeprefix(b"data: "))
    assert contents(played) == WORDS
    assert played[-1] == End()


def test_a_stream_without_done() -> None:
    played = steps(STREAM, "no-done")
    assert b"[DONE]" not in said(played)
    assert b'"finish_reason":"stop"' in said(played)
    assert played[-1] == End()


def test_a_drill_that_cannot_be_is_refused() -> None:
    (step,) = steps(STREAM, "delay=2s, typo")
    assert isinstance(step, Respond)
    assert step.status == 400
    assert b"'typo' is unknown" in step.body


@pytest.mark.parametrize(
    ("simulate", "code"),
    [("context-length", "context_length_exceeded"), ("content-filter", "content_filter")],
)
def test_prompts_that_are_refused_whatever_they_say(simulate: str, code: str) -> None:
    for body in (PLAIN, STREAM):
        (step,) = steps(body, simulate)
        assert isinstance(step, Respond)
        assert step.status == 400
        assert msgspec.json.decode(step.body)["error"]["code"] == code


def test_a_request_meets_what_model_header_configuration_and_command_line_say() -> None:
    body = json(messages=HELLO, stream=True, model="m+chunks=3")
    asked = head(CHAT, body, x_simulate="no-done", x_llmgateway_misbehave="words=20")
    played = list(playwright("chunk-delay=1s").script(asked, body))
    assert contents(played) == 3
    assert len(said(played).split(b'"content":"')[2].split()) > 5
    assert b"[DONE]" not in said(played)
    assert Wait(1.0) in played


def test_contradictions_between_them_are_refused() -> None:
    body = json(messages=HELLO, model="m+words=3")
    (step,) = playwright().script(head(CHAT, body, x_simulate="words=3"), body)
    assert isinstance(step, Respond)
    assert step.status == 400
    assert b"This cannot be simulated: 'words' is given twice" in step.body


def test_what_was_played_is_remembered() -> None:
    simulator = playwright("status=500&first=1")
    seen = []
    for _ in range(2):
        (step,) = simulator.script(head(CHAT, PLAIN), PLAIN)
        assert isinstance(step, Respond)
        seen.append(step.status)
    assert seen == [500, 200]
