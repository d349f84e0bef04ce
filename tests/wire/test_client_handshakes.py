"""TLS handshakes with clients: conversations in memory."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from attrs import evolve, frozen
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from zope.interface import implementer

from gateway.wire.client_handshakes import ClientHandshakes
from gateway.wire.counts import HandshakeResult
from gateway.wire.limits import TLS_FILES_SECONDS, TOLD_FAILURES, TOLD_FAILURES_SECONDS
from gateway.wire.tls_files import ClientAuth, TlsFiles
from tests.fakes.certificates import DAY, ClientCreator, Identity, root, self_signed, weak_key

AUTHORITY = root("authority")
STRANGE = root("strange")
IMPOSTOR = root("authority")
INTERMEDIATE = AUTHORITY.issue(common_name="intermediate", authority=True)
ELSEWHERE = x509.DNSName("elsewhere.example")
NARROW = AUTHORITY.issue(common_name="narrow", authority=True, may_certify=[ELSEWHERE])
LEAF = AUTHORITY.issue(common_name="leaf", for_clients=True)

NAME = x509.UniformResourceIdentifier("spiffe://corp/batch")
CLIENT = AUTHORITY.issue(NAME, for_clients=True)

GOOD = {
    "a client's": CLIENT,
    "without a purpose of its own": AUTHORITY.issue(NAME),
    "from an intermediate authority that it sends": INTERMEDIATE.issue(
        NAME, for_clients=True, sent_with=[INTERMEDIATE.certificate]
    ),
}

BAD = {
    "strange authority": (
        STRANGE.issue(NAME, for_clients=True),
        "its certificate was issued by an authority that is not trusted, or an intermediate certificate is missing",
    ),
    "strange authority that is sent": (
        STRANGE.issue(NAME, for_clients=True, sent_with=[STRANGE.certificate]),
        "its certificate leads to a root that is not trusted",
    ),
    "an authority's name and another key": (
        IMPOSTOR.issue(NAME, for_clients=True),
        "its certificate has a false signature",
    ),
    "self-signed": (self_signed(NAME, common_name="client"), "its certificate is self-signed"),
    "without the intermediate certificate": (
        INTERMEDIATE.issue(NAME, for_clients=True),
        "its certificate was issued by an authority that is not trusted, or an intermediate certificate is missing",
    ),
    "expired": (
        AUTHORITY.issue(NAME, for_clients=True, since=-3 * DAY, until=-DAY),
        "its certificate expired on ",
    ),
    "not yet valid": (
        AUTHORITY.issue(NAME, for_clients=True, since=DAY, until=2 * DAY),
        "its certificate is not valid before ",
    ),
    "a server's": (AUTHORITY.issue(NAME, for_servers=True), "its certificate is not for clients"),
    "issued by one who may not": (
        LEAF.issue(NAME, for_clients=True, sent_with=[LEAF.certificate]),
        "a certificate in its chain is used as an authority's and is not one",
    ),
    "a name that its authority may not certify": (
        NARROW.issue(x509.DNSName("here.example"), for_clients=True, sent_with=[NARROW.certificate]),
        "its certificate has a name that its authority may not certify",
    ),
    "weak": (
        AUTHORITY.issue(NAME, for_clients=True, key=weak_key()),
        "its certificate has a key or a signature that is too weak",
    ),
}


@implementer(IHandshakeListener)
class Side(Protocol):
    """One side's account of a connection."""

    def __init__(self) -> None:
        self.received = b""
        self.completed = False
        self.certificate: x509.Certificate | None = None
        self.lost: Failure | None = None

    def handshakeCompleted(self) -> None:
        self.completed = True
        shown = cast(X509 | None, self.transport.getPeerCertificate())  # type: ignore[union-attr]
        self.certificate = None if shown is None else shown.to_cryptography()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Asking(Side):
    """A client that sends a request as soon as it may."""

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        assert self.transport is not None
        self.transport.write(b"request")


