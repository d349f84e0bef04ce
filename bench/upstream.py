"""A cheap provider: streams of chat events at a pace, or one enormous answer.

`python -m bench.upstream PORT`.  One thread over epoll; each event is one chunk of the answer and leaves in
one send.  What to send is asked for in request headers, so one process serves every run:

    x-bench-events: 50           events with content, and behind them one with usage and `[DONE]`
    x-bench-interval-us: 10000   between two events
    x-bench-bytes: 1073741824    instead: events of 4 KiB, as fast as they are taken, at least so many bytes
"""

from __future__ import annotations

import heapq
import re
import select
import socket
import sys
import time
from collections.abc import Iterator

CHUNK = (
    b'data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench",'
    b'"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}],"usage":null}\n\n'
)
USAGE = (
    b'data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench",'
    b'"choices":[],"usage":{"prompt_tokens":42,"completion_tokens":50,"total_tokens":92}}\n\n'
)
DONE = b"data: [DONE]\n\n"
STAMP_DIGITS = 19
"""An event's content is the time of its sending: nanoseconds of the clock that all processes here share."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"
_BULK_EVENT_BYTES = 4096
_BULK_EVENTS_PER_BLOCK = 64


def framed(event: bytes) -> bytes:
    """The event as one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%s\r\n" % (len(event), event)


def bulk_event() -> bytes:
    """An event of the enormous answer."""
    return CHUNK % (b"x" * (_BULK_EVENT_BYTES - len(CHUNK) + len(b"%s")))


def bulk_blocks(size: int) -> int:
    """How many blocks of events make at least `size` bytes of body."""
    return -(-size // (_BULK_EVENT_BYTES * _BULK_EVENTS_PER_BLOCK))


def bulk_body_bytes(size: int) -> int:
    """The exact length of the body that is sent when `size` is asked for."""
    return bulk_blocks(size) * _BULK_EVENT_BYTES * _BULK_EVENTS_PER_BLOCK + len(USAGE) + len(DONE)


_STAMPED = framed(CHUNK % (b"0" * STAMP_DIGITS)).replace(b"0" * STAMP_DIGITS, b"%019d")
_BULK_BLOCK = framed(bulk_event()) * _BULK_EVENTS_PER_BLOCK
_LAST = framed(DONE) + _END


def paced_sends(events: int) -> Iterator[bytes]:
    """What to send at each turn of one stream; the head leaves with the first event."""
    prefix = _HEAD
    for _ in range(events):
        yield prefix + _STAMPED % time.monotonic_ns()
        prefix = b""
    yield framed(USAGE)
    yield _LAST


def bulk_sends(size: int) -> Iterator[bytes]:
    """What to send one after the other for the enormous answer."""
    yield _HEAD
    for _ in range(bulk_blocks(size)):
        yield _BULK_BLOCK
    yield framed(USAGE)
    yield _LAST


def _number(head: bytes, name: bytes, default: int) -> int:
    found = re.search(rb"\r\n" + name + rb":\s*(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else default


class _Connection:
    """One connection of the proxy: a request, its answer, the next request."""

    __slots__ = ("bulk", "connection", "interval_ns", "received", "sends", "unsent")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""
        self.sends: Iterator[bytes] = iter(())
        self.interval_ns = 0
        self.bulk = False
        self.unsent = memoryview(b"")

    def request_taken(self) -> bool:
        """Take a request from what was received and prepare its answer; False while it is not whole."""
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        body_bytes = _number(head, b"content-length", 0)
        if not separator or len(rest) < body_bytes:
            return False
        self.received = rest[body_bytes:]
        size = _number(head, b"x-bench-bytes", 0)
        self.bulk = size > 0
        self.sends = bulk_sends(size) if self.bulk else paced_sends(_number(head, b"x-bench-events", 50))
        self.interval_ns = _number(head, b"x-bench-interval-us", 10_000) * 1000
        return True


class _Server:
    """The loop over all connections."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)
        self._connections: dict[int, _Connection] = {}
        self._due: list[tuple[int, int, _Connection]] = []
        self._turn = 0

    def run(self) -> None:
        while True:
            # epoll counts milliseconds, as the timers of most servers do: neighbouring events leave together.
            wait = max(0.0, (self._due[0][0] - time.monotonic_ns()) / 1e9) if self._due else None
            for number, _ in self._epoll.poll(wait):
                if number == self._listener.fileno():
                    self._accept()
                elif connection := self._connections.get(number):
                    self._ready(connection)
            now = time.monotonic_ns()
            while self._due and self._due[0][0] <= now:
                due, _, connection = heapq.heappop(self._due)
                self._send_event(connection, due)

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[accepted.fileno()] = _Connection(accepted)
            self._epoll.register(accepted, select.EPOLLIN)

    def _ready(self, connection: _Connection) -> None:
        if connection.bulk:
            self._send_bulk(connection)
            return
        try:
            data = connection.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.received += data
        if connection.request_taken():
            self._start(connection)

    def _start(self, connection: _Connection) -> None:
        if connection.bulk:
            self._epoll.modify(connection.connection, select.EPOLLOUT)
        else:
            self._send_event(connection, time.monotonic_ns())

    def _send_event(self, connection: _Connection, due: int) -> None:
        data = next(connection.sends, None)
        if data is None:
            return
        try:
            whole = connection.connection.send(data) == len(data)
        except OSError:
            whole = False
        if not whole:
            # Gone, or so slow that the socket is full: either way the reader sees a broken stream.
            self._close(connection)
        elif data is not _LAST:
            self._turn += 1
            heapq.heappush(self._due, (due + connection.interval_ns, self._turn, connection))

    def _send_bulk(self, connection: _Connection) -> None:
        if not connection.unsent:
            data = next(connection.sends, None)
            if data is None:
                connection.bulk = False
                self._epoll.modify(connection.connection, select.EPOLLIN)
                return
            connection.unsent = memoryview(data)
        try:
            sent = connection.connection.send(connection.unsent)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        connection.unsent = connection.unsent[sent:]

    def _close(self, connection: _Connection) -> None:
        if self._connections.pop(connection.connection.fileno(), None):
            connection.connection.close()


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    listener.setblocking(False)
    _Server(listener).run()


if __name__ == "__main__":
    main()
