"""Providers on real sockets, TCP or TLS, that answer as a test says and remember every byte that they were sent.

Each connection has a thread; nothing of ours is in here, so the gateway's own parser is not its own judge.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

from attrs import define, field

from tests.fakes.certificates import Identity
from tests.whole.documents import documents, provider, route, rule
from tests.whole.running import PATIENCE


@define(eq=False)
class Received:
    """A request as it came; it is there once its head is, and its body grows."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    """As spelled and ordered by the client."""
    raw: bytearray
    """Every byte of the head and the body, in the framing in which it came."""
    server_name: str | None
    """What the client asked for by SNI; None without."""
    body: bytearray = field(factory=bytearray)
    """Without the framing."""
    complete: bool = False
    """All of the body is here."""

    def header(self, name: str) -> str | None:
        """The value of a header that may be there once.

        :raises AssertionError: if it is there more often.
        """
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None


class Conversation:
    """A whole request on a connection, and the means to answer it."""

    def __init__(self, connection: socket.socket, request: Received) -> None:
        self.request = request
        self._connection = connection

    def send(self, data: bytes) -> None:
        """Send these bytes as they are.

        :raises OSError: the client has gone.
        """
        self._connection.sendall(data)

    def wait_until_left(self) -> bool:
        """Tell whether the client closes, without asking for anything more, before patience ends."""
        try:
            return self._connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def hang_up(self) -> None:
        """Close the connection after this answer."""
        self._connection.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """End the connection with an RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()


Answering = Callable[[Conversation], None]


def answer(
    body: bytes | str, status: str = "200 OK", content_type: str = "application/json", **headers: str
) -> bytes:
    """A whole answer with its head."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def stream_head() -> bytes:
    """The head of a stream of events in chunks."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A chunk of a body; the empty one is its end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def saying(answers: bytes | Mapping[str, bytes]) -> Answering:
    """Answer everything alike, or each path (without its query) with its own; 404 for others."""

    def converse(conversation: Conversation) -> None:
        path = conversation.request.target.partition("?")[0]
        found = answers if isinstance(answers, bytes) else answers.get(path, answer("{}", "404 Not Found"))
        conversation.send(found)

    return converse


class _NamedSocket(ssl.SSLSocket):
    """Remembers what the client asked for by SNI."""

    server_name: str | None = None


def server_context(identity: Identity, folder: Path) -> ssl.SSLContext:
    """A context for providers that show this certificate.

    :param folder: where its files can be written.
    """
    (folder / "chain.pem").write_bytes(identity.chain_pem)
    (folder / "key.pem").write_text(identity.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    context.sslsocket_class = _NamedSocket
    context.sni_callback = _name_asked
    return context


def _name_asked(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
    assert isinstance(connection, _NamedSocket)
    connection.server_name = name


class Provider:
    """A server, for a `with` statement."""

    def __init__(
        self,
        answering: Answering,
        context: ssl.SSLContext | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        """Listen.

        :param answering: called, in a thread of the connection, with each request that is whole.
        :param context: None for plain TCP.
        """
        self.answering = answering
        self.requests: list[Received] = []
        """In the order of their heads."""
        self.connections = 0
        """How many have been accepted."""
        self.finished = 0
        """How many requests `answering` has returned from."""
        self._changed = Condition()
        self._context = context
        self._listening = socket.create_server(address)
        self._open: set[socket.socket] = set()
        self.host, self.port = self._listening.getsockname()
        self._threads = [Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # close() alone does not wake a thread that waits in accept() or recv().
        self._shut(self._listening)
        for connection in list(self._open):
            self._shut(connection)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listening.close()

    def manifest(self, **more: Any) -> str:
        """The text of a file with an LLMProvider that is here, and an LLMRoute that sends everything to it.

        :param more: as in `documents.provider`.
        """
        host = "provider.example"
        return documents(provider(host, self.port, **more), route("*", rule("all", host)))

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Return as soon as this is true of what has been received.

        :raises AssertionError: if it is not in time.
        """
        with self._changed:
            assert self._changed.wait_for(happened, PATIENCE), f"it never happened: {self.requests}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return  # the end of the `with`
            with self._changed:
                self.connections += 1
                self._changed.notify_all()
            thread = Thread(target=self._serve, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self._open.add(connection)
        with closing(connection):
            try:
                self._converse(connection)
            except OSError:
                pass  # the client hung up, or the `with` ended
            finally:
                self._open.discard(connection)

    def _converse(self, connection: socket.socket) -> None:
        if self._context is not None:
            self._open.discard(connection)
            connection = self._context.wrap_socket(connection, server_side=True)
            self._open.add(connection)
        with closing(connection):
            reader = _Reader(connection)
            while head := reader.head():
                request = self._begun(head, getattr(connection, "server_name", None))
                for framed, data in reader.body(request):
                    with self._changed:
                        request.raw += framed
                        request.body += data
                        self._changed.notify_all()
                with self._changed:
                    request.complete = True
                    self._changed.notify_all()
                self.answering(Conversation(connection, request))
                with self._changed:
                    self.finished += 1
                    self._changed.notify_all()

    def _begun(self, head: bytes, server_name: str | None) -> Received:
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, version = first.split(" ")
        assert version == "HTTP/1.1"
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        request = Received(method, target, headers, bytearray(head), server_name)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        return request

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        with suppress(OSError):  # it may be closed already
            # Not SSLSocket's own: it takes the session away under the thread that reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Reader:
    """Takes requests from a connection apart."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = b""

    def head(self) -> bytes:
        """The next head with its empty line; nothing at the end of the connection."""
        return self._until(b"\r\n\r\n")

    def body(self, request: Received) -> Iterator[tuple[bytes, bytes]]:
        """The pieces of a body: with their framing, and without."""
        if request.header("Transfer-Encoding") == "chunked":
            while True:
                line = self._until(b"\r\n")
                size = int(line, 16)
                data = self._exactly(size)
                yield line + data + self._exactly(2), data
                if size == 0:
                    return
        missing = int(request.header("Content-Length") or 0)
        while missing:
            data = self._some(missing)
            missing -= len(data)
            yield data, data

    def _until(self, end: bytes) -> bytes:
        while end not in self._held:
            if not (data := self._connection.recv(65536)):
                return b""
            self._held += data
        taken, _, self._held = self._held.partition(end)
        return taken + end

    def _exactly(self, size: int) -> bytes:
        taken = b""
        while len(taken) < size:
            taken += self._some(size - len(taken))
        return taken

    def _some(self, at_most: int) -> bytes:
        if not self._held:
            self._held = self._connection.recv(65536)
        if not self._held:
            raise ConnectionError("the client left in the middle of a body")
        taken, self._held = self._held[:at_most], self._held[at_most:]
        return taken
