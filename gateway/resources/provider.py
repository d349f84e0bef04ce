"""LLMProvider: who can answer, where it is, and what its requests are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen

from gateway.messages import Secret
from gateway.resources import syntax
from gateway.resources.problems import Places
from gateway.resources.shapes import (
    Boolean,
    Choice,
    ExpandedText,
    Field,
    Finding,
    Json,
    ListOf,
    MapOf,
    NotBuilt,
    Record,
    SecretText,
    Text,
    Values,
    WholeNumber,
)
from gateway.resources.timeouts import UPSTREAM_TIMEOUTS


@frozen
class ProviderConfig:
    """What requests to a provider are given.  None is "not written", so that one config can be laid over another."""

    dialect: str
    """The name of the field it was written under: `openAIConfig`, `simulatorConfig`."""
    model: str | None = None
    stream: bool | None = None
    api_key: Secret | None = None
    model_policy: str | None = None
    """`override` or `default`."""
    parameters: Mapping[str, bytes] | None = field(default=None, repr=False)
    """Defaults for the body: name, value as compact JSON.  May hold what came from outside."""
    headers: Mapping[str, Secret] | None = None
    """Names in lower case."""
    hidden_parameters: frozenset[str] = frozenset()
    """The parameters that hold something from the environment or a file, never to be shown."""


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


@frozen
class LLMProvider:
    """One provider as written."""

    name: str
    tenant: str
    """Its owner; the root namespace for a provider that all may use."""
    host: str
    """Lower case, without trailing dot; an IPv6 address without brackets."""
    path: str | None = field(repr=False)
    """Of chat completions.  May hold what came from outside."""
    workload_labels: Mapping[str, str]
    """Only a gateway that carries all of these labels loads it."""
    export_to: tuple[str, ...]
    """Tenants, or `*`; empty for its own tenant."""
    endpoint: Endpoint | None
    timeouts: Mapping[str, float]
    """Those that were written, of connect, headers, idle and request; in seconds."""
    default_config: ProviderConfig | None
    route_configs: Mapping[str, ProviderConfig]
    """By the name of the rule that matched."""
    from_outside: tuple[Secret, ...]
    """Every value that came from the environment or a file, wherever in the document it stands."""
    places: Places = field(eq=False, repr=False)


_OF_THE_CLIENT = "is what the client asks; it cannot have a default"
_OWN_PARAMETERS = {
    "messages": _OF_THE_CLIENT,
    "prompt": _OF_THE_CLIENT,
    "input": _OF_THE_CLIENT,
    "model": "is not a parameter: the field `model` of this config sets it",
    "stream": "is not a parameter: the field `stream` of this config sets it",
    "stream_options": "is set by the gateway itself, which needs the usage that it asks for",
}

_FRAMING = "belongs to one connection or to the framing of a body; the gateway sets it itself"
_OWN_HEADERS = {
    **dict.fromkeys(
        # RFC 9110 §7.6.1 and the framing of RFC 9112 §6
        ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
         "content-length", "expect"),
        _FRAMING,
    ),
    "host": "is the provider's host; a backendRef's `hostRewrite` changes it",
    "authorization": "is set from `apiKey`",
    "proxy-authorization": "is between a client and its proxy; write the provider's key as `apiKey`",
    "proxy-authenticate": "is between a client and its proxy",
    "accept-encoding": "is always `identity`, so that usage can be read",
    "content-encoding": "is not set: bodies are sent as they are",
    "content-type": "says what the body is; the gateway sets it itself",
    "via": "is set by the gateway itself, which knows loops by it",
}  # fmt: skip


def _config_of(dialect: str, values: Values) -> ProviderConfig:
    parameters = values["parameters"]
    return ProviderConfig(
        dialect,
        model=values["model"],
        stream=values["stream"],
        api_key=values["apiKey"],
        model_policy=values["modelPolicy"],
        parameters=None
        if parameters is None
        else MappingProxyType({name: value.data for name, value in parameters.items()}),
        headers=values["headers"],
        hidden_parameters=frozenset(name for name, value in (parameters or {}).items() if value.from_outside),
    )


def _only_config(values: Values) -> ProviderConfig:
    ((dialect, settings),) = values.decoded.items()
    return _config_of(dialect, settings)


_DIALECT_CONFIG = Record(
    (
        Field("model", Text(syntax.WORD), "What the provider is asked for."),
        Field("stream", Boolean(), "Whether to stream, for a client that does not say."),
        Field(
            "apiKey", SecretText(syntax.KEY), "The provider's key: ${NAME}, ${file:/path}, or the key itself."
        ),
        Field(
            "modelPolicy",
            Choice(("override", "default")),
            "`override` replaces the client's model, `default` only fills in; override unless written.",
        ),
        Field(
            "parameters",
            MapOf(syntax.WORD, Json(), MappingProxyType(_OWN_PARAMETERS)),
            "Defaults for the body's fields, as temperature.",
        ),
        Field(
            "headers",
            MapOf(syntax.HEADER_NAME, SecretText(syntax.HEADER_VALUE), MappingProxyType(_OWN_HEADERS)),
            "Further headers to send to the provider.",
        ),
        Field("apiKeys", NotBuilt()),
    )
)

_PROVIDER_CONFIG = Record(
    (
        Field("openAIConfig", _DIALECT_CONFIG, "A provider that speaks OpenAI's API."),
        Field("simulatorConfig", _DIALECT_CONFIG, "The built-in provider that needs no network."),
        Field("anthropicConfig", NotBuilt()),
    ),
    at_least=1,
    at_most=1,
    build=_only_config,
)

_CONFIGS = Record(
    (
        Field("defaultConfig", _PROVIDER_CONFIG, "Used where the rule that matched has none of its own."),
        Field(
            "routeSpecificConfigs",
            MapOf(syntax.WORD, _PROVIDER_CONFIG),
            "By the name of the rule that matched; laid over the default field by field.",
        ),
    )
)


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

_ENDPOINT = Record(
    (
        Field("address", ExpandedText(syntax.HOST), "Where to connect; the host unless written."),
        Field("port", WholeNumber(1, 65535), "443 unless written, 80 with tls mode DISABLE."),
        Field("tls", _TLS, "How the connection is secured."),
    ),
    build=lambda values: Endpoint(values["address"], values["port"], values["tls"]),
)

PROVIDER_SPEC = Record(
    (
        Field(
            "host",
            Text(syntax.HOST),
            "Unique among the providers a tenant sees; also SNI, certificate name and Host header.",
            required=True,
        ),
        Field(
            "path", ExpandedText(syntax.URL_PATH), "Of chat completions; /v1/chat/completions unless written."
        ),
        Field(
            "workloadSelector",
            Record(
                (Field("labels", MapOf(syntax.WORD, Text(syntax.LABEL_VALUE)), "As given with --label."),)
            ),
            "Which gateways load this provider; all unless written.",
        ),
        Field("configs", _CONFIGS, "What requests are given."),
        Field("endpoint", _ENDPOINT, "Where to connect, if not to the host on port 443."),
        Field(
            "exportTo", ListOf(Text(syntax.TENANT_OR_ALL)), 'Who else may name it: tenants, or "*" for all.'
        ),
        Field("timeouts", UPSTREAM_TIMEOUTS, "How long this provider may take."),
        *(
            Field(name, NotBuilt())
            for name in ("connectionPool", "outlierDetection", "healthCheck", "pricing", "prefill")
        ),
    )
)


def provider_of(
    name: str, tenant: str, values: Values, places: Places, from_outside: tuple[Secret, ...]
) -> LLMProvider:
    """The provider that a whole and valid spec describes."""
    selector = values["workloadSelector"]
    configs = values["configs"]
    nothing: Mapping[str, Any] = MappingProxyType({})
    return LLMProvider(
        name=name,
        tenant=tenant,
        host=values["host"],
        path=values["path"],
        workload_labels=(selector and selector["labels"]) or nothing,
        export_to=values["exportTo"] or (),
        endpoint=values["endpoint"],
        timeouts=values["timeouts"] or nothing,
        default_config=configs and configs["defaultConfig"],
        route_configs=(configs and configs["routeSpecificConfigs"]) or nothing,
        from_outside=from_outside,
        places=places,
    )
