from __future__ import annotations

from attrs import evolve
from cryptography.x509 import DNSName
from OpenSSL import SSL
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gateway.errors import GatewayError, Progress
from gateway.messages import Destination, Timeouts, TlsSettings
from gateway.wire.connecting import Connector, InProcess
from gateway.wire.counts import HandshakeResult
from gateway.wire.limits import NAME_SECONDS, NEXT_ADDRESS_SECONDS, SWEEP_SECONDS
from gateway.wire.sweep import Sweep
from gateway.wire.tls import client_creator
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.attempts import RecordingReceiver
from tests.fakes.certificates import ServerCreator, root
from tests.fakes.networks import Network
from tests.fakes.upstreams import PLAIN, RecordingHome

LITERAL = evolve(PLAIN, address="192.0.2.1")
SIMULATOR = Destination(owner="acme", provider="a", address="simulator", port=0, tls=None, in_process=True)
TIMEOUTS = Timeouts(connect=4.0, handshake=3.0)
AUTHORITY = root()
GOOD = AUTHORITY.issue(DNSName("api.example.com"))
WRONG_NAME = AUTHORITY.issue(DNSName("evil.example.com"))
SECURED = Destination(
    owner="acme",
    provider="a",
    address="192.0.2.1",
    port=443,
    tls=TlsSettings("api.example.com", ("api.example.com",), ca_certificates=AUTHORITY.certificate_pem),
)


class ConnectingTestCase(SynchronousTestCase):
    in_process: InProcess | None = None

    def setUp(self) -> None:
        self.network = Network()
        self.resolver = self.network.resolver
        self.sweep = Sweep(self.network, self.network.seconds)
        self.sweep.start()
        self.connector = Connector(self.network, self.sweep, client_creator, self.in_process)

    def connect(self, destination: Destination = LITERAL) -> Deferred[UpstreamConnection]:
        return self.connector(destination, TIMEOUTS)

    def advance(self, seconds: float) -> None:
        self.network.pump([SWEEP_SECONDS] * round(seconds / SWEEP_SECONDS))

    def assert_failed(self, connecting: Deferred[UpstreamConnection], code: str) -> GatewayError:
        error: GatewayError = self.failureResultOf(connecting, GatewayError).value
        self.assertEqual((error.code, error.progress), (code, Progress.NOT_SENT))
        return error


