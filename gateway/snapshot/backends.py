"""What a rule may choose: a provider, and the configuration that this rule gives it."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, field, fields, frozen

from gateway.dialects.dialect import Dialect
from gateway.dialects.table import DIALECTS
from gateway.messages import Destination, HiddenText, PoolLimits, Secret, Timeouts
from gateway.policy.breaking import OutlierDetection
from gateway.policy.pricing import Pricing
from gateway.resources.backend_refs import BackendRef
from gateway.resources.provider import LLMProvider
from gateway.resources.provider_config import ApiKey, ProviderConfig
from gateway.snapshot.destinations import Destinations
from gateway.snapshot.prices import pricing_of
from gateway.snapshot.rule_headers import HeaderEdit, RuleHeaders
from gateway.snapshot.secrets import secrets_of_backend
from gateway.snapshot.simulation import simulation_headers
from gateway.snapshot.stable_names import BreakerName, ProviderName, SeriesLabels

DEFAULT_PATH = "/v1/chat/completions"


@frozen(eq=False)
class ProviderKey:
    """One way to be known to a provider; a provider without any key has one, too."""

    name: str
    """Empty for the only one."""
    weight: int
    secret: Secret | None
    """None where the provider wants no key."""
    breaker_name: BreakerName
    head_lines: bytes = field(repr=False)
    """Host, this key's authentication and the other headers of a `Backend`, each line ended by CRLF."""


@frozen(eq=False)
class Backend:
    """One thing that a rule may choose: a provider with the configuration that this rule gives it."""

    key: str
    """Its name among the rule's backends: the provider's host, and the model where the backendRef asks for one."""
    weight: int
    owner: str
    """The tenant whose provider it is."""
    provider: str
    """The provider's metadata.name."""
    provider_host: str
    destination: Destination
    authority: str
    """The Host header to send."""
    path: bytes = field(repr=False)
    """The provider's chat-completions path."""
    path_is_hidden: bool
    """It came from the environment or a file, and is not shown."""
    dialect: Dialect
    model: str | None
    """What to ask the provider for; None leaves the client's."""
    overrides_model: bool
    """`modelPolicy`: True replaces the client's model, False only fills in."""
    stream: bool | None
    """Fills in for a client that did not say."""
    parameters: tuple[tuple[str, bytes], ...] = field(repr=False)
    """Defaults for the body: name, value as JSON."""
    hidden_parameters: frozenset[str]
    """Those of them that hold something from the environment or a file."""
    keys: tuple[ProviderKey, ...]
    """At least one."""
    headers: tuple[tuple[bytes, Secret], ...]
    """What is set: the first key's authentication, the provider's headers, then the rule's.  Names in lower case."""
    header_names: frozenset[bytes]
    """Of `headers` and of what the rule removes: the client's of these names are not sent."""
    header_names_beside_json: frozenset[bytes]
    """The same where the body is JSON: with Content-Type."""
    head_lines: bytes = field(repr=False)
    """Those of the first key."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """Values that must never reach a client."""
    timeouts: Timeouts
    pool: PoolLimits
    outlier: OutlierDetection
    prefill: bool
    """It goes on with words that are given to it as the beginning of its answer."""
    prefill_field: str | None
    """What marks those; None where being the last message is enough."""
    pricing: Pricing | None
    """None where nobody has said what it costs."""
    labels: SeriesLabels
    added: tuple[tuple[bytes, Secret], ...] = ()
    """What the rule adds to a request, behind the client's lines of the same name."""
    added_lines: bytes = field(default=b"", repr=False)
    """`added` as it stands in a request's head, each line ended by CRLF."""
    answer_edit: HeaderEdit | None = None
    """What the rule does to an answer's head; None for nothing."""
    name: ProviderName = field(init=False)
    key_weights: tuple[int, ...] = field(init=False)

    @name.default
    def _name(self) -> ProviderName:
        return (self.owner, self.provider)

    @key_weights.default
    def _key_weights(self) -> tuple[int, ...]:
        return tuple(key.weight for key in self.keys)


