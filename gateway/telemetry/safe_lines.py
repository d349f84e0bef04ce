"""Lines that stay lines, whatever stands in their texts, and that no terminal acts upon."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DELETE = b"\x7f"

_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What JSON lets stand and a terminal or a line reader acts upon: DEL and the C1 controls, line and paragraph
separators, marks that are not seen or that turn the direction of text."""

_UNSAFE_IN_TEXT = re.compile(rf"[\x00-\x08\x0b-\x1f]|{_UNSAFE.pattern}")

_MILLISECONDS = tuple(f".{number:03}Z" for number in range(1000))
"""Ready-made: formatting a number would be a tenth of a line's cost."""


def safe_json(data: bytes) -> bytes:
    """JSON as msgspec has encoded it, or lines of it, with what a terminal acts upon escaped."""
    if data.isascii() and _DELETE not in data:
        return data
    return _UNSAFE.sub(_escaped, data.decode()).encode()


def safe_text(text: str) -> str:
    """A text of several lines with what a terminal acts upon escaped, but for line ends and tabs."""
    return _UNSAFE_IN_TEXT.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


class TimeTexts:
    """Writes times of day as RFC 3339 has them: UTC, with milliseconds."""

    __slots__ = ("_begin", "_end", "_text")

    def __init__(self) -> None:
        self._begin = self._end = 0.0
        """The second of which the text is known, in seconds of Unix time."""
        self._text = ""

    def of(self, now: float) -> str:
        """The text for this time, in seconds of Unix time."""
        if not self._begin <= now < self._end:
            self._begin = now // 1
            self._end = self._begin + 1
            self._text = datetime.fromtimestamp(self._begin, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return self._text + _MILLISECONDS[int((now - self._begin) * 1000)]
