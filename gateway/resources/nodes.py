"""Values that know their position, before any field has said what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from attrs import field, frozen

from gateway.resources.problems import Position, below


@frozen
class Scalar:
    """One word, number or text."""

    position: Position
    text: str = field(repr=False)
    plain: bool
    """Written without quotes and not as a block: only such a scalar can be a number, a boolean or nothing."""

    @property
    def is_null(self) -> bool:
        """Tell whether nothing was written (YAML 1.2 core schema)."""
        return self.plain and self.text in _NULLS

    @property
    def is_text(self) -> bool:
        """Tell whether YAML 1.2's core schema reads this as text, not as null, boolean or number."""
        return not (
            self.plain and (self.text in _NULLS or self.text in BOOLEANS or _NUMBER.fullmatch(self.text))
        )


@frozen
class Sequence:
    """A list."""

    position: Position
    items: tuple[Node, ...]


@frozen
class Entry:
    """One `key: value` of a mapping."""

    position: Position
    """Of the key."""
    value: Node


@frozen
class Mapped:
    """A mapping."""

    position: Position
    entries: Mapping[str, Entry]
    whole: bool
    """False where a key was refused: what seems to be missing may have been written there."""


@frozen
class Refused:
    """What stood here is a problem already; nothing more is to be said about it."""

    position: Position


Node: TypeAlias = Scalar | Sequence | Mapped | Refused

BOOLEANS: Mapping[str, bool] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
"""YAML 1.2 core schema, §10.3.2."""
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_NUMBER = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
"""YAML 1.2 core schema, §10.3.2."""


def places_of(path: str, node: Node) -> Iterator[tuple[str, Position]]:
    """The path of every value in a document, with the position of its key or, in a list, of itself."""
    if not path:
        yield path, node.position
    match node:
        case Mapped(entries=entries):
            for key, entry in entries.items():
                yield below(path, key), entry.position
                yield from places_of(below(path, key), entry.value)
        case Sequence(items=items):
            for index, item in enumerate(items):
                yield below(path, index), item.position
                yield from places_of(below(path, index), item)
