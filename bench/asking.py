"""One request to the gateway as an application sends it, and all that came of it."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

PATIENCE_SECONDS = 30.0
"""Who has not been answered by then waits for ever."""

LARGEST_HEAD = 1024 * 1024
"""Bytes; no client's own limit shall be what is seen."""


@frozen
class Received:
    """What one client got."""

    status: int = 0
    """0 where not even a head came."""
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    """Without framing and compression."""
    ended: bool = False
    """The framing says that this is all of it: every byte of Content-Length, or the last chunk."""
    hung: bool = False
    """It did not end at all."""
    seconds: float = 0.0


async def ask(
    port: int,
    host: str,
    body: Mapping[str, object],
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    patience: float = PATIENCE_SECONDS,
) -> Received:
    """Ask for a chat completion and wait until nothing more can come.

    :param patience: seconds after which the client gives up.
    """
    started = time.monotonic()
    answer = _Answer()
    hung = False
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LARGEST_HEAD)
            try:
                writer.write(_request(host, body, headers))
                await answer.read(reader)
            finally:
                writer.close()
    except TimeoutError:
        hung = True
    except (OSError, EOFError, ValueError):
        pass  # what there is tells that it is not all
    return Received(
        answer.status,
        answer.headers,
        _unpacked(bytes(answer.body), answer.headers),
        answer.ended,
        hung,
        time.monotonic() - started,
    )


def told_attempts(received: Received) -> int | None:
    """How often providers were asked, as the gateway tells; None where it does not."""
    told = received.headers.get("x-llmgateway-attempts", "")
    return int(told) if told.isdecimal() else None


def _request(host: str, body: Mapping[str, object], headers: Mapping[str, str]) -> bytes:
    payload = json.dumps(body).encode()
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        "Accept-Encoding: gzip",
        f"Content-Length: {len(payload)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


class _Answer:
    """An answer as far as it has come."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.ended = False

    async def read(self, reader: asyncio.StreamReader) -> None:
        """:raises EOFError, ConnectionError, ValueError: where it ends before it is whole."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        for line in head[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.status = int(head[0].split(" ")[1])
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await self._take(reader, size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            await self._take(reader, int(self.headers["content-length"]))
        self.ended = True

    async def _take(self, reader: asyncio.StreamReader, size: int) -> None:
        """What comes of so many bytes is kept, even if they are not all there."""
        while size:
            data = await reader.read(size)
            if not data:
                raise EOFError
            self.body += data
            size -= len(data)


def _unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """As far as it came."""
    if headers.get("content-encoding") != "gzip":
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body)  # gzip's framing, RFC 1952
    except zlib.error:
        return body
