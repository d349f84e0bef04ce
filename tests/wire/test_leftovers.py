"""What is left of a connection when it is over: nothing, not even for the cyclic collector.

Our own two sides talk to each other, over real sockets on a reactor of the test's own that is turned by hand: what
Twisted's transports keep is half of the question.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from attrs import evolve
from cryptography.x509 import DNSName
from OpenSSL import SSL
from twisted.internet import tcp
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.internet.selectreactor import SelectReactor
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.messages import Destination, RequestHead, Timeouts, TlsSettings
from gateway.wire.answer_parsing import AnswerParser
from gateway.wire.chunks import ChunkedBodies
from gateway.wire.connecting import Connector
from gateway.wire.downstream import DownstreamConnection
from gateway.wire.limits import DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.request_parsing import RequestParser
from gateway.wire.sending import EagerSender, QueuedSender
from gateway.wire.sweep import Sweep
from gateway.wire.tls import ContextCache
from gateway.wire.tls_endpoint import server_endpoint
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.attempts import RecordingReceiver
from tests.fakes.certificates import root

AUTHORITY = root()
SERVER = AUTHORITY.issue(DNSName("api.example.com"))

PATIENCE = 5.0
"""Seconds until a turn that never comes is a failure."""

OF_A_CONNECTION = (
    AnswerParser,
    ChunkedBodies,
    ClientFactory,
    DownstreamConnection,
    EagerSender,
    QueuedSender,
    RequestParser,
    SSL.Connection,
    TLSMemoryBIOProtocol,
    UpstreamConnection,
    tcp.Connection,
    tcp.Connector,
)


class Answering:
    """Answers by the path: /whole, /chunks, /silence."""

    def __init__(self, head: RequestHead, connection: DownstreamConnection) -> None:
        self._path = head.path
        self._connection = connection

    def body_received(self, data: bytes) -> None: ...

    def body_ended(self) -> None:
        if self._path == b"/whole":
            self._connection.respond(200, [], b"hello")
        elif self._path == b"/chunks":
            self._connection.begin(200, [], None)
            self._connection.write(b"hello")
            self._connection.flush()

    def client_left(self) -> None: ...

    def request_failed(self, error: GatewayError) -> None: ...

    def client_full(self) -> None: ...

    def client_drained(self) -> None: ...

    def break_down(self) -> None: ...


class AnsweringStarter:
    def exchange_started(self, head: RequestHead, connection: DownstreamConnection) -> Answering:
        return Answering(head, connection)

    def request_refused(self, error: GatewayError, connection: DownstreamConnection) -> None:
        connection.respond(error.status, [], error.message.encode())


class Home:
    """Keeps nothing."""

    def connection_usable(self, connection: UpstreamConnection) -> None: ...

    def connection_gone(self, connection: UpstreamConnection, reason: Failure | None) -> None: ...


class Talk:
    """One connection between our two sides."""

    def __init__(self, case: LeftoverTests, connection: UpstreamConnection) -> None:
        self._case = case
        self.provider_side = connection
        """The end that asks."""
        connection.home = Home()

    @property
    def client_side(self) -> DownstreamConnection:
        """The end that answers."""
        (connection,) = self._case.factory.connections
        return connection

    def asks(self, path: bytes, awaited: str = "") -> RecordingReceiver:
        """Ask, and wait until that has been heard, which one hears of an answer."""
        receiver = RecordingReceiver()
        request = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path
        self.provider_side.send(request, receiver, timeouts=Timeouts())
        self._case.turn_until(lambda: awaited in " ".join(receiver.events))
        return receiver


class LeftoverTests(SynchronousTestCase):
    tls = False

    def setUp(self) -> None:
        self.reactor = SelectReactor()
        self.addCleanup(self.close)
        self.sweep = Sweep(self.reactor, self.reactor.seconds)
        self.factory = DownstreamFactory(AnsweringStarter(), self.sweep, DownstreamLimits)
        self.connector = Connector(self.reactor, self.sweep, ContextCache().creator_for)
        self.port = self.successResultOf(server_endpoint(self.reactor, self.listener()).listen(self.factory))
        self.destination = Destination(
            owner="acme",
            provider="a",
            address="127.0.0.1",
            port=cast(tcp.Port, self.port).getHost().port,
            tls=self.settings(),
        )

    def close(self) -> None:
        self.port.stopListening()
        self.reactor.iterate(0)
        self.reactor.removeAll()
        for waker in self.reactor.getReaders():
            cast(IReadDescriptor, waker).connectionLost(Failure(connectionDone.value))

    def listener(self) -> str:
        if not self.tls:
            return "tcp:0:interface=127.0.0.1"
        folder = Path(self.enterContext(TemporaryDirectory()))
        certificate, key = SERVER.write(folder, "server")
        return f"tls:0:interface=127.0.0.1:certificate={certificate}:privateKey={key}"

    def settings(self) -> TlsSettings | None:
        if not self.tls:
            return None
        name = "api.example.com"
        return TlsSettings(name, (name,), ca_certificates=AUTHORITY.certificate_pem)

    def turn_until(self, is_so: Callable[[], bool]) -> None:
        late = self.reactor.seconds() + PATIENCE
        while not is_so():
            self.assertLess(self.reactor.seconds(), late)
            self.reactor.iterate(0.01)

    def connect(self) -> Talk:
        connecting = self.connector(self.destination, Timeouts())
        self.turn_until(lambda: connecting.called)
        connection = self.successResultOf(connecting)
        self.turn_until(lambda: bool(self.factory.connections))
        return Talk(self, connection)

    def counted(self) -> Counter[str]:
        return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, OF_A_CONNECTION))

    def assert_freed(self, end: Callable[[Talk], object]) -> None:
        """Nothing is left of a connection that ends so, as soon as both sides have noticed."""
        self.assert_nothing_stays(lambda: end(self.connect()))

    def assert_nothing_stays(self, happen: Callable[[], object]) -> None:
        def once() -> None:
            happen()
            self.turn_until(lambda: not self.factory.connections and set(self.reactor.getReaders()) == idle)
            for _ in range(3):
                self.reactor.iterate(0)  # what was put off to the end of a turn

        idle = set(self.reactor.getReaders())
        once()  # whatever is made once is made now
        gc.collect()
        gc.disable()
        try:
            before = self.counted()
            once()
            self.assertEqual(self.counted() - before, Counter())
        finally:
            gc.enable()

    def test_the_provider_side_closes_a_kept_connection(self) -> None:
        def end(talk: Talk) -> None:
            for _ in range(2):
                self.assertEqual(talk.asks(b"/whole", "end").body, b"hello")
            talk.provider_side.close()

        self.assert_freed(end)

    def test_the_client_side_closes_a_kept_connection(self) -> None:
        def end(talk: Talk) -> None:
            talk.asks(b"/whole", "end")
            talk.client_side.cut(GatewayError("draining", "The gateway is stopping."))

        self.assert_freed(end)

    def test_chunks_one_after_the_other(self) -> None:
        def end(talk: Talk) -> None:
            for _ in range(2):
                receiver = talk.asks(b"/chunks", "body")
                talk.client_side.end()
                self.turn_until(lambda: receiver.outcome == "ended")  # noqa: B023 - called at once
            talk.provider_side.close()

        self.assert_freed(end)

    def test_an_answer_that_is_cut(self) -> None:
        def end(talk: Talk) -> None:
            receiver = talk.asks(b"/chunks", "body")
            talk.client_side.break_off()
            self.turn_until(lambda: receiver.outcome == "provider_answer_cut")

        self.assert_freed(end)

    def test_the_provider_side_aborts(self) -> None:
        for path, awaited in ((b"/silence", ""), (b"/chunks", "body")):
            with self.subTest(path):

                def end(talk: Talk) -> None:
                    talk.asks(path, awaited)  # noqa: B023 - called at once
                    self.turn_until(lambda: talk.client_side._exchange is not None)
                    talk.provider_side.abort()

                self.assert_freed(end)

    def test_the_client_side_aborts(self) -> None:
        for path, awaited in ((b"/whole", "end"), (b"/chunks", "body")):
            with self.subTest(path):

                def end(talk: Talk) -> None:
                    talk.asks(path, awaited)  # noqa: B023 - called at once
                    talk.client_side.abort()

                self.assert_freed(end)

    def test_nothing_was_asked(self) -> None:
        self.assert_freed(lambda talk: talk.provider_side.abort())

    def test_a_refusal(self) -> None:
        self.assert_freed(lambda talk: talk.asks(b"nonsense", "end"))


class TlsLeftoverTests(LeftoverTests):
    tls = True

    def test_a_handshake_that_fails(self) -> None:
        settings = self.settings()
        assert settings is not None
        wrong = evolve(self.destination, tls=evolve(settings, names=("evil.example.com",)))

        def fail() -> None:
            connecting = self.connector(wrong, Timeouts())
            self.turn_until(lambda: connecting.called)
            self.failureResultOf(connecting, GatewayError)

        self.assert_nothing_stays(fail)

    def test_bytes_that_are_no_tls(self) -> None:
        def end(talk: Talk) -> None:
            receiver = talk.asks(b"/silence")
            talk.provider_side.transport.transport.write(b"nonsense")
            self.turn_until(lambda: receiver.outcome == "provider_reset")

        self.assert_freed(end)
