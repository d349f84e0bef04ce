from __future__ import annotations

import json

import pytest

from bench.asking import Received
from bench.judging import Ending, Verdict, judge

TEXTS = {"small": "I am small. Hello", "large": "I am large. Hello"}


def plain(model: str = "small", text: str = "I am small. Hello", reason: str | None = "stop") -> Received:
    choice = {"message": {"content": text}, "finish_reason": reason}
    return Received(200, {}, json.dumps({"model": model, "choices": [choice]}).encode(), ended=True)


def chunk(text: str, reason: str | None = None, identity: str = "one") -> str:
    choice = {"delta": {"content": text}, "finish_reason": reason}
    return json.dumps({"id": identity, "choices": [choice]})


ERROR = json.dumps({"error": {"message": "It broke.", "type": "upstream_error", "code": "cut"}})
USAGE = json.dumps({"id": "one", "choices": [], "usage": {"prompt_tokens": 1}})
LAST = chunk("", "stop")


def stream(*events: str, ended: bool = True) -> Received:
    return Received(200, {}, "".join(f"data: {event}\n\n" for event in events).encode(), ended)


def ending(received: Received, *, of_stream: bool) -> Ending:
    return judge(received, TEXTS, stream=of_stream).ending


def test_a_whole_answer_is_whole() -> None:
    whole = Verdict(Ending.WHOLE, model="small")
    assert judge(plain(), TEXTS, stream=False) == whole
    events = chunk("I am "), chunk("small. Hello"), LAST, USAGE, "[DONE]"
    assert judge(stream(*events), TEXTS, stream=True) == whole


def test_comments_and_pings_are_no_words() -> None:
    answer = stream(chunk("I am large. Hello"), LAST, "[DONE]")
    shown = Received(
        200, {}, b': still here\n\nevent: ping\ndata: {"type": "ping"}\n\n' + answer.body, ended=True
    )
    assert judge(shown, TEXTS, stream=True) == Verdict(Ending.WHOLE, model="large")


@pytest.mark.parametrize(
    "received",
    [
        plain(text="I am sm"),
        plain(reason=None),
        Received(200, {}, b'{"model": "sm', ended=True),
        Received(200, {}, b"{}", ended=True),
    ],
)
def test_a_plain_answer_that_only_looks_whole_is_truncated(received: Received) -> None:
    assert ending(received, of_stream=False) is Ending.TRUNCATED


@pytest.mark.parametrize(
    "received",
    [
        stream(chunk("I am "), "[DONE]"),
        stream(chunk("I am "), LAST, "[DONE]"),
        stream(chunk("I am ")),
        stream(chunk("I am "), ended=False),
        stream(chunk("I am small. Hello"), LAST),
        stream(chunk("I am small. Hello"), "[DONE]"),
        stream(chunk("I am small. Hello"), LAST, "[DONE]", ended=False),
        stream(),
    ],
)
def test_a_stream_that_only_looks_whole_is_truncated(received: Received) -> None:
    assert ending(received, of_stream=True) is Ending.TRUNCATED


@pytest.mark.parametrize(
    "received",
    [
        stream(chunk("I am I am small. Hello"), LAST, "[DONE]"),
        stream(chunk("I am "), chunk("small. Hello", identity="two"), LAST, "[DONE]"),
        stream(chunk("I am "), ERROR, "[DONE]"),
        stream(chunk("I am small. Hello"), LAST, "[DONE]", "[DONE]"),
        stream(chunk("I am "), '{"id": "one", "choi'),
        stream(chunk("Hello"), ERROR),
        Received(502, {}, b"", ended=True),
        Received(502, {}, b"<html>", ended=True),
        Received(502, {}, ERROR.encode(), ended=False),
        Received(),
    ],
)
def test_what_no_client_must_get_is_wrong(received: Received) -> None:
    assert ending(received, of_stream=True) is Ending.WRONG


def test_one_models_name_with_anothers_words_is_wrong() -> None:
    assert ending(plain(model="large"), of_stream=False) is Ending.WRONG


def test_an_error_is_clear_if_it_says_what_it_is() -> None:
    assert judge(Received(502, {}, ERROR.encode(), ended=True), TEXTS, stream=False) == Verdict(
        Ending.ERROR, "cut"
    )
    assert judge(stream(chunk("I am "), ERROR, ended=False), TEXTS, stream=True) == Verdict(
        Ending.ERROR, "cut", in_band=True
    )


def test_clients_see_that_a_plain_answer_breaks_off() -> None:
    assert ending(Received(200, {}, b'{"model', ended=False), of_stream=False) is Ending.BROKEN_OFF


def test_who_is_not_answered_at_all_waits_for_ever() -> None:
    assert ending(Received(hung=True), of_stream=False) is Ending.HANG
    assert ending(Received(200, {}, b"data: ", hung=True), of_stream=True) is Ending.HANG
