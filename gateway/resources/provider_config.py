"""`configs` of a provider: what its requests are given, by default and by the rule that matched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from attrs import evolve, field, frozen

from gateway.messages import Secret
from gateway.resources import syntax
from gateway.resources.misbehaviour import MISBEHAVIOUR
from gateway.resources.own_headers import OF_REQUESTS
from gateway.resources.shapes import (
    Boolean,
    Choice,
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


@frozen
class ApiKey:
    """One of a provider's keys."""

    name: str
    """Unique in its config; empty for the only one, written as `apiKey`."""
    key: Secret
    weight: int = 1


@frozen
class ProviderConfig:
    """What requests to a provider are given.  None is "not written", so that one config can be laid over another."""

    dialect: str
    """The name of the field it was written under: `openAIConfig`, `simulatorConfig`."""
    model: str | None = None
    stream: bool | None = None
    api_keys: tuple[ApiKey, ...] | None = None
    """At least one."""
    model_policy: str | None = None
    """`override` or `default`."""
    parameters: Mapping[str, bytes] | None = field(default=None, repr=False)
    """Defaults for the body: name, value as compact JSON.  May hold what came from outside."""
    headers: Mapping[str, Secret] | None = None
    """Names in lower case."""
    misbehave: str | None = None
    """What the simulator does wrong, as `misbehaviour.py` reads it."""
    hidden_parameters: frozenset[str] = frozenset()
    """The parameters that hold something from the environment or a file, never to be shown."""


_OF_THE_CLIENT = "is what the client asks; it cannot have a default"
_OWN_PARAMETERS = {
    "messages": _OF_THE_CLIENT,
    "prompt": _OF_THE_CLIENT,
    "input": _OF_THE_CLIENT,
    "model": "is not a parameter: the field `model` of this config sets it",
    "stream": "is not a parameter: the field `stream` of this config sets it",
    "stream_options": "is set by the gateway itself, which needs the usage that it asks for",
}


def _config_of(dialect: str, values: Values) -> ProviderConfig:
    parameters = values["parameters"]
    return ProviderConfig(
        dialect,
        model=values["model"],
        stream=values["stream"],
        api_keys=values["apiKeys"] or (values["apiKey"] and (ApiKey("", values["apiKey"]),)),
        model_policy=values["modelPolicy"],
        parameters=None
        if parameters is None
        else MappingProxyType({name: value.data for name, value in parameters.items()}),
        headers=values["headers"],
        misbehave=values["misbehave"],
        hidden_parameters=frozenset(name for name, value in (parameters or {}).items() if value.from_outside),
    )


def _only_config(values: Values) -> ProviderConfig:
    ((dialect, settings),) = values.decoded.items()
    return _config_of(dialect, settings)


def _key_findings(values: Values) -> Iterator[Finding]:
    if {"apiKey", "apiKeys"} <= values.written:
        yield Finding("apiKeys", "stands beside apiKey: of several keys all are written here")
    keys: tuple[ApiKey | None, ...] = values["apiKeys"] or ()
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key is not None and (earlier := first.setdefault(key.name, index)) != index:
            yield Finding(f"apiKeys[{index}].name", f"is the name of apiKeys[{earlier}] too")
    if keys and None not in keys and not any(key.weight for key in keys if key is not None):
        yield Finding("apiKeys", "has no weight above 0, so no key could ever be used")


_API_KEY = Record(
    (
        Field("name", Text(syntax.WORD), "In metrics and log; unique in its config.", required=True),
        Field(
            "key",
            SecretText(syntax.KEY),
            "The key: ${NAME}, ${file:/path}, or the key itself.",
            required=True,
        ),
        Field("weight", WholeNumber(0, 1_000_000), "Its share of the sum of all; 1 unless written."),
    ),
    build=lambda values: ApiKey(
        values["name"], values["key"], values["weight"] if values["weight"] is not None else 1
    ),
)

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
            MapOf(syntax.HEADER_NAME, SecretText(syntax.HEADER_VALUE), OF_REQUESTS),
            "Further headers to send to the provider.",
        ),
        Field("apiKeys", ListOf(_API_KEY, at_least=1), "Several keys instead, which take turns by weight."),
    ),
    check=_key_findings,
)

_SIMULATOR_CONFIG = evolve(
    _DIALECT_CONFIG,
    fields=(
        *_DIALECT_CONFIG.fields,
        Field("misbehave", Text(MISBEHAVIOUR, shown=False), "What it does wrong, such as `cut-after=3`."),
    ),
)

_PROVIDER_CONFIG = Record(
    (
        Field("openAIConfig", _DIALECT_CONFIG, "A provider that speaks OpenAI's API."),
        Field("simulatorConfig", _SIMULATOR_CONFIG, "The built-in provider that needs no network."),
        Field("anthropicConfig", NotBuilt()),
    ),
    at_least=1,
    at_most=1,
    build=_only_config,
)

CONFIGS = Record(
    (
        Field("defaultConfig", _PROVIDER_CONFIG, "Used where the rule that matched has none of its own."),
        Field(
            "routeSpecificConfigs",
            MapOf(syntax.WORD, _PROVIDER_CONFIG),
            "By the name of the rule that matched; laid over the default field by field.",
        ),
    )
)
