"""TLS handshakes with clients: who is let in, and why somebody was not.

A client's certificate is judged by OpenSSL alone: its chain leads to an authority of the listener's, every date
and signature is good, its purpose is that of a client.  Who its owner is, is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from gateway.wire.addresses import shown
from gateway.wire.certificates import CertificateRefused
from gateway.wire.contexts import HTTP
from gateway.wire.counts import HandshakeResult, Handshakes, no_handshakes
from gateway.wire.judging import JudgedConnection, judge, openssl_reason
from gateway.wire.limits import TOLD_FAILURES, TOLD_FAILURES_SECONDS
from gateway.wire.tls_files import TlsFiles, TlsFilesReader
from gateway.wire.verdicts import OF_CLIENT

_AT_ONCE = 64 * 1024
"""Bytes that are taken out of OpenSSL in one go."""


@implementer(IOpenSSLServerConnectionCreator)
class ClientHandshakes:
    """What Twisted asks for each new connection of a listener."""

    def __init__(self, reactor: IReactorTime, seconds: Callable[[], float], files: TlsFiles) -> None:
        """Read the files.

        :param seconds: a clock that does not jump: `time.monotonic`, or a test's `Clock.seconds`.
        :raises ValueError: with a sentence for the operator.
        """
        self._required = files.client_auth == "require"
        self.files = TlsFilesReader(files, seconds, judge, _choose)
        self._failures = FailureLog(reactor)
        self.results = no_handshakes()

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Twisted's question."""
        return ClientFacingConnection(
            self.files.newest(), tlsProtocol, self._required, self._failures, self.results
        )


class ClientFacingConnection(JudgedConnection):
    """A connection with a client: with its certificate if the listener wants one, or with none."""

    def __init__(
        self,
        context: SSL.Context,
        protocol: TLSMemoryBIOProtocol,
        required: bool,
        failures: FailureLog,
        results: Handshakes,
    ) -> None:
        super().__init__(context, OF_CLIENT)
        self._protocol = protocol
        self._required = required
        self._failures = failures
        self._results: Handshakes | None = results
        """None once the handshake has ended."""

    def approve(self, certificate: x509.Certificate) -> None:
        """Its chain is good, and nothing else is asked here."""

    def needs_approval(self) -> bool:
        return self._required or self.get_peer_certificate() is not None

    def do_handshake(self) -> None:
        """Go on with the handshake.

        :raises SSL.Error: when it failed, which the log knows then.
        """
        try:
            super().do_handshake()
        except SSL.WantReadError:
            self._flush()
            raise
        except SSL.Error as error:
            transport = self._protocol.transport
            assert transport is not None
            self._failures.add(transport.getPeer(), transport.getHost(), error)
            self._ended(HandshakeResult.REFUSED if _is_about_certificate(error) else HandshakeResult.FAILED)
            raise
        self._ended(HandshakeResult.OK)

    def bio_shutdown(self) -> None:
        """The connection is lost."""
        super().bio_shutdown()
        self._ended(HandshakeResult.LEFT)

    def _ended(self, result: HandshakeResult) -> None:
        """Count the handshake, once."""
        if self._results is not None:
            self._results[result] += 1
            self._results = None

    def _flush(self) -> None:
        """Send all that OpenSSL has to say.

        Twisted takes 32 KiB of it and then waits for an answer; the names of many authorities are longer.
        """
        transport = self._protocol.transport
        assert transport is not None
        try:
            while True:
                transport.write(self.bio_read(_AT_ONCE))
        except SSL.WantReadError:
            pass  # there is no more


def _choose(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """OpenSSL's question, where a client offers protocols.

    :raises SSL.Error: none of them is ours: the client gets the alert no_application_protocol (RFC 7301 §3.2).
    """
    if HTTP not in offered:
        raise SSL.Error([("ALPN", "", "no application protocol")])
    return HTTP


_NO_CERTIFICATE = "peer did not return a certificate"
_NO_TLS = ("it did not speak TLS", "")
_NO_TRUST = (
    "it does not believe this listener's certificate",
    "Does it know the authority, is the certificate in date, and for the name that the client asked for?",
)
_NO_VERSION = ("it speaks no TLS version that is taken here", "The lowest is minVersion, 1.2 unless given.")

_REASONS: Mapping[str, tuple[str, str]] = {
    _NO_CERTIFICATE: (
        "it showed no certificate",
        "One of clientCA's is wanted here; clientAuth=request lets in who has none.",
    ),
    "unsupported protocol": _NO_VERSION,
    "alert protocol version": _NO_VERSION,
    "no shared cipher": (
        "it has no cipher that is taken here",
        "TLS 1.2 is spoken with ECDHE and AES-GCM or ChaCha20.",
    ),
    "http request": ("it spoke plain HTTP", "Its URL has to begin with https:// to come here."),
    "https proxy request": (
        "it spoke plain HTTP",
        "It takes this port for a plain proxy's, and this is one for TLS.",
    ),
    "wrong version number": _NO_TLS,
    "packet length too long": _NO_TLS,
    "alert bad certificate": _NO_TRUST,
    "alert certificate expired": _NO_TRUST,
    "alert certificate unknown": _NO_TRUST,
    "alert unknown ca": _NO_TRUST,
    "no application protocol": (
        "it does not want HTTP/1.1",
        "By ALPN it offered other protocols alone.",
    ),
}
"""Ends of OpenSSL's reasons for a failed handshake; what they mean, and what to do."""


def _is_about_certificate(error: SSL.Error) -> bool:
    """The client has shown a bad one, or none."""
    return isinstance(error, CertificateRefused) or openssl_reason(error).endswith(_NO_CERTIFICATE)


def _explained(error: SSL.Error) -> tuple[str, str]:
    """What is wrong with the client, and what else an operator may want to know."""
    if isinstance(error, CertificateRefused):
        return error.clause, error.detail
    reason = openssl_reason(error)
    for end, (clause, advice) in _REASONS.items():
        if reason.endswith(end):
            return clause, f"{advice} OpenSSL says: {reason}.".lstrip()
    return "the handshake failed", f"OpenSSL says: {reason}."


class FailureLog:
    """A line for each handshake that failed, and one for all the rest where a minute has many."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._failed = 0
        """Since the minute began."""

    def add(self, client: IAddress, listener: IAddress, error: SSL.Error) -> None:
        """A handshake with this client failed."""
        if not self._failed:
            self._reactor.callLater(TOLD_FAILURES_SECONDS, self._minute_over, listener)
        self._failed += 1
        if self._failed <= TOLD_FAILURES:
            clause, detail = _explained(error)
            self._log.warn(
                "TLS with {client} failed on {listener}: {clause}. {detail}",
                client=shown(client),
                listener=shown(listener),
                clause=clause,
                detail=detail,
            )

    def _minute_over(self, listener: IAddress) -> None:
        untold = self._failed - TOLD_FAILURES
        self._failed = 0
        if untold > 0:
            self._log.warn(
                "TLS failed on {listener} with {count} more clients within a minute",
                listener=shown(listener),
                count=untold,
            )
