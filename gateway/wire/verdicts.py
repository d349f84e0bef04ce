"""OpenSSL's verdicts on a chain of certificates, in words that an operator can act on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from cryptography import x509

from gateway.wire.certificates import CertificateRefused, described


class _Code(IntEnum):
    """Those that we have words for: X509_V_ERR_… of OpenSSL's `x509_vfy.h`."""

    UNABLE_TO_GET_ISSUER_CERT = 2
    CERT_SIGNATURE_FAILURE = 7
    CERT_NOT_YET_VALID = 9
    CERT_HAS_EXPIRED = 10
    DEPTH_ZERO_SELF_SIGNED_CERT = 18
    SELF_SIGNED_CERT_IN_CHAIN = 19
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY = 20
    PATH_LENGTH_EXCEEDED = 25
    INVALID_PURPOSE = 26
    KEYUSAGE_NO_CERTSIGN = 32
    PERMITTED_VIOLATION = 47
    EXCLUDED_VIOLATION = 48
    EE_KEY_TOO_SMALL = 66
    CA_KEY_TOO_SMALL = 67
    CA_MD_TOO_WEAK = 68
    INVALID_CA = 79


class Verdict(NamedTuple):
    """What one of the codes means."""

    clause: str
    """`{its}` is the certificate, `{since}` and `{until}` its dates, `{code}` the number."""
    advice: str


_NO_AUTHORITY = Verdict(
    "{its} is used as an authority's and is not one",
    "Nobody may issue certificates with it: this can be an attack.",
)
_NOT_ALLOWED = Verdict(
    "{its} has a name that its authority may not certify", "See the authority's nameConstraints."
)
_WEAK = Verdict(
    "{its} has a key or a signature that is too weak",
    "It takes RSA of 2048 bits or an elliptic curve, and SHA-256.",
)

_OF_ANYBODY: Mapping[int, Verdict] = {
    _Code.CERT_HAS_EXPIRED: Verdict(
        "{its} expired on {until}", "It has to be renewed, or this machine's clock is wrong."
    ),
    _Code.CERT_NOT_YET_VALID: Verdict("{its} is not valid before {since}", "Is this machine's clock right?"),
    _Code.INVALID_CA: _NO_AUTHORITY,
    _Code.KEYUSAGE_NO_CERTSIGN: _NO_AUTHORITY,
    _Code.PATH_LENGTH_EXCEEDED: _NO_AUTHORITY,
    _Code.PERMITTED_VIOLATION: _NOT_ALLOWED,
    _Code.EXCLUDED_VIOLATION: _NOT_ALLOWED,
    _Code.EE_KEY_TOO_SMALL: _WEAK,
    _Code.CA_KEY_TOO_SMALL: _WEAK,
    _Code.CA_MD_TOO_WEAK: _WEAK,
}

_FALSE_SIGNATURE = "{its} has a false signature"
_NO_ISSUER = "{its} was issued by an authority that is not trusted, or an intermediate certificate is missing"
_OTHER_ROOT = "its certificate leads to a root that is not trusted"
_SELF_SIGNED = "{its} is self-signed"


def _of_provider() -> Mapping[int, Verdict]:
    roots = "Trusted are the certificates of caCertificates, or without it the system's or SSL_CERT_FILE's."
    no_issuer = Verdict(
        _NO_ISSUER,
        f"{roots} If the issuer is a private authority, put its certificate into caCertificates; "
        "if it is an intermediate one, the server has to send that certificate too.",
    )
    return {
        **_OF_ANYBODY,
        _Code.DEPTH_ZERO_SELF_SIGNED_CERT: Verdict(
            _SELF_SIGNED, "If it is the one you expect, put it into caCertificates."
        ),
        _Code.SELF_SIGNED_CERT_IN_CHAIN: Verdict(
            _OTHER_ROOT, f"{roots} If the root is the one you expect, put it into caCertificates."
        ),
        _Code.UNABLE_TO_GET_ISSUER_CERT: no_issuer,
        _Code.UNABLE_TO_GET_ISSUER_CERT_LOCALLY: no_issuer,
        _Code.CERT_SIGNATURE_FAILURE: Verdict(
            _FALSE_SIGNATURE,
            "The issuer has the name of a trusted authority and another key: is caCertificates out of date?",
        ),
        _Code.INVALID_PURPOSE: Verdict(
            "{its} is not for servers", "Its extendedKeyUsage lacks serverAuth: it has to be issued anew."
        ),
    }


def _of_client() -> Mapping[int, Verdict]:
    roots = "Trusted are the certificates of clientCA and no others."
    no_issuer = Verdict(_NO_ISSUER, f"{roots} The client has to send an intermediate certificate itself.")
    return {
        **_OF_ANYBODY,
        _Code.DEPTH_ZERO_SELF_SIGNED_CERT: Verdict(_SELF_SIGNED, roots),
        _Code.SELF_SIGNED_CERT_IN_CHAIN: Verdict(_OTHER_ROOT, roots),
        _Code.UNABLE_TO_GET_ISSUER_CERT: no_issuer,
        _Code.UNABLE_TO_GET_ISSUER_CERT_LOCALLY: no_issuer,
        _Code.CERT_SIGNATURE_FAILURE: Verdict(
            _FALSE_SIGNATURE,
            "The issuer has the name of a trusted authority and another key: is clientCA out of date?",
        ),
        _Code.INVALID_PURPOSE: Verdict(
            "{its} is not for clients", "Its extendedKeyUsage lacks clientAuth: it has to be issued anew."
        ),
    }


OF_PROVIDER = _of_provider()
"""Verdicts on a provider's chain."""

OF_CLIENT = _of_client()
"""Verdicts on a client's chain."""

_UNKNOWN = Verdict("{its} was not accepted (OpenSSL's verification error {code})", "")


def chain_refused(
    verdicts: Mapping[int, Verdict], code: int, depth: int, certificate: x509.Certificate
) -> CertificateRefused:
    """Put into words why OpenSSL did not believe a chain.

    :param code: the number of its X509_V_ERR_….
    :param depth: which certificate it stumbled over: 0 for the peer's own, 1 for its issuer's, and so on.
    """
    verdict = verdicts.get(code, _UNKNOWN)
    clause = verdict.clause.format(
        its="its certificate" if depth == 0 else "a certificate in its chain",
        since=certificate.not_valid_before_utc.date(),
        until=certificate.not_valid_after_utc.date(),
        code=code,
    )
    return CertificateRefused(clause, f"{verdict.advice} {described(certificate)}".lstrip())
