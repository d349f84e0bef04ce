"""Settings that cannot be used are refused with a sentence, before anything is connected."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from gateway.messages import Secret, TlsSettings
from gateway.wire.tls import client_creator
from tests.fakes.certificates import root, weak_key

AUTHORITY = root("authority")
GATEWAY = AUTHORITY.issue(common_name="gateway", for_clients=True)
OTHER = AUTHORITY.issue()

SETTINGS = TlsSettings(
    server_name="provider.example",
    names=("provider.example",),
    ca_certificates=AUTHORITY.certificate_pem,
)
MUTUAL = evolve(SETTINGS, client_certificate=GATEWAY.certificate_pem, private_key=Secret(GATEWAY.key_pem))

PRIVATE = "MIGHAgEAMBMGByqGSM49"
LOCKED = GATEWAY.key.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
).decode()
WEAK = AUTHORITY.issue(key=weak_key())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            evolve(SETTINGS, ca_certificates=b""),
            "caCertificates holds no PEM certificate, or one that is damaged",
        ),
        (
            evolve(SETTINGS, ca_certificates=b"garbage"),
            "caCertificates holds no PEM certificate, or one that is damaged",
        ),
        (
            evolve(SETTINGS, ca_certificates=AUTHORITY.certificate_pem.replace(b"MII", b"MIJ", 1)),
            "caCertificates holds no PEM certificate, or one that is damaged",
        ),
        (evolve(SETTINGS, names=()), "there is no name to check the certificate for"),
        (evolve(SETTINGS, names=("provider.example", "")), "'' is not a DNS name in ASCII letters"),
        (evolve(SETTINGS, names=("a.example:443",)), "'a.example:443' is not a DNS name in ASCII letters"),
        (evolve(SETTINGS, names=("[::1]",)), "'[::1]' is not a DNS name in ASCII letters"),
        (evolve(SETTINGS, names=("*.example",)), "'*.example' is not a DNS name in ASCII letters"),
        (
            evolve(SETTINGS, server_name="bücher.example"),
            "'bücher.example' is not a DNS name in ASCII letters",
        ),
        (evolve(SETTINGS, server_name="127.0.0.1"), "'127.0.0.1' is not a DNS name in ASCII letters"),
        (evolve(SETTINGS, min_version="1.1"), "minVersion is '1.1', and not one of 1.2, 1.3"),
        (evolve(MUTUAL, private_key=None), "clientCertificate and privateKey need each other"),
        (evolve(MUTUAL, client_certificate=None), "clientCertificate and privateKey need each other"),
        (
            evolve(MUTUAL, client_certificate=b"garbage"),
            "clientCertificate holds no PEM certificate, or one that is damaged",
        ),
        (
            evolve(MUTUAL, private_key=Secret(PRIVATE)),
            "privateKey holds no PEM private key, or one that is damaged",
        ),
        (
            evolve(MUTUAL, private_key=Secret(LOCKED)),
            "privateKey has a passphrase, and nobody is there to type it: remove it with `openssl pkey`",
        ),
        (
            evolve(MUTUAL, private_key=Secret(OTHER.key_pem)),
            "privateKey does not belong to the first certificate of clientCertificate",
        ),
        (
            evolve(SETTINGS, client_certificate=WEAK.certificate_pem, private_key=Secret(WEAK.key_pem)),
            "clientCertificate has a key or a signature that is too weak for TLS",
        ),
    ],
)
def test_settings_that_cannot_be_used(settings: TlsSettings, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^\S.*[^.]$") as raised:
        client_creator(settings)
    assert str(raised.value) == sentence
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("contents", [None, b"", b"garbage"])
def test_roots_that_cannot_be_read(
    contents: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not leave everything refused, or the system's roots in their place: the settings are refused."""
    file = tmp_path / "roots.pem"
    if contents is not None:
        file.write_bytes(contents)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(
        ValueError, match=r"^SSL_CERT_FILE is .*roots\.pem, and no certificate can be read from it$"
    ):
        client_creator(evolve(SETTINGS, ca_certificates=None))
