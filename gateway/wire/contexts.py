"""What OpenSSL is told once for many connections: versions, trusted roots, our own certificate."""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags

from gateway.messages import Secret, TlsSettings
from gateway.wire.certificates import shown

Judge = Callable[[SSL.Connection, X509, int, int, int], bool]
"""OpenSSL's question about one certificate of a chain: the connection, the certificate, OpenSSL's error code,
the certificate's depth in the chain (0 is the peer's own), and whether OpenSSL itself would go on."""

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

_KINDS_OF_KEYS = (RSAPrivateKey, EllipticCurvePrivateKey, Ed25519PrivateKey, Ed448PrivateKey)


def make_context(settings: TlsSettings, judge: Judge) -> SSL.Context:
    """Make a context for clients.  The names in the settings are not its business.

    :param judge: asked about every certificate, unless the settings believe anyone.
    :raises ValueError: with a sentence for the operator.
    """
    if settings.min_version not in _VERSIONS:
        raise ValueError(
            f"minVersion is {shown(settings.min_version)!r}, and not one of {', '.join(_VERSIONS)}"
        )
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(_VERSIONS[settings.min_version])
    # A resumed session's peer is not verified again, so there are none.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # 34 kB less for each connection that waits.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_alpn_protos([b"http/1.1"])
    # OpenSSL's default since 3.2: 112 bits of security, so no RSA below 2048 bits and no SHA-1.  Said here so
    # that no openssl.cnf lowers it.
    context.set_cipher_list(b"DEFAULT:@SECLEVEL=2")
    if settings.verify:
        _trust(context, settings.ca_certificates)
        context.set_verify(SSL.VERIFY_PEER, judge)
    else:
        context.set_verify(SSL.VERIFY_NONE)
    if settings.client_certificate is not None or settings.private_key is not None:
        _identify(context, settings.client_certificate, settings.private_key)
    return context


def _trust(context: SSL.Context, ca_certificates: bytes | None) -> None:
    """Trust these certificates and no others, or the system's roots.

    :raises ValueError: with a sentence for the operator.
    """
    if ca_certificates is None:
        _trust_system(context)
        return
    store = context.get_cert_store()
    assert store is not None
    for certificate in _certificates(ca_certificates, "caCertificates"):
        store.add_cert(X509.from_cryptography(certificate))
    # What an operator names is trusted, be it a root or an intermediate authority.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)


def _trust_system(context: SSL.Context) -> None:
    """Trust what the environment names, or else what the system has.

    OpenSSL by itself would pass over a file that it cannot read, and look into its own folder beside it.

    :raises ValueError: with a sentence for the operator.
    """
    file, folder = (os.environ.get(name) or None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if file is None and folder is None:
        context.set_default_verify_paths()
        return
    try:
        context.load_verify_locations(file, folder)
    except SSL.Error:
        raise ValueError(f"SSL_CERT_FILE is {file}, and no certificate can be read from it") from None


def _identify(context: SSL.Context, certificate: bytes | None, key: Secret | None) -> None:
    """Show this certificate to providers that ask for one.

    :raises ValueError: with a sentence for the operator; it holds nothing of the key.
    """
    if certificate is None or key is None:
        raise ValueError("clientCertificate and privateKey need each other")
    own, *chain = _certificates(certificate, "clientCertificate")
    try:
        private_key = load_pem_private_key(key.reveal().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("privateKey holds no PEM private key, or one with a passphrase") from None
    if not isinstance(private_key, _KINDS_OF_KEYS):
        raise ValueError("privateKey is neither RSA nor of an elliptic curve")
    if private_key.public_key() != own.public_key():
        raise ValueError("privateKey does not belong to the first certificate of clientCertificate")
    try:
        context.use_certificate(own)
        for each in chain:
            context.add_extra_chain_cert(each)
        context.use_privatekey(private_key)
    except SSL.Error:
        raise ValueError("clientCertificate has a key or a signature that is too weak for TLS") from None


def _certificates(pem: bytes, field: str) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one.

    :raises ValueError: with a sentence for the operator.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError(f"{field} holds no PEM certificate, or one that is damaged") from None
