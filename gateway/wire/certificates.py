"""Is this certificate the provider's?  And if not, why, in words an operator can act on.

A chain is judged by OpenSSL, the names in a certificate by service-identity (RFC 9525).  Only
`PeerNames.verify` returning without an error is a yes: whatever else happens is a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    verify_service_identity,
)

_SHOWN = 120
"""Characters of one text from a certificate that are shown."""

_SHOWN_NAMES = 8
"""Names of one certificate that are shown; a content network's has a hundred."""


class CertificateRefused(SSL.Error):
    """The peer's certificate is not the provider's.

    An `SSL.Error`, because that is what Twisted catches from a handshake and hands to `connectionLost`.
    """

    def __init__(self, clause: str, detail: str) -> None:
        """Make the refusal.

        :param clause: for a client: ends a sentence, and holds nothing that a stranger chose, except dates.
        :param detail: for the operator: what the certificate says, and what to do.
        """
        # Twisted reads OpenSSL's queue of (library, function, reason) from the first argument; an empty one
        # would mean an end of file to it.
        super().__init__([("certificate", "", clause)])
        self.clause = clause
        self.detail = detail


class PeerNames:
    """The names of which a certificate must have one."""

    def __init__(self, names: Sequence[str]) -> None:
        """Read the names: DNS names, IP addresses, URIs.

        :raises ValueError: with a sentence, when there is none or one is none of the three.
        """
        if not names:
            raise ValueError("there is no name to check the certificate for")
        self._uris = frozenset(filter(_is_uri, names))
        self._identities = [_identity(name) for name in names if name not in self._uris]

    def verify(self, certificate: x509.Certificate) -> None:
        """Return if the certificate is valid for one of the names.

        :raises CertificateRefused: when it is not, or has no usable subjectAltName.  Its common name counts
            for nothing (RFC 9525 §2).
        """
        names = _alternative_names(certificate)
        # Compared as they are written (RFC 3986 §6.2.1), as SPIFFE identities are: service-identity's URI_ID
        # matches no URI with an authority.
        if self._uris.intersection(names.get_values_for_type(x509.UniformResourceIdentifier)):
            return
        try:
            patterns: list[CertificatePattern] = [
                *(DNSPattern.from_bytes(name.encode()) for name in names.get_values_for_type(x509.DNSName)),
                *(
                    IPAddressPattern(address)
                    for address in names.get_values_for_type(x509.IPAddress)
                    if isinstance(address, IPv4Address | IPv6Address)
                ),
            ]
            if any(_matches(patterns, identity) for identity in self._identities):
                return
        except CertificateError as error:
            raise CertificateRefused(
                "its certificate has no usable subjectAltName",
                f"It has to be issued anew; a common name is not enough. {_described(certificate)} "
                f"service-identity says: {shown(str(error))}",
            ) from None
        raise CertificateRefused(
            "its certificate is for another name",
            "Is the provider's host right? If it is, put a name of the certificate into subjectAltNames. "
            + _described(certificate),
        )


def dns_name(name: str) -> DNS_ID:
    """A DNS name as service-identity wants it.

    :raises ValueError: with a sentence.
    """
    try:
        # Others would pass through whichever version of IDNA is installed.
        if name.isascii():
            return DNS_ID(name)
    except ValueError:
        pass
    raise ValueError(f"{shown(name)!r} is not a DNS name in ASCII letters")


def _is_uri(name: str) -> bool:
    """Tell a URI from `host:443` and `[::1]`, which are mistakes."""
    return "://" in name or name.startswith("urn:")


def _identity(name: str) -> DNS_ID | IPAddress_ID:
    try:
        return IPAddress_ID(name)
    except ValueError:
        return dns_name(name)


def _matches(patterns: list[CertificatePattern], identity: DNS_ID | IPAddress_ID) -> bool:
    """service-identity's verdict on one name.

    :raises CertificateError: when the certificate has no name.
    """
    try:
        return bool(verify_service_identity(patterns, [identity], []))
    except VerificationError:
        return False


class _Code(IntEnum):
    """OpenSSL's verdicts on a chain that we have words for: X509_V_ERR_… of its `x509_vfy.h`."""

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


class _Verdict(NamedTuple):
    """What one of the codes means."""

    clause: str
    """`{its}` is the certificate, `{since}` and `{until}` its dates, `{code}` the number."""
    advice: str


_ROOTS = "Trusted are the certificates of caCertificates, or without it the system's or SSL_CERT_FILE's."

