"""JSON as its texts read, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.redacting import opened_json
from gateway.policy.redacting.opened_json import EDGE, closed, opened

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def readable(value: Any) -> Any:
    """Without what is not kept: which control character it was, and halves of letters."""
    if isinstance(value, str):
        return "".join("\x1a" if letter < " " and letter not in "\n\r\t" else letter for letter in value)
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, dict):
        return {readable(name): readable(member) for name, member in value.items()}
    return value


@pytest.mark.parametrize("piece_bytes", [20, 32768])
@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_it_comes_back_as_it_was(piece_bytes: int, value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode(errors="replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened_json, "_PIECE_BYTES", piece_bytes)
        assert json.loads(closed(opened(text))) == readable(json.loads(text))


@pytest.mark.parametrize("before", range(25))
def test_pieces_end_between_letters(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_json, "_PIECE_BYTES", 20)
    value = ["x" * before + '\\\\\\n"\\' * 10 + "名😀" * 10]
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert opened(text) == b"[" + EDGE + value[0].encode() + EDGE + b"]"
        assert json.loads(closed(opened(text))) == value


@given(st.binary(max_size=100) | st.text(alphabet='\\"u0d8e{[:,]}a名\x01\x03\n', max_size=60).map(str.encode))
def test_whatever_comes_is_opened(data: bytes) -> None:
    closed(opened(data)).decode()


def test_texts_read_as_what_they_mean() -> None:
    text = rb'{"a": "me\u0040example.org\n\"x\" \\ \ud83d\ude00 \/"}'
    assert opened(text) == EDGE.join((b"{", b"a", b": ", b'me@example.org\n"x" \\ \xf0\x9f\x98\x80 /', b"}"))


def test_numbers_order_and_what_is_named_twice_stay() -> None:
    text = b'{"b":1.2345678901234567890e-307,"a":-0.0,"b":1e999,"c":NaN}'
    assert closed(opened(text)) == text


def test_nobody_makes_an_edge() -> None:
    for text in (b'{"a\x03b":"\\u0003 \\u0001"}', b'["\n\x03\n"]'):
        assert opened(text).count(EDGE) == text.count(b'"')
        assert closed(opened(text)).count(b'"') == text.count(b'"')


@pytest.mark.parametrize("end", [b"\\", b"\\u", b"\\u00", b"\\u004"])
def test_an_escape_that_the_end_has_cut(end: bytes) -> None:
    assert opened(b'["a\\u0040b' + end) == b"[" + EDGE + b"a@b"


def test_what_is_no_escape_of_json() -> None:
    assert closed(opened(rb'["a\qb"]')) == rb'["a\\qb"]'
