"""The names of a certificate: which count, and what is said of those that do not."""

from __future__ import annotations

import pytest
from cryptography import x509

from gateway.wire.certificates import CertificateRefused, PeerNames
from tests.fakes.certificates import root

AUTHORITY = root("authority")
NAMES = PeerNames(["provider.example"])


def refusal_of(*names: x509.GeneralName, common_name: str = "provider") -> CertificateRefused:
    """What `PeerNames` says to a certificate that is not for provider.example."""
    with pytest.raises(CertificateRefused) as raised:
        NAMES.verify(AUTHORITY.issue(*names, common_name=common_name).certificate)
    return raised.value


def test_many_names_are_cut() -> None:
    refused = refusal_of(*(x509.DNSName(f"{number}.example") for number in range(100)))
    assert "names: 0.example, 1.example, " in refused.detail
    assert refused.detail.endswith("7.example and 92 more.")


def test_what_a_stranger_wrote_is_harmless() -> None:
    refused = refusal_of(
        x509.DNSName("a\r\n\x1b[31m" + "b" * 500), common_name="\N{RIGHT-TO-LEFT OVERRIDE}evil"
    )
    assert refused.detail.isprintable()
    assert len(refused.detail) < 500
    assert r"a\r\n\x1b[31mb" in refused.detail
    assert r"CN=\u202eevil" in refused.detail
    assert "evil" not in refused.clause


@pytest.mark.parametrize("unusable", ["*", "127.0.0.1", ""])
def test_one_unusable_name_spoils_the_certificate(unusable: str) -> None:
    """As service-identity has it: a name that breaks the rules says that nobody checked."""
    refused = refusal_of(x509.DNSName("provider.example"), x509.DNSName(unusable))
    assert refused.clause == "its certificate has no usable subjectAltName"


def test_uris_that_are_not_asked_for_do_no_harm() -> None:
    names = x509.DNSName("provider.example"), x509.UniformResourceIdentifier("urn:uuid:0:*")
    NAMES.verify(AUTHORITY.issue(*names).certificate)
