"""What the kernel knows of the other end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from twisted.internet.interfaces import IFileDescriptor
from twisted.internet.testing import StringTransport
from zope.interface import directlyProvides

from gateway.wire.peer import has_left, has_unread, unacknowledged


class Descriptor:
    """What is asked of a transport with a socket under it."""

    def __init__(self, under: socket.socket) -> None:
        self._under = under
        directlyProvides(self, IFileDescriptor)

    def fileno(self) -> int:
        return self._under.fileno()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with client, accepted:
            yield accepted, client


def test_a_peer_that_stays(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"unread")
    assert not has_left(Descriptor(ours))


def test_a_peer_that_closes_half_or_resets_behind_unread_bytes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.send(b"unread")
    theirs.shutdown(socket.SHUT_WR)
    assert has_left(Descriptor(ours))
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    assert has_left(Descriptor(ours))


def test_the_backlog_changes_when_the_peer_takes_something(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    descriptor = Descriptor(ours)
    assert unacknowledged(descriptor) == 0
    ours.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)
    before = unacknowledged(descriptor)
    assert before > 0
    assert unacknowledged(descriptor) == before
    taken = 0
    while unacknowledged(descriptor) == before and taken < 100_000_000:
        taken += len(theirs.recv(1 << 20))
    assert unacknowledged(descriptor) < before


def test_where_nobody_knows(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    ours.close()
    for transport in (StringTransport(), Descriptor(ours)):
        assert not has_left(transport)
        assert unacknowledged(transport) == 0


def test_what_lies_unread(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert not has_unread(Descriptor(ours))
    theirs.send(b"unread")
    assert has_unread(Descriptor(ours))
    ours.recv(100)
    theirs.shutdown(socket.SHUT_WR)
    ours.recv(1)
    assert not has_unread(Descriptor(ours)), "an end is nothing to read"
    assert not has_unread(StringTransport())
