"""Senders on Twisted's own transport over a real socket pair, driven by hand."""

from __future__ import annotations

import socket
from collections.abc import Callable

from twisted.internet import tcp
from twisted.internet.interfaces import (
    IReactorFDSet,
    IReadDescriptor,
    ISSLTransport,
    ITransport,
    IWriteDescriptor,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer, providedBy

from gateway.wire.limits import SEND_BUFFER_HIGH
from gateway.wire.sending import EagerSender, QueuedSender, Sender, sender_for
from gateway.wire.sweep import Sweep

BIG = b"0123456789abcdef" * 65536
"""More than a socket takes at once."""


@implementer(IReactorFDSet)
class HandReactor(Clock):
    """Notes who wants to write; the test calls `doWrite`."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: set[IWriteDescriptor] = set()

    def addWriter(self, writer: IWriteDescriptor) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        self.writers.discard(writer)

    def addReader(self, reader: IReadDescriptor) -> None:
        """Nothing is read here."""

    def removeReader(self, reader: IReadDescriptor) -> None:
        """Nothing is read here."""

    def removeAll(self) -> list[IReadDescriptor | IWriteDescriptor]:
        return []

    def getReaders(self) -> list[IReadDescriptor]:
        return []

    def getWriters(self) -> list[IWriteDescriptor]:
        return list(self.writers)


def at_once(call: Callable[[], None]) -> None:
    """A turn that is always over."""
    call()


class TurnTests(SynchronousTestCase):
    """What is written in one turn leaves at its end, in one piece."""

    def setUp(self) -> None:
        ours, self.peer = socket.socketpair()
        for end in (ours, self.peer):
            end.setblocking(False)
            self.addCleanup(end.close)
        self.clock = HandReactor()
        self.transport = tcp.Connection(ours, Protocol(), self.clock)
        self.transport.connected = 1
        self.sweep = Sweep(self.clock, self.clock.seconds)
        self.sender = sender_for(self.transport, lambda: None, self.sweep.soon)

    def test_everything_of_a_turn_together(self) -> None:
        self.sender.write(b"head ")
        self.sender.write(b"body")
        self.assertRaises(BlockingIOError, self.peer.recv, 100)
        self.clock.advance(0)
        self.assertEqual(self.peer.recv(100), b"head body")
        self.sender.write(b"next")
        self.clock.advance(0)
        self.assertEqual(self.peer.recv(100), b"next")

    def test_who_cannot_wait(self) -> None:
        self.sender.write(b"now")
        self.sender.flush()
        self.assertEqual(self.peer.recv(100), b"now")
        self.clock.advance(0)
        self.assertRaises(BlockingIOError, self.peer.recv, 100)

    def test_what_was_written_when_the_connection_was_lost(self) -> None:
        self.sender.write(b"too late")
        self.sender.lost()
        self.clock.advance(0)
        self.assertRaises(BlockingIOError, self.peer.recv, 100)

    def test_nothing_is_left_behind_at_the_end(self) -> None:
        self.sender.write(b"last")
        self.sender.finish()
        self.assertEqual(self.peer.recv(100), b"last")


class EagerSenderTests(SynchronousTestCase):
    """At once where the socket takes it."""

    def setUp(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.peer.setblocking(False)
        self.reactor = HandReactor()
        self.transport = tcp.Connection(ours, Protocol(), self.reactor)
        self.transport.connected = 1
        self.drained = 0
        self.sender: Sender = sender_for(self.transport, self.note_drained, at_once)
        self.addCleanup(self.peer.close)
        self.addCleanup(ours.close)

    def note_drained(self) -> None:
        self.drained += 1

    def peer_reads(self) -> bytes:
        """Everything the peer can get now."""
        got = b""
        try:
            while data := self.peer.recv(1 << 20):
                got += data
        except BlockingIOError:
            pass
        return got

    def exhaust(self) -> bytes:
        """Let the peer read and the transport write until nothing waits."""
        got = self.peer_reads()
        while self.reactor.writers:
            self.transport.doWrite()
            got += self.peer_reads()
        return got + self.peer_reads()

    def test_small_writes_leave_in_the_same_turn(self) -> None:
        self.assertIsInstance(self.sender, EagerSender)
        self.sender.write(b"hello")
        self.assertEqual(self.peer_reads(), b"hello")
        self.assertEqual(self.reactor.writers, set())
        self.assertEqual(self.sender.waiting, 0)

    def test_what_does_not_fit_waits_and_order_is_kept(self) -> None:
        self.sender.write(BIG)
        self.assertTrue(self.sender.full)
        self.assertGreater(self.sender.waiting, SEND_BUFFER_HIGH)
        self.sender.write(b"behind it")
        self.assertEqual(self.drained, 0)
        self.assertEqual(self.exhaust(), BIG + b"behind it")
        self.assertEqual(self.drained, 1)
        self.assertEqual(self.sender.waiting, 0)
        self.assertFalse(self.sender.full)
        self.sender.write(b"at once again")
        self.assertEqual(self.peer_reads(), b"at once again")
        self.assertEqual(self.drained, 1)
        self.sender.write(BIG)
        self.assertEqual(self.exhaust(), BIG)
        self.assertEqual(self.drained, 2)

    def test_being_drained_may_write_again(self) -> None:
        self.sender = sender_for(
            self.transport, lambda: self.sender.write(b"!") if self.again.pop() else None, at_once
        )
        self.again = [False, True]
        self.sender.write(BIG)
        self.assertEqual(self.exhaust(), BIG + b"!")

    def test_a_little_waiting_is_not_full(self) -> None:
        while not self.sender.waiting:
            self.sender.write(b"x" * 1000)
        self.assertFalse(self.sender.full)

    def test_a_closing_transport_sends_the_rest_after_finish(self) -> None:
        self.sender.write(BIG)
        self.sender.finish()
        self.transport.loseConnection()
        got = self.peer_reads()
        while len(got) < len(BIG):
            self.assertIn(self.transport, self.reactor.writers)
            reason = self.transport.doWrite()
            got += self.peer_reads()
        self.assertEqual(got, BIG)
        self.assertIsNotNone(reason, "and then it says that it is done")
        self.assertEqual(self.drained, 0)

    def test_a_peer_that_is_gone_is_left_to_twisted(self) -> None:
        self.peer.close()
        self.sender.write(b"x")
        self.assertIn(self.transport, self.reactor.writers, "which finds out in its next turn")
        self.assertIsInstance(self.transport.doWrite(), Exception)

    def test_finish_without_anything_waiting(self) -> None:
        self.sender.write(b"x")
        self.sender.finish()
        self.assertIsNone(self.transport.producer)

    def test_a_lost_connection_takes_writes_without_a_word(self) -> None:
        self.transport.disconnected = 1
        self.transport.connected = 0
        self.transport.socket.close()
        self.sender.write(b"x")


class QueuedSenderTests(SynchronousTestCase):
    """Everything to the transport."""

    def setUp(self) -> None:
        self.transport = StringTransport()
        self.drained = 0
        self.sender: Sender = sender_for(self.transport, self.note_drained, at_once)

    def note_drained(self) -> None:
        self.drained += 1

    def test_writes_go_through(self) -> None:
        self.assertIsInstance(self.sender, QueuedSender)
        self.sender.write(b"hello")
        self.assertEqual(self.transport.value(), b"hello")

    def test_full_and_drained_as_the_transport_says(self) -> None:
        self.assertFalse(self.sender.full)
        producer = self.transport.producer
        assert producer is not None
        producer.pauseProducing()
        self.assertTrue(self.sender.full)
        self.assertTrue(self.sender.waiting)
        self.assertEqual(self.drained, 0)
        producer.resumeProducing()
        self.assertFalse(self.sender.full or self.sender.waiting)
        self.assertEqual(self.drained, 1)

    def test_finish_lets_the_transport_close(self) -> None:
        self.sender.finish()
        self.assertIsNone(self.transport.producer)

    def test_tls_is_never_sent_around(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        transport = tcp.Connection(ours, Protocol(), HandReactor())
        directlyProvides(transport, providedBy(transport), ISSLTransport)
        secured: ITransport = transport
        self.assertIsInstance(sender_for(secured, self.note_drained, at_once), QueuedSender)
