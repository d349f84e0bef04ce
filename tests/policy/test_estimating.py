"""Tokens from bytes."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import TokenUsage
from gateway.policy.estimating import estimated


@pytest.mark.parametrize(
    ("asked", "answered", "usage"),
    [
        ([], 0, (0, 0)),
        ([b'"x"'], 1, (1, 1)),
        ([b"12345678"], 8, (2, 2)),
        ([b"12345678", b"123456789"], 9, (5, 3)),
    ],
)
def test_four_bytes_are_a_token(asked: list[bytes], answered: int, usage: tuple[int, int]) -> None:
    assert estimated(asked, answered) == TokenUsage(*usage, estimated=True)


def test_escapes_are_counted_as_what_they_stand_for() -> None:
    text = "网关是什么" * 20
    plain = json.dumps(text, ensure_ascii=False).encode()
    assert estimated([json.dumps(text).encode()], 0) == estimated([plain], 0)


@pytest.mark.parametrize("before", ["data:image/png;base64,", ""])
def test_a_picture_is_not_counted_by_its_bytes(before: str) -> None:
    picture = before + base64.b64encode(bytes(range(256)) * 4000).decode()
    url = {"type": "image_url", "image_url": {"url": picture}}
    told = estimated([json.dumps([{"role": "user", "content": [url]}]).encode()], 0)
    assert 1000 < told.input < 1100


@given(st.binary(max_size=2000), st.integers(0, 10**9))
def test_whatever_it_is_it_is_counted(asked: bytes, answered: int) -> None:
    told = estimated([asked], answered)
    assert told.estimated
    assert 0 <= told.input <= len(asked) + 1000 * (asked.count(b'"') // 2)
    assert (told.output > 0) == (answered > 0)
