"""TLS towards providers: connections that believe nobody by accident.

Twisted's own `optionsForClientTLS` is not used: in 26.4 to 26.10 its callback lets a certificate without a
usable subjectAltName pass for any host, because it expects only one of service-identity's two errors.  Here a
handshake is complete only after `PeerNames.verify` has returned.

For whoever owns the connection::

    TLSMemoryBIOFactory(contexts.creator_for(settings), True, factory)

Write nothing before `handshakeCompleted`.  A handshake that fails ends in `connectionLost` with a Failure,
and `handshake_failure_sentence` puts it into words; the reason travels in the Failure itself.  In TLS 1.3 a
provider judges *our* certificate only after our side of the handshake is complete (RFC 8446 §4.4.2.4): when
`client_certificate_refused` says so, the Failure is a handshake's even after `handshakeCompleted`, and the
provider's application has read nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve
from cryptography import x509
from OpenSSL import SSL
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.messages import TlsSettings
from gateway.wire.certificates import CertificateRefused, PeerNames, dns_name, shown
from gateway.wire.contexts import make_context
from gateway.wire.judging import JudgedConnection, judge, openssl_reason
from gateway.wire.verdicts import OF_PROVIDER


def client_creator(settings: TlsSettings) -> IOpenSSLClientConnectionCreator:
    """Make what Twisted asks for each new connection with these settings.

    :raises ValueError: with a sentence for the operator, when the settings cannot be used.
    """
    return ContextCache().creator_for(settings)


class ContextCache:
    """The creators of a configuration's connections.

    Loading the system's roots takes some 10 ms, so settings that differ only in names share one OpenSSL
    context.  The system's roots are read when the first context needs them, and not again while one does.

    A load prepares in a thread of its own while connections ask here: each step is one operation of a dictionary,
    and at worst a context is made twice.  `keep` goes through all of them; it is called when no load runs.
    """

    def __init__(self) -> None:
        self._creators: dict[TlsSettings, CheckingCreator] = {}
        self._contexts: dict[TlsSettings, SSL.Context] = {}
        self._kept: frozenset[TlsSettings] = frozenset()

    def creator_for(self, settings: TlsSettings) -> IOpenSSLClientConnectionCreator:
        """What Twisted asks for each new connection with these settings; made if it is not there yet.

        :raises ValueError: with a sentence for the operator, when the settings cannot be used.
        """
        creator = self._creators.get(settings)
        if creator is None:
            nameless = _nameless(settings)
            context = self._contexts.get(nameless) or make_context(nameless, judge)
            creator = CheckingCreator(settings, context)
            self._creators[settings] = creator
            self._contexts[nameless] = context
        return creator

    def prepare(self, settings: TlsSettings) -> None:
        """Find out whether the settings can be used, before a configuration with them is.

        :raises ValueError: with a sentence for the operator, when they cannot.
        """
        self.creator_for(settings)

    def keep(self, settings: frozenset[TlsSettings]) -> None:
        """Forget all others.  Their connections live on; an old exchange that needs one has it made again."""
        if settings is self._kept and len(self._creators) == len(settings):
            return
        self._kept = settings
        self._creators = {each: creator for each, creator in self._creators.items() if each in settings}
        nameless = {_nameless(each) for each in self._creators}
        self._contexts = {each: context for each, context in self._contexts.items() if each in nameless}


def _nameless(settings: TlsSettings) -> TlsSettings:
    """What a context depends on; names belong to a connection."""
    return evolve(settings, server_name=None, names=())


@implementer(IOpenSSLClientConnectionCreator)
class CheckingCreator:
    """Makes connections that check their peer."""

    def __init__(self, settings: TlsSettings, context: SSL.Context) -> None:
        """Bind names to a context.

        :raises ValueError: with a sentence for the operator, when a name cannot be used.
        """
        self._context = context
        self._server_name = None if settings.server_name is None else dns_name(settings.server_name).hostname
        self._names = PeerNames(settings.names) if settings.verify else None

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Twisted's question."""
        connection = CheckedConnection(self._context, self._names)
        if self._server_name is not None:
            connection.set_tlsext_host_name(self._server_name)
        return connection


