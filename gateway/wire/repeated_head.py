"""A request's head that its client sends again and again.

On a connection that is kept, most clients' heads differ in nothing but the length of the body.  Such a head says what
it said before, and need not be taken apart and judged again: the next one has the very same `headers` and `values`.
"""

from __future__ import annotations

import re

from gateway.messages import RequestHead
from gateway.wire.limits import DownstreamLimits

_LENGTH_LINE = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)\r\n", re.IGNORECASE)

_LONGEST = 4096
"""Bytes of a head that is remembered; an SDK's has some 700."""

_DIGITS = 18
"""Of a length that needs no thought: any of them fits into 64 bits."""


class RepeatedHead:
    """The last head of a connection, and everything that depends on nothing else."""

    __slots__ = ("_after", "_before", "_head", "_length", "_limits")

    def __init__(
        self, before: bytes, length: bytes, after: bytes, head: RequestHead, limits: DownstreamLimits
    ) -> None:
        self._before = before
        """The head up to the digits of its Content-Length."""
        self._length = length
        self._after = after
        """What follows the digits, to the empty line."""
        self._head = head
        self._limits = limits
        """By which it was judged."""

    def again(self, data: bytes, limits: DownstreamLimits) -> tuple[RequestHead, int] | None:
        """The head with which these bytes begin and how long it is, if it is this one again."""
        before = self._before
        if limits is not self._limits or not data.startswith(before):
            return None
        end = data.find(b"\r\n", len(before))
        if not data.startswith(self._after, end):
            return None
        length = data[len(before) : end]
        if length != self._length and not self._change_length(length):
            return None
        return self._head, end + len(self._after)

    def _change_length(self, digits: bytes) -> bool:
        """Let it announce another body; False where that needs a judge."""
        if not digits.isdigit() or len(digits) > _DIGITS or int(digits) > self._limits.body_bytes:
            return False
        head = self._head
        self._length = digits
        self._head = RequestHead(
            head.method,
            head.path,
            head.query,
            head.host,
            head.headers,
            head.values,
            int(digits),
            head.expects_continue,
        )
        return True


def repeatable(raw: bytes, head: RequestHead, limits: DownstreamLimits) -> RepeatedHead | None:
    """Remember a head that was judged; None where another one like it may have to be judged differently.

    :param raw: with its empty line.
    """
    # What an expectation means depends on the length.
    if b"expect" in head.values or not _DIGITS + len(raw) <= min(_LONGEST, limits.head_bytes):
        return None
    match = _LENGTH_LINE.search(raw)
    if match is None:
        return None
    start, end = match.span(1)
    return RepeatedHead(raw[:start], match[1], raw[end:], head, limits)