class TcpTests(ConnectingTestCase):
    def test_an_address_needs_no_look_up(self) -> None:
        for address in ("192.0.2.1", "2001:db8::1"):
            with self.subTest(address):
                connecting = self.connect(evolve(PLAIN, address=address))
                self.assertEqual((self.network.hosts[-1], self.network.approaches[-1].port), (address, 80))
                self.assertTrue(self.network.approaches[-1].succeeds().no_delay)
                connection = self.successResultOf(connecting)
                self.assertEqual((connection.destination.address, connection.reused), (address, False))
        self.assertEqual(self.resolver.questions, [])

    def test_a_name_is_looked_up(self) -> None:
        connecting = self.connect(PLAIN)
        self.assertEqual([name for name, _ in self.resolver.questions], ["api.example.com"])
        self.resolver.answers("192.0.2.7")
        self.network.approaches[0].succeeds()
        self.successResultOf(connecting)

    def test_a_name_that_does_not_resolve(self) -> None:
        connecting = self.connect(PLAIN)
        self.resolver.answers()
        self.assert_failed(connecting, "provider_name_lookup_failed")

    def test_a_refused_connection_is_reported_at_once(self) -> None:
        """Twisted's HostnameEndpoint would wait 300 ms."""
        connecting = self.connect()
        self.network.approaches[0].fails()
        error = self.assert_failed(connecting, "provider_connect_failed")
        self.assertIn("192.0.2.1", error.detail)
        self.assertNotIn("192.0.2.1", error.message)

    def test_the_next_address_is_tried_at_once_when_one_fails(self) -> None:
        connecting = self.connect(PLAIN)
        self.resolver.answers("2001:db8::1", "192.0.2.1")
        self.assertEqual(self.network.hosts, ["2001:db8::1"])
        self.network.approaches[0].fails()
        self.assertEqual(self.network.hosts, ["2001:db8::1", "192.0.2.1"])
        self.network.approaches[1].succeeds()
        self.successResultOf(connecting)

    def test_the_next_address_is_tried_beside_a_silent_one(self) -> None:
        connecting = self.connect(PLAIN)
        self.resolver.answers("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.advance(NEXT_ADDRESS_SECONDS)
        self.assertEqual(self.network.hosts, ["192.0.2.1", "192.0.2.2"])
        self.network.approaches[1].succeeds()
        self.successResultOf(connecting)
        self.assertTrue(self.network.approaches[0].stopped)
        self.advance(10)
        self.assertEqual(len(self.network.approaches), 2)

    def test_all_addresses_have_to_fail(self) -> None:
        connecting = self.connect(PLAIN)
        self.resolver.answers("192.0.2.1", "192.0.2.2")
        self.advance(NEXT_ADDRESS_SECONDS)
        self.network.approaches[0].fails()
        self.assertNoResult(connecting)
        self.network.approaches[1].fails()
        error = self.assert_failed(connecting, "provider_connect_failed")
        self.assertIn("192.0.2.1", error.detail)
        self.assertIn("192.0.2.2", error.detail)


class DeadlineTests(ConnectingTestCase):
    def test_a_silent_address(self) -> None:
        connecting = self.connect()
        self.assertEqual(self.network.approaches[0].timeout, 4.0)
        self.advance(3.75)
        self.assertNoResult(connecting)
        self.advance(0.25)
        self.assert_failed(connecting, "provider_connect_timeout")
        self.assertTrue(self.network.approaches[0].stopped)

    def test_twisted_may_notice_first(self) -> None:
        connecting = self.connect()
        self.network.approaches[0].fails(ConnectTimeout())
        self.assert_failed(connecting, "provider_connect_timeout")

    def test_look_up_and_connect_share_one_deadline(self) -> None:
        connecting = self.connect(PLAIN)
        self.advance(3)
        self.resolver.answers("192.0.2.1")
        self.assertEqual(self.network.approaches[0].timeout, 1.0)
        self.advance(1)
        self.assert_failed(connecting, "provider_connect_timeout")

    def test_a_hanging_resolver_obeys_the_same_deadline(self) -> None:
        connecting = self.connect(PLAIN)
        self.advance(4)
        error = self.assert_failed(connecting, "provider_connect_timeout")
        self.assertIn("looked up", error.detail)
        self.resolver.answers("192.0.2.1")
        self.assertEqual(self.network.approaches, [])

    def test_a_made_connection_has_no_deadline_left(self) -> None:
        connecting = self.connect()
        transport = self.network.approaches[0].succeeds()
        connection = self.successResultOf(connecting)
        connection.home = RecordingHome()
        self.advance(100)
        self.assertFalse(transport.disconnecting)


class LookUpTests(ConnectingTestCase):
    def test_a_name_that_hangs_is_asked_for_once(self) -> None:
        """Twisted's resolver has ten threads for all names."""
        hanging = [self.connect(PLAIN) for _ in range(25)]
        other = self.connect(evolve(PLAIN, address="other.example.com"))
        self.assertEqual(
            [name for name, _ in self.resolver.questions], ["api.example.com", "other.example.com"]
        )
        self.resolver.answers("192.0.2.2")
        self.network.approaches[0].succeeds()
        self.successResultOf(other)
        self.advance(4)
        for connecting in hanging:
            self.assert_failed(connecting, "provider_connect_timeout")
        self.advance(60)
        self.connect(PLAIN).addErrback(lambda _: None)
        self.assertEqual(len(self.resolver.questions), 2)

    def test_an_answer_serves_all_who_ask_within_a_moment(self) -> None:
        self.connect(PLAIN).addErrback(lambda _: None)
        self.resolver.answers("192.0.2.1")
        self.advance(NAME_SECONDS - SWEEP_SECONDS)
        self.connect(PLAIN).addErrback(lambda _: None)
        self.assertEqual(len(self.resolver.questions), 1)
        self.assertEqual(self.network.hosts, ["192.0.2.1", "192.0.2.1"])
        self.advance(SWEEP_SECONDS)
        self.connect(PLAIN).addErrback(lambda _: None)
        self.assertEqual(len(self.resolver.questions), 2)

    def test_no_answer_is_not_kept(self) -> None:
        first = self.connect(PLAIN)
        self.resolver.answers()
        self.assert_failed(first, "provider_name_lookup_failed")
        second = self.connect(PLAIN)
        self.resolver.answers("192.0.2.1")
        self.network.approaches[0].succeeds()
        self.successResultOf(second)


class CancelTests(ConnectingTestCase):
    def cancel(self, connecting: Deferred[UpstreamConnection]) -> None:
        connecting.addErrback(lambda _: None)
        connecting.cancel()

    def test_while_the_name_is_looked_up(self) -> None:
        self.cancel(self.connect(PLAIN))
        self.resolver.answers("192.0.2.1")
        self.assertEqual(self.network.approaches, [])

    def test_while_connecting(self) -> None:
        self.cancel(self.connect())
        self.assertTrue(self.network.approaches[0].stopped)

    def test_while_handshaking_aborts(self) -> None:
        connecting = self.connect(SECURED)
        transport = self.network.approaches[0].succeeds()
        self.cancel(connecting)
        self.assertTrue(transport.disconnected)

    def test_nothing_is_tried_any_more(self) -> None:
        connecting = self.connect(PLAIN)
        self.resolver.answers("192.0.2.1", "192.0.2.2")
        self.cancel(connecting)
        self.advance(10)
        self.assertEqual(self.network.hosts, ["192.0.2.1"])


class Server(Protocol):
    """A provider within TLS."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


@implementer(IOpenSSLClientConnectionCreator)
class OfferingHttp2:
    """What no creator of ours does."""

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_alpn_protos([b"h2"])
        return SSL.Connection(context)


class TlsTests(ConnectingTestCase):
    def handshake(self, context: SSL.Context) -> tuple[Deferred[UpstreamConnection], Server, IOPump]:
        """Connect to a server with this context, as far as it goes."""
        server = Server()
        factory = TLSMemoryBIOFactory(
            ServerCreator(context), False, Factory.forProtocol(lambda: server), self.network
        )
        connecting = self.connect(SECURED)
        near, far = self.network.approaches[-1].builds(), factory.buildProtocol(None)
        pump = connect(
            far, FakeTransport(far, True), near, FakeTransport(near, False), greet=False, clock=self.network
        )
        pump.flush()
        return connecting, server, pump

    def test_nothing_is_ready_before_the_handshake(self) -> None:
        connecting = self.connect(SECURED)
        self.assertTrue(self.network.approaches[0].succeeds().no_delay)
        self.assertNoResult(connecting)

    def test_a_connection_is_ready_after_the_handshake(self) -> None:
        connecting, server, pump = self.handshake(GOOD.server_context())
        receiver = RecordingReceiver()
        connection = self.successResultOf(connecting)
        connection.home = RecordingHome()
        connection.send(b"request", receiver, timeouts=Timeouts())
        pump.flush()
        self.assertEqual(server.received, b"request")
        assert server.transport is not None
        server.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        pump.flush()
        self.assertEqual((receiver.outcome, receiver.body), ("ended", b"hi"))
        self.assert_counted(HandshakeResult.OK)

    def assert_counted(self, result: HandshakeResult) -> None:
        """There was one handshake, and it ended so."""
        counted = {each: number for each, number in self.connector.handshakes.items() if number}
        self.assertEqual(counted, {result: 1})

    def test_a_refused_certificate_is_explained_and_nothing_is_sent(self) -> None:
        connecting, server, _ = self.handshake(WRONG_NAME.server_context())
        error = self.assert_failed(connecting, "provider_tls_failed")
        self.assertIn("api.example.com", error.message)
        self.assertIn("another name", error.message)
        self.assertNotIn("evil.example.com", error.message)
        self.assertIn("evil.example.com", error.detail)
        self.assertEqual(server.received, b"")
        self.assert_counted(HandshakeResult.REFUSED)

    def test_one_address_shakes_hands_and_the_others_are_left_alone(self) -> None:
        assert SECURED.tls is not None
        self.connect(evolve(PLAIN, tls=SECURED.tls)).addErrback(lambda _: None)
        self.resolver.answers("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.advance(NEXT_ADDRESS_SECONDS)
        self.network.approaches[1].succeeds()
        self.assertTrue(self.network.approaches[0].stopped)
        self.advance(1)
        self.assertEqual(self.network.hosts, ["192.0.2.1", "192.0.2.2"])

    def test_a_provider_that_never_shakes_hands(self) -> None:
        connecting = self.connect(SECURED)
        self.advance(3.5)
        transport = self.network.approaches[0].succeeds()
        self.advance(2.75)
        self.assertNoResult(connecting)
        self.advance(0.25)
        self.assert_failed(connecting, "provider_tls_timeout")
        self.assertTrue(transport.disconnected)
        self.assert_counted(HandshakeResult.TIMEOUT)

    def test_a_provider_that_hangs_up(self) -> None:
        connecting, *_ = self.handshake(SSL.Context(SSL.TLS_SERVER_METHOD))
        self.assert_failed(connecting, "provider_tls_failed")

    def test_a_provider_that_speaks_no_tls(self) -> None:
        connecting = self.connect(SECURED)
        near = self.network.approaches[0].builds()
        near.makeConnection(FakeTransport(near, False))
        near.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        near.connectionLost()
        error = self.assert_failed(connecting, "provider_tls_failed")
        self.assertIn("port", error.detail)
        self.assert_counted(HandshakeResult.FAILED)

    def test_another_protocol_by_alpn(self) -> None:
        """Ours offer http/1.1 alone; were another agreed on, nothing may be sent."""
        self.connector = Connector(self.network, self.sweep, lambda settings: OfferingHttp2())
        context = GOOD.server_context()
        context.set_alpn_select_callback(lambda connection, offered: b"h2")
        connecting, server, _ = self.handshake(context)
        error = self.assert_failed(connecting, "provider_tls_failed")
        self.assertIn("h2", error.detail)
        self.assertEqual(server.received, b"")
        self.assert_counted(HandshakeResult.FAILED)

    def test_settings_that_cannot_be_used(self) -> None:
        assert SECURED.tls is not None
        bad = evolve(SECURED, tls=evolve(SECURED.tls, ca_certificates=b"no certificate"))
        error = self.assert_failed(self.connect(bad), "provider_tls_failed")
        self.assertIn("caCertificates", error.detail)
        self.assertEqual(self.network.approaches, [])

    def until_close(self) -> tuple[RecordingReceiver, Server, IOPump]:
        """A body without framing has begun."""
        connecting, server, pump = self.handshake(GOOD.server_context())
        receiver = RecordingReceiver()
        connection = self.successResultOf(connecting)
        connection.home = RecordingHome()
        connection.send(b"request", receiver, timeouts=Timeouts())
        assert server.transport is not None
        server.transport.write(b"HTTP/1.1 200 OK\r\n\r\nhi")
        pump.flush()
        self.assertEqual((receiver.outcome, receiver.body), ("", b"hi"))
        return receiver, server, pump

    def test_a_close_notify_ends_a_body_without_framing(self) -> None:
        receiver, server, pump = self.until_close()
        assert server.transport is not None
        server.transport.loseConnection()
        pump.flush()
        self.assertEqual(receiver.outcome, "ended")

    def test_a_close_without_close_notify_cuts_a_body_without_framing(self) -> None:
        receiver, _, pump = self.until_close()
        pump.clientIO.reportDisconnect()
        self.assertEqual(receiver.outcome, "provider_answer_cut")


class InProcessTests(ConnectingTestCase):
    def in_process(self, destination: Destination, factory: IProtocolFactory) -> None:
        self.assertEqual(destination, SIMULATOR)
        protocol = factory.buildProtocol(UNIXAddress(b""))
        assert protocol is not None
        protocol.makeConnection(StringTransport())

    def test_a_part_of_this_process(self) -> None:
        self.successResultOf(self.connect(SIMULATOR))
        self.assertEqual((self.network.approaches, self.resolver.questions), ([], []))

    def test_none_was_given(self) -> None:
        connector = Connector(self.network, self.sweep, client_creator)
        self.assert_failed(connector(SIMULATOR, TIMEOUTS), "provider_connect_failed")

    def test_no_sockets_are_left(self) -> None:
        def fail(destination: Destination, factory: IProtocolFactory) -> None:
            raise OSError("Too many open files")

        connector = Connector(self.network, self.sweep, client_creator, fail)
        self.assert_failed(connector(SIMULATOR, TIMEOUTS), "provider_connect_failed")
