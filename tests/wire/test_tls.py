"""Connections that believe nobody by accident: conversations in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve, frozen
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gateway.messages import Secret, TlsSettings
from gateway.wire.certificates import CertificateRefused, PeerNames
from gateway.wire.contexts import make_context
from gateway.wire.tls import (
    CheckedConnection,
    CheckingCreator,
    ContextCache,
    client_certificate_refused,
    client_creator,
    handshake_failure_sentence,
)
from tests.fakes.certificates import DAY, ServerCreator, root, self_signed

AUTHORITY = root("authority")
INTERMEDIATE = AUTHORITY.issue(common_name="intermediate", authority=True)
PROVIDER = AUTHORITY.issue(x509.DNSName("provider.example"))
GATEWAY = INTERMEDIATE.issue(common_name="gateway", for_clients=True, sent_with=[INTERMEDIATE.certificate])

SETTINGS = TlsSettings(
    server_name="provider.example",
    names=("provider.example",),
    ca_certificates=AUTHORITY.certificate_pem,
)
UNUSED = TLSMemoryBIOProtocol(None, Protocol())
"""A connection is the same for every protocol."""

MUTUAL = evolve(SETTINGS, client_certificate=GATEWAY.chain_pem, private_key=Secret(GATEWAY.key_pem))


@implementer(IHandshakeListener)
class Side(Protocol):
    """One side's account of a connection."""

    def __init__(self) -> None:
        self.received = b""
        self.completed = False
        self.lost: Failure | None = None

    def handshakeCompleted(self) -> None:
        self.completed = True

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Client(Side):
    """Sends a request when the handshake is complete."""

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        assert self.transport is not None
        self.transport.write(b"request")


class Hasty(Client):
    """Sends before it as well, as nobody should."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"early request")


@frozen
class Conversation:
    """What both sides know after all was said."""

    client: Client
    server: Side
    client_connection: SSL.Connection
    server_connection: SSL.Connection
    carry_on: Callable[[], None]

    @property
    def failure(self) -> Failure:
        """With which the client's connection ended."""
        assert self.client.lost is not None
        return self.client.lost

    @property
    def refusal(self) -> str:
        """The clause with which the client refused."""
        refused = self.failure.value
        assert isinstance(refused, CertificateRefused), repr(refused)
        return refused.clause


def converse(
    creator: IOpenSSLClientConnectionCreator, server_context: SSL.Context, client: Client | None = None
) -> Conversation:
    """Let a client with this creator talk to a server with this context, until nobody has more to say."""
    clock = Clock()
    client = client or Client()
    server = Side()
    near = TLSMemoryBIOFactory(creator, True, Factory.forProtocol(lambda: client), clock).buildProtocol(None)
    far = TLSMemoryBIOFactory(
        ServerCreator(server_context), False, Factory.forProtocol(lambda: server), clock
    ).buildProtocol(None)
    pump = connect(far, FakeTransport(far, True), near, FakeTransport(near, False), greet=False)
    connections = near.getHandle(), far.getHandle()

    def carry_on() -> None:
        pump.flush()
        clock.advance(0)
        pump.flush()

    carry_on()
    return Conversation(client, server, *connections, carry_on)


def asking_for_a_certificate(version: int) -> SSL.Context:
    """A server that speaks this version of TLS and wants a certificate of AUTHORITY's."""
    context = PROVIDER.server_context()
    context.set_max_proto_version(version)
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(X509.from_cryptography(AUTHORITY.certificate))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *asked: bool(asked[-1]))
    return context


