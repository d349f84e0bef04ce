"""`${NAME}`, `${file:/path}` and `$${`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources.expansion import Expansion

ENVIRONMENT = {"KEY": "k", "dashscope的API_KEY": "qwen", "MORE": "${KEY}", "BROKEN": "\udcff"}
FILES = {"/key": b"secret\n", "/two": b"secret\n\n", "/plain": b"secret"}


def expand(text: str) -> tuple[str | None, bool, list[str], frozenset[str]]:
    def read_file(path: str) -> bytes:
        if path not in FILES:
            raise PermissionError(13, "Permission denied", path)
        return FILES[path]

    complaints: list[str] = []
    expansion = Expansion(ENVIRONMENT, read_file)
    expanded = expansion.expand(text, complaints.append)
    if expanded is None:
        return None, False, complaints, expansion.files
    return expanded.text, expanded.from_outside, complaints, expansion.files


@pytest.mark.parametrize(
    ("text", "expanded", "from_outside"),
    [
        ("plain $KEY $ {", "plain $KEY $ {", False),
        ("${KEY}", "k", True),
        ("a${KEY}b${dashscope的API_KEY}c", "akbqwenc", True),
        ("$${KEY}", "${KEY}", False),
        ("$$${KEY}", "$${KEY}", False),
        ("$${${KEY}", "${k", True),
        ("${MORE}", "${KEY}", True),
        ("${file:/key}", "secret", True),
        ("${file:/two}", "secret\n", True),
        ("${file:/plain}", "secret", True),
    ],
)
def test_expanded(text: str, expanded: str, from_outside: bool) -> None:
    assert expand(text)[:3] == (expanded, from_outside, [])


def test_every_reference_without_a_value_is_named() -> None:
    text, _, complaints, files = expand("${A}${B}${A}${file:/none}${BROKEN}")
    assert text is None
    assert complaints == [
        "the environment variable A is not set",
        "the environment variable B is not set",
        "the environment variable BROKEN is not valid UTF-8",
        "the file /none cannot be read: Permission denied",
    ]
    assert files == {"/none"}


def test_a_file_is_read_once() -> None:
    reads: list[str] = []

    def read_file(path: str) -> bytes:
        reads.append(path)
        return b"v"

    expansion = Expansion({}, read_file)
    for _ in range(3):
        assert expansion.expand("${file:/key}", reads.append) is not None
    assert reads == ["/key"]


@given(st.text(alphabet="a${}:/fileKY", max_size=30))
def test_any_text_is_expanded_or_complained_about(text: str) -> None:
    expanded, _, complaints, _ = expand(text)
    assert (expanded is None) == bool(complaints)
