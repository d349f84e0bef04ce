"""The end of a connection, over a socket whose other end takes its time."""

from __future__ import annotations

import contextlib
import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.wire.closing import Closing
from gateway.wire.limits import LINGER_SECONDS, WRITE_STALL_SECONDS
from gateway.wire.sending import sender_for
from gateway.wire.sweep import Sweep
from tests.fakes.client import SocketTransport


class ClosingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.ours.setblocking(False)
        self.transport = SocketTransport(self.ours)
        self.clock = Clock()
        self.sweep = Sweep(self.clock, self.clock.seconds)
        self.sender = sender_for(self.transport, lambda: self.closing.drained(), self.sweep.soon)
        self.closing = Closing(self.transport, self.sender, self.sweep)
        self.sweep.watch(self.closing)
        self.sweep.start()

    def fill(self) -> None:
        """Leave the kernel with bytes that the peer has not taken."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.ours.send(b"x" * 4096)

    def waits(self, seconds: float) -> None:
        self.clock.pump([0.5] * round(seconds / 0.5))

    def test_at_once_where_nothing_waits(self) -> None:
        self.closing.begin(lingers=False)
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.half_closed)

    def test_half_where_the_client_may_still_be_sending(self) -> None:
        self.closing.begin(lingers=True)
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.waits(LINGER_SECONDS - 0.5)
        self.assertFalse(self.transport.aborted)
        self.waits(1)
        self.assertTrue(self.transport.aborted)

    def test_not_before_the_last_bytes_are_out(self) -> None:
        self.assertIsNotNone(producer := self.transport.producer)
        assert producer is not None
        producer.pauseProducing()
        self.closing.begin(lingers=True)
        self.waits(1000)
        self.assertFalse(self.transport.half_closed or self.transport.aborted)
        producer.resumeProducing()
        self.assertTrue(self.transport.half_closed)

    def test_a_client_that_still_takes_the_answer_gets_more_of_it(self) -> None:
        self.fill()
        self.closing.begin(lingers=True)
        for _ in range(3):
            self.waits(WRITE_STALL_SECONDS - 1)
            self.assertFalse(self.transport.aborted)
            self.theirs.recv(4096 * 4)
        self.waits(WRITE_STALL_SECONDS * 2 + 1)
        self.assertTrue(self.transport.aborted)

    def test_a_client_that_takes_nothing_is_cut_off(self) -> None:
        self.fill()
        self.closing.begin(lingers=True)
        self.waits(LINGER_SECONDS + WRITE_STALL_SECONDS + 1)
        self.assertTrue(self.transport.aborted)
