r"""JSON as its texts read, and back, without making objects of it.

An opened JSON text is still one text: what was escaped is not any more, and `EDGE` stands where a quotation mark of
JSON's own stood, which no text can hold.  So a pattern finds `me@example.org` where `me\u0040example.org` was written,
and it is known where each text ends.  Neither has to be whole, or JSON at all.

What can be made of objects by a few bytes (millions of them, numbers that take milliseconds to read, nesting) is
never made; numbers keep their digits, members their order, and what was named twice stays there twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecoder

EDGE = b"\n\x03\n"
"""Where a text begins or ends.  A line ends there, too, so that `.` of a pattern finds no more than a text."""

_BACKSLASH, _QUOTE, _EDGE, _CONTROL = b"\x01", b"\x02", b"\x03", b"\x1a"
"""Bytes that stand for something meanwhile.  JSON does not have them (RFC 8259 §7), and those of others are gone."""

_PIECE_BYTES = 32 * 1024
"""What is read at a time: no other thread runs meanwhile."""

_BLANKED = bytes(b" "[0] if byte < 0x20 else byte for byte in range(256))
"""Control characters of a text in JSON are escaped, so these stand between its texts, or it is no JSON."""

_UNTOLD = bytes(
    byte if byte >= 0x20 or byte in b"\n\r\t" + _BACKSLASH + _QUOTE + _EDGE else _CONTROL[0]
    for byte in range(256)
)
"""Which control character it was is not kept."""

_ESCAPES_OF_OURS = tuple(b"\\u%04x" % byte[0] for byte in (_BACKSLASH, _QUOTE, _EDGE))

_BEGUN = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
"""An escape that the end has cut."""

_LONGEST = 12
"""Bytes of a letter, at most."""

_SECOND_HALF = re.compile(rb"\\u[dD][c-fC-F]")
"""Of a letter that takes two escapes (RFC 8259 §7)."""

_decode = JSONDecoder(strict=False).decode  # not strict: it takes the control characters that are ours


def opened(json: bytes) -> bytes:
    """Open a JSON text, or the beginning of one."""
    return b"".join(map(_opened, _pieces(json)))


def closed(text: bytes) -> bytes:
    """The JSON text that reads so."""
    pieces = []
    at = 0
    while at < len(text):
        end = at + _PIECE_BYTES
        edge = text.find(_EDGE, end - 1, end + 1)
        if edge >= 0:
            end = edge + 2
        pieces.append(_closed(text[at:end]))
        at = end
    return b"".join(pieces)


def _pieces(json: bytes) -> Iterator[bytes]:
    """The text in pieces of which none ends within an escape or a letter."""
    at = 0
    while len(json) - at > _PIECE_BYTES + _LONGEST:
        end = _between_letters(json, at, at + _PIECE_BYTES)
        yield json[at:end]
        at = end
    begun = _escape_near(json, at, len(json))
    yield json[at:begun] if begun >= 0 and _BEGUN.match(json, begun) else json[at:]


def _between_letters(json: bytes, at: int, end: int) -> int:
    """A place near `end` where neither an escape is cut nor a letter."""
    begun = _escape_near(json, at, end)
    if begun >= 0:
        end = begun
    elif 0x80 <= json[end] < 0xC0:
        end += next((more for more in range(1, 4) if not 0x80 <= json[end + more] < 0xC0), 0)
    return end + 6 if _SECOND_HALF.match(json, end) else end


def _escape_near(json: bytes, at: int, end: int) -> int:
    """Where an escape begins that may go on behind this end; -1 where none does."""
    begun = json.rfind(b"\\", max(at, end - 5), end)
    backslashes = begun + 1 - at - len(json[at : begun + 1].rstrip(b"\\"))
    return begun if backslashes % 2 else -1  # of two the second is what is escaped


def _opened(piece: bytes) -> bytes:
    text = piece.translate(_BLANKED)
    if b"\\" not in text:
        return _utf_8(text).replace(b'"', EDGE)
    text = text.replace(b"\\\\", _BACKSLASH).replace(b'\\"', _QUOTE).replace(b'"', _EDGE)
    if b"\\u000" in text:
        for escape in _ESCAPES_OF_OURS:
            text = text.replace(escape, _CONTROL)
    text = _unescaped(text).translate(_UNTOLD)
    return text.replace(_EDGE, EDGE).replace(_QUOTE, b'"').replace(_BACKSLASH, b"\\")


def _closed(piece: bytes) -> bytes:
    text = piece.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(EDGE, _EDGE)
    text = text.replace(b"\n", b"\\n").replace(b"\r", b"\\r").replace(b"\t", b"\\t")
    return text.replace(_CONTROL, b"\\u001a").replace(_EDGE, b'"')


def _unescaped(text: bytes) -> bytes:
    letters = text.decode(errors="replace")
    try:
        read = _decode(f'"{letters}"')
    except ValueError:
        return _utf_8(text).replace(b"\\", _BACKSLASH)  # JSON has no such escape
    return str(read).encode(errors="replace")


def _utf_8(text: bytes) -> bytes:
    return text if text.isascii() else text.decode(errors="replace").encode()
