"""Server-sent events from any split of the bytes (WHATWG HTML §9.2).

A filter rewrites nothing: an event goes out exactly as it came, or not at all.  What goes out ends behind a blank
line (only an event beyond `EVENT_BYTES` goes out in pieces), so that something of the gateway's own, an error
event or a comment, may follow at any time.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

EVENT_BYTES = 1024 * 1024
"""An event that grows beyond this is no longer held back but passed through unwatched.  A token is some 200 bytes, a
whole answer in one event seldom more than some hundred thousand; a generated picture may be many megabytes.  What is
held back has cost its client nothing yet if the stream breaks, and its words are known when it is whole: so this is
as much as is held of an answer that is no stream."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# Atomic: the two halves of one CRLF must never be taken for two ends of line.
_END_OF_LINE = rb"(?>\r\n|\n|\r)"

_BLANK_LINE = re.compile(_END_OF_LINE + rb"{2}")

_EVENT = re.compile(rb"(?!\Z)(?:[^\r\n]++(?:EOL|\Z))*+(?:EOL|\Z)".replace(b"EOL", _END_OF_LINE))
"""An event with its blank line, or a blank line that ends nothing, or what the stream broke off with."""

_FIRST_END = re.compile(_END_OF_LINE)

_ENDS_BLANK = re.compile(_END_OF_LINE + rb"{2}\Z")


def events_of(stream: bytes) -> list[bytes]:
    """The events of a whole stream, each with its blank line; the last may lack it.

    A blank line that ends nothing counts as one.
    """
    # Nearly all streams end their lines in LF, and most pieces are one event of one line.
    if b"\r" not in stream and stream.endswith(b"\n\n") and not stream.startswith(b"\n"):
        if stream.find(b"\n") == len(stream) - 2:
            return [stream]
        if b"\n\n\n" not in stream:
            return [event + b"\n\n" for event in stream[:-2].split(b"\n\n")]
    return _EVENT.findall(stream)


def event_data(event: bytes) -> bytes | None:
    """The data of an event: its `data` lines joined with line feeds, or None if it has none."""
    before, _, data_line = event.partition(b"data: ")
    # What nearly all are: one line of data, at most with a name before it.
    if (
        data_line.endswith(b"\n\n")
        and data_line.find(b"\n") == len(data_line) - 2
        and (not before or (before.endswith(b"\n") and b"data" not in before))
        and b"\r" not in event
    ):
        return data_line[:-2]
    lines = event.removeprefix(_BYTE_ORDER_MARK).splitlines()
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(data) if data else None


def with_data(event: bytes, data: bytes) -> bytes:
    """The event with this data instead of its own; its other lines and the way its lines end stay."""
    line_end = _FIRST_END.search(event)
    ending = line_end[0] if line_end is not None else b"\n"
    lines = event.removeprefix(_BYTE_ORDER_MARK).splitlines()
    kept = [line for line in lines if line and not line.startswith(b"data:") and line != b"data"]
    kept += [b"data: " + line for line in data.splitlines()]
    return ending.join([*kept, b"", b""])


def ended(event: bytes) -> bytes:
    """The event with the blank line that it may lack, being the last of a stream that broke off."""
    if event.endswith(b"\r\n\r"):
        return event + b"\n"  # not all who read streams take a CR alone for the end of a line
    if not event or _ENDS_BLANK.search(event) is not None:
        return event
    return event + (b"\n" if event.endswith(b"\n") else b"\n\n")


class EventFilter(ABC):
    """Shows the events of one stream to a watcher and passes on those that it keeps.

    It holds back at most one event that is not whole yet, up to `EVENT_BYTES`.
    """

    __slots__ = ("_held", "_passed", "_seam", "closed")

    def __init__(self) -> None:
        self.closed = False
        """Nothing more is passed on, whatever comes."""
        self._held = bytearray()
        """The beginning of an event whose end has not come."""
        self._passed = 0
        """Bytes of an event beyond `EVENT_BYTES` that have passed since that was told last."""
        self._seam = b""
        """While an event beyond `EVENT_BYTES` passes through: its last two bytes; else empty."""

    @abstractmethod
    def skims(self, events: bytes) -> bool:
        """Read these whole events in passing, if that can be done cheaply for all of them: they are passed on.

        If not, leave everything as it is; `keeps` is asked for each of them.
        """

    @abstractmethod
    def keeps(self, event: bytes, data: bytes | None) -> bool:
        """Look at one event and its data, if it has any, and tell whether it is passed on."""

    @abstractmethod
    def oversized(self) -> None:
        """An event beyond `EVENT_BYTES` passes unwatched.  Told again whenever as much has come of it once more."""

    @abstractmethod
    def unwatched(self, piece: bytes) -> None:
        """The next piece of such an event."""

    @property
    def within_event(self) -> bool:
        """What was passed on last is the beginning of an event beyond `EVENT_BYTES`."""
        return self._seam != b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came from the provider; get those that may go to the client now."""
        if self.closed:
            return b""
        if self._seam:
            return self._feed_oversized(data)
        held = self._held
        if not held:
            if data.endswith((b"\n\n", b"\r\n\r\n")):
                return self._passed_on(data)
            end = _end_of_whole_events(data, 0)
            held += data[end:]
            whole = data[:end]
        else:
            # A blank line that began in what was held cannot begin before its last two bytes.
            start = max(0, len(held) - 2)
            held += data
            end = _end_of_whole_events(held, start)
            whole = bytes(held[:end])
            del held[:end]
        if len(held) > EVENT_BYTES:
            return self._passed_on(whole) + self._pass_held()
        return self._passed_on(whole)

    def flush(self) -> bytes:
        """The stream has ended: get what is still held, which is judged as if its blank line had come."""
        return self._judged(self._let_go())

    def _let_go(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held

    def _pass_held(self) -> bytes:
        passed = self._let_go()
        if self.closed:
            return b""
        self._seam = passed[-2:]
        self._passed = 0
        self.oversized()
        self.unwatched(passed)
        return passed

    def _feed_oversized(self, data: bytes) -> bytes:
        joined = self._seam + data
        blank = _BLANK_LINE.search(joined)
        if blank is None:
            self._seam = joined[-2:]
            self.unwatched(data)
            self._passed += len(data)
            if self._passed >= EVENT_BYTES:
                self._passed = 0
                self.oversized()
            return data
        end = blank.end() - len(self._seam)
        self._seam = b""
        self.unwatched(data[:end])
        return data[:end] + self.feed(data[end:])

    def _passed_on(self, events: bytes) -> bytes:
        return events if not events or self.skims(events) else self._judged(events)

    def _judged(self, events: bytes) -> bytes:
        kept = []
        for event in events_of(events):
            if self.closed:
                break
            if self.keeps(event, event_data(event)):
                kept.append(event)
        return b"".join(kept)


def _end_of_whole_events(buffer: bytes | bytearray, start: int) -> int:
    """Where the last blank line ends, looking from `start`; 0 if there is none."""
    if buffer.find(b"\r", start) < 0:
        begin = buffer.rfind(b"\n\n", start)
        return begin + 2 if begin >= 0 else 0
    # A CR in the last place may be half of a CRLF: its other half must not be left for the next event.
    end = 0
    for blank in _BLANK_LINE.finditer(buffer, start, len(buffer) - buffer.endswith(b"\r")):
        end = blank.end()
    return end
