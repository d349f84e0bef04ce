"""Reading without Twisted's ceremony: what Twisted promises around a read still holds."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gateway.wire.reactor import DirectReactor

TURNS = 200
"""More than any of these needs, each of at most a twentieth of a second."""


class Echo(Protocol):
    """Says everything twice; fails at `fail`, and leaves at `leave`."""

    def __init__(self) -> None:
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        transport = self.transport
        assert transport is not None
        if data == b"fail":
            raise ZeroDivisionError
        if data == b"leave":
            transport.loseConnection()
        transport.write(data * 2)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


class Echoes(Factory):
    noisy = False

    def __init__(self) -> None:
        self.made: list[Echo] = []

    def buildProtocol(self, addr: object) -> Echo:
        self.made.append(Echo())
        return self.made[-1]


class ReactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = DirectReactor()
        self.addCleanup(self._close)
        self.echoes = Echoes()
        port: Any = self.reactor.listenTCP(0, self.echoes, interface="127.0.0.1")
        self.address = ("127.0.0.1", port.getHost().port)

    def _close(self) -> None:
        for each in self.reactor.removeAll():
            each.connectionLost(Failure(Exception()))
        for internal in tuple(self.reactor._internalReaders):
            self.reactor.removeReader(internal)
            internal.connectionLost(None)
        self.reactor._poller.close()

    def client(self) -> socket.socket:
        client = socket.create_connection(self.address)
        client.setblocking(False)
        self.addCleanup(client.close)
        return client

    def until(self, done: Callable[[], object]) -> None:
        for _ in range(TURNS):
            if done():
                return
            self.reactor.iterate(0.05)
        self.fail("it never came")

    def answer(self, client: socket.socket, length: int) -> bytes:
        got = b""

        def whole() -> bool:
            nonlocal got
            try:
                got += client.recv(1 << 20)
            except BlockingIOError:
                return False
            return len(got) >= length

        self.until(whole)
        return got

    def test_what_is_sent_is_read_and_answered(self) -> None:
        clients = [self.client() for _ in range(20)]
        for number, client in enumerate(clients):
            client.send(b"<%02d>" % number)
        for number, client in enumerate(clients):
            self.assertEqual(self.answer(client, 8), b"<%02d>" % number * 2)

    def test_a_failure_ends_its_connection_and_no_other(self) -> None:
        failing, other = self.client(), self.client()
        self.until(lambda: len(self.echoes.made) == 2)
        failing.send(b"fail")
        other.send(b"on")
        self.assertEqual(self.answer(other, 4), b"onon")
        self.until(lambda: self.echoes.made[0].lost)
        self.assertEqual(failing.recv(10), b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_client_that_leaves_is_noticed(self) -> None:
        client = self.client()
        self.until(lambda: self.echoes.made)
        client.close()
        self.until(lambda: self.echoes.made[0].lost)

    def test_both_ends_of_a_connection(self) -> None:
        client = self.client()
        client.send(b"leave")
        self.assertEqual(self.answer(client, 10), b"leaveleave")
        self.until(lambda: self.echoes.made[0].lost)


def chosen(*command: str) -> str:
    """The reactor of a process that does this."""
    script = ";".join(
        (*command, "import twisted.internet.reactor as chosen", "print(type(chosen).__name__)"),
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_it_is_installed_where_none_is() -> None:
    assert chosen("from gateway.wire.reactor import install", "install()") == "DirectReactor"


def test_one_that_is_there_stays() -> None:
    install = "from gateway.wire.reactor import install"
    assert chosen(
        "from twisted.internet import pollreactor", "pollreactor.install()", install, "install()"
    ) == ("PollReactor")
