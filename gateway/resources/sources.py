"""A file's bytes to text, or why not."""

from __future__ import annotations

import codecs
import re

from attrs import field, frozen

from gateway.resources.problems import Position

FILE_BYTES = 1024 * 1024
"""A file of a configuration is some kilobytes; etcd, where ASM keeps the same, takes 1.5 MB."""
LINE_BREAK = re.compile(r"\r\n|\r|\n")


@frozen
class SourceFile:
    """A file as the watcher read it."""

    path: str
    """As shown to operators: `conf.d/acme/routes.yaml`."""
    folder: str
    """The tenant's folder, or empty for conf.d itself."""
    content: bytes = field(repr=False)
    is_cut_short: bool = False
    """It was written in place and has less than before, from the beginning on: the rest may still come."""


@frozen
class Mistake:
    """Something that is wrong with the YAML itself."""

    position: Position
    message: str


@frozen
class Broken(Exception):  # noqa: N818 -- not an error of the program
    """A document cannot be read on from here; caught where files are read."""

    mistake: Mistake
    final: bool = False
    """Nor can those behind it."""


_UNPRINTABLE = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""YAML 1.2 §5.1, and beside it the characters that only YAML 1.1 takes for line breaks (U+0085, U+2028, U+2029)
and the byte order mark: editors do not show them."""


def broken_at(position: Position, message: str) -> Broken:
    """The exception for a mistake at this position."""
    return Broken(Mistake(position, message))


def decode(source: SourceFile) -> str:
    """The text of a file.

    :raises Broken: where it is empty, too large or not plain UTF-8.
    """
    start = Position(source.path, 1, 1)
    content = source.content
    if not content:
        # Many programs empty a file before they write it, and on a full disk that is all they do.
        raise broken_at(
            start, "the file is empty, as one that is being written; remove it if nothing is meant"
        )
    if len(content) > FILE_BYTES:
        raise broken_at(start, f"the file has {len(content):,} bytes; at most {FILE_BYTES:,} are read")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or content[:2].count(0) == 1:
        raise broken_at(start, "the file is UTF-16 or UTF-32; save it as UTF-8")
    if content.startswith(codecs.BOM_UTF8):
        raise broken_at(start, "the file begins with a byte order mark; save it as UTF-8 without one")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise broken_at(
            _end_of(source.path, before), f"byte 0x{content[error.start]:02x} is not valid UTF-8 here"
        ) from None
    if found := _UNPRINTABLE.search(text):
        character = f"U+{ord(found.group()):04X}"
        raise broken_at(
            _end_of(source.path, text[: found.start()]),
            f"the character {character} cannot be seen; remove it, or write it as an escape in double quotes",
        )
    return text


def _end_of(file: str, text: str) -> Position:
    """The position right behind this text, which begins the file."""
    lines = re.split(LINE_BREAK, text)
    return Position(file, len(lines), len(lines[-1]) + 1)
