"""TLS connections whose handshake is not complete before their peer was approved."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from gateway.wire.certificates import CertificateRefused, shown
from gateway.wire.verdicts import Verdict, chain_refused


class JudgedConnection(SSL.Connection):
    """A TLS connection over memory.

    An error cannot leave OpenSSL's callback; so the callback only remembers it, and `do_handshake` raises it.
    Calling `failVerification` on the transport from the callback, as Twisted does, would close the
    connection while OpenSSL is at work on it, and the peer would not hear the alert.
    """

    def __init__(self, context: SSL.Context, verdicts: Mapping[int, Verdict]) -> None:
        super().__init__(context)
        self._verdicts = verdicts
        self._approved = False
        self._refusal: tuple[str, str] | None = None
        self._end: SSL.Error | None = None
        """What the last reading came to."""

    def approve(self, certificate: x509.Certificate) -> None:
        """Look at the certificate of a peer whose chain OpenSSL believes.

        :raises CertificateRefused: when it is not the one that is wanted.
        """
        raise NotImplementedError

    def needs_approval(self) -> bool:
        """Tell whether a handshake without an approved certificate is a failure."""
        return True

    def do_handshake(self) -> None:
        """Go on with the handshake.

        :raises CertificateRefused: when the peer was refused, or OpenSSL never asked us about it.
        """
        try:
            super().do_handshake()
        except SSL.Error:
            if self._refusal is None:
                raise
        if self._refusal is not None:
            raise CertificateRefused(*self._refusal)
        if not self._approved and self.needs_approval():
            raise CertificateRefused("its certificate was not checked", "OpenSSL did not ask for a verdict.")

    def bio_shutdown(self) -> None:
        """No more bytes will come; what is left is read next."""
        super().bio_shutdown()
        self.recv = self._recv_last  # type: ignore[assignment, method-assign]  # earlier ones pay nothing for this

    def _recv_last(self, size: int) -> bytes:
        try:
            return super().recv(size)
        except SSL.Error as end:
            self._end = end
            raise

    def forget_end(self) -> None:
        """Let go of what the last reading came to, see `forget_failure`."""
        self.__dict__.pop("recv", None)
        if self._end is not None:
            traceback.clear_frames(self._end.__traceback__)
            self._end = None

    def judge(self, certificate: X509, code: int, depth: int, ok: bool) -> bool:
        """Approve or refuse one certificate of the peer's chain.  Every doubt refuses.

        :param code: of OpenSSL's own verdict, `ok`.
        :param depth: 0 for the peer's own certificate, which OpenSSL asks about last.
        """
        self._approved = False
        try:
            if not ok:
                raise chain_refused(self._verdicts, code, depth, certificate.to_cryptography())
            if depth == 0:
                self.approve(certificate.to_cryptography())
                self._approved = True
        except CertificateRefused as refused:
            self._refusal = refused.clause, refused.detail
        except Exception as error:
            self._refusal = "its certificate could not be checked", shown(f"{type(error).__name__}: {error}")
        return self._refusal is None


def judge(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's question, for each certificate of a chain."""
    return isinstance(connection, JudgedConnection) and connection.judge(certificate, code, depth, bool(ok))


def openssl_reason(error: SSL.Error) -> str:
    """The last of OpenSSL's reasons for a failure."""
    match error.args:
        case [[*_, (_, _, str(reason))]]:
            return reason
    return shown(str(error) or type(error).__name__)


def forget_failure(transport: object, reason: Failure) -> None:
    """Let a lost TLS connection be freed: for a protocol's `connectionLost`, with what that was given.

    Twisted's TLS makes a Failure of what ends its reading and keeps it in a variable of the very frame that the
    Failure's traceback leads to.  Without this, every connection that is not closed by both sides' close_notify would
    wait for the cyclic collector, with its transport and OpenSSL's buffers.
    """
    if not isinstance(transport, TLSMemoryBIOProtocol):
        return
    if reason.value is not None:
        traceback.clear_frames(reason.value.__traceback__)
    handle = transport.getHandle()  # type: ignore[no-untyped-call]
    if isinstance(handle, JudgedConnection):
        handle.forget_end()
