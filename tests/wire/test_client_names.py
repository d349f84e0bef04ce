"""Who a client's certificate says that it is."""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gateway.wire.client_names import certificate_names
from gateway.wire.downstream import DownstreamConnection
from gateway.wire.limits import DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.sweep import Sweep
from tests.fakes.certificates import Identity, ServerCreator, root
from tests.fakes.client import Client, ClientTransport
from tests.fakes.serving import RecordingStarter, answer_echo

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@implementer(IOpenSSLClientConnectionCreator)
class _Caller:
    """A client's side of TLS, with a certificate to show or without."""

    def __init__(self, identity: Identity | None) -> None:
        self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if identity is not None:
            self._context.use_certificate(identity.certificate)
            self._context.use_privatekey(identity.key)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        return SSL.Connection(self._context)


class CertificateTests(SynchronousTestCase):
    """A listener that asks for certificates of one authority, and takes clients without one."""

    def setUp(self) -> None:
        self.authority = root()

    def connect(self, identity: Identity | None, *, asks: bool = True) -> DownstreamConnection:
        """The connection after the handshake and one request."""
        clock = Clock()
        sweep = Sweep(clock, clock.seconds)
        sweep.start()
        starter = RecordingStarter(answer_echo)
        factory = DownstreamFactory(starter, sweep, DownstreamLimits)
        context = self.authority.issue(x509.DNSName("h")).server_context()
        if asks:
            context.set_verify(SSL.VERIFY_PEER, lambda connection, certificate, code, depth, ok: bool(ok))
            store = context.get_cert_store()
            assert store is not None
            store.add_cert(X509.from_cryptography(self.authority.certificate))
        nobody: IAddress | None = None
        listening = TLSMemoryBIOFactory(ServerCreator(context), False, factory, clock)
        calling = TLSMemoryBIOFactory(_Caller(identity), True, Factory.forProtocol(Protocol), clock)
        server, client = listening.buildProtocol(nobody), calling.buildProtocol(nobody)
        assert server is not None
        assert client is not None
        connection = server.wrappedProtocol
        assert isinstance(connection, DownstreamConnection)
        pump = connect(
            server,
            FakeTransport(server, isServer=True),
            client,
            FakeTransport(client, isServer=False),
            greet=True,
            clock=clock,
        )
        pump.flush()
        client.write(GET)
        pump.flush()
        self.served = len(starter.exchanges)
        return connection

    def test_every_kind_of_name_in_its_order(self) -> None:
        names = (
            x509.UniformResourceIdentifier("spiffe://corp/Batch"),
            x509.DNSName("Batch.Corp"),
            x509.RFC822Name("First.Last@Corp.Example"),
            x509.IPAddress(ip_address("10.0.0.1")),
            x509.IPAddress(ip_address("2001:db8::1")),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        )
        connection = self.connect(self.authority.issue(*names, for_clients=True))
        self.assertEqual(
            connection.certificate_names,
            ("spiffe://corp/Batch", "batch.corp", "First.Last@corp.example", "10.0.0.1", "2001:db8::1"),
        )
        self.assertIs(connection.certificate_names, connection.certificate_names)

    def test_a_name_of_one_kind_does_not_pass_for_another(self) -> None:
        names = (
            x509.DNSName("spiffe://corp/batch"),
            x509.DNSName("a@corp.example"),
            x509.DNSName("10.0.0.1"),
            x509.RFC822Name("spiffe://corp/batch@x"),
            x509.RFC822Name("corp.example"),
            x509.UniformResourceIdentifier("batch.corp"),
            x509.UniformResourceIdentifier("fe80::1"),
        )
        self.assertEqual(self.connect(self.authority.issue(*names)).certificate_names, ())

    def test_a_common_name_is_no_name(self) -> None:
        self.assertEqual(self.connect(self.authority.issue(common_name="batch.corp")).certificate_names, ())

    def test_a_client_without_a_certificate(self) -> None:
        self.assertEqual(self.connect(None).certificate_names, ())
        self.assertEqual(self.served, 1)

    def test_a_certificate_that_nobody_asked_for(self) -> None:
        connection = self.connect(self.authority.issue(x509.DNSName("batch.corp")), asks=False)
        self.assertEqual(connection.certificate_names, ())
        self.assertEqual(self.served, 1)

    def test_the_certificate_of_another_authority_gets_nowhere(self) -> None:
        connection = self.connect(root("another").issue(x509.DNSName("batch.corp")))
        self.assertEqual(self.served, 0)
        self.assertEqual(connection.certificate_names, ())


class AddressTests(SynchronousTestCase):
    def address(self, peer: IAddress) -> tuple[str, str]:
        connection = Client(RecordingStarter(), transport=ClientTransport(peer)).connection
        self.assertEqual(connection.certificate_names, ())
        return connection.address, connection.peer

    def test_without_its_port(self) -> None:
        self.assertEqual(self.address(IPv4Address("TCP", "10.1.2.3", 5)), ("10.1.2.3", "10.1.2.3:5"))
        self.assertEqual(
            self.address(IPv6Address("TCP", "2001:db8::1", 5)), ("2001:db8::1", "[2001:db8::1]:5")
        )

    def test_a_unix_socket_has_none(self) -> None:
        self.assertEqual(self.address(UNIXAddress(None)), ("", "unix"))

    def test_no_transport_no_names(self) -> None:
        self.assertEqual(certificate_names(None), ())
