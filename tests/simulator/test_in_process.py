from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReadDescriptor
from twisted.internet.protocol import connectionDone
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.messages import Destination, ResponseHead, Timeouts, TlsSettings
from gateway.simulator.in_process import in_process_connector
from gateway.simulator.server import simulator_factory
from gateway.wire.connecting import Connector
from gateway.wire.pools import Pools
from gateway.wire.sweep import Sweep
from gateway.wire.upstream import UpstreamConnection

SIMULATOR = Destination(owner="default", provider="a", address="simulator", port=0, tls=None, in_process=True)
REQUEST = b"GET /v1/models HTTP/1.1\r\nHost: simulator\r\n\r\n"


class Asker:
    """Asks one thing and keeps the answer."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.connection: UpstreamConnection | None = None
        self.status = 0
        self.body = b""
        self.ended = False
        self.error: GatewayError | None = None

    def connection_ready(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        connection.send(self.request, self, timeouts=Timeouts())

    def connection_failed(self, error: GatewayError) -> None:
        self.error = error

    def answer_read(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        if head is not None:
            self.status = head.status
        self.body += body
        self.ended = ended

    def answer_failed(self, error: GatewayError) -> None:
        self.error = error

    def break_down(self) -> None: ...

    def upstream_full(self) -> None: ...

    def upstream_drained(self) -> None: ...


def no_tls(settings: TlsSettings) -> IOpenSSLClientConnectionCreator:
    raise AssertionError("the simulator in process speaks no TLS")


class InProcessTests(SynchronousTestCase):
    """From the gateway's end to the simulator and back, over real sockets without a port.

    The reactor is the test's own and turned by hand: that it adopts the sockets is what matters.
    """

    def setUp(self) -> None:
        self.reactor = SelectReactor()
        self.addCleanup(self.close)
        self.sweep = Sweep(self.reactor, self.reactor.seconds)
        self.simulator = simulator_factory(self.reactor, self.sweep)
        connector = Connector(
            self.reactor, self.sweep, no_tls, in_process_connector(self.reactor, self.simulator)
        )
        self.pools = Pools(connector, self.sweep)

    def close(self) -> None:
        self.pools.close()
        self.turn()
        self.reactor.removeAll()
        for waker in self.reactor.getReaders():
            cast(IReadDescriptor, waker).connectionLost(Failure(connectionDone.value))

    def turn(self) -> None:
        for _ in range(10):
            self.reactor.iterate(0)

    def ask(self, request: bytes) -> Asker:
        asker = Asker(request)
        self.pools.acquire(SIMULATOR, asker, Timeouts())
        self.turn()
        return asker

    def test_the_simulator_answers_again_and_again(self) -> None:
        for _ in range(2):
            asker = self.ask(REQUEST)
            assert (asker.status, asker.ended) == (200, True)
            assert b'"id":"simulator-1"' in asker.body
        assert len(self.simulator.connections) == 1

    def test_a_close_and_a_reset_reach_the_gateway(self) -> None:
        for directive in (b"close", b"reset"):
            asker = self.ask(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Simulate: %b\r\n\r\n" % directive))
            assert asker.error is not None
            assert asker.error.code == "provider_reset"

    def test_leaving_reaches_the_simulator(self) -> None:
        asker = self.ask(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Simulate: delay=60m\r\n\r\n"))
        assert len(self.reactor.getDelayedCalls()) == 1
        assert asker.connection is not None
        asker.connection.abort()
        self.turn()
        assert self.simulator.connections == set()
        assert self.reactor.getDelayedCalls() == []
