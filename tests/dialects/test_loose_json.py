"""JSON that strict readers refuse."""

from __future__ import annotations

import json
from contextlib import suppress
from math import inf
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.loose_json import NOT_JSON, loose_value_at, read_json, read_loosely, strictly


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":NaN,"b":-Infinity,"c":[Infinity]}', {"a": None, "b": None, "c": [None]}),
        (b'{"a":1e999}', {"a": inf}),
        (b'{"a":1%b}' % (b"0" * 400), {"a": None}),
        (b'{"a":-1%b}' % (b"0" * 5000), {"a": None}),
        (b'{"a":"\\ud83d"}\n', {"a": "\ud83d"}),
        (b"[NaN] ", [None]),
    ],
)
def test_what_clients_read_all_the_same(text: bytes, value: object) -> None:
    assert read_loosely(text) == value


@pytest.mark.parametrize("text", [b'{"a":NaN}', b'{"a":1e999,"b":NaN}', b'{"a":"\\ud83d","b":1e999}'])
def test_it_can_be_written_so_that_nobody_refuses_it(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text)
    assert set(msgspec.json.decode(strictly(text))) == set(read_loosely(text))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"NaN",
        b'{"a":NaN',
        b"{NaN}",
        b'{"a":"\xff"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'["%b",NaN]' % (b"x" * 2 * 1024 * 1024),
    ],
    ids=range(7),
)
def test_what_cannot_be_read(text: bytes) -> None:
    with pytest.raises(NOT_JSON):
        read_json(text)


def test_a_value_among_other_things() -> None:
    assert loose_value_at('…"usage":{"a":1},"b', 9) == {"a": 1}


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_all_json_is_read(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_nothing_else_is_raised(text: bytes) -> None:
    with suppress(*NOT_JSON):
        read_json(text)
