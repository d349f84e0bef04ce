"""Misbehaviour on request: what the `x-simulate` header of a request asks for.

The header is a list, `x-simulate: delay=2s, cut-after=3`.  It is read strictly: a drill that silently does
nothing would prove nothing, so a directive that is unknown, malformed, given twice or in contradiction with
another is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen


@frozen
class Drill:
    """How one answer goes wrong.  Times are in seconds."""

    delay: float = 0.0
    """Before the head."""
    stall: bool = False
    """The head never comes; the connection stays open."""
    reset: bool = False
    """The connection is closed instead of an answer."""
    status: int | None = None
    """An error answer of this status."""
    code: str | None = None
    """The error answer's `error.code`; None is what OpenAI says with that status."""
    retry_after: int | None = None
    """The answer's `Retry-After` header, in seconds."""

    words: int | None = None
    """How many words the model says; None says what it has to say once."""
    chunks: int | None = None
    """In how many content events a stream says them; None is one a word."""

    first_content_delay: float = 0.0
    """In a stream between the head and the first content event."""
    chunk_delay: float = 0.0
    """In a stream before each further content event."""
    malformed_event: bool = False
    """In a stream: an event of broken JSON after the first content event."""
    stall_after: int | None = None
    """Nothing more comes after this many content events of a stream or bytes of another body, at the
    latest before the finish reason or the last byte."""
    cut_after: int | None = None
    """Likewise, and the connection is closed."""
    no_done: bool = False
    """A stream ends without `data: [DONE]`."""


class DrillError(ValueError):
    """The header asks for something that cannot be done.  The message is for the client."""


LONGEST_WAIT = 3600.0
"""Seconds; who wants silence for longer asks to `stall`."""

LARGEST_NUMBER = 1_000_000_000
"""Of words, events and bytes."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def _duration(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)", text)
    if match is None:
        raise DrillError("a time such as 250ms, 2s or 1.5m is needed")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST_WAIT:
        raise DrillError("at most one hour")
    return seconds


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,10}", text) is None or not least <= int(text) <= most:
            raise DrillError(f"a whole number from {least} to {most} is needed")
        return int(text)

    return read


def _code(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text) is None:
        raise DrillError("up to 64 letters, digits, `_`, `.` and `-` are needed")
    return text


DIRECTIVES: Mapping[str, Callable[[str], object] | None] = {
    "delay": _duration,
    "stall": None,
    "reset": None,
    "status": _whole(400, 599),
    "code": _code,
    "retry-after": _whole(0, LARGEST_NUMBER),
    "words": _whole(1, LARGEST_NUMBER),
    "chunks": _whole(1, LARGEST_NUMBER),
    "first-content-delay": _duration,
    "chunk-delay": _duration,
    "malformed-event": None,
    "stall-after": _whole(0, LARGEST_NUMBER),
    "cut-after": _whole(0, LARGEST_NUMBER),
    "no-done": None,
}
"""Every directive, with what reads its value; None takes no value."""

_EXCLUSIVE = (("stall", "reset", "status"), ("stall-after", "cut-after"))


def read_drill(lines: list[bytes]) -> Drill:
    """Read the values of all `x-simulate` header lines (RFC 9110 §5.3: together they are one list).

    :raises DrillError: with a sentence that names the directive.
    """
    asked: dict[str, Any] = {}
    for element in b",".join(lines).decode("latin-1").split(","):
        directive = element.strip(" \t")
        if not directive:  # RFC 9110 §5.6.1.2: empty elements are ignored
            continue
        name, equals, value = directive.partition("=")
        if name not in DIRECTIVES:
            raise DrillError(f"x-simulate: {name!r} is unknown; there are {', '.join(DIRECTIVES)}")
        if name in asked:
            raise DrillError(f"x-simulate: {name!r} is given twice")
        read = DIRECTIVES[name]
        if read is None:
            if equals:
                raise DrillError(f"x-simulate: {name!r} takes no value")
            asked[name] = True
            continue
        try:
            asked[name] = read(value)
        except DrillError as error:
            raise DrillError(f"x-simulate: {directive!r}: {error}") from None
    for group in _EXCLUSIVE:
        together = [name for name in group if name in asked]
        if len(together) > 1:
            raise DrillError(f"x-simulate: only one of {' and '.join(map(repr, together))} is possible")
    for name in ("code", "retry-after"):
        if name in asked and "status" not in asked:
            raise DrillError(f"x-simulate: {name!r} needs a 'status'")
    return Drill(**{name.replace("-", "_"): value for name, value in asked.items()})
