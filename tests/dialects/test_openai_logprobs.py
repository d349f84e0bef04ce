"""How probable words were: what is told of them fits the words that are left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.dialects.openai_logprobs import logprobs_of_rest


def chat(*tokens: bytes, counted: bool = True) -> dict[str, Any]:
    """What comes with an event whose text was made of these."""
    content = [
        {
            "token": token.decode(errors="backslashreplace"),
            "logprob": -0.5 * number,
            "bytes": list(token) if counted else None,
            "top_logprobs": [{"token": "x", "logprob": -9.0, "bytes": [120]}],
        }
        for number, token in enumerate(tokens)
    ]
    return {"content": content, "refusal": None}


def rest(logprobs: object, said: str, left: str) -> Any:
    return json.loads(bytes(logprobs_of_rest(Raw(json.dumps(logprobs).encode()), said, left)))


def spelled(logprobs: Any) -> bytes:
    return b"".join(bytes(each["bytes"]) for each in logprobs["content"])


def test_whole_tokens_are_dropped() -> None:
    said = chat(b"The", b" quick", b" fox")
    assert rest(said, "The quick fox", " quick fox") == {**said, "content": said["content"][1:]}
    assert rest(said, "The quick fox", "The quick fox") == said
    assert rest(said, "The quick fox", "") == {**said, "content": []}


def test_of_a_token_that_is_cut_its_end_is_left() -> None:
    told = rest(chat(b"The", b" quick"), "The quick", "ick")
    assert told["content"] == [
        {
            "token": "ick",
            "logprob": -0.5,
            "bytes": [105, 99, 107],
            "top_logprobs": [{"token": "x", "logprob": -9.0, "bytes": [120]}],
        }
    ]


def test_tokens_without_bytes_are_counted_by_their_letters() -> None:
    told = rest(chat(b"The", "é!".encode(), counted=False), "Theé!", "!")
    assert [(each["token"], each["bytes"]) for each in told["content"]] == [("!", None)]


def test_a_letter_of_two_tokens() -> None:
    fox = "🦊".encode()
    told = rest(chat(b"a", fox[:2], fox[2:]), "a🦊", "🦊")
    assert spelled(told) == fox
    assert [each["token"] for each in told["content"]] == [r"\xf0\x9f", r"\xa6\x8a"]


def test_completions() -> None:
    said = {
        "tokens": ["The", " quick", " fox"],
        "token_logprobs": [None, -1, -2],
        "top_logprobs": [{}, {" quick": -1}, {" fox": -2}],
        "text_offset": [0, 3, 9],
    }
    assert rest(said, "The quick fox", "uick fox") == {
        "tokens": ["uick", " fox"],
        "token_logprobs": [-1, -2],
        "top_logprobs": [{" quick": -1}, {" fox": -2}],
        "text_offset": [3, 9],
    }
    assert rest({**said, "top_logprobs": None}, "The quick fox", " fox")["top_logprobs"] is None


@pytest.mark.parametrize(
    ("logprobs", "left"),
    [
        (chat(b"The", b" slow"), "quick"),
        (chat(b"The", b" quick"), "other"),
        ({"content": "x"}, "quick"),
        ({"content": [{"token": 1}]}, "quick"),
        ({"content": [{}]}, "quick"),
        ({"content": [{"token": "The quick", "bytes": [300]}]}, "quick"),
        ({"tokens": "x"}, "quick"),
        ([1], "quick"),
        (None, "quick"),
    ],
)
def test_what_does_not_spell_the_words_is_not_told(logprobs: object, left: str) -> None:
    assert rest(logprobs, "The quick", left) is None


def test_nothing_told_of_the_text_is_left_alone() -> None:
    refusal = {"content": None, "refusal": [{"token": "No", "logprob": 0}]}
    assert rest(refusal, "The quick", "quick") == refusal


@given(st.lists(st.text(max_size=4), max_size=6), st.integers(0, 30))
def test_what_is_left_spells_the_text_that_is_left(tokens: list[str], place: int) -> None:
    said = "".join(tokens)
    left = said[place:]
    assert spelled(rest(chat(*(each.encode() for each in tokens)), said, left)) == left.encode()