class HandshakeTests(SynchronousTestCase):
    """Who is believed, and what the other side learns."""

    def test_good(self) -> None:
        context = PROVIDER.server_context()
        context.set_alpn_select_callback(lambda connection, offered: offered[0])
        talk = converse(client_creator(SETTINGS), context)
        assert talk.server.received == b"request"
        assert talk.server_connection.get_servername() == b"provider.example"
        assert talk.server_connection.get_alpn_proto_negotiated() == b"http/1.1"

    def test_no_server_name(self) -> None:
        talk = converse(client_creator(evolve(SETTINGS, server_name=None)), PROVIDER.server_context())
        assert talk.server.received == b"request"
        assert talk.server_connection.get_servername() is None

    def test_server_name_is_not_what_is_checked(self) -> None:
        talk = converse(
            client_creator(evolve(SETTINGS, server_name="front.example")), PROVIDER.server_context()
        )
        assert talk.server.received == b"request"
        assert talk.server_connection.get_servername() == b"front.example"

    def test_refused(self) -> None:
        talk = converse(client_creator(evolve(SETTINGS, names=("other.example",))), PROVIDER.server_context())
        assert talk.refusal == "its certificate is for another name"
        assert not talk.client.completed
        assert talk.server.received == b""
        assert talk.server.lost is not None
        assert "alert" in str(talk.server.lost.value), "the server is told"

    def test_written_too_early(self) -> None:
        """Bytes that wait for a handshake die with it."""
        talk = converse(
            client_creator(evolve(SETTINGS, names=("other.example",))), PROVIDER.server_context(), Hasty()
        )
        assert talk.refusal == "its certificate is for another name"
        assert talk.server.received == b""

    def test_never_asked(self) -> None:
        """OpenSSL completes a handshake without asking us: that is no approval."""
        careless = make_context(evolve(SETTINGS, verify=False), lambda *asked: True)
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            for client in (Client(), Hasty()):
                server = PROVIDER.server_context()
                server.set_max_proto_version(version)
                talk = converse(CheckingCreator(SETTINGS, careless), server, client)
                assert talk.refusal == "its certificate was not checked"
                assert not talk.client.completed
                assert talk.server.received == b""

    def test_broken_check(self) -> None:
        """A fault of our own is a refusal."""

        class Broken(PeerNames):
            def verify(self, certificate: x509.Certificate) -> None:
                raise RuntimeError("broken")

        @implementer(IOpenSSLClientConnectionCreator)
        class Creator:
            def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
                like = client_creator(SETTINGS).clientConnectionForTLS(UNUSED)
                return CheckedConnection(like.get_context(), Broken(SETTINGS.names))

        talk = converse(Creator(), PROVIDER.server_context())
        assert talk.refusal == "its certificate could not be checked"
        assert "RuntimeError: broken" in handshake_failure_sentence(talk.failure, ())[1]
        assert talk.server.received == b""

    def test_refused_after_approval(self) -> None:
        """OpenSSL looks at nameConstraints after it has asked us about the certificate itself."""
        limited = AUTHORITY.issue(
            common_name="limited", authority=True, may_certify=[x509.DNSName("elsewhere.example")]
        )
        provider = limited.issue(x509.DNSName("provider.example"), sent_with=[limited.certificate])
        talk = converse(client_creator(SETTINGS), provider.server_context())
        assert talk.refusal == "its certificate has a name that its authority may not certify"
        assert talk.server.received == b""

    def test_chain(self) -> None:
        """What is wrong with an issuer's certificate is said to be wrong there."""
        expired = AUTHORITY.issue(common_name="old", authority=True, since=-3 * DAY, until=-DAY)
        provider = expired.issue(x509.DNSName("provider.example"), sent_with=[expired.certificate])
        talk = converse(client_creator(SETTINGS), provider.server_context())
        day = expired.certificate.not_valid_after_utc.date()
        assert talk.refusal == f"a certificate in its chain expired on {day}"

    def test_same_issuer_other_key(self) -> None:
        impostor = root("authority").issue(x509.DNSName("provider.example"))
        talk = converse(client_creator(SETTINGS), impostor.server_context())
        assert talk.refusal == "its certificate has a false signature"

    def test_pinned(self) -> None:
        """A self-signed certificate is believed where it is named itself, and still needs the name."""
        alone = self_signed(x509.DNSName("provider.example"))
        pinned = evolve(SETTINGS, ca_certificates=alone.certificate_pem)
        assert converse(client_creator(pinned), alone.server_context()).server.received == b"request"
        other = evolve(pinned, names=("other.example",))
        assert (
            converse(client_creator(other), alone.server_context()).refusal
            == "its certificate is for another name"
        )

    def test_unverified(self) -> None:
        """`insecureSkipVerify` believes anyone, without any name."""
        anyone = evolve(SETTINGS, names=(), ca_certificates=None, verify=False)
        talk = converse(client_creator(anyone), self_signed().server_context())
        assert talk.server.received == b"request"

    def test_other_protocol_by_alpn(self) -> None:
        context = PROVIDER.server_context()
        context.set_alpn_select_callback(lambda connection, offered: b"h2")
        talk = converse(client_creator(SETTINGS), context)
        assert not talk.client.completed
        assert talk.server.received == b""

    def test_version(self) -> None:
        context = PROVIDER.server_context()
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        talk = converse(client_creator(evolve(SETTINGS, min_version="1.3")), context)
        assert (
            handshake_failure_sentence(talk.failure, SETTINGS.names)[0]
            == "TLS with provider.example failed: the provider has no TLS version that the gateway takes."
        )

    def test_no_sessions(self) -> None:
        """A resumed session's certificate would not be looked at again."""
        context = client_creator(SETTINGS).clientConnectionForTLS(UNUSED).get_context()
        assert context.get_session_cache_mode() == SSL.SESS_CACHE_OFF

    def test_no_renegotiation(self) -> None:
        context = PROVIDER.server_context()
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        talk = converse(client_creator(SETTINGS), context)
        assert talk.server_connection.renegotiate()
        assert talk.server.transport is not None
        talk.server.transport.write(b"answer")
        talk.carry_on()
        assert talk.client_connection.total_renegotiations() == 0
        assert talk.server.lost is not None
        assert "no renegotiation" in str(talk.server.lost.value)


