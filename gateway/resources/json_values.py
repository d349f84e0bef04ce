"""A YAML value as compact JSON, for the parameters that go into a request's body.

YAML 1.1 and 1.2 read some plain scalars differently (`no`, `010`, `0x1f`); those are problems instead of guesses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Protocol, assert_never

import msgspec
from attrs import define

from gateway.resources.expansion import Expanded
from gateway.resources.nodes import BOOLEANS, Mapped, Node, Refused, Scalar, Sequence
from gateway.resources.problems import below, printable
from gateway.resources.shapes import JsonText

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
"""RFC 8259 §6."""
_NULLS = frozenset(("~", "null"))
_UNCLEAR = frozenset(("yes", "no", "on", "off", "y", "n"))
"""Booleans to YAML 1.1 and text to YAML 1.2."""


class Complain(Protocol):
    """Reports a problem of the field at a path."""

    def __call__(self, path: str, message: str) -> None: ...


def write_json(
    node: Node, path: str, expand: Callable[[str, str], Expanded | None], complain: Complain
) -> JsonText:
    """The value as JSON; numbers keep their digits.  Meaningless where it had something to complain about.

    :param expand: replaces `${…}` in a text, given its path.
    """
    writer = _Writer(expand, complain)
    return JsonText(b"".join(writer.pieces(node, path)), writer.from_outside)


@define
class _Writer:
    expand: Callable[[str, str], Expanded | None]
    complain: Complain
    from_outside: bool = False

    def pieces(self, node: Node, path: str) -> Iterator[bytes]:
        match node:
            case Sequence(items=items):
                for index, item in enumerate(items):
                    yield b"," if index else b"["
                    yield from self.pieces(item, below(path, index))
                yield b"]" if items else b"[]"
            case Mapped(entries=entries):
                for index, (name, entry) in enumerate(entries.items()):
                    yield b"," if index else b"{"
                    yield msgspec.json.encode(name) + b":"
                    yield from self.pieces(entry.value, below(path, name))
                yield b"}" if entries else b"{}"
            case Scalar(text=text):
                yield self._text(node, path) if node.is_text else self._literal(text, path)
            case Refused():
                pass  # reported with the document's YAML, which is not used then
            case _:
                assert_never(node)

    def _text(self, node: Scalar, path: str) -> bytes:
        if node.plain and node.text.lower() in _UNCLEAR:
            reading = "means different things to different readers of YAML"
            self.complain(
                path, f'"{node.text}" {reading}: write true or false, or put quotes around the word'
            )
            return b""
        expanded = self.expand(node.text, path)
        if expanded is None:
            return b""
        self.from_outside |= expanded.from_outside
        return msgspec.json.encode(expanded.text)

    def _literal(self, text: str, path: str) -> bytes:
        """A null, boolean or number of YAML's core schema."""
        if text in BOOLEANS:
            return b"true" if BOOLEANS[text] else b"false"
        if text.lower() in _NULLS:
            return b"null"
        if not text:
            self.complain(path, 'has no value: write null, "" or a value')
        elif not _NUMBER.fullmatch(text):
            advice = "write it in decimal without leading zeros, or put quotes around it"
            self.complain(path, f'"{printable(text)}" is not the same number to every reader: {advice}')
        elif not math.isfinite(float(text)):
            self.complain(path, "is too large a number")
        else:
            return text.encode()
        return b""
