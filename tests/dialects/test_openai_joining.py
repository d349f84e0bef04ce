"""A streamed answer, joined for people who read it later."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.openai_joining import OpenAIJoinedStream


def events(*said: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in said) + b"data: [DONE]\n\n"


def joined(stream: bytes, letters: int = 10_000) -> Any:
    stream_read = OpenAIJoinedStream(letters)
    stream_read.feed(stream)
    return stream_read.whole()


def delta(index: int = 0, **members: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": members, "finish_reason": None}]}


def test_words_of_a_chat() -> None:
    stream = events(
        delta(role="assistant", content=""),
        delta(reasoning_content="Hm"),
        delta(content="Hel"),
        delta(content="lo"),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1}},
    )
    assert joined(stream) == {
        "choices": [
            {"index": 0, "message": {"reasoning_content": "Hm", "content": "Hello"}, "finish_reason": "stop"}
        ]
    }


def test_several_choices() -> None:
    said = joined(events(delta(1, content="b"), delta(0, content="a"), delta(1, content="B")))
    assert said == {
        "choices": [{"index": 1, "message": {"content": "bB"}}, {"index": 0, "message": {"content": "a"}}]
    }


def test_tool_calls() -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        return delta(tool_calls=[{"index": index, "function": function}])

    stream = events(
        call(0, name="look", arguments=""),
        call(0, arguments='{"a"'),
        call(1, name="go"),
        call(0, arguments=":1}"),
    )
    (choice,) = joined(stream)["choices"]
    assert choice["message"]["tool_calls"] == [
        {"function": {"name": "look", "arguments": '{"a":1}'}},
        {"function": {"name": "go"}},
    ]


def test_completions_and_responses() -> None:
    assert joined(events({"choices": [{"text": "Hel"}]}, {"choices": [{"text": "lo", "index": 0}]})) == {
        "choices": [{"index": 0, "text": "Hello"}]
    }
    responses = events(
        {"type": "response.created", "response": {}},
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.output_text.delta", "delta": "lo"},
    )
    assert joined(responses) == {"choices": [{"index": 0, "message": {"content": "Hello"}}]}


def test_what_json_does_not_know_hides_no_word() -> None:
    odd = events(delta(content="Hel")).replace(b"}\n\n", b',"x":[NaN,1e999]}\n\n')
    assert joined(odd)["choices"][0]["message"] == {"content": "Hel"}


def test_an_error_at_the_end() -> None:
    said = joined(events(delta(content="Hel"), {"error": {"message": "it broke"}}))
    assert said["error"] == {"message": "it broke"}
    assert said["choices"][0]["message"] == {"content": "Hel"}


def test_no_more_is_kept_than_was_said() -> None:
    stream = OpenAIJoinedStream(100)
    stream.feed(events(delta(content="x" * 1000), delta(content="y")))
    assert stream.cut
    assert stream.whole() == {"choices": [{"index": 0, "message": {"content": "x" * 36}}]}


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b": waiting\n\n",
        b"data: [1, 2]\n\n",
        b"data: {\n\n",
        b'data: {"choices": {"0": 1}}\n\n',
        b'data: {"choices": [1, {"delta": 2, "index": "0"}, {"delta": {"content": 3, "tool_calls": [4, {}]}}]}\n\n',
        b'data: {"type": 7, "delta": "x"}\n\n',
    ],
)
def test_what_is_not_understood_is_left_out(stream: bytes) -> None:
    assert joined(stream) == {"choices": []}


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "delta", "index", "content", "tool_calls", "function", "error", "type"]
                ),
                inner,
            )
        ),
    )
)
def test_whatever_comes_can_be_written(said: Any) -> None:
    json.dumps(joined(events(said)))
