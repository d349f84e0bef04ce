"""Where providers are: address, port and the contents of their certificate files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from attrs import frozen

from gateway.messages import Destination, Secret, TlsSettings, is_address, shown
from gateway.resources.endpoint import TlsOptions
from gateway.resources.provider import LLMProvider

DestinationKey: TypeAlias = tuple[str, str, bool]
"""The owner and name of a provider, and whether it is the simulator of this process."""

NO_DESTINATIONS: Mapping[DestinationKey, Destination] = MappingProxyType({})


@frozen
class UnusableFileError(Exception):
    """A certificate or key file that cannot be used."""

    path: str
    """The field that names it."""
    sentence: str


def speaks_in_process(provider: LLMProvider, dialect: str) -> bool:
    """Tell whether the simulator of this process answers for a provider."""
    return dialect == "simulatorConfig" and provider.endpoint is None


def key_of(provider: LLMProvider, in_process: bool) -> DestinationKey:
    """What tells a provider's destinations apart."""
    return (provider.tenant, provider.name, in_process)


def dialects_of(provider: LLMProvider) -> Iterator[str]:
    """The dialects that some rule may speak to a provider."""
    yield provider.default_config.dialect if provider.default_config is not None else "openAIConfig"
    for config in provider.route_configs.values():
        yield config.dialect


class Destinations:
    """Finds the destination of each provider for one load; each certificate file is read once."""

    def __init__(
        self,
        read_file: Callable[[str], bytes],
        prepare_tls: Callable[[TlsSettings], None],
        last: Mapping[DestinationKey, Destination],
    ) -> None:
        """Make one.

        :param last: where providers were that are in use; one that is there still is not prepared again.
        """
        self._read_file = read_file
        self._prepare_tls = prepare_tls
        self._last = last
        self._found: dict[DestinationKey, Destination] = {}

    def pin(self, known: Mapping[DestinationKey, Destination]) -> None:
        """Take these as they are: of who keeps its last good resources a certificate's content is a part."""
        self._found.update(known)

    def of(self, provider: LLMProvider, dialect: str) -> Destination:
        """Where a provider is when this dialect is spoken.

        :raises UnusableFileError: where a certificate or key cannot be read or used.
        """
        return self.at(key_of(provider, speaks_in_process(provider, dialect)), provider)

    def at(self, key: DestinationKey, provider: LLMProvider) -> Destination:
        """The same by its key."""
        if key not in self._found:
            destination = self._in_process(provider) if key[2] else self._in_the_network(provider)
            last = self._last.get(key)
            if last is not None and destination == last:
                destination = last
            elif destination.tls is not None:
                self._prepare(destination.tls)
            self._found[key] = destination
        return self._found[key]

    def of_all(
        self, providers: Iterable[LLMProvider], loads: Callable[[LLMProvider], bool]
    ) -> Iterator[tuple[DestinationKey, Destination]]:
        """Where all of these are that this gateway loads, in any dialect that some rule may speak to them."""
        for provider in providers:
            for dialect in dialects_of(provider) if loads(provider) else ():
                key = key_of(provider, speaks_in_process(provider, dialect))
                yield key, self.at(key, provider)

    def _prepare(self, tls: TlsSettings) -> None:
        try:
            self._prepare_tls(tls)
        except ValueError as bad:
            raise UnusableFileError("spec.endpoint.tls", str(bad)) from None

    def _in_process(self, provider: LLMProvider) -> Destination:
        return Destination(
            owner=provider.tenant,
            provider=provider.name,
            address="simulator",
            port=0,
            tls=None,
            in_process=True,
        )

    def _in_the_network(self, provider: LLMProvider) -> Destination:
        endpoint = provider.endpoint
        options = endpoint.tls if endpoint else None
        plain = options is not None and options.mode == "DISABLE"
        return Destination(
            owner=provider.tenant,
            provider=provider.name,
            address=(endpoint.address if endpoint else None) or provider.host,
            port=(endpoint.port if endpoint else None) or (80 if plain else 443),
            tls=None if plain else self._tls(provider.host, options),
        )

    def _tls(self, host: str, options: TlsOptions | None) -> TlsSettings:
        server_name = None if is_address(host) else host
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
