"""Certificates of every kind, good and bad, made in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = timedelta(days=1)


def weak_key() -> Key:
    """RSA of 1024 bits."""
    return rsa.generate_private_key(65537, 1024)


@implementer(IOpenSSLServerConnectionCreator)
@frozen
class ServerCreator:
    """What Twisted asks for a server's connections."""

    context: SSL.Context

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        return SSL.Connection(self.context)


@implementer(IOpenSSLClientConnectionCreator)
@frozen
class ClientCreator:
    """What Twisted asks for a client's connections."""

    context: SSL.Context
    session: SSL.Session | None = None
    """To go on with."""

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        connection = SSL.Connection(self.context)
        if self.session is not None:
            connection.set_session(self.session)
        return connection


@frozen
class Identity:
    """A certificate, its key, and the certificates that a server sends after it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The certificate and its chain."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> str:
        """The key, without a passphrase."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def server_context(self) -> SSL.Context:
        """A context for servers that show this certificate."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(self.certificate)
        for each in self.chain:
            context.add_extra_chain_cert(each)
        context.use_privatekey(self.key)
        return context

    def client_context(self) -> SSL.Context:
        """A context for clients that show this certificate, be it weak, and believe any server."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        context.use_certificate(self.certificate)
        for each in self.chain:
            context.add_extra_chain_cert(each)
        context.use_privatekey(self.key)
        return context

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Put certificate and key into files, each swapped in whole; their paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        for path, data in (certificate, self.chain_pem), (key, self.key_pem.encode()):
            written = path.with_suffix(".written")
            written.touch(0o600)
            written.write_bytes(data)
            written.rename(path)
        return certificate, key

    def issue(
        self,
        *names: x509.GeneralName,
        common_name: str = "provider",
        since: timedelta = -DAY,
        until: timedelta = 7 * DAY,
        key: Key | None = None,
        authority: bool = False,
        for_clients: bool = False,
        for_servers: bool = False,
        may_certify: Sequence[x509.GeneralName] = (),
        sent_with: Sequence[x509.Certificate] = (),
    ) -> Identity:
        """Sign a certificate with this one's key.

        :param names: its subjectAltNames; without any it has no such extension.
        :param since: when it becomes valid, from now.
        :param until: when it expires, from now.
        :param authority: it may sign others.
        :param for_clients: its extendedKeyUsage says clientAuth; without any it may serve everything.
        :param for_servers: its extendedKeyUsage says serverAuth.
        :param may_certify: the only names that an authority may certify; empty for all.
        :param sent_with: what a server sends after it.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH] * for_clients + [
            ExtendedKeyUsageOID.SERVER_AUTH
        ] * for_servers
        signed = _unsigned(common_name, key, names, since, until, authority, usage)
        signed = signed.issuer_name(self.certificate.subject)
        if may_certify:
            constraints = x509.NameConstraints(permitted_subtrees=may_certify, excluded_subtrees=None)
            signed = signed.add_extension(constraints, critical=True)
        return Identity(signed.sign(self.key, hashes.SHA256()), key, tuple(sent_with))


def self_signed(*names: x509.GeneralName, common_name: str = "root", authority: bool = False) -> Identity:
    """A certificate signed with its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    signed = _unsigned(common_name, key, names, -DAY, 7 * DAY, authority, usage=[])
    return Identity(signed.issuer_name(_subject(common_name)).sign(key, hashes.SHA256()), key)


def root(common_name: str = "root") -> Identity:
    """An authority."""
    return self_signed(common_name=common_name, authority=True)


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _unsigned(
    common_name: str,
    key: Key,
    names: Sequence[x509.GeneralName],
    since: timedelta,
    until: timedelta,
    authority: bool,
    usage: Sequence[x509.ObjectIdentifier],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder
