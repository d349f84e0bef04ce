"""`${NAME}`, `${file:/path}` and `$${`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources.expansion import Expansion, secret_file

ENVIRONMENT = {"KEY": "k", "dashscope的API_KEY": "qwen", "MORE": "${KEY}", "BROKEN": "\udcff"}
FILES = {"/key": b"secret\n", "/two": b"secret\n\n", "/plain": b"secret"}


def of_files(path: str) -> bytes:
    if path not in FILES:
        raise PermissionError(13, "Permission denied", path)
    return FILES[path]


def expand(text: str) -> tuple[str | None, bool, list[str], set[str]]:
    complaints: list[str] = []
    expansion = Expansion(ENVIRONMENT, of_files)
    expanded = expansion.expand(text, complaints.append)
    files = {path for name in expansion.take_references() if (path := secret_file(name))}
    if expanded is None:
        return None, False, complaints, files
    return expanded.text, expanded.from_outside, complaints, files


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


class TestReferences:
    """What tells whether a text would be expanded to the same again."""

    TEXT = "${KEY}${file:/key}${GONE}${file:/gone}"

    def test_name_what_was_used_and_never_show_it(self) -> None:
        expansion = Expansion(ENVIRONMENT, of_files)
        expansion.expand(self.TEXT, lambda complaint: None)
        references = expansion.take_references()
        assert references.keys() == {"KEY", "file:/key", "GONE", "file:/gone"}
        assert "secret" not in str(references)
        assert expansion.take_references() == {}

    def test_agree_as_long_as_nothing_has_changed(self) -> None:
        expansion = Expansion(ENVIRONMENT, of_files)
        expansion.expand(self.TEXT, lambda complaint: None)
        references = expansion.take_references()
        assert Expansion(ENVIRONMENT, of_files).agrees(references)

    @pytest.mark.parametrize("name", ["KEY", "GONE"])
    def test_a_variable_that_has_changed(self, name: str) -> None:
        expansion = Expansion(ENVIRONMENT, of_files)
        expansion.expand(self.TEXT, lambda complaint: None)
        changed = Expansion({**ENVIRONMENT, name: "new"}, of_files)
        assert not changed.agrees(expansion.take_references())

    @pytest.mark.parametrize("path", ["/key", "/gone"])
    def test_a_file_that_has_changed_come_or_gone(self, path: str) -> None:
        def missing(path: str) -> bytes:
            raise FileNotFoundError(2, "No such file or directory", path)

        expansion = Expansion(ENVIRONMENT, of_files)
        expansion.expand(f"${{file:{path}}}", lambda complaint: None)
        references = expansion.take_references()
        assert not Expansion(ENVIRONMENT, lambda path: b"new").agrees(references)
        assert not Expansion(ENVIRONMENT, missing).agrees(references)


@given(st.text(alphabet="a${}:/fileKY", max_size=30))
def test_any_text_is_expanded_or_complained_about(text: str) -> None:
    expanded, _, complaints, _ = expand(text)
    assert (expanded is None) == bool(complaints)
