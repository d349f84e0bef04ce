"""The names of a client, as the TLS layer has verified them."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.interfaces import ISystemHandle
from twisted.logger import Logger

from gateway.wire.certificates import names_in

_log = Logger()


def certificate_names(transport: object) -> tuple[str, ...]:
    """The subjectAltNames of the client's certificate; none where it showed none, and none over plain TCP.

    A server asks for a certificate only where it verifies it, and the handshake ends at one that is refused
    (OpenSSL's SSL_VERIFY_PEER): a certificate that is there is a good one.
    """
    handle = transport.getHandle() if ISystemHandle.providedBy(transport) else None
    certificate = handle.get_peer_certificate() if isinstance(handle, SSL.Connection) else None
    if certificate is None:
        return ()
    try:
        return names_in(certificate.to_cryptography())
    except ValueError:
        _log.warn("a client's certificate cannot be read, so nobody is known by it")
        return ()
