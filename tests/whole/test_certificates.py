"""The matrix: which certificates of a provider are believed, over real sockets, and what is said of others.

Each server is Python's own `ssl`; the client is a process of its own with a real reactor, because a reactor
runs once in a process.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import warnings
from functools import partial
from ipaddress import ip_address
from operator import attrgetter
from pathlib import Path
from threading import Thread

import pytest
from attrs import field, frozen
from cryptography import x509

from tests.fakes.certificates import DAY, Identity, root, self_signed, weak_key

ROOT = Path(__file__).parent.parent.parent
TRUSTED = root("trusted root")
UNTRUSTED = root("untrusted root")
INTERMEDIATE = TRUSTED.issue(common_name="intermediate", authority=True)
ORDINARY = TRUSTED.issue(x509.DNSName("localhost"), common_name="not an authority")

NO_USABLE_NAME = "its certificate has no usable subjectAltName"
OTHER_NAME = "its certificate is for another name"
NO_ISSUER = (
    "its certificate was issued by an authority that is not trusted, "
    "or an intermediate certificate is missing"
)


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def address(text: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(text))


@frozen
class Case:
    """A server, and what is thought of it."""

    name: str
    identity: Identity
    refusal: str | None = None
    """What the sentence must say; None for a certificate that is accepted."""
    detail: str = ""
    """What must be told to the operator."""
    names: tuple[str, ...] = ("localhost",)
    server_name: str | None = "localhost"
    ca_certificates: bytes | None = field(default=TRUSTED.certificate_pem)
    """None trusts SSL_CERT_FILE, which holds the trusted root."""
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3


localhost = partial(TRUSTED.issue, x509.DNSName("localhost"))

MATRIX = [
    Case("good", localhost()),
    Case("good, roots of SSL_CERT_FILE", localhost(), ca_certificates=None),
    Case("good, TLS 1.2", localhost(), version=ssl.TLSVersion.TLSv1_2),
    Case(
        "good, by an intermediate",
        INTERMEDIATE.issue(*dns("localhost"), sent_with=[INTERMEDIATE.certificate]),
    ),
    Case(
        "good, the intermediate is trusted",
        INTERMEDIATE.issue(*dns("localhost")),
        ca_certificates=INTERMEDIATE.certificate_pem,
    ),
    Case(
        "wildcard for one label",
        TRUSTED.issue(*dns("*.example.com")),
        names=("api.example.com",),
        server_name="api.example.com",
    ),
    Case("second of two names", localhost(), names=("other.example", "localhost")),
    Case("address", TRUSTED.issue(address("127.0.0.1")), names=("127.0.0.1",), server_name=None),
    Case(
        "URI",
        TRUSTED.issue(x509.UniformResourceIdentifier("spiffe://cluster.local/ns/a/sa/b")),
        names=("spiffe://cluster.local/ns/a/sa/b",),
    ),
    Case(
        "other host",
        TRUSTED.issue(*dns("other.example", "a.example")),
        OTHER_NAME,
        "names: other.example, a.example.",
    ),
    Case(
        "wildcard for two labels",
        TRUSTED.issue(*dns("*.example.com")),
        OTHER_NAME,
        "*.example.com",
        names=("a.b.example.com",),
        server_name="a.b.example.com",
    ),
    Case("SAN of another type", TRUSTED.issue(address("127.0.0.1")), OTHER_NAME, "127.0.0.1"),
    Case("address without its SAN", localhost(), OTHER_NAME, names=("127.0.0.1",), server_name=None),
    Case(
        "other address",
        TRUSTED.issue(address("127.0.0.2")),
        OTHER_NAME,
        names=("127.0.0.1",),
        server_name=None,
    ),
    Case(
        "other URI",
        TRUSTED.issue(x509.UniformResourceIdentifier("spiffe://cluster.local/ns/a/sa/bc")),
        OTHER_NAME,
        "spiffe://cluster.local/ns/a/sa/bc",
        names=("spiffe://cluster.local/ns/a/sa/b",),
    ),
    Case("expired", localhost(since=-3 * DAY, until=-DAY), "its certificate expired on ", "clock"),
    Case(
        "not yet valid", localhost(since=DAY, until=2 * DAY), "its certificate is not valid before ", "clock"
    ),
    Case("self-signed", self_signed(*dns("localhost")), "its certificate is self-signed", "caCertificates"),
    Case(
        "untrusted root",
        UNTRUSTED.issue(*dns("localhost"), sent_with=[UNTRUSTED.certificate]),
        "its certificate leads to a root that is not trusted",
        "CN=untrusted root",
    ),
    Case(
        "untrusted root, not sent", UNTRUSTED.issue(*dns("localhost")), NO_ISSUER, "issuer: CN=untrusted root"
    ),
    Case(
        "untrusted root, not in SSL_CERT_FILE",
        UNTRUSTED.issue(*dns("localhost")),
        NO_ISSUER,
        "SSL_CERT_FILE",
        ca_certificates=None,
    ),
    Case(
        "only caCertificates count",
        localhost(),
        NO_ISSUER,
        "issuer: CN=trusted root",
        ca_certificates=UNTRUSTED.certificate_pem,
    ),
    Case("missing intermediate", INTERMEDIATE.issue(*dns("localhost")), NO_ISSUER, "issuer: CN=intermediate"),
    Case(
        "issued by no authority",
        ORDINARY.issue(*dns("localhost"), sent_with=[ORDINARY.certificate]),
        "a certificate in its chain is used as an authority's and is not one",
        "CN=not an authority",
    ),
    Case(
        "for clients only",
        localhost(for_clients=True),
        "its certificate is not for servers",
        "extendedKeyUsage",
    ),
    Case(
        "RSA of 1024 bits",
        localhost(key=weak_key()),
        "its certificate has a key or a signature that is too weak",
    ),
    Case("no SAN, right CN", TRUSTED.issue(common_name="localhost"), NO_USABLE_NAME, "common name"),
    Case("no SAN, wrong CN", TRUSTED.issue(common_name="other.example"), NO_USABLE_NAME, "CN=other.example"),
    Case("e-mail only", TRUSTED.issue(x509.RFC822Name("a@localhost")), NO_USABLE_NAME, "a@localhost"),
    Case("*", TRUSTED.issue(*dns("*")), NO_USABLE_NAME, "names: *."),
    Case("*.localhost", TRUSTED.issue(*dns("*.localhost")), NO_USABLE_NAME, "*.localhost"),
    Case("local*", TRUSTED.issue(*dns("local*")), NO_USABLE_NAME, "local*"),
    Case("*.*.localhost", TRUSTED.issue(*dns("*.*.localhost")), NO_USABLE_NAME, "*.*.localhost"),
    Case("NUL", TRUSTED.issue(*dns("localhost\0.evil")), NO_USABLE_NAME, r"localhost\x00.evil"),
    Case("empty DNS name", TRUSTED.issue(*dns("")), NO_USABLE_NAME, "names: an empty name."),
    Case(
        "address as DNS name",
        TRUSTED.issue(*dns("127.0.0.1")),
        NO_USABLE_NAME,
        "127.0.0.1",
        names=("127.0.0.1",),
    ),
    Case("the root itself", TRUSTED, NO_USABLE_NAME, "subject: CN=trusted root"),
    Case(
        "TLS 1.1 only",
        localhost(),
        "the provider has no TLS version that the gateway takes",
        "minVersion",
        version=ssl.TLSVersion.TLSv1_1,
    ),
]


class Server:
    """Takes one connection and remembers what it read."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.received = b""
        self.asked_name: str | None = None
        self._context = self._server_context(case, folder)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(20)
        self.port = self._listening.getsockname()[1]
        self.thread = Thread(target=self._serve)
        self.thread.start()

    def _server_context(self, case: Case, folder: Path) -> ssl.SSLContext:
        (folder / "chain.pem").write_bytes(case.identity.chain_pem)
        (folder / "key.pem").write_text(case.identity.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")  # for TLS 1.1 and the weak key
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1
            context.minimum_version = context.maximum_version = case.version
        context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
        context.sni_callback = self._name_asked
        return context

    def _name_asked(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self.asked_name = name

    def _serve(self) -> None:
        with self._listening, self._listening.accept()[0] as connection:
            connection.settimeout(20)
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self.received = secured.recv(65536)
                    secured.send(b"answer")
            except OSError:
                pass  # the client hung up


@frozen
class Outcome:
    """What became of a case."""

    verdict: str
    sentence: str
    detail: str
    received: bytes
    asked_name: str | None


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Every case of the matrix, played once."""
    folders = [tmp_path_factory.mktemp("server") for _ in MATRIX]
    servers = [Server(case, folder) for case, folder in zip(MATRIX, folders, strict=True)]
    targets = [
        {
            "port": server.port,
            "server_name": case.server_name,
            "names": case.names,
            "ca_certificates": case.ca_certificates and case.ca_certificates.decode(),
        }
        for case, server in zip(MATRIX, servers, strict=True)
    ]
    roots = folders[0] / "roots.pem"
    roots.write_bytes(TRUSTED.certificate_pem)
    client = subprocess.run(
        [sys.executable, "-m", "tests.whole.certificate_client"],
        cwd=ROOT,
        env={**os.environ, "SSL_CERT_FILE": str(roots)},
        input=json.dumps(targets),
        capture_output=True,
        text=True,
        timeout=60,
    )
    for server in servers:
        server.thread.join()
    assert client.returncode == 0, client.stderr
    return {
        case.name: Outcome(
            told["verdict"],
            told.get("sentence", ""),
            told.get("detail", ""),
            server.received,
            server.asked_name,
        )
        for case, server, told in zip(MATRIX, servers, json.loads(client.stdout), strict=True)
    }


ACCEPTED = [case for case in MATRIX if case.refusal is None]
REFUSED = [case for case in MATRIX if case.refusal is not None]


@pytest.mark.parametrize("case", ACCEPTED, ids=attrgetter("name"))
def test_accepted(case: Case, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    assert outcome.verdict == "accepted", outcome.detail
    assert outcome.received.startswith(b"POST ")
    assert outcome.asked_name == case.server_name


@pytest.mark.parametrize("case", REFUSED, ids=attrgetter("name"))
def test_refused(case: Case, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    assert outcome.received == b""
    assert outcome.verdict == "refused"
    assert case.refusal is not None
    assert outcome.sentence.startswith(f"TLS with {case.names[0]} failed: {case.refusal}")
    assert case.detail in outcome.detail