@frozen
class Conversation:
    """What both sides know after all was said."""

    client: Side
    server: Side
    client_connection: SSL.Connection
    session: SSL.Session | None
    lines: list[str]
    """Of the log, behind the client's address."""

    @property
    def alert(self) -> str:
        """What the client was told at the end."""
        assert self.client.lost is not None
        return str(self.client.lost.value)

    @property
    def is_refused(self) -> bool:
        """The server has dropped the client and heard nothing of it."""
        return self.server.received == b"" and not self.server.completed and self.server.lost is not None


class House:
    """A listener."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        server = AUTHORITY.issue(x509.DNSName("localhost"), common_name="first")
        certificate, key = server.write(folder, "server")
        authorities = AUTHORITY.write(folder, "ca")[0]
        self.files = TlsFiles(certificate, key, authorities, "require", "1.2")

    def opens(self, client_auth: ClientAuth = "require", min_version: str = "1.2") -> None:
        files = evolve(self.files, client_auth=client_auth, min_version=min_version)
        if client_auth == "none":
            files = evolve(files, client_ca=None)
        self.handshakes = ClientHandshakes(self.clock, self.clock.seconds, files)

    def meets(self, context: SSL.Context, session: SSL.Session | None = None) -> Conversation:
        """Let a client with this context talk to it, until nobody has more to say."""
        client, server = Asking(), Side()
        near = TLSMemoryBIOFactory(
            ClientCreator(context, session), True, Factory.forProtocol(lambda: client), self.clock
        ).buildProtocol(None)
        with capturedLogs() as events:
            self._talk(near, server)
        lines = [
            event["log_format"].format(**event).partition("192.0.2.7:50000 ")[2]
            for event in events
            if "client" in event
        ]
        connection = near.getHandle()
        return Conversation(client, server, connection, connection and connection.get_session(), lines)

    def hears(self, data: bytes) -> tuple[bytes, list[str]]:
        """What it sends back to these bytes, and what it logs."""

        class Rude(Side):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(data)

        rude = Rude()
        with capturedLogs() as events:
            self._talk(rude, Side())
        assert rude.lost is not None
        return rude.received, [event["clause"] for event in events if "client" in event]

    def _talk(self, near: Protocol, server: Side) -> None:
        far = TLSMemoryBIOFactory(
            self.handshakes, False, Factory.forProtocol(lambda: server), self.clock
        ).buildProtocol(None)
        ends = {
            "hostAddress": IPv4Address("TCP", "192.0.2.1", 8443),
            "peerAddress": IPv4Address("TCP", "192.0.2.7", 50000),
        }
        pump = connect(far, FakeTransport(far, True, **ends), near, FakeTransport(near, False), greet=False)
        pump.flush()
        self.clock.advance(0)
        pump.flush()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def nobody() -> SSL.Context:
    """A client without a certificate."""
    return SSL.Context(SSL.TLS_CLIENT_METHOD)


def speaking(version: int, identity: Identity = CLIENT) -> SSL.Context:
    """A client of one version of TLS."""
    context = identity.client_context()
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    return context


VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["1.2", "1.3"])
AUTHS = pytest.mark.parametrize("auth", ["require", "request"])


@VERSIONS
@AUTHS
@pytest.mark.parametrize("identity", GOOD.values(), ids=GOOD.keys())
def test_good_certificates(identity: Identity, auth: ClientAuth, version: int, house: House) -> None:
    house.opens(auth)
    talk = house.meets(speaking(version, identity))
    assert talk.server.received == b"request"
    assert talk.server.certificate == identity.certificate
    assert talk.lines == []


@VERSIONS
@AUTHS
@pytest.mark.parametrize(("identity", "clause"), BAD.values(), ids=BAD.keys())
def test_bad_certificates(
    identity: Identity, clause: str, auth: ClientAuth, version: int, house: House
) -> None:
    """Where a certificate is only requested, a bad one is no less bad."""
    house.opens(auth)
    talk = house.meets(speaking(version, identity))
    assert talk.is_refused
    assert "alert" in talk.alert
    (line,) = talk.lines
    assert line.startswith(f"failed on 192.0.2.1:8443: {clause}")


@VERSIONS
def test_no_certificate_where_one_is_required(version: int, house: House) -> None:
    house.opens("require")
    context = nobody()
    context.set_max_proto_version(version)
    talk = house.meets(context)
    assert talk.is_refused
    assert "alert" in talk.alert
    (line,) = talk.lines
    assert line.startswith(
        "failed on 192.0.2.1:8443: it showed no certificate. One of clientCA's is wanted here"
    )


@pytest.mark.parametrize("auth", ["request", "none"])
def test_no_certificate_where_none_is_needed(auth: ClientAuth, house: House) -> None:
    house.opens(auth)
    talk = house.meets(nobody())
    assert talk.server.received == b"request"
    assert talk.server.certificate is None


def test_nobody_is_asked_without_authorities(house: House) -> None:
    """A certificate that nobody could judge does not even arrive."""
    house.opens("none")
    talk = house.meets(BAD["self-signed"][0].client_context())
    assert talk.server.received == b"request"
    assert talk.server.certificate is None


def test_the_authorities_are_told_to_clients(house: House) -> None:
    """Who has several certificates chooses by them."""
    house.opens()
    talk = house.meets(CLIENT.client_context())
    (name,) = talk.client_connection.get_client_ca_list(as_cryptography=True)
    assert name == AUTHORITY.certificate.subject


@VERSIONS
def test_sessions_are_not_resumed(version: int, house: House) -> None:
    """A resumed session brings its certificate along and nobody looks at it again."""
    house.opens()
    context = speaking(version)
    session = house.meets(context).session
    assert session is not None
    other = root("other")
    (house.folder / "ca.pem").write_bytes(other.certificate_pem)
    house.clock.advance(TLS_FILES_SECONDS)
    talk = house.meets(context, session)
    assert talk.is_refused
    assert "an authority that is not trusted" in talk.lines[0]
    (house.folder / "ca.pem").write_bytes(AUTHORITY.certificate_pem)
    house.clock.advance(TLS_FILES_SECONDS)
    assert house.meets(context, session).server.certificate == CLIENT.certificate


def test_a_new_certificate_is_shown(house: House) -> None:
    house.opens()
    assert common_name(house.meets(CLIENT.client_context())) == "CN=first"
    AUTHORITY.issue(common_name="second").write(house.folder, "server")
    house.clock.advance(TLS_FILES_SECONDS)
    assert common_name(house.meets(CLIENT.client_context())) == "CN=second"


def common_name(talk: Conversation) -> str:
    assert talk.client.certificate is not None
    return talk.client.certificate.subject.rfc4514_string()


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION], ids=["1.0", "1.1"])
def test_old_versions(version: int, house: House) -> None:
    house.opens("none")
    talk = house.meets(speaking(version))
    assert talk.is_refused
    assert talk.lines[0].startswith("failed on 192.0.2.1:8443: it speaks no TLS version that is taken here.")


def test_a_lowest_version(house: House) -> None:
    house.opens(min_version="1.3")
    assert house.meets(speaking(SSL.TLS1_2_VERSION)).is_refused
    assert house.meets(speaking(SSL.TLS1_3_VERSION)).server.received == b"request"


@pytest.mark.parametrize("ciphers", [b"AES128-GCM-SHA256", b"ECDHE-ECDSA-AES128-SHA256", b"DHE+AES"])
def test_ciphers_without_secrecy_or_integrity(ciphers: bytes, house: House) -> None:
    house.opens()
    context = speaking(SSL.TLS1_2_VERSION)
    context.set_cipher_list(ciphers + b":@SECLEVEL=0")
    talk = house.meets(context)
    assert talk.is_refused
    assert talk.lines[0].startswith("failed on 192.0.2.1:8443: it has no cipher that is taken here.")


@pytest.mark.parametrize(
    ("offered", "chosen"), [([], b""), ([b"http/1.1"], b"http/1.1"), ([b"h2", b"http/1.1"], b"http/1.1")]
)
def test_protocols(offered: list[bytes], chosen: bytes, house: House) -> None:
    house.opens()
    context = CLIENT.client_context()
    if offered:
        context.set_alpn_protos(offered)
    talk = house.meets(context)
    assert talk.server.received == b"request"
    assert talk.client_connection.get_alpn_proto_negotiated() == chosen


def test_protocols_that_are_not_ours(house: House) -> None:
    house.opens()
    context = CLIENT.client_context()
    context.set_alpn_protos([b"h2"])
    talk = house.meets(context)
    assert talk.is_refused
    assert "alert no application protocol" in talk.alert
    assert talk.lines[0].startswith("failed on 192.0.2.1:8443: it does not want HTTP/1.1.")


def test_a_client_that_does_not_believe_us(house: House) -> None:
    house.opens("none")
    context = nobody()
    context.set_verify(SSL.VERIFY_PEER, lambda *_: False)
    talk = house.meets(context)
    assert talk.lines[0].startswith(
        "failed on 192.0.2.1:8443: it does not believe this listener's certificate."
    )


@pytest.mark.parametrize(
    ("data", "clause"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "it spoke plain HTTP"),
        (b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", "it spoke plain HTTP"),
        (b"CONNECT h:443 HTTP/1.1\r\n\r\n", "it spoke plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.7\r\n", "it did not speak TLS"),
        (b"\x00" * 100, "it did not speak TLS"),
        (b"\x16\x03\x01\xff\xff" + b"x" * 100, "the handshake failed"),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", "the handshake failed"),
    ],
)
def test_what_is_no_handshake(data: bytes, clause: str, house: House) -> None:
    house.opens()
    received, clauses = house.hears(data)
    assert clauses == [clause]
    assert b"HTTP" not in received


def test_strangers_do_not_fill_the_log(house: House) -> None:
    house.opens()
    told = [len(house.hears(b"garbage")[1]) for _ in range(TOLD_FAILURES + 7)]
    assert sum(told) == TOLD_FAILURES
    with capturedLogs() as events:
        house.clock.advance(TOLD_FAILURES_SECONDS)
    (event,) = events
    text = event["log_format"].format(**event)
    assert text == "TLS failed on 192.0.2.1:8443 with 7 more clients within a minute"
    assert len(house.hears(b"garbage")[1]) == 1
    with capturedLogs() as events:
        house.clock.advance(TOLD_FAILURES_SECONDS)
    assert events == []


def test_who_connects_and_leaves_is_not_worth_a_line(house: House) -> None:
    """As the probes of load balancers do."""
    house.opens()

    class Probe(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.loseConnection()

    server = Side()
    with capturedLogs() as events:
        house._talk(Probe(), server)
    assert server.lost is not None
    assert events == []


def test_a_handshake_without_a_verdict_is_a_failure(house: House) -> None:
    """Should OpenSSL ever let a certificate pass without asking."""
    house.opens()
    context = CLIENT.server_context()
    context.set_verify(SSL.VERIFY_NONE)
    house.handshakes.files._context = context
    talk = house.meets(nobody())
    assert talk.server.received == b""
    assert not talk.server.completed
    assert "its certificate was not checked" in talk.lines[0]


@VERSIONS
def test_many_authorities(version: int, house: House) -> None:
    """Their names make a flight that is longer than what Twisted takes out of OpenSSL at a time."""
    others = [root(f"{number} " * 15) for number in range(100, 700)]
    (house.folder / "ca.pem").write_bytes(b"".join(each.certificate_pem for each in (*others, AUTHORITY)))
    house.opens()
    assert house.meets(speaking(version)).server.certificate == CLIENT.certificate


def test_how_they_ended_is_counted(house: House) -> None:
    house.opens()
    for context in (CLIENT.client_context(), BAD["self-signed"][0].client_context(), nobody()):
        house.meets(context)
    house.hears(b"GET / HTTP/1.1\r\n\r\n")
    left = TLSMemoryBIOFactory(house.handshakes, False, Factory.forProtocol(Side), house.clock).buildProtocol(
        None
    )
    left.makeConnection(FakeTransport(left, True))
    left.connectionLost(Failure(ConnectionLost()))
    assert house.handshakes.results == {
        HandshakeResult.OK: 1,
        HandshakeResult.REFUSED: 2,
        HandshakeResult.FAILED: 1,
        HandshakeResult.TIMEOUT: 0,
        HandshakeResult.LEFT: 1,
    }
