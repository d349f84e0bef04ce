"""Listening sockets, real ones on a reactor of their own: who is queued when they close."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from gateway.wire.ports import Listener, Ports


class Greeting(Protocol):
    """Says who has accepted."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"here")


class Reactor(EPollReactor):
    """One that nobody runs: a turn of it is taken by hand."""

    def turn(self) -> None:
        self.iterate(0)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    for reader in reactor.removeAll():
        reader.connectionLost(Failure(ConnectionDone()))
    reactor.turn()


def listener(endpoint: IStreamServerEndpoint) -> Listener:
    return Listener("", "an endpoint", endpoint)


def local(reactor: Reactor, port: int = 0) -> Listener:
    return listener(TCP4ServerEndpoint(reactor, port, interface="127.0.0.1"))


def inherited(reactor: Reactor, held: socket.socket) -> Listener:
    """As `systemd:domain=INET:…` makes it."""
    number = socket.socket.dup(held).detach()
    return listener(AdoptedStreamServerEndpoint(reactor, number, socket.AF_INET))


def greeting() -> Factory:
    return Factory.forProtocol(Greeting)


def address(ports: Ports, port: Listener) -> tuple[str, int]:
    at = ports.address(port)
    return at.host, at.port  # type: ignore[attr-defined]


def test_who_is_queued_when_our_own_socket_closes_is_accepted(reactor: Reactor) -> None:
    ports, port = Ports(reactor), local(reactor)
    ports.bind(port, greeting())
    at = address(ports, port)
    clients = [socket.create_connection(at) for _ in range(20)]
    closed = ports.close([port])
    while not closed.called:
        reactor.turn()
    reactor.turn()
    for client in clients:
        with client:
            client.settimeout(5)
            assert client.recv(10) == b"here"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(at)


def test_who_is_queued_at_an_inherited_one_is_left_to_others(reactor: Reactor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        ports, port = Ports(reactor), inherited(reactor, held)
        ports.bind(port, greeting())
        with socket.create_connection(held.getsockname()) as client:
            closed = ports.close([port])
            while not closed.called:
                reactor.turn()
            held.settimeout(5)
            with socket.create_connection(held.getsockname()):
                for _ in range(2):
                    accepted, _ = held.accept()  # so it was neither shut down nor emptied
                    with accepted:
                        accepted.send(b"the next")
                client.settimeout(5)
                assert client.recv(10) == b"the next"


def test_two_on_one_socket(reactor: Reactor) -> None:
    """The old one closes, and the new one goes on."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        old, new = Ports(reactor), Ports(reactor)
        first, second = inherited(reactor, held), inherited(reactor, held)
        old.bind(first, greeting())
        new.bind(second, greeting())
        closed = old.close([first])
        while not closed.called:
            reactor.turn()
        with socket.create_connection(held.getsockname()) as client:
            client.settimeout(5)
            reactor.turn()
            reactor.turn()
            assert client.recv(10) == b"here"


def test_all_or_none(reactor: Reactor, tmp_path: Path) -> None:
    """What was bound is closed where a later one cannot be, a Unix socket's file too."""
    file = tmp_path / "socket"
    ports, first = Ports(reactor), local(reactor)
    ports.bind(first, greeting())
    ports.bind(listener(UNIXServerEndpoint(reactor, str(file))), greeting())
    at = address(ports, first)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListenError, match="in use"):
        ports.bind(local(reactor, taken.getsockname()[1]), greeting())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(at)
    assert not file.exists()


def test_what_is_closed_already(reactor: Reactor) -> None:
    ports, port = Ports(reactor), local(reactor)
    assert ports.close([port]).called
