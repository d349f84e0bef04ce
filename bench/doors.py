"""Doors to a simulated provider: each notes when requests came through it, and some are no way in.

A backend behind a door of its own is counted by itself, however many of them one simulator stands for.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

READ_BYTES = 65536

_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: what is closed is reset."""


class Door:
    """A port before a simulator.  Made it refuses connections: nobody listens."""

    def __init__(self, behind: int) -> None:
        """Take a port.

        :param behind: the simulator's.
        """
        self._behind = behind
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]
        self.requests: list[float] = []
        """When each request came, in seconds of `time.monotonic`."""
        self.sees_requests = False
        """Otherwise there may have been others, which were not let in."""
        self._server: asyncio.Server | None = None
        self._passages: set[asyncio.Task[None]] = set()
        self._waiting: list[socket.socket] = []

    async def open(self) -> None:
        """Let requests through."""
        self.sees_requests = True
        self._server = await asyncio.start_server(self._passed, sock=self._socket)

    def shut(self) -> None:
        """Refuse connections again, and reset those there are: the host is dead."""
        self._close()
        self._socket = _bound(self.port)

    def ignore(self) -> None:
        """Let connections come about, and never take them."""
        self.sees_requests = True
        self._socket.listen()

    def fill(self) -> None:
        """Take no notice of any packet that asks for a connection, as a host behind a wall does."""
        self._socket.listen(0)
        while True:
            waiting = socket.socket()
            self._waiting.append(waiting)
            waiting.settimeout(0.2)
            try:
                waiting.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return

    async def close(self) -> None:
        """Give the port back, once all is counted."""
        self._count_ignored()
        self._close()
        for waiting in self._waiting:
            waiting.close()
        await asyncio.gather(*self._passages, return_exceptions=True)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._socket.close()
        for passage in self._passages:
            passage.cancel()

    def _count_ignored(self) -> None:
        """Those who asked and were not taken; when, nobody knows."""
        if self._server is not None or not self.sees_requests:
            return
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                connection, _ = self._socket.accept()
                connection.setblocking(False)
                with connection, suppress(OSError):
                    self._note(connection.recv(READ_BYTES))

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passage = asyncio.current_task()
        assert passage is not None
        self._passages.add(passage)
        passage.add_done_callback(self._passages.discard)
        try:
            answers, asks = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            _reset(writer)
            return
        asking = asyncio.create_task(_carry(reader, asks, self._note))
        try:
            await _carry(answers, writer)
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            asking.cancel()
            asks.close()

    def _note(self, data: bytes) -> None:
        # The gateway asks one thing after the other, so a request begins where a piece does.
        if data.startswith(b"POST "):
            self.requests.append(time.monotonic())


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None] | None = None
) -> None:
    """Hand on all that comes, and then how it ended: closed or reset."""
    try:
        while data := await reader.read(READ_BYTES):
            if note is not None:
                note(data)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        _reset(writer)
    else:
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if not writer.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.close()


def _bound(port: int) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    return taken


HAMMERING = ((1.5, 2), (3.0, 4))
"""Within so many seconds a backend is asked so often at most, for one request."""

_CLOCK_SECONDS = 0.05
"""What two notes may be wrong by."""


def hammered(times: Sequence[float]) -> bool:
    """Tell whether a backend was asked too often in too short a time."""
    return any(
        later - earlier < seconds - _CLOCK_SECONDS
        for seconds, most in HAMMERING
        for earlier, later in zip(times, times[most:], strict=False)
    )
