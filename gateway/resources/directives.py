"""The directives that a drill is written with: what values they take, and which of them go together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from gateway.resources.drills import Cut, Heartbeat, Length, Prefill, Telling


class DrillError(ValueError):
    """What was written cannot be done.  The message names the directive."""


LONGEST_TIME = 3600.0
"""Seconds; who wants silence for longer asks to `stall`."""

LARGEST_NUMBER = 1_000_000_000
"""Of words, events and bytes."""

LARGEST_PADDING = 16 * 1024 * 1024
"""Bytes; they are in memory as a whole."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def duration(text: str) -> float:
    """Seconds; shorter spellings than the resources' own, for texts that go into headers and names."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)", text)
    if match is None:
        raise DrillError("a time such as 250ms, 2s or 1.5m is needed")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST_TIME:
        raise DrillError("at most one hour")
    return seconds


def some_time(text: str) -> float:
    """Seconds above 0."""
    seconds = duration(text)
    if not seconds:
        raise DrillError("a time above 0 is needed")
    return seconds


def whole(least: int, most: int) -> Callable[[str], int]:
    """What reads a number between these two."""

    def read(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,10}", text) is None or not least <= int(text) <= most:
            raise DrillError(f"a whole number from {least} to {most} is needed")
        return int(text)

    return read


def word(text: str) -> str:
    """A name or code as it is."""
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text) is None:
        raise DrillError("up to 64 letters, digits, `_`, `.` and `-` are needed")
    return text


def _one_of(kinds: object) -> Callable[[str], str]:
    words: tuple[str, ...] = get_args(kinds)

    def read(text: str) -> str:
        if text not in words:
            raise DrillError(f"one of {', '.join(words)} is needed")
        return text

    return read


DIRECTIVES: Mapping[str, Callable[[str], object] | None] = {
    "delay": duration,
    "stall": None,
    "close": None,
    "reset": None,
    "garbage": None,
    "status": whole(400, 599),
    "code": word,
    "retry-after": whole(0, LARGEST_NUMBER),
    "retry-after-date": duration,
    "retry-after-ms": whole(0, LARGEST_NUMBER),
    "ratelimit-reset": duration,
    "context-length": None,
    "content-filter": None,
    "context": whole(1, LARGEST_NUMBER),
    "prefill": _one_of(Prefill),
    "words": whole(1, LARGEST_NUMBER),
    "chunks": whole(1, LARGEST_NUMBER),
    "other-words": None,
    "reasoning": whole(1, LARGEST_NUMBER),
    "tool-call": whole(1, LARGEST_NUMBER),
    "refusal": None,
    "usage": _one_of(Telling),
    "cached": whole(1, LARGEST_NUMBER),
    "first-content-delay": duration,
    "chunk-delay": duration,
    "heartbeat": _one_of(Heartbeat),
    "heartbeat-delay": some_time,
    "malformed-event": None,
    "huge-event": whole(1, LARGEST_PADDING),
    "error-after": whole(0, LARGEST_NUMBER),
    "stall-after": whole(0, LARGEST_NUMBER),
    "cut-after": whole(0, LARGEST_NUMBER),
    "cut-after-bytes": whole(0, LARGEST_NUMBER),
    "cut": _one_of(Cut),
    "no-finish": None,
    "no-done": None,
    "trickle": some_time,
    "huge-headers": whole(1, LARGEST_PADDING),
    "content-length": _one_of(Length),
    "gzip": None,
}
"""Every directive, with what reads its value; None takes no value."""

_NO_HTTP = ("stall", "close", "reset", "garbage")
_INSTEAD = (*_NO_HTTP, "status", "context-length", "content-filter")
_BREAKS = ("stall-after", "cut-after", "cut-after-bytes")
_ENDINGS = ("error-after", *_BREAKS)
_TEXT = ("words", "chunks", "other-words")
_BYTES = ("trickle", "huge-headers", "content-length", "gzip")
_IN_A_HEAD = ("retry-after", "retry-after-date", "retry-after-ms", "ratelimit-reset")
_OF_THE_MODEL = (
    *("context", "prefill", *_TEXT, "reasoning", "tool-call", "refusal", "usage", "cached"),
    *("first-content-delay", "chunk-delay", "heartbeat", "heartbeat-delay", "malformed-event", "huge-event"),
    *(*_ENDINGS, "cut", "no-finish", "no-done"),
)

_EXCLUSIVE = (
    _INSTEAD,
    _ENDINGS,
    ("tool-call", "refusal"),
    ("retry-after", "retry-after-date"),
    *(("content-length", other) for other in (*_BREAKS, "trickle")),
)
"""Of each of these only one can be."""

_VAIN = (
    *((instead, other) for instead in _INSTEAD for other in _OF_THE_MODEL),
    *((no_http, other) for no_http in _NO_HTTP for other in _BYTES),
    *((ending, other) for ending in _ENDINGS for other in ("no-finish", "no-done")),
    *((kind, other) for kind in ("tool-call", "refusal") for other in _TEXT),
)
"""With the first of these the second would change nothing."""

_NEEDS = {
    "code": ("status", "error-after"),
    **dict.fromkeys(_IN_A_HEAD, ("status",)),
    "cut": ("cut-after", "cut-after-bytes"),
    "heartbeat": ("first-content-delay", "chunk-delay", "stall-after"),
    "heartbeat-delay": ("heartbeat",),
}
"""What a directive says something about: one of these has to be there."""


def contradiction(one: Iterable[str], other: Iterable[str]) -> str | None:
    """Why these directives cannot be obeyed together with those; None if they can."""
    ones, others = frozenset(one), frozenset(other)
    for name in DIRECTIVES:
        if name in ones and name in others:
            return f"{name!r} is given twice"
    for group in _EXCLUSIVE:
        together = [name for name in group if name in ones or name in others]
        if len(together) > 1:
            return f"only one of {' and '.join(map(repr, together))} is possible"
    return None


def vanity(causes: Iterable[str], names: Iterable[str]) -> str | None:
    """Why one of these directives changes nothing where the causes are; None if each changes something."""
    there, asked = frozenset(causes), frozenset(names)
    for first, second in _VAIN:
        if first in there and second in asked:
            return f"{second!r} changes nothing beside {first!r}"
    return None


def lack(names: Iterable[str], there: Iterable[str]) -> str | None:
    """What one of these directives says something about and is not among those that are there; None if nothing."""
    present = frozenset(there)
    for name in names:
        needed = _NEEDS.get(name)
        if needed is not None and present.isdisjoint(needed):
            return f"{name!r} needs {' or '.join(map(repr, needed))}"
    return None
