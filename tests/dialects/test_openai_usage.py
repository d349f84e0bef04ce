"""What `usage` says, in everybody's spelling of it and of numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.openai_usage import usage_in
from gateway.messages import MOST_TOKENS, TokenUsage


@pytest.mark.parametrize("number", ["10", "10.0", "1e1", '"10"', "1E+1"])
def test_spellings_of_a_number(number: str) -> None:
    assert usage_in(json.loads(f'{{"prompt_tokens":{number},"completion_tokens":5}}')) == TokenUsage(10, 5)


@pytest.mark.parametrize(
    "number",
    ["-1", "0", "10.5", "-1e3", "1e30", "1e999", "1" + "0" * 400, str(MOST_TOKENS + 1), '"99999999999999"'],
)
def test_a_number_that_cannot_be_meant_takes_no_other_with_it(number: str) -> None:
    said = {"prompt_tokens": json.loads(number), "completion_tokens": 5}
    assert usage_in(said) == TokenUsage(0, 5)
    assert usage_in({"prompt_tokens": 5, "completion_tokens": json.loads(number)}) == TokenUsage(5, 0)
    assert usage_in({"prompt_tokens": json.loads(number)}) == TokenUsage(0, 0)


@pytest.mark.parametrize("value", [None, True, "", "ten", "1e1", "²", "1" * 21, [], {"a": 1}])
def test_what_is_no_number(value: object) -> None:
    assert usage_in({"prompt_tokens": value, "completion_tokens": 5}) == TokenUsage(0, 5)
    assert usage_in({"prompt_tokens": value, "completion_tokens": value}) is None


def test_as_many_as_there_can_be() -> None:
    assert usage_in({"prompt_tokens": MOST_TOKENS, "completion_tokens": 1}) == TokenUsage(MOST_TOKENS, 1)


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ({"prompt_tokens": 7, "total_tokens": 20}, TokenUsage(7, 13)),
        ({"completion_tokens": 5, "total_tokens": 20}, TokenUsage(15, 5)),
        ({"prompt_tokens": 7, "total_tokens": 7}, TokenUsage(7, 0)),
        ({"prompt_tokens": 7, "total_tokens": 3}, TokenUsage(7, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 99}, TokenUsage(7, 5)),
        ({"prompt_tokens": 7, "total_tokens": 1e400}, TokenUsage(7, 0)),
        ({"total_tokens": 20}, None),
    ],
)
def test_one_number_less_is_told_by_their_sum(said: dict[str, object], counted: TokenUsage | None) -> None:
    assert usage_in(said) == counted


def test_embeddings_have_only_what_was_asked() -> None:
    assert usage_in({"total_tokens": 8}, makes_none=True) == TokenUsage(8, 0)
    assert usage_in({"prompt_tokens": 8, "total_tokens": 8}, makes_none=True) == TokenUsage(8, 0)
    assert usage_in({"prompt_tokens": 8, "total_tokens": 11}, makes_none=True) == TokenUsage(8, 0)


@pytest.mark.parametrize("said", [None, {}, [], [1, 2], "x", 7, {"type": "duration", "seconds": 3}])
def test_what_counts_no_tokens(said: object) -> None:
    assert usage_in(said) is None


NAMES = [
    *("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens"),
    *("prompt_cache_hit_tokens", "cached_tokens", "reasoning_tokens"),
    *("prompt_tokens_details", "completion_tokens_details", "input_tokens_details"),
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 2 * MOST_TOKENS)
    | st.floats()
    | st.sampled_from(["10", "", "x"])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner) | st.lists(inner, max_size=2)
)


@given(VALUES, st.booleans())
def test_whatever_it_is_it_is_a_count_that_can_be(said: Any, makes_none: bool) -> None:
    usage = usage_in(said, makes_none=makes_none)
    if usage is not None:
        assert 0 <= usage.cached_input <= usage.input <= MOST_TOKENS
        assert 0 <= usage.reasoning <= usage.output <= MOST_TOKENS
