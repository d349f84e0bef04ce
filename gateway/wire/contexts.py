"""What OpenSSL is told once for many connections: versions, trusted roots, our own certificate."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags

from gateway.messages import TlsSettings
from gateway.wire.certificates import shown

Judge = Callable[[SSL.Connection, X509, int, int, int], bool]
"""OpenSSL's question about one certificate of a chain: the connection, the certificate, OpenSSL's error code,
the certificate's depth in the chain (0 is the peer's own), and whether OpenSSL itself would go on."""

Choice = Callable[[SSL.Connection, list[bytes]], bytes]
"""OpenSSL's question which of the protocols that a client offers is spoken."""

HTTP = b"http/1.1"
"""What we speak, as ALPN calls it (RFC 7301 §6)."""

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
"""The versions of TLS that may be the lowest, as operators write them."""

_KINDS_OF_KEYS = (RSAPrivateKey, EllipticCurvePrivateKey, Ed25519PrivateKey, Ed448PrivateKey)


@frozen
class Pem:
    """What a PEM file holds."""

    name: str
    """What the operator knows it as."""
    data: bytes = field(repr=False)


def make_context(settings: TlsSettings, judge: Judge) -> SSL.Context:
    """Make a context for clients.  The names in the settings are not its business.

    :param judge: asked about every certificate, unless the settings believe anyone.
    :raises ValueError: with a sentence for the operator.
    """
    if settings.min_version not in VERSIONS:
        raise ValueError(
            f"minVersion is {shown(settings.min_version)!r}, and not one of {', '.join(VERSIONS)}"
        )
    context = _strict_context(SSL.TLS_CLIENT_METHOD, settings.min_version)
    context.set_alpn_protos([HTTP])
    # OpenSSL's default since 3.2: 112 bits of security, so no RSA below 2048 bits and no SHA-1.  Said here so
    # that no openssl.cnf lowers it.
    context.set_cipher_list(b"DEFAULT:@SECLEVEL=2")
    if settings.verify:
        _trust(context, settings.ca_certificates)
        context.set_verify(SSL.VERIFY_PEER, judge)
    else:
        context.set_verify(SSL.VERIFY_NONE)
    if settings.client_certificate is not None or settings.private_key is not None:
        if settings.client_certificate is None or settings.private_key is None:
            raise ValueError("clientCertificate and privateKey need each other")
        key = Pem("privateKey", settings.private_key.reveal().encode())
        _identify(context, Pem("clientCertificate", settings.client_certificate), key)
    return context


def make_server_context(
    certificate: Pem,
    private_key: Pem,
    client_ca: Pem | None,
    *,
    min_version: str,
    required: bool,
    judge: Judge,
    choose: Choice,
) -> SSL.Context:
    """Make a context for servers.

    :param certificate: the server's own first, then its chain.
    :param client_ca: clients are asked for a certificate of one of these authorities; None asks for none.
    :param required: a client without a certificate is refused.
    :param judge: asked about every certificate of a client's chain.
    :param choose: asked which of the protocols that a client offers by ALPN is spoken.
    :raises ValueError: with a sentence for the operator; it holds nothing of the key.
    """
    context = _strict_context(SSL.TLS_SERVER_METHOD, min_version)
    # For TLS 1.2, what every client of the last ten years has: forward secrecy and authenticated encryption
    # (RFC 9325 §4.2).  The ciphers of TLS 1.3 are all like that.
    context.set_cipher_list(b"ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2")
    context.set_alpn_select_callback(choose)
    _identify(context, certificate, private_key)
    if client_ca is None:
        context.set_verify(SSL.VERIFY_NONE)
        return context
    for authority in _trust_only(context, client_ca):
        context.add_client_ca(authority)
    context.set_verify(SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else 0), judge)
    return context


def _strict_context(method: int, min_version: str) -> SSL.Context:
    """What both sides have in common."""
    context = SSL.Context(method)
    context.set_min_proto_version(VERSIONS[min_version])
    # A resumed session's peer is not verified again, so there are none.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # 34 kB less for each connection that waits.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def _trust(context: SSL.Context, ca_certificates: bytes | None) -> None:
    """Trust these certificates and no others, or the system's roots.

    :raises ValueError: with a sentence for the operator.
    """
    if ca_certificates is None:
        _trust_system(context)
        return
    _trust_only(context, Pem("caCertificates", ca_certificates))


def _trust_only(context: SSL.Context, authorities: Pem) -> list[x509.Certificate]:
    """Trust these certificates and no others; they are returned.

    :raises ValueError: with a sentence for the operator.
    """
    store = context.get_cert_store()
    assert store is not None
    certificates = _certificates(authorities)
    for certificate in certificates:
        store.add_cert(X509.from_cryptography(certificate))
    # What an operator names is trusted, be it a root or an intermediate authority.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    return certificates


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


def _identify(context: SSL.Context, certificate: Pem, private_key: Pem) -> None:
    """Show this certificate to peers that ask for one.

    :raises ValueError: with a sentence for the operator; it holds nothing of the key.
    """
    own, *chain = _certificates(certificate)
    try:
        key = load_pem_private_key(private_key.data, None)
    except TypeError:
        raise ValueError(
            f"{private_key.name} has a passphrase, and nobody is there to type it: remove it with `openssl pkey`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{private_key.name} holds no PEM private key, or one that is damaged") from None
    if not isinstance(key, _KINDS_OF_KEYS):
        raise ValueError(f"{private_key.name} is neither RSA nor of an elliptic curve")
    if key.public_key() != own.public_key():
        raise ValueError(f"{private_key.name} does not belong to the first certificate of {certificate.name}")
    try:
        context.use_certificate(own)
        for each in chain:
            context.add_extra_chain_cert(each)
        context.use_privatekey(key)
    except SSL.Error:
        raise ValueError(f"{certificate.name} has a key or a signature that is too weak for TLS") from None


@lru_cache(maxsize=1024)
def ends_at(pem: bytes) -> float:
    """When the first of these certificates ends that are known to be good, in seconds of Unix time."""
    return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem)).timestamp()


def _certificates(pem: Pem) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one.

    :raises ValueError: with a sentence for the operator.
    """
    try:
        return x509.load_pem_x509_certificates(pem.data)
    except ValueError:
        raise ValueError(f"{pem.name} holds no PEM certificate, or one that is damaged") from None
