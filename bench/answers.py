"""An answer as it came, and whether it is what the upstream had sent."""

from __future__ import annotations

import re
from bisect import bisect_left

from attrs import frozen

from bench.upstream import DONE, STAMP_DIGITS, USAGE

EXTRA_EVENTS = 2
"""Usage and `[DONE]` end every stream."""

_STAMP = re.compile(rb'"content":"(\d{%d})"' % STAMP_DIGITS)


class BrokenAnswerError(Exception):
    """An answer was not what the upstream had sent."""


@frozen
class Answer:
    """One answer as it came."""

    reads: tuple[bytes, ...]
    times_ns: tuple[int, ...]
    """When each read returned."""
    asked_ns: int

    def split(self) -> tuple[bytes, bytes]:
        """Head and body, the body without its framing; raises BrokenAnswerError."""
        head, _, body = b"".join(self.reads).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BrokenAnswerError((head + b"\n" + body)[:500].decode("latin-1"))
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
            body = unframed(body)
        return head, body


def unframed(body: bytes) -> bytes:
    """A chunked body's content; raises BrokenAnswerError unless it ends exactly with the last chunk."""
    chunks: list[bytes] = []
    position = 0
    while True:
        line_end = body.find(b"\r\n", position)
        try:
            size = int(body[position:line_end], 16) if line_end >= 0 else -1
        except ValueError:
            size = -1
        if size < 0:
            raise BrokenAnswerError(f"no chunk size at byte {position} of {len(body)}")
        chunk_end = line_end + 2 + size
        if body[chunk_end : chunk_end + 2] != b"\r\n":
            raise BrokenAnswerError(f"a chunk of {size} bytes is cut short")
        if size == 0:
            if chunk_end + 2 != len(body):
                raise BrokenAnswerError("bytes behind the last chunk")
            return b"".join(chunks)
        chunks.append(body[line_end + 2 : chunk_end])
        position = chunk_end + 2


def check_stream(body: bytes, events: int) -> None:
    """Raise BrokenAnswerError unless the body is every event that was sent, once and in order."""
    tail = USAGE + DONE
    stamps = [int(stamp) for stamp in _STAMP.findall(body)]
    if not body.endswith(tail):
        raise BrokenAnswerError(f"ends with {body[-80:]!r} instead of usage and [DONE]")
    if len(stamps) != events or body.count(b"\n\n") != events + EXTRA_EVENTS:
        raise BrokenAnswerError(f"{len(stamps)} events with content, {body.count(b'data: ')} in all")
    if stamps != sorted(set(stamps)):
        raise BrokenAnswerError("events are repeated or out of order")


def delays_ns(answer: Answer) -> list[int]:
    """For each event, the time from the upstream's send to the read that brought its content whole."""
    ends = []
    total = 0
    for data in answer.reads:
        total += len(data)
        ends.append(total)
    return [
        answer.times_ns[bisect_left(ends, stamp.end())] - int(stamp[1])
        for stamp in _STAMP.finditer(b"".join(answer.reads))
    ]


def sent_interval_ns(body: bytes) -> float:
    """The mean time between the sends of a stream's events."""
    stamps = _STAMP.findall(body)
    return (int(stamps[-1]) - int(stamps[0])) / max(1, len(stamps) - 1)
