"""What a whole answer says of itself, and what its ends say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import openai_answers
from gateway.dialects.dialect import AnswerFacts
from gateway.dialects.openai_answers import read_answer, read_answer_ends
from gateway.messages import TokenUsage


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        (
            b'{"id":"c","model":"m","choices":[{"message":{"content":"\\"usage\\""},"finish_reason":"stop"}],'
            b'"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{}}}',
            AnswerFacts(TokenUsage(9, 12), "m", id="c", finish_reason="stop"),
        ),
        (
            b'{"model":"e","data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}',
            AnswerFacts(TokenUsage(5, 0), "e"),
        ),
        (
            b'{"object":"response","model":"r","output":[],"usage":{"input_tokens":3,"output_tokens":4}}',
            AnswerFacts(TokenUsage(3, 4), "r"),
        ),
        (b'{"text":"x","usage":{"type":"duration","seconds":3}}', AnswerFacts()),
        (b'{"model":"m","usage":null}', AnswerFacts(None, "m")),
        (b'{"model":"","choices":null}', AnswerFacts()),
        (b'{"usage":{"prompt_tokens":-1}}', AnswerFacts(TokenUsage(0, 0))),
        (b'{"usage":{"prompt_tokens":"9"}}', AnswerFacts(TokenUsage(9, 0))),
        (b"[]", AnswerFacts(size=2)),
        (b"null", AnswerFacts(size=4)),
        (b'{"model":7,"choices":{},"usage":[]}', AnswerFacts()),
        (b"", AnswerFacts(cut=True)),
        (b"<html>", AnswerFacts(cut=True, size=6)),
        (b'{"model":"m","choices":[{"message":{"content":"Hel', AnswerFacts(None, "m", cut=True, size=50)),
        (b'{"model":"m"}{', AnswerFacts(None, "m", cut=True, size=14)),
        (b'{"model":"\xff"}', AnswerFacts(cut=True, size=13)),
        (b'{"a":' * 100_000, AnswerFacts(cut=True, size=500_000)),
        (
            b'{"model":"m","choices":[{"logprobs":[NaN,-Infinity],"finish_reason":"stop"}],'
            b'"usage":{"prompt_tokens":9,"completion_tokens":12},"x":[1e999,"\\ud83d"]}',
            AnswerFacts(TokenUsage(9, 12), "m", finish_reason="stop"),
        ),
        (
            b'{"model":"m","usage":{"prompt_tokens":1e400,"completion_tokens":12}}',
            AnswerFacts(TokenUsage(0, 12), "m"),
        ),
        (
            b'{"choices":[{"message":{"content":"12345"},"logprobs":{"content":[{"token":"12345"}]}}],'
            b'"usage":{"prompt_tokens":9}}',
            AnswerFacts(TokenUsage(9, 0), size=5),
        ),
        (b'{"object":"list","data":[],"usage":{"total_tokens":8}}', AnswerFacts(TokenUsage(8, 0))),
        (b'{"choices":[{"message":{"content":"\xff"}}]}', AnswerFacts(size=41)),
    ],
    ids=range(22),
)
def test_what_a_whole_answer_says_of_itself(answer: bytes, facts: AnswerFacts) -> None:
    assert read_answer(answer) == facts


def test_embeddings_are_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_answers, "read_json", None)
    read_answer(b'{"object":"list","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}')


def test_an_answer_as_deep_as_can_be_read() -> None:
    for depth in range(880, 1000):
        body = b'{"choices":[{"message":{"content":%b"12345"%b}}]}' % (b"[" * depth, b"]" * depth)
        facts = read_answer(body)
        assert facts.size in (5, len(body))


@pytest.mark.parametrize(
    ("end", "usage"),
    [
        (b'0.25]}],"model":"e","usage":{"prompt_tokens":777,"total_tokens":777}}', TokenUsage(777, 0)),
        (b'd."}}], "usage" : {"prompt_tokens":9,"completion_tokens":12}}\n', TokenUsage(9, 12)),
        (b'\xb8\xad","usage":{"input_tokens":3,"output_tokens":4},"metadata":{}}', TokenUsage(3, 4)),
        (b'say \\"usage\\":{\\"prompt_tokens\\":1}"}}],"usage":{"prompt_tokens":9}}', TokenUsage(9, 0)),
        (b'"usage":{"prompt_tokens":9},"usage":{"x":1},"usage":null,"usage":{"prompt', TokenUsage(9, 0)),
        (b'say \\"usage\\":{\\"prompt_tokens\\":1}"}}]}', None),
        (b'"usage":{"prompt_tokens":', None),
        (b"", None),
    ],
    ids=range(8),
)
def test_what_the_end_of_a_long_answer_says(end: bytes, usage: TokenUsage | None) -> None:
    model = "e" if b"model" in end else None
    assert read_answer_ends(b'{"object":', end, 9_000_000) == AnswerFacts(usage, model, size=9_000_000)


@pytest.mark.parametrize(
    ("beginning", "model"),
    [
        (b'{"id":"c","model":"m\\u00e9\\"","choices":[{"message":{"content":"a \\"model\\":\\"x\\"', 'mé"'),
        (b'{"model" :\n"m", "model":"n"', "m"),
        (b'{"model":null,"choices":[', None),
        (b'{"model":"\\ud83d"', None),
        (b'{"model":"m', None),
    ],
)
def test_what_the_beginning_of_a_long_answer_says(beginning: bytes, model: str | None) -> None:
    assert read_answer_ends(beginning, b"", 9_000_000) == AnswerFacts(None, model, size=9_000_000)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"no","code":"server_error"}}',
        b'{"object":"response","status":"failed","error":{"code":"server_error","message":"no"},"model":"m"}',
        b'{"code":"server_error","message":"no","request_id":"r"}',
        b'{"object":"error","message":"no","code":"server_error"}',
    ],
)
def test_an_error_in_a_whole_answer(body: bytes) -> None:
    error = read_answer(body).error
    assert error is not None
    assert (error.code, error.message) == ("server_error", "no")


NAMES = [
    "choices",
    "message",
    "content",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "output",
    "error",
    "model",
    "object",
]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "list", "error"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(JSON, st.integers(0, 500))
def test_whatever_it_is_it_is_read(value: Any, place: int) -> None:
    body = json.dumps(value).encode()
    if isinstance(value, dict | list):
        assert not read_answer(body).cut
    read_answer(body[:place])
    read_answer_ends(body[:place], body[place:], len(body))