class ClientCertificateTests(SynchronousTestCase):
    """Mutual TLS: what we show, and how a provider says that it wants something else."""

    def test_shown_with_its_chain(self) -> None:
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            talk = converse(client_creator(MUTUAL), asking_for_a_certificate(version))
            assert talk.server.received == b"request"
            shown = talk.server_connection.get_peer_certificate()
            assert shown is not None
            assert shown.to_cryptography() == GATEWAY.certificate

    def test_wanted(self) -> None:
        """In TLS 1.3 the provider says so after our side of the handshake, and reads nothing."""
        talk = converse(client_creator(SETTINGS), asking_for_a_certificate(SSL.TLS1_3_VERSION))
        assert talk.client.completed
        assert client_certificate_refused(talk.failure)
        assert (
            handshake_failure_sentence(talk.failure, SETTINGS.names)[0]
            == "TLS with provider.example failed: the provider wants a client certificate."
        )
        assert talk.server.received == b""

    def test_wanted_in_1_2(self) -> None:
        talk = converse(client_creator(SETTINGS), asking_for_a_certificate(SSL.TLS1_2_VERSION))
        assert not talk.client.completed
        assert "or it wants a client certificate." in handshake_failure_sentence(talk.failure, ())[0]

    def test_refused(self) -> None:
        stranger = root("stranger").issue()
        settings = evolve(
            SETTINGS, client_certificate=stranger.certificate_pem, private_key=Secret(stranger.key_pem)
        )
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            talk = converse(client_creator(settings), asking_for_a_certificate(version))
            assert client_certificate_refused(talk.failure)
            sentence, detail = handshake_failure_sentence(talk.failure, ())
            assert sentence == (
                "TLS with the provider failed: "
                "the provider refused the gateway's client certificate, or the lack of one."
            )
            assert "unknown ca" in detail


class ContextCacheTests(SynchronousTestCase):
    """One creator a TlsSettings, one context for all that differ only in names."""

    def setUp(self) -> None:
        self.contexts = ContextCache()
        self.other_name = evolve(SETTINGS, names=("other.example",), server_name="other.example")

    def context_of(self, settings: TlsSettings) -> SSL.Context:
        return self.contexts.creator_for(settings).clientConnectionForTLS(UNUSED).get_context()

    def test_made_once(self) -> None:
        assert self.contexts.creator_for(SETTINGS) is self.contexts.creator_for(evolve(SETTINGS))

    def test_context_is_shared(self) -> None:
        assert self.context_of(SETTINGS) is self.context_of(self.other_name)

    def test_names_are_not(self) -> None:
        self.contexts.prepare(SETTINGS)
        talk = converse(self.contexts.creator_for(self.other_name), PROVIDER.server_context())
        assert talk.refusal == "its certificate is for another name"

    def test_context_is_not_shared(self) -> None:
        others = (
            MUTUAL,
            evolve(SETTINGS, min_version="1.3"),
            evolve(SETTINGS, verify=False),
            evolve(SETTINGS, ca_certificates=INTERMEDIATE.certificate_pem),
        )
        contexts = {self.context_of(each) for each in (SETTINGS, *others)}
        assert len(contexts) == 5

    def test_keep(self) -> None:
        kept, context = self.contexts.creator_for(SETTINGS), self.context_of(SETTINGS)
        dropped, dropped_context = self.contexts.creator_for(MUTUAL), self.context_of(MUTUAL)
        self.contexts.keep(frozenset({SETTINGS}))
        assert self.contexts.creator_for(SETTINGS) is kept
        assert self.context_of(self.other_name) is context
        assert self.contexts.creator_for(MUTUAL) is not dropped
        assert self.context_of(MUTUAL) is not dropped_context

    def test_prepare(self) -> None:
        self.contexts.prepare(SETTINGS)
        with pytest.raises(ValueError, match="caCertificates"):
            self.contexts.prepare(evolve(SETTINGS, ca_certificates=b""))


