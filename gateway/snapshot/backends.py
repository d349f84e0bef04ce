"""A provider and the configuration that one rule gives it -> a Backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TypeAlias

from attrs import evolve, fields, frozen

from gateway.dialects.table import DIALECTS
from gateway.messages import Destination, HiddenText, Secret, Timeouts, TlsSettings, shown
from gateway.resources.provider import LLMProvider, ProviderConfig, TlsOptions
from gateway.resources.route import BackendRef
from gateway.snapshot.tables import Backend, SeriesLabels

DEFAULT_PATH = "/v1/chat/completions"

SHORTEST_HEADER_SECRET = 12
"""Characters.  A configured header's value this long may be a credential, so it is kept from clients; shorter
ones (`v2`, `2023-06-01`) stand in too many honest answers."""

SHORTEST_SECRET = 8
"""Characters.  A shorter key is a word that a local server wants to see (`x`, `EMPTY`): it guards nothing, and a
content type may hold it."""


@frozen
class UnusableFileError(Exception):
    """A certificate or key file that cannot be used."""

    path: str
    """The field that names it."""
    sentence: str


DestinationKey: TypeAlias = tuple[str, str, bool]
"""The owner and name of a provider, and whether it is the simulator of this process."""


class BackendBuilder:
    """Builds backends; reads the certificate files of each provider once."""

    def __init__(
        self,
        read_file: Callable[[str], bytes],
        prepare_tls: Callable[[TlsSettings], None],
        known: Mapping[DestinationKey, Destination],
    ) -> None:
        """Make one for one compilation.

        :param known: destinations of providers that go on as they are, whatever their files hold by now.
        """
        self._read_file = read_file
        self._prepare_tls = prepare_tls
        self.destinations = dict(known)
        """Where the providers of all backends so far are."""

    def backend(
        self,
        provider: LLMProvider,
        reference: BackendRef,
        *,
        tenant: str,
        route: str,
        rule: str,
        rule_name: str | None,
        timeouts: Timeouts,
    ) -> Backend:
        """Build one backend.

        :param tenant: whose route it is; the provider may be another tenant's.
        :param rule: the rule's name as shown.
        :param rule_name: the rule's name as written, by which a routeSpecificConfig is found; None without one.
        :raises UnusableFileError: where a certificate or key cannot be read or used.
        """
        # Another tenant's rule of the same name must not reach a configuration made for the owner's.
        specific = provider.route_configs.get(rule_name or "") if provider.tenant == tenant else None
        config = _laid_over(provider.default_config, specific)
        dialect = DIALECTS[config.dialect]
        headers: list[tuple[bytes, Secret]] = []
        if config.api_key is not None:
            headers += [
                (name, Secret(value.decode())) for name, value in dialect.authentication(config.api_key)
            ]
        headers += [(name.encode(), value) for name, value in (config.headers or {}).items()]
        authority = _authority(reference.host_rewrite or provider.host)
        lines = [("host", authority), *((name.decode(), value.reveal()) for name, value in headers)]
        model = reference.model or config.model
        return Backend(
            key=provider.host + (f"/{reference.model}" if reference.model else ""),
            weight=reference.weight if reference.weight is not None else 1,
            owner=provider.tenant,
            provider=provider.name,
            provider_host=provider.host,
            destination=self._destination(provider, config.dialect),
            authority=authority,
            path=(provider.path or DEFAULT_PATH).encode(),
            path_is_hidden=isinstance(provider.path, HiddenText),
            dialect=dialect,
            model=model,
            overrides_model=reference.model is not None or config.model_policy != "default",
            stream=config.stream,
            parameters=tuple((config.parameters or {}).items()),
            hidden_parameters=config.hidden_parameters,
            api_key=config.api_key,
            headers=tuple(headers),
            header_names=frozenset(name for name, _ in headers),
            header_names_beside_json=frozenset([b"content-type", *(name for name, _ in headers)]),
            head_lines="".join(f"{name}: {value}\r\n" for name, value in lines).encode(),
            secrets=_secrets(provider, config),
            timeouts=timeouts,
            labels=SeriesLabels(
                tenant=tenant, route=route, rule=rule, provider=provider.name, model=model or ""
            ),
        )

    def _destination(self, provider: LLMProvider, dialect: str) -> Destination:
        in_process = dialect == "simulatorConfig" and provider.endpoint is None
        key = (provider.tenant, provider.name, in_process)
        if key not in self.destinations:
            self.destinations[key] = (
                Destination(owner=provider.tenant, address="simulator", port=0, tls=None, in_process=True)
                if in_process
                else self._network_destination(provider)
            )
        return self.destinations[key]

    def _network_destination(self, provider: LLMProvider) -> Destination:
        endpoint = provider.endpoint
        options = endpoint.tls if endpoint else None
        plain = options is not None and options.mode == "DISABLE"
        tls = None if plain else self._tls(provider.host, options)
        if tls is not None:
            try:
                self._prepare_tls(tls)
            except ValueError as bad:
                raise UnusableFileError("spec.endpoint.tls", str(bad)) from None
        return Destination(
            owner=provider.tenant,
            address=(endpoint.address if endpoint else None) or provider.host,
            port=(endpoint.port if endpoint else None) or (80 if plain else 443),
            tls=tls,
        )

    def _tls(self, host: str, options: TlsOptions | None) -> TlsSettings:
        server_name = None if _is_address(host) else host
        if options is None:
            return TlsSettings(server_name=server_name, names=(host,))
        key = self._file("privateKey", options.private_key)
        return TlsSettings(
            server_name=options.sni or server_name,
            names=options.subject_alt_names or (host,),
            ca_certificates=self._file("caCertificates", options.ca_certificates),
            client_certificate=self._file("clientCertificate", options.client_certificate),
            private_key=Secret(key.decode("latin-1")) if key is not None else None,
            min_version=options.min_version,
            verify=not options.insecure_skip_verify,
        )

    def _file(self, name: str, path: str | None) -> bytes | None:
        if path is None:
            return None
        try:
            return self._read_file(path)
        except OSError as error:
            sentence = f"{shown(path)} cannot be read: {error.strerror}"
            raise UnusableFileError(f"spec.endpoint.tls.{name}", sentence) from None


def _secrets(provider: LLMProvider, config: ProviderConfig) -> tuple[bytes, ...]:
    """What must never reach a client: credentials, and everything that came from the environment or a file.

    The longest first, so that none is half overwritten by another that it contains; in JSON a slash may be escaped.
    """
    key = [config.api_key] if config.api_key is not None else []
    texts = {
        each.reveal() for each in (*provider.from_outside, *key) if len(each.reveal()) >= SHORTEST_SECRET
    }
    headers = (value.reveal() for value in (config.headers or {}).values())
    texts |= {value for value in headers if len(value) >= SHORTEST_HEADER_SECRET}
    spellings = {spelling for text in texts for spelling in (text, text.replace("/", "\\/"))}
    return tuple(spelling.encode() for spelling in sorted(spellings, key=lambda each: (-len(each), each)))


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


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
