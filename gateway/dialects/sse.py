"""Server-sent events from any split of the bytes (WHATWG HTML §9.2).

Nothing is rewritten: an event goes out exactly as it came, or not at all.  What goes out ends behind a blank
line (only an event beyond `EVENT_BYTES` goes out in pieces), so that something of the gateway's own, an error
event or a comment, may follow at any time.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

EVENT_BYTES = 256 * 1024
"""An event that grows beyond this is no longer held back but passed through unwatched.  A token is some 200
bytes, a generated picture may be megabytes."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# Atomic: the two halves of one CRLF must never be taken for two ends of line.
_END_OF_LINE = rb"(?>\r\n|\n|\r)"

_BLANK_LINE = re.compile(_END_OF_LINE + rb"{2}")

_EVENT = re.compile(rb"(?!\Z)(?:[^\r\n]++(?:EOL|\Z))*+(?:EOL|\Z)".replace(b"EOL", _END_OF_LINE))
"""An event with its blank line, or a blank line that ends nothing, or what the stream broke off with."""


def event_data(event: bytes) -> bytes | None:
    """The data of an event: its `data` lines joined with line feeds, or None if it has none."""
    lines = event.removeprefix(_BYTE_ORDER_MARK).splitlines()
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(data) if data else None


class EventFilter(ABC):
    """Shows the events of one stream to a watcher and passes on those that it keeps.

    It holds back at most one event that is not whole yet, up to `EVENT_BYTES`.
    """

    __slots__ = ("_held", "_seam")

    def __init__(self) -> None:
        self._held = b""
        """The beginning of an event whose end has not come."""
        self._seam = b""
        """While an event beyond `EVENT_BYTES` passes through: its last two bytes; else empty."""

    @abstractmethod
    def may_matter(self, events: bytes) -> bool:
        """Tell cheaply whether any of these whole events has to be looked at; if not, all are passed on."""

    @abstractmethod
    def keeps(self, data: bytes) -> bool:
        """Look at the data of one event, and tell whether the event is passed on."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came from the provider; get those that may go to the client now."""
        if self._seam:
            return self._feed_oversized(data)
        held = self._held
        if held:
            data = held + data
        if data.endswith((b"\n\n", b"\r\n\r\n")):
            self._held = b""
        else:
            # A blank line that began in what was held cannot begin before its last two bytes.
            end = _end_of_whole_events(data, max(0, len(held) - 2))
            self._held = data[end:]
            data = data[:end]
            if len(self._held) > EVENT_BYTES:
                passed = self._held
                self._held, self._seam = b"", passed[-2:]
                return self._passed_on(data) + passed
        return self._passed_on(data)

    def flush(self) -> bytes:
        """The stream has ended: get what is still held, which is judged as if its blank line had come."""
        held, self._held, self._seam = self._held, b"", b""
        return self._judged(held)

    def _feed_oversized(self, data: bytes) -> bytes:
        joined = self._seam + data
        blank = _BLANK_LINE.search(joined)
        if blank is None:
            self._seam = joined[-2:]
            return data
        end = blank.end() - len(self._seam)
        self._seam = b""
        return data[:end] + self.feed(data[end:])

    def _passed_on(self, events: bytes) -> bytes:
        return self._judged(events) if events and self.may_matter(events) else events

    def _judged(self, events: bytes) -> bytes:
        kept = []
        for event in _EVENT.findall(events):
            data = event_data(event)
            if data is None or self.keeps(data):
                kept.append(event)
        return b"".join(kept)


def _end_of_whole_events(buffer: bytes, start: int) -> int:
    """Where the last blank line ends, looking from `start`; 0 if there is none."""
    if b"\r" not in buffer:
        begin = buffer.rfind(b"\n\n", start)
        return begin + 2 if begin >= 0 else 0
    # A CR in the last place may be half of a CRLF: its other half must not be left for the next event.
    end = 0
    for blank in _BLANK_LINE.finditer(buffer, start, len(buffer) - buffer.endswith(b"\r")):
        end = blank.end()
    return end
