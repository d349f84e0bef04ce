"""Is this certificate the provider's?  And if not, why, in words an operator can act on.

A chain is judged by OpenSSL (`verdicts`), the names in a certificate by service-identity (RFC 9525).  Only
`PeerNames.verify` returning without an error is a yes: whatever else happens is a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

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

from gateway.messages import is_address

_SHOWN = 120
"""Characters of one text from a certificate that are shown."""

_SHOWN_NAMES = 8
"""Names of one certificate that are shown; a content network's has a hundred."""


class CertificateRefused(SSL.Error):
    """The peer's certificate is not the provider's, or not one of a client's.

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
                f"It has to be issued anew; a common name is not enough. {described(certificate)} "
                f"service-identity says: {shown(str(error))}",
            ) from None
        raise CertificateRefused(
            "its certificate is for another name",
            "Is the provider's host right? If it is, put a name of the certificate into subjectAltNames. "
            + described(certificate),
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


def described(certificate: x509.Certificate) -> str:
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


def names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subjectAltNames by which a certificate's owner may be known: DNS names, URIs, e-mail and IP addresses.

    As they are written, hosts in lower case (RFC 4343), in the certificate's order.  Other kinds are left out, and
    so is the common name.

    :raises ValueError: when its extensions cannot be read.
    """
    spelled = (_spelled(name) for name in _alternative_names(certificate))
    return tuple(text for text in spelled if text is not None)


def _spelled(name: x509.GeneralName) -> str | None:
    """A name as configuration writes it, or None for one that would there be read as one of another kind.

    Whoever signs DNS names may not look at what stands in one; `spiffe://corp/batch` does not in an honest one.
    """
    text = str(name.value)
    if isinstance(name, x509.IPAddress):
        return text
    if is_address(text):
        return None
    if isinstance(name, x509.UniformResourceIdentifier):
        return text if ":" in text else None
    if isinstance(name, x509.RFC822Name):
        local, at, domain = text.rpartition("@")
        return local + at + domain.lower() if at and ":" not in text else None
    if isinstance(name, x509.DNSName):
        return text.lower() if not {":", "@"} & set(text) else None
    return None


def shown(text: str) -> str:
    """A text that a stranger may have chosen, fit for a log: cut, and without control characters."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in cut
    )