class CheckedConnection(JudgedConnection):
    """A connection to a provider, which must have one of these names."""

    def __init__(self, context: SSL.Context, names: PeerNames | None) -> None:
        """Make a connection over memory.

        :param names: one of them the peer must have; None believes anyone.
        """
        super().__init__(context, OF_PROVIDER)
        self._names = names

    def needs_approval(self) -> bool:
        return self._names is not None

    def approve(self, certificate: x509.Certificate) -> None:
        if self._names is not None:
            self._names.verify(certificate)


_CLIENT_CERTIFICATE_WANTED = (
    "the provider wants a client certificate",
    "Use mode MUTUAL with clientCertificate and privateKey.",
)
_CLIENT_CERTIFICATE_REFUSED = (
    "the provider refused the gateway's client certificate, or the lack of one",
    "Is clientCertificate in date, with its chain, and issued by an authority that the provider trusts?",
)
_NO_COMMON_VERSION = (
    "the provider has no TLS version that the gateway takes",
    "The lowest that is taken is minVersion: 1.2, or 1.3 where that is asked for.",
)

_CLIENT_CERTIFICATE_ALERTS: Mapping[str, tuple[str, str]] = {
    "alert certificate required": _CLIENT_CERTIFICATE_WANTED,
    "alert bad certificate": _CLIENT_CERTIFICATE_REFUSED,
    "alert unsupported certificate": _CLIENT_CERTIFICATE_REFUSED,
    "alert certificate revoked": _CLIENT_CERTIFICATE_REFUSED,
    "alert certificate expired": _CLIENT_CERTIFICATE_REFUSED,
    "alert certificate unknown": _CLIENT_CERTIFICATE_REFUSED,
    "alert unknown ca": _CLIENT_CERTIFICATE_REFUSED,
    "alert access denied": _CLIENT_CERTIFICATE_REFUSED,
}
"""What a provider says about our certificate (RFC 8446 §6.2), as the ends of OpenSSL's reasons."""

_HANDSHAKE_REASONS: Mapping[str, tuple[str, str]] = {
    **_CLIENT_CERTIFICATE_ALERTS,
    "alert protocol version": _NO_COMMON_VERSION,
    "unsupported protocol": _NO_COMMON_VERSION,
    "wrong version number": (
        "the provider does not speak TLS on this port",
        "Is the port right? For plain HTTP use mode DISABLE.",
    ),
    "alert handshake failure": (
        "the provider and the gateway have no cipher in common, or it wants a client certificate",
        "Does the provider ask for mode MUTUAL? Otherwise its TLS is too old.",
    ),
    "alert insufficient security": (
        "the provider and the gateway have no cipher in common",
        "The provider asks for stronger ciphers than OpenSSL offers by default.",
    ),
    "unrecognized name": (
        "the provider does not know the server name",
        "Is sni, or the provider's host, right?",
    ),
    "alert no application protocol": (
        "the provider does not speak HTTP/1.1",
        "The gateway offers http/1.1 by ALPN and the provider wants another protocol.",
    ),
}
"""Ends of OpenSSL's reasons for a failed handshake; what they mean, and what to do."""


def handshake_failure_sentence(failure: Failure, names: tuple[str, ...]) -> tuple[str, str]:
    """Put into words why a handshake failed.

    :param failure: what `connectionLost` got.
    :param names: those of the settings.
    :return: a sentence for the client, and for the operator what else there is to know and to do.
    """
    clause, detail = _explained(failure.value)
    return f"TLS with {' or '.join(map(shown, names)) or 'the provider'} failed: {clause}.", detail


def client_certificate_refused(failure: Failure) -> bool:
    """Tell whether the provider refused our certificate, or wanted one; it may say so after our handshake."""
    return isinstance(failure.value, SSL.Error) and openssl_reason(failure.value).endswith(
        tuple(_CLIENT_CERTIFICATE_ALERTS)
    )


def _explained(error: BaseException | None) -> tuple[str, str]:
    match error:
        case CertificateRefused():
            return error.clause, error.detail
        case SSL.Error():
            reason = openssl_reason(error)
            for end, (clause, advice) in _HANDSHAKE_REASONS.items():
                if reason.endswith(end):
                    return clause, f"{advice} OpenSSL says: {reason}."
            return "the handshake failed", f"OpenSSL says: {reason}."
        case ConnectionClosed():
            return (
                "the provider closed the connection during the handshake",
                f"Is the port one for TLS, and does the provider know the server name? {shown(str(error))}",
            )
    return "the handshake failed", shown(f"{type(error).__name__}: {error}")