_NO_ISSUER = _Verdict(
    "{its} was issued by an authority that is not trusted, or an intermediate certificate is missing",
    f"{_ROOTS} If the issuer is a private authority, put its certificate into caCertificates; "
    "if it is an intermediate one, the server has to send that certificate too.",
)
_NO_AUTHORITY = _Verdict(
    "{its} is used as an authority's and is not one",
    "Nobody may issue certificates with it: this can be an attack.",
)
_NOT_ALLOWED = _Verdict(
    "{its} has a name that its authority may not certify", "See the authority's nameConstraints."
)
_WEAK = _Verdict(
    "{its} has a key or a signature that is too weak",
    "It takes RSA of 2048 bits or an elliptic curve, and SHA-256.",
)

_VERDICTS: Mapping[int, _Verdict] = {
    _Code.CERT_HAS_EXPIRED: _Verdict(
        "{its} expired on {until}", "It has to be renewed, or this machine's clock is wrong."
    ),
    _Code.CERT_NOT_YET_VALID: _Verdict("{its} is not valid before {since}", "Is this machine's clock right?"),
    _Code.DEPTH_ZERO_SELF_SIGNED_CERT: _Verdict(
        "{its} is self-signed", "If it is the one you expect, put it into caCertificates."
    ),
    _Code.SELF_SIGNED_CERT_IN_CHAIN: _Verdict(
        "its certificate leads to a root that is not trusted",
        f"{_ROOTS} If the root is the one you expect, put it into caCertificates.",
    ),
    _Code.UNABLE_TO_GET_ISSUER_CERT: _NO_ISSUER,
    _Code.UNABLE_TO_GET_ISSUER_CERT_LOCALLY: _NO_ISSUER,
    _Code.CERT_SIGNATURE_FAILURE: _Verdict(
        "{its} has a false signature",
        "The issuer has the name of a trusted authority and another key: is caCertificates out of date?",
    ),
    _Code.INVALID_CA: _NO_AUTHORITY,
    _Code.KEYUSAGE_NO_CERTSIGN: _NO_AUTHORITY,
    _Code.PATH_LENGTH_EXCEEDED: _NO_AUTHORITY,
    _Code.INVALID_PURPOSE: _Verdict(
        "{its} is not for servers", "Its extendedKeyUsage lacks serverAuth: it has to be issued anew."
    ),
    _Code.PERMITTED_VIOLATION: _NOT_ALLOWED,
    _Code.EXCLUDED_VIOLATION: _NOT_ALLOWED,
    _Code.EE_KEY_TOO_SMALL: _WEAK,
    _Code.CA_KEY_TOO_SMALL: _WEAK,
    _Code.CA_MD_TOO_WEAK: _WEAK,
}

_UNKNOWN_VERDICT = _Verdict("{its} was not accepted (OpenSSL's verification error {code})", "")


def chain_refused(code: int, depth: int, certificate: x509.Certificate) -> CertificateRefused:
    """Put into words why OpenSSL did not believe a chain.

    :param code: the number of its X509_V_ERR_….
    :param depth: which certificate it stumbled over: 0 for the peer's own, 1 for its issuer's, and so on.
    """
    verdict = _VERDICTS.get(code, _UNKNOWN_VERDICT)
    clause = verdict.clause.format(
        its="its certificate" if depth == 0 else "a certificate in its chain",
        since=certificate.not_valid_before_utc.date(),
        until=certificate.not_valid_after_utc.date(),
        code=code,
    )
    return CertificateRefused(clause, f"{verdict.advice} {_described(certificate)}".lstrip())


def _described(certificate: x509.Certificate) -> str:
    """What an operator recognises a certificate by."""
    subject, issuer = (shown(name.rfc4514_string()) for name in (certificate.subject, certificate.issuer))
    return f"Its subject: {subject or 'none'}; issuer: {issuer or 'none'}; names: {_names_of(certificate)}."


def _names_of(certificate: x509.Certificate) -> str:
    names = [shown(str(name.value)) or "an empty name" for name in _alternative_names(certificate)]
    more = len(names) - _SHOWN_NAMES
    return (", ".join(names[:_SHOWN_NAMES]) or "none") + (f" and {more} more" if more > 0 else "")


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    """The certificate's subjectAltName, empty if it has none.

    :raises ValueError: when its extensions cannot be read.
    """
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def shown(text: str) -> str:
    """A text that a stranger may have chosen, fit for a log: cut, and without control characters."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in cut
    )
