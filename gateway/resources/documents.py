"""YAML text to values that know their position.

The text is read as libyaml's events and never constructed by PyYAML: construction recurses in C without limit and
expands merge keys without limit, so a small file could end the process or stall it.  Of YAML only what Kubernetes
manifests need is accepted: mappings with text keys, sequences, scalars.  Anchors, aliases, tags, merge keys and
duplicate keys are problems.  What a plain scalar means (`no`, `010`, `12:30`) is left to the field that reads
it: every scalar keeps its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn, Protocol

import yaml
from attrs import frozen

from gateway.resources.nodes import Entry, Mapped, Node, Refused, Scalar, Sequence, places_of
from gateway.resources.problems import Places, Position, printable
from gateway.resources.sources import LINE_BREAK, Broken, Mistake, SourceFile, broken_at, decode

LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
"""libyaml is fifteen times as fast; PyYAML's wheels have it.  Without it some sentences are PyYAML's own."""

DEPTH = 64
"""Levels of nesting.  The deepest field of ours is at 8; parameters may hold a JSON schema."""
DOCUMENTS = 50_000
"""In all files together: thousands of tenants with a dozen routes and providers each."""
VALUES = 100_000
"""In one file, names of fields among them: reading stays near a second.  A file of 1 MiB has rarely as many."""
BROKEN_DOCUMENTS = 20
"""In one file; the rest is then not read."""


@frozen
class Document:
    """One document of a file."""

    root: Node
    places: Places
    mistakes: tuple[Mistake, ...]
    """A document that has some can be read for more problems, but not be used."""


@frozen
class FileContents:
    """What a file holds."""

    documents: tuple[Document, ...]
    """Those that hold something and could be read to their end."""
    mistakes: tuple[Mistake, ...]
    """Why there may be other documents that could not be read."""


def read_documents(source: SourceFile, *, at_most: int = DOCUMENTS) -> FileContents:
    """Read the documents of a file.

    A document that is broken does not hide those behind it: reading goes on at the next `---`.

    :param at_most: how many documents are read.
    """
    documents: list[Document] = []
    mistakes: list[Mistake] = []
    try:
        text = decode(source)
    except Broken as broken:
        return FileContents((), (broken.mistake,))
    start, first_line = 0, 1
    while True:
        part = _Part(source.path, text[start:], first_line)
        try:
            for document in part.documents():
                if len(documents) == at_most:
                    message = f"more than {DOCUMENTS:,} documents; from here on nothing is read"
                    raise Broken(Mistake(document.root.position, message), final=True)
                documents.append(document)
            break
        except Broken as broken:
            mistakes.append(broken.mistake)
            following = _NEXT_DOCUMENT.search(text, start + part.reached + 1)
            if following is None or broken.final:
                break
        first_line += len(LINE_BREAK.findall(text, start, following.start()))
        start = following.start()
        if len(mistakes) == BROKEN_DOCUMENTS:
            message = "too many broken documents; from here on the file is not read"
            mistakes.append(Mistake(Position(source.path, first_line, 1), message))
            break
    return FileContents(tuple(documents), tuple(mistakes))


_NEXT_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
"""YAML 1.2 §9.1.2: such a line ends every document, whatever it stands in."""


class _Part:
    """A file from some `---` on, read event by event."""

    def __init__(self, file: str, text: str, first_line: int) -> None:
        self.reached = 0
        """Index of the last beginning or end of a document that was read."""
        self._file = file
        self._text = text
        self._first_line = first_line
        self._mistakes: list[Mistake] = []
        self._values = 0

    def documents(self) -> Iterator[Document]:
        """The documents that hold something.

        :raises Broken: where the rest cannot be read.
        """
        events = yaml.parse(self._text, Loader=LOADER)
        try:
            for event in events:
                if not isinstance(event, yaml.DocumentStartEvent):
                    continue
                self.reached = _start(event).index
                self._mistakes = []
                root = self._node(next(events), events, 0)
                self.reached = _start(next(events)).index  # the DocumentEndEvent
                if isinstance(root, Scalar) and root.is_null and not self._mistakes:
                    continue
                places = Places(dict(places_of("", root)))
                yield Document(root, places, tuple(self._mistakes))
        except yaml.MarkedYAMLError as error:
            self._explain(error)

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        position = self._position(_start(event))
        self._values += 1
        if self._values > VALUES:
            message = f"more than {VALUES:,} values; from here on the file is not read"
            raise Broken(Mistake(position, message), final=True)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(position, "aliases are not read: write the value out")
            return Refused(position)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # what else begins a value
        sound = self._judge_properties(event, position)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(position, event.value, not event.style)
        elif depth == DEPTH:
            raise broken_at(position, f"nested deeper than {DEPTH} levels")
        elif isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(following := next(events), yaml.SequenceEndEvent):
                items.append(self._node(following, events, depth + 1))
            node = Sequence(position, tuple(items))
        else:
            node = self._mapping(position, events, depth + 1)
        return node if sound else Refused(position)

    def _mapping(self, begin: Position, events: Iterator[yaml.Event], depth: int) -> Mapped:
        entries: dict[str, Entry] = {}
        written = 0
        while not isinstance(following := next(events), yaml.MappingEndEvent):
            key = self._node(following, events, depth)
            value = self._node(next(events), events, depth)
            written += 1
            position = key.position
            if isinstance(key, Sequence | Mapped):
                self._refuse(position, "a list or a mapping cannot be a field's name")
            elif not isinstance(key, Scalar):
                continue
            elif key.plain and key.text == "<<":
                self._refuse(position, "merge keys (<<) are not read: write the fields out")
            elif not key.is_text:
                self._refuse(
                    position, f'"{printable(key.text)}" is not text; put quotes around it if it is a name'
                )
            elif key.text in entries:
                first = entries[key.text].position.line
                self._refuse(position, f'"{printable(key.text)}" is written twice; first in line {first}')
            else:
                entries[key.text] = Entry(position, value)
        return Mapped(begin, entries, whole=len(entries) == written)

    def _judge_properties(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, position: Position
    ) -> bool:
        """Refuse an anchor or a tag; tell whether there was none."""
        if event.anchor is not None:
            self._refuse(position, f"anchors are not read (&{printable(event.anchor)}): write the value out")
        if event.tag is not None:
            self._refuse(position, f"tags are not read ({printable(event.tag)}): fields know their types")
        return event.anchor is None and event.tag is None

    def _refuse(self, position: Position, message: str) -> None:
        self._mistakes.append(Mistake(position, message))

    def _position(self, mark: _Mark) -> Position:
        return Position(self._file, self._first_line + mark.line, mark.column + 1)

    def _explain(self, error: yaml.MarkedYAMLError) -> NoReturn:
        """Raise libyaml's complaint in an operator's words where it is a common one."""
        mark = error.problem_mark or error.context_mark
        message = f"this is not YAML: {error.problem}"
        if error.context:
            message += f", {error.context}"
        if mark is None:
            raise broken_at(Position(self._file, self._first_line, 1), message) from None
        character = self._text[mark.index : mark.index + 1]
        if character == "\t":
            message = "a tab cannot indent or separate in YAML: use spaces"
        elif character in {"@", "`", "%"} and "cannot start any token" in message:
            message = f"a value cannot begin with {character}: put quotes around it"
        elif self._text[mark.index - 1 : mark.index + 1] == "${":
            message = "`${…}` inside {…} or […] needs quotes around it"
        elif "mapping values are not allowed" in message:
            message = "a second `: ` in one value, or a wrong indentation: put the value in quotes, or align the field"
        raise broken_at(self._position(mark), message) from None


class _Mark(Protocol):
    """Where libyaml saw something."""

    index: int
    line: int
    column: int


def _start(event: yaml.Event) -> _Mark:
    """Where an event begins; libyaml always says so, PyYAML's types do not."""
    assert event.start_mark is not None
    return event.start_mark