def backend_of(
    provider: LLMProvider,
    reference: BackendRef,
    destinations: Destinations,
    *,
    tenant: str,
    route: str,
    rule: str,
    rule_name: str | None,
    timeouts: Timeouts,
    rule_headers: RuleHeaders,
) -> Backend:
    """Build one backend.

    :param tenant: whose route it is; the provider may be another tenant's.
    :param rule: the rule's name as shown.
    :param rule_name: the rule's name as written, by which a routeSpecificConfig is found; None without one.
    :param rule_headers: what the rule does to heads.
    :raises UnusableFileError: where a certificate or key cannot be read or used.
    """
    # Another tenant's rule of the same name must not reach a configuration made for the owner's.
    specific = provider.route_configs.get(rule_name or "") if provider.tenant == tenant else None
    config = _laid_over(provider.default_config, specific)
    dialect = DIALECTS[config.dialect]
    authentication = _authentication(dialect, config.api_keys[0] if config.api_keys else None)
    beside = [(name.encode(), value) for name, value in (config.headers or {}).items()]
    beside += simulation_headers(provider, config)
    edit = rule_headers.request
    own = {name for name, _ in (*authentication, *beside)}  # it stands, whatever a rule sets
    beside += [(name, value) for name, value in edit.set if name not in own]
    replaced = edit.dropped | own
    authority = _authority(reference.host_rewrite or provider.host)
    keys = _keys(tenant, provider, config, dialect, authority, beside)
    model = reference.model or config.model
    return Backend(
        key=provider.host + (f"/{reference.model}" if reference.model else ""),
        weight=reference.weight if reference.weight is not None else 1,
        owner=provider.tenant,
        provider=provider.name,
        provider_host=provider.host,
        destination=destinations.of(provider, config.dialect),
        authority=authority,
        path=(provider.path or DEFAULT_PATH).encode(),
        path_is_hidden=isinstance(provider.path, HiddenText),
        dialect=dialect,
        model=model,
        overrides_model=reference.model is not None or config.model_policy != "default",
        stream=config.stream,
        parameters=tuple((config.parameters or {}).items()),
        hidden_parameters=config.hidden_parameters,
        keys=keys,
        headers=(*authentication, *beside),
        header_names=replaced,
        header_names_beside_json=replaced | {b"content-type"},
        head_lines=keys[0].head_lines,
        secrets=secrets_of_backend(provider, config, rule_headers),
        timeouts=timeouts,
        pool=PoolLimits(**provider.connection_pool),
        outlier=OutlierDetection(**provider.outlier_detection),
        prefill=provider.prefill is not None,
        prefill_field=provider.prefill.field if provider.prefill is not None else None,
        pricing=pricing_of(provider),
        labels=SeriesLabels(tenant=tenant, route=route, rule=rule, provider=provider.name, model=model or ""),
        added=edit.added,
        added_lines="".join(f"{name.decode()}: {value.reveal()}\r\n" for name, value in edit.added).encode(),
        answer_edit=rule_headers.answer if rule_headers.answer.edits else None,
    )


def _keys(
    tenant: str,
    provider: LLMProvider,
    config: ProviderConfig,
    dialect: Dialect,
    authority: str,
    beside: Iterable[tuple[bytes, Secret]],
) -> tuple[ProviderKey, ...]:
    """Every key of the pool, each with the head that it makes.

    :param tenant: whose requests are sent with them.
    :param beside: the headers that are the same with every key.
    """
    keys = []
    for each in config.api_keys or (None,):
        headers = (*_authentication(dialect, each), *beside)
        lines = [("host", authority), *((name.decode(), value.reveal()) for name, value in headers)]
        name, secret = (each.name, each.key) if each is not None else ("", None)
        keys.append(
            ProviderKey(
                name=name,
                weight=each.weight if each is not None else 1,
                secret=secret,
                breaker_name=BreakerName(tenant, provider.tenant, provider.name, name, secret),
                head_lines="".join(f"{name}: {value}\r\n" for name, value in lines).encode(),
            )
        )
    return tuple(keys)


def _authentication(dialect: Dialect, key: ApiKey | None) -> tuple[tuple[bytes, Secret], ...]:
    lines = dialect.authentication(key.key) if key is not None else ()
    return tuple((name, Secret(value.decode())) for name, value in lines)


def _laid_over(default: ProviderConfig | None, specific: ProviderConfig | None) -> ProviderConfig:
    """A routeSpecificConfig field by field over the default one; a different dialect replaces it."""
    if specific is None:
        return default or ProviderConfig(dialect="openAIConfig")
    if default is None or default.dialect != specific.dialect:
        return specific
    written = {
        each.name: value
        for each in fields(ProviderConfig)
        if (value := getattr(specific, each.name)) is not None
    }
    if specific.parameters is None:
        del written["hidden_parameters"]  # it goes with the parameters
    return evolve(default, **written)


def _authority(host: str) -> str:
    """The Host header for this host: an IPv6 address is bracketed (RFC 9110 §7.2, RFC 3986 §3.2.2)."""
    return f"[{host}]" if ":" in host else host
