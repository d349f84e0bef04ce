"""A client on a socket that sends any bytes and sees everything that comes back, the cut of an answer too."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from types import TracebackType
from typing import Any, Self

from attrs import frozen

from tests.whole.running import PATIENCE

CHAT = b'{"messages": [{"role": "user", "content": "Hello"}]}'
STREAM = b'{"stream": true, "messages": [{"role": "user", "content": "Hello"}]}'


def request(
    body: bytes = CHAT, host: str = "provider.test", path: str = "/v1/chat/completions", **headers: str
) -> bytes:
    """A POST as clients send it.

    :param headers: further ones, `_` for `-`.
    """
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@frozen
class Reply:
    """An answer."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    whole: bool
    """It ended as its framing says."""

    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The code of an error of the gateway's own."""
        assert self.headers["x-llmgateway-error-source"] == "gateway"
        code: str = self.json()["error"]["code"]
        return code


class Client:
    """A connection to the gateway, for a `with` statement."""

    def __init__(self, address: str, tls: ssl.SSLContext | None = None) -> None:
        """Connect.

        :param address: as the gateway announces it: `127.0.0.1:8080`, or the path of a Unix socket.
        """
        if address.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host, int(port)))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.settimeout(PATIENCE)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send these bytes as they are."""
        self.socket.sendall(data)

    def head(self) -> tuple[int, dict[str, str]]:
        """The status and headers of the next answer.

        :raises ConnectionError: there is none.
        """
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"the connection was closed behind {line!r}")
        headers: dict[str, str] = {}
        while (header := self._file.readline()) != b"\r\n":
            assert header.endswith(b"\r\n"), f"a head that ends with {header!r}"
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split()[1]), headers

    def chunk(self) -> bytes | None:
        """The next chunk of a body; empty at its end, None where it was cut."""
        try:
            line = self._file.readline()
            if not line.endswith(b"\r\n"):
                return None
            size = int(line, 16)
            data = self._file.read(size + 2)
        except ConnectionResetError:
            return None
        return data[:-2] if len(data) == size + 2 else None

    def reply(self) -> Reply:
        """The next answer, to a request other than HEAD."""
        status, headers = self.head()
        if status < 200 or status in (204, 304):
            return Reply(status, headers, b"", whole=True)
        if "content-length" in headers:
            body = self._file.read(int(headers["content-length"]))
            return Reply(status, headers, body, whole=len(body) == int(headers["content-length"]))
        assert headers["transfer-encoding"] == "chunked"
        body = b""
        while piece := self.chunk():
            body += piece
        return Reply(status, headers, body, whole=piece is not None)

    def exactly(self, size: int) -> bytes:
        """So many bytes, or fewer where the connection ends before."""
        return self._file.read(size)

    def is_closed(self) -> bool:
        """Wait for the gateway's end of the connection; tell whether nothing came before it.

        :raises TimeoutError: it stays open.
        """
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def rest(self) -> bytes:
        """Everything until the gateway closes."""
        return self._file.read()

    def close(self) -> None:
        """Leave, as programs do: both directions at once."""
        self._file.close()
        self.socket.close()

    def stop_sending(self) -> None:
        """Send a FIN, and go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave without a word: the peer gets an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def ask(address: str, body: bytes = CHAT, host: str = "provider.test", **headers: str) -> Reply:
    """Send one request on a connection of its own."""
    with Client(address) as client:
        client.send(request(body, host, **headers))
        return client.reply()
