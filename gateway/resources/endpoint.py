"""`endpoint`: where a provider is, as far as its host does not say it, and how the connection is secured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import evolve, field, frozen

from gateway.resources import syntax
from gateway.resources.shapes import (
    Boolean,
    Choice,
    ExpandedText,
    Field,
    Finding,
    ListOf,
    Record,
    Text,
    Values,
    WholeNumber,
)


@frozen
class TlsOptions:
    """How the connection to a provider is secured."""

    mode: str = "SIMPLE"
    """`SIMPLE`, `MUTUAL` or `DISABLE`."""
    sni: str | None = None
    subject_alt_names: tuple[str, ...] = ()
    """Names to check instead of the host; empty for the host."""
    ca_certificates: str | None = None
    """Absolute path of a PEM file; None trusts the system's roots."""
    client_certificate: str | None = None
    """Absolute path of a PEM file."""
    private_key: str | None = None
    """Absolute path of a PEM file."""
    min_version: str = "1.2"
    """`1.2` or `1.3`."""
    insecure_skip_verify: bool = False


@frozen
class Endpoint:
    """Where to connect, as far as it is not the host on port 443."""

    address: str | None = field(default=None, repr=False)
    """May hold what came from outside."""
    port: int | None = None
    tls: TlsOptions | None = None


def _tls_findings(values: Values) -> Iterator[Finding]:
    written = values.written
    mode = values["mode"] if "mode" in written else "SIMPLE"
    if mode == "DISABLE":
        for name in sorted(written - {"mode"}):
            yield Finding(name, "has no effect with mode DISABLE, which speaks plain HTTP")
        return
    for name in ("clientCertificate", "privateKey"):
        if mode == "MUTUAL" and name not in written:
            yield Finding(name, "is missing: mode MUTUAL needs clientCertificate and privateKey")
        if mode == "SIMPLE" and name in written:
            yield Finding(name, "has no effect with mode SIMPLE; write mode MUTUAL to present a certificate")
    if values["insecureSkipVerify"]:
        for name in ("caCertificates", "subjectAltNames"):
            if name in written:
                yield Finding(name, "has no effect with insecureSkipVerify, which checks nothing")
        warning = "any certificate is accepted: whoever is on the way to this provider can read its key"
        yield Finding("insecureSkipVerify", warning, "warning")


def _tls_of(values: Values) -> TlsOptions:
    options = TlsOptions(
        sni=values["sni"],
        subject_alt_names=values["subjectAltNames"] or (),
        ca_certificates=values["caCertificates"],
        client_certificate=values["clientCertificate"],
        private_key=values["privateKey"],
        insecure_skip_verify=bool(values["insecureSkipVerify"]),
    )
    written: dict[str, Any] = {"mode": values["mode"], "min_version": values["minVersion"]}
    return evolve(options, **{name: value for name, value in written.items() if value is not None})


_TLS = Record(
    (
        Field(
            "mode",
            Choice(("SIMPLE", "MUTUAL", "DISABLE")),
            "SIMPLE unless written; DISABLE speaks plain HTTP.",
        ),
        Field("sni", Text(syntax.SERVER_NAME), "The server name to send; the host unless written."),
        Field(
            "subjectAltNames",
            ListOf(Text(syntax.CERTIFICATE_NAME), at_least=1),
            "Names of which the certificate must have one; the host unless written.",
        ),
        Field(
            "caCertificates",
            ExpandedText(syntax.FILE_PATH),
            "PEM of the roots to trust; the system's unless written.",
        ),
        Field("clientCertificate", ExpandedText(syntax.FILE_PATH), "PEM of our certificate, for MUTUAL."),
        Field("privateKey", ExpandedText(syntax.FILE_PATH), "PEM of its key, for MUTUAL."),
        Field("minVersion", Choice(("1.2", "1.3")), "The lowest TLS version; 1.2 unless written."),
        Field("insecureSkipVerify", Boolean(), "Accept any certificate."),
    ),
    check=_tls_findings,
    build=_tls_of,
)

ENDPOINT = Record(
    (
        Field("address", ExpandedText(syntax.HOST), "Where to connect; the host unless written."),
        Field("port", WholeNumber(1, 65535), "443 unless written, 80 with tls mode DISABLE."),
        Field("tls", _TLS, "How the connection is secured."),
    ),
    build=lambda values: Endpoint(values["address"], values["port"], values["tls"]),
)
