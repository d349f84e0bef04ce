"""The same connection behind TLS, as Twisted's `ssl:` endpoint makes it, in memory."""

from __future__ import annotations

from typing import cast

import trustme
from OpenSSL import SSL
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from gateway.wire.limits import HANDSHAKE_SECONDS, LINGER_SECONDS, SWEEP_SECONDS, DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.sending import QueuedSender
from gateway.wire.sweep import Sweep
from tests.fakes.certificates import ServerCreator
from tests.fakes.serving import RecordingStarter, answer_echo

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


class Browser(Protocol):
    """The client's end above its TLS."""

    def __init__(self) -> None:
        self.got = b""

    def sends(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def leaves(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self.got += data


class TlsTests(SynchronousTestCase):
    def connect(
        self, starter: RecordingStarter, offers: list[bytes] | None = None, *, drains: bool = False
    ) -> None:
        """Connect one client to a listener on TLS.

        :param drains: the gateway begins to stop before the handshake is complete.
        """
        self.clock = Clock()
        self.sweep = Sweep(self.clock, self.clock.seconds)
        self.sweep.start()
        self.factory = DownstreamFactory(starter, self.sweep, DownstreamLimits)
        options = CertificateOptions()
        trustme.CA().issue_cert("h").configure_cert(options.getContext())
        listening = TLSMemoryBIOFactory(options, False, self.factory, self.clock)
        calling = TLSMemoryBIOFactory(
            CertificateOptions(acceptableProtocols=offers), True, Factory.forProtocol(Browser), self.clock
        )
        nobody: IAddress | None = None
        server, client = listening.buildProtocol(nobody), calling.buildProtocol(nobody)
        assert server is not None
        assert client is not None
        self.server_side = FakeTransport(server, isServer=True)
        self.client_side = FakeTransport(client, isServer=False)
        self.pump: IOPump = connect(
            server, self.server_side, client, self.client_side, greet=False, clock=self.clock
        )
        if drains:
            self.factory.drain()
        self.pump.flush()
        self.client = client
        self.browser = cast(Browser, client.wrappedProtocol)
        (self.connection,) = self.factory.connections

    def test_requests_are_answered(self) -> None:
        self.connect(RecordingStarter(answer_echo))
        self.assertIsInstance(self.connection._sender, QueuedSender)
        for count in (1, 2):
            self.browser.sends(GET)
            self.pump.flush()
            self.assertEqual(self.browser.got.count(b"HTTP/1.1 200 OK"), count)

    def test_a_client_that_offers_protocols_is_served(self) -> None:
        """Twisted's listeners end the handshake of whoever asks by ALPN and is offered nothing: curl, for one."""
        self.connect(RecordingStarter(answer_echo), [b"h2", b"http/1.1"])
        self.browser.sends(GET)
        self.pump.flush()
        self.assertIn(b"HTTP/1.1 200 OK", self.browser.got)

    def test_a_client_that_leaves_is_noticed(self) -> None:
        starter = RecordingStarter()
        self.connect(starter)
        self.browser.sends(GET)
        self.pump.flush()
        self.browser.leaves()
        self.pump.flush()
        self.assertEqual(starter.last.events, ["ended", "left"])
        self.assertEqual(self.factory.connections, set())

    def test_a_closing_answer_arrives_and_the_connection_ends(self) -> None:
        self.connect(RecordingStarter(answer_echo))
        self.browser.sends(GET.replace(b"1.1", b"1.0"))
        self.pump.flush()
        self.assertTrue(self.browser.got.endswith(b"GET /a "))
        self.assertEqual(self.factory.connections, set())

    def test_a_client_that_ignores_the_close_is_aborted(self) -> None:
        """`loseConnection` on TLS waits for the peer's close_notify, for ever."""
        self.connect(RecordingStarter(answer_echo))
        self.browser.sends(GET.replace(b"1.1", b"1.0"))
        self.pump.pump()  # the request arrives; from here the client is silent
        self.assertFalse(self.server_side.disconnecting)
        self.clock.pump([SWEEP_SECONDS] * round((LINGER_SECONDS + 1) / SWEEP_SECONDS))
        self.assertTrue(self.server_side.disconnecting)

    def silent(self) -> FakeTransport:
        """One more client, which connects and says nothing."""
        silent = TLSMemoryBIOFactory(
            ServerCreator(SSL.Context(SSL.TLS_SERVER_METHOD)), False, self.factory, self.clock
        ).buildProtocol(None)
        assert silent is not None
        transport = FakeTransport(silent, isServer=True)
        silent.makeConnection(transport)
        return transport

    def waits(self, seconds: float) -> None:
        self.clock.pump([SWEEP_SECONDS] * round(seconds / SWEEP_SECONDS))

    def test_a_handshake_that_never_comes(self) -> None:
        self.connect(RecordingStarter())
        transport = self.silent()
        self.waits(HANDSHAKE_SECONDS - 1)
        self.assertFalse(transport.disconnecting)
        self.waits(2)
        self.assertTrue(transport.disconnecting)

    def test_one_too_many_has_less_time_for_it(self) -> None:
        self.connect(RecordingStarter())
        self.factory.limits = lambda: DownstreamLimits(connections=1)
        transport = self.silent()
        self.waits(LINGER_SECONDS + 1)
        self.assertTrue(transport.disconnecting)

    def test_a_complete_handshake_begins_an_idle_connection(self) -> None:
        self.connect(RecordingStarter(answer_echo))
        self.waits(HANDSHAKE_SECONDS + 1)
        self.browser.sends(GET)
        self.pump.flush()
        self.assertIn(b"HTTP/1.1 200 OK", self.browser.got)

    def test_who_is_shaking_hands_while_the_gateway_drains_is_served(self) -> None:
        self.connect(RecordingStarter(answer_echo), drains=True)
        self.browser.sends(GET)
        self.pump.flush()
        self.assertIn(b"HTTP/1.1 200 OK", self.browser.got)
        self.assertIn(b"connection: close", self.browser.got)
