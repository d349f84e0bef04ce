from __future__ import annotations

import errno
from typing import NoReturn

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gateway.simulator.alone import simulate


class BusyReactor(MemoryReactorClock):
    """On a machine where every port is taken."""

    def listenTCP(self, port: int, *others: object, **options: object) -> NoReturn:  # noqa: N802
        raise CannotListenError("", port, OSError(errno.EADDRINUSE, "Address already in use"))


class SimulateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.bound: list[IAddress] = []

    def test_it_answers_on_the_endpoint_for_ever(self) -> None:
        running = simulate(self.reactor, "tcp:9000:interface=127.0.0.1", self.bound.append)
        self.assertNoResult(running)
        assert len(self.bound) == 1
        ((port, factory, _, interface),) = self.reactor.tcpServers
        assert (port, interface) == (9000, "127.0.0.1")

        client = factory.buildProtocol(self.bound[0])
        assert client is not None
        transport = StringTransport()
        client.makeConnection(transport)
        client.dataReceived(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b'"id":"simulator-1"' in transport.value()

    def test_its_connections_are_swept(self) -> None:
        simulate(self.reactor, "tcp:9000:interface=127.0.0.1", self.bound.append)
        assert len(self.reactor.getDelayedCalls()) == 1

    def test_a_port_that_is_taken_is_a_failure_and_nothing_else(self) -> None:
        reactor = BusyReactor()
        running = simulate(reactor, "tcp:9000", self.bound.append)
        self.failureResultOf(running, CannotListenError)
        assert self.bound == []
        assert reactor.getDelayedCalls() == []

    def test_an_endpoint_that_is_none_is_a_value_error(self) -> None:
        with pytest.raises(ValueError, match="nonsense"):
            simulate(self.reactor, "nonsense:9000", self.bound.append)