def system_roots(monkeypatch: pytest.MonkeyPatch, **environment: str) -> IOpenSSLClientConnectionCreator:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return client_creator(evolve(SETTINGS, ca_certificates=None))


def test_roots_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "roots.pem"
    file.write_bytes(AUTHORITY.certificate_pem)
    talk = converse(system_roots(monkeypatch, SSL_CERT_FILE=str(file)), PROVIDER.server_context())
    assert talk.server.received == b"request"


def test_roots_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = converse(system_roots(monkeypatch), PROVIDER.server_context())
    assert talk.refusal.startswith("its certificate was issued by an authority that is not trusted")


@pytest.mark.parametrize(
    ("answer", "clause"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the provider does not speak TLS on this port"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the provider does not speak TLS on this port"),
        (
            b"\x15\x03\x03\0\2\2\x28",
            "the provider and the gateway have no cipher in common, or it wants a client certificate",
        ),
        (
            b"\x15\x03\x03\0\2\2\x2a",
            "the provider refused the gateway's client certificate, or the lack of one",
        ),
        (
            b"\x15\x03\x03\0\2\2\x31",
            "the provider refused the gateway's client certificate, or the lack of one",
        ),
        (b"\x15\x03\x03\0\2\2\x46", "the provider has no TLS version that the gateway takes"),
        (b"\x15\x03\x03\0\2\2\x47", "the provider and the gateway have no cipher in common"),
        (b"\x15\x03\x03\0\2\2\x50", "the handshake failed"),
        (b"\x15\x03\x03\0\2\2\x70", "the provider does not know the server name"),
        (b"\x15\x03\x03\0\2\2\x74", "the provider wants a client certificate"),
        (b"\x15\x03\x03\0\2\2\x78", "the provider does not speak HTTP/1.1"),
    ],
)
def test_answers_to_the_client_hello(answer: bytes, clause: str) -> None:
    """Alerts are those of RFC 8446 §6."""
    connection = client_creator(SETTINGS).clientConnectionForTLS(UNUSED)
    connection.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    connection.bio_write(answer)
    with pytest.raises(SSL.Error) as raised:
        connection.do_handshake()
    sentence, detail = handshake_failure_sentence(Failure(raised.value), SETTINGS.names)
    assert sentence == f"TLS with provider.example failed: {clause}."
    assert "OpenSSL says: " in detail


@pytest.mark.parametrize("error", [ConnectionLost("reset"), ConnectionDone()])
def test_closed_during_the_handshake(error: Exception) -> None:
    sentence, detail = handshake_failure_sentence(Failure(error), ("a.example", "b.example"))
    closed = "the provider closed the connection during the handshake"
    assert sentence == f"TLS with a.example or b.example failed: {closed}."
    assert "Is the port one for TLS" in detail


@pytest.mark.parametrize(
    "error", [SSL.Error(), SSL.Error([]), SSL.SysCallError(-1, "odd"), RuntimeError("odd")]
)
def test_anything_else(error: Exception) -> None:
    sentence, detail = handshake_failure_sentence(Failure(error), ())
    assert sentence == "TLS with the provider failed: the handshake failed."
    assert detail
    assert not client_certificate_refused(Failure(error))
