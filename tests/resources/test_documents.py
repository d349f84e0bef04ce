"""YAML to positioned values: what is read, what is refused, and how quickly."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources import documents
from gateway.resources.documents import read_documents
from gateway.resources.nodes import Mapped, Node, Scalar, Sequence
from gateway.resources.sources import SourceFile


def mistakes(content: bytes) -> list[str]:
    """All that is wrong with the YAML of a file."""
    contents = read_documents(SourceFile("f", "", content))
    found = [
        *contents.mistakes,
        *(mistake for document in contents.documents for mistake in document.mistakes),
    ]
    return [f"{mistake.position}: {mistake.message}" for mistake in found]


def plain(node: Node) -> object:
    """The values alone, every scalar as its text."""
    match node:
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapped(entries=entries):
            return {key: plain(entry.value) for key, entry in entries.items()}
    return None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: &x 1", ["f:1:4: anchors are not read (&x): write the value out"]),
        (b"a: 1\nb: *x", ["f:2:4: aliases are not read: write the value out"]),
        (b"a: !!str 1", ["f:1:4: tags are not read (tag:yaml.org,2002:str): fields know their types"]),
        (b"a: ! 1", ["f:1:4: tags are not read (!): fields know their types"]),
        (b"<<: {a: 1}", ["f:1:1: merge keys (<<) are not read: write the fields out"]),
        (b"a: 1\nb: 2\na: 3", ['f:3:1: "a" is written twice; first in line 1']),
        (b"1: a", ['f:1:1: "1" is not text; put quotes around it if it is a name']),
        (b"true: a", ['f:1:1: "true" is not text; put quotes around it if it is a name']),
        (b"~: a", ['f:1:1: "~" is not text; put quotes around it if it is a name']),
        (b"[a]: b", ["f:1:1: a list or a mapping cannot be a field's name"]),
        (b"a:\n\tb: 1", ["f:2:1: a tab cannot indent or separate in YAML: use spaces"]),
        (b"a: @b", ["f:1:4: a value cannot begin with @: put quotes around it"]),
        (
            b"a: b: c",
            [
                "f:1:5: a second `: ` in one value, or a wrong indentation: put the value in quotes, or align the field"
            ],
        ),
        (
            b"a: [1",
            ["f:2:1: this is not YAML: did not find expected ',' or ']', while parsing a flow sequence"],
        ),
        (
            b"{a: ${B}}",
            ["f:1:6: `${…}` inside {…} or […] needs quotes around it"],
        ),
        ("a: 1".encode("utf-16"), ["f:1:1: the file is UTF-16 or UTF-32; save it as UTF-8"]),
        ("a: 1".encode("utf-16-be"), ["f:1:1: the file is UTF-16 or UTF-32; save it as UTF-8"]),
        (
            b"\xef\xbb\xbfa: 1",
            ["f:1:1: the file begins with a byte order mark; save it as UTF-8 without one"],
        ),
        (
            b"a: 1\nb: x\0y",
            [
                "f:2:5: the character U+0000 cannot be seen; remove it, or write it as an escape in double quotes"
            ],
        ),
        (
            b"a: \xe2\x80\xa8",
            [
                "f:1:4: the character U+2028 cannot be seen; remove it, or write it as an escape in double quotes"
            ],
        ),
        ("测: 试\nb: ".encode() + b"\xff", ["f:2:4: byte 0xff is not valid UTF-8 here"]),
    ],
)
def test_refused(content: bytes, expected: list[str]) -> None:
    assert mistakes(content) == expected


@pytest.mark.parametrize("content", [b"\n\n", b"# nothing\n", b"---\n---\n", b"---\n...\n", b"null\n", b"~"])
def test_nothing_written_is_fine(content: bytes) -> None:
    contents = read_documents(SourceFile("f", "", content))
    assert (contents.documents, contents.mistakes) == ((), ())


def test_an_empty_file_may_be_one_that_is_being_written() -> None:
    contents = read_documents(SourceFile("f", "", b""))
    (mistake,) = contents.mistakes
    assert mistake.message == "the file is empty, as one that is being written; remove it if nothing is meant"


def test_scalars_keep_their_text() -> None:
    (document,) = read_documents(
        SourceFile("f", "", b"{a: no, b: 010, c: 12:30:45, d: 1e3, e: '~', f: <<, 'no': 1}")
    ).documents
    assert plain(document.root) == {
        "a": "no",
        "b": "010",
        "c": "12:30:45",
        "d": "1e3",
        "e": "~",
        "f": "<<",
        "no": "1",
    }


def test_positions_count_characters_and_lines_of_any_ending() -> None:
    (_, document) = read_documents(
        SourceFile("f", "", "a: 1\r\n---\r\n测试: {键: 值, x: [1, 2]}\r\n".encode())
    ).documents
    assert str(document.places.at('["测试"].x')) == "f:3:12"
    assert str(document.places.at('["测试"]["键"]')) == "f:3:6"
    assert str(document.places.at('["测试"]["键"].none')) == "f:3:6"


def test_a_broken_document_does_not_hide_those_behind_it() -> None:
    contents = read_documents(SourceFile("f", "", b"a: 1\n---\nb: [\n---\nc: 'x\n---\nd: 4\n---\n\t\n"))
    assert [plain(document.root) for document in contents.documents] == [{"a": "1"}, {"d": "4"}]
    assert [mistake.position.line for mistake in contents.mistakes] == [4, 6, 9]


def test_broken_documents_are_told_up_to_a_limit() -> None:
    contents = read_documents(SourceFile("f", "", b"---\n[\n" * 10_000))
    assert len(contents.mistakes) == 21
    assert contents.mistakes[-1].message == "too many broken documents; from here on the file is not read"


def test_documents_are_read_up_to_a_limit() -> None:
    contents = read_documents(SourceFile("f", "", b"a: 1\n---\n" * 5), at_most=3)
    assert len(contents.documents) == 3
    assert [str(mistake.position) for mistake in contents.mistakes] == ["f:7:1"]


@pytest.mark.parametrize(("levels", "sound"), [(64, True), (65, False)])
def test_depth(levels: int, sound: bool) -> None:
    assert (mistakes(b"[" * levels + b"]" * levels) == []) is sound
    assert (mistakes(b"{a: " * levels + b"1" + b"}" * levels) == []) is sound


MERGE_BOMB = b"a0: &a0 {x: 1}\n" + b"".join(
    b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 25)
)
BOMBS = {
    "merge keys": MERGE_BOMB,
    "deep lists": b"[" * 200_000,
    "deep mappings": b"{a: " * 200_000,
    "deep blocks": b"- " * 200_000,
    "deep keys": b"? " * 200_000,
    "large scalar": b"a: '" + b"x" * 2_000_000 + b"'",
    "recursive alias": b"&a [*a]",
    "python object": b"!!python/object/apply:os.system [echo]",
    "many values": b"[" + b"a," * 500_000 + b"]",
    "many fields": b"{" + b"a: b," * 200_000 + b"}",
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_quickly(content: bytes) -> None:
    begin = time.process_time()
    assert mistakes(content)
    assert time.process_time() - begin < 3.0  # a quarter of that is usual; without the limits it is minutes


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    read_documents(SourceFile("f", "", content))


@given(st.text(alphabet="ab1:-?,[]{}&*!|>'\"%@`#~<$ \n\t\r.é", max_size=60))
def test_any_yaml(text: str) -> None:
    read_documents(SourceFile("f", "", text.encode()))


WORDS = st.text(alphabet="abc", min_size=1, max_size=4)
TREES = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, TREES, min_size=1), st.booleans())
def test_what_pyyaml_writes_is_read_as_it_was(tree: dict[str, object], flow: bool) -> None:
    content = yaml.safe_dump(tree, default_flow_style=flow)
    contents = read_documents(SourceFile("f", "", content.encode()))
    assert contents.mistakes == ()
    (document,) = contents.documents
    if not document.mistakes:  # PyYAML writes anchors where one object stands twice
        assert plain(document.root) == tree


def test_without_libyaml_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "a: 1\n---\nb: [x, {c: 'd'}]\n",
        "a: &x 1\nb: *x\na: 2\n",
        "a: |\n  text\n  more\n# end\n",
        "- !t x\n",
        "a: [" * 70,
    ]

    def read_all() -> list[object]:
        contents = [read_documents(SourceFile("f", "", text.encode())) for text in texts]
        return [(each.root, each.mistakes) for content in contents for each in content.documents]

    assert documents.LOADER is yaml.CSafeLoader
    by_libyaml = read_all()
    monkeypatch.setattr(documents, "LOADER", yaml.SafeLoader)
    assert read_all() == by_libyaml
    (mistake,) = read_documents(SourceFile("f", "", texts[-1].encode())).mistakes
    assert mistake.message == "nested deeper than 64 levels"
