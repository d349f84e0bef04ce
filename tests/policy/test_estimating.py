"""Tokens from bytes."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import TokenUsage
from gateway.policy.estimating import completed


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
    assert completed(None, asked, answered) == TokenUsage(*usage, estimated=True)


def test_escapes_are_counted_as_what_they_stand_for() -> None:
    text = "网关是什么" * 20
    plain = json.dumps(text, ensure_ascii=False).encode()
    assert completed(None, [json.dumps(text).encode()], 0) == completed(None, [plain], 0)


@pytest.mark.parametrize("before", ["data:image/png;base64,", ""])
def test_a_picture_is_not_counted_by_its_bytes(before: str) -> None:
    picture = before + base64.b64encode(bytes(range(256)) * 4000).decode()
    url = {"type": "image_url", "image_url": {"url": picture}}
    told = completed(None, [json.dumps([{"role": "user", "content": [url]}]).encode()], 0)
    assert 1000 < told.input < 1100


def tokens(text: bytes) -> int:
    return completed(None, [text], 0).input


def test_each_picture_is_one() -> None:
    picture = b'"%b",' % (b"QUJD" * 1100)
    assert tokens(picture * 7 + b'"hello"') == 7000 + 4
    assert tokens(b'{"text": "%b", "pictures": [%b]}' % (b"word " * 3000, picture * 2)) > 3700 + 2000


@pytest.mark.parametrize(
    "text", [b"x" * 9000, b'"' + b"x" * 9000, b'"' + b"x" * 9000 + b'!"', b'"%b"' % (b"x" * 4000)]
)
def test_what_is_no_word_or_no_long_one_is_text(text: bytes) -> None:
    assert tokens(text) == -(-len(text) // 4)


def test_of_a_long_text_escapes_are_counted_by_its_beginning() -> None:
    escaped, plain = (json.dumps("网关是什么" * 20_000, ensure_ascii=each).encode() for each in (True, False))
    assert tokens(escaped) == pytest.approx(tokens(plain), rel=0.001)


ASKED = b"x" * 40
"""Ten tokens."""


@pytest.mark.parametrize(
    ("told", "answered", "uncounted", "usage"),
    [
        (TokenUsage(7, 5, 4, 3), 400, False, TokenUsage(7, 5, 4, 3)),
        (None, 400, False, TokenUsage(10, 100, estimated=True)),
        (None, 400, True, TokenUsage(10, 100, estimated=True)),
        # A half that was not told.
        (TokenUsage(0, 0), 400, False, TokenUsage(10, 100, estimated=True)),
        (TokenUsage(7, 0, 4), 400, False, TokenUsage(7, 100, 4, estimated=True, counted_input=7)),
        (TokenUsage(0, 5, 0, 3), 400, False, TokenUsage(10, 5, 0, 3, estimated=True, counted_output=5)),
        # Nothing was made, as by embeddings.
        (TokenUsage(7, 0), 0, False, TokenUsage(7, 0)),
        # More came behind the last count.
        (TokenUsage(7, 1, 4, 1), 400, True, TokenUsage(7, 100, 4, 1, True, 7, 1)),
        (TokenUsage(7, 500), 400, True, TokenUsage(7, 500, 0, 0, True, 7, 500)),
    ],
)
def test_what_was_not_told_is_added_and_flagged(
    told: TokenUsage | None, answered: int, uncounted: bool, usage: TokenUsage
) -> None:
    assert completed(told, [ASKED], answered, uncounted=uncounted) == usage


def test_what_was_asked_is_not_looked_at_where_it_was_counted() -> None:
    unreadable = (1 // 0 for _ in "x")
    usage = completed(TokenUsage(7, 0), unreadable, 8)  # type: ignore[arg-type]
    assert usage == TokenUsage(7, 2, estimated=True, counted_input=7)


@given(st.binary(max_size=2000), st.integers(0, 10**9))
def test_whatever_it_is_it_is_counted(asked: bytes, answered: int) -> None:
    told = completed(None, [asked], answered)
    assert told.estimated
    assert 0 <= told.input <= len(asked) + 1000 * (asked.count(b'"') // 2)
    assert (told.output > 0) == (answered > 0)
