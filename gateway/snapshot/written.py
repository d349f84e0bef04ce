"""What a compilation is made from: what tenants have written, and the gateway around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from attrs import frozen

from gateway.messages import Destination, TlsSettings
from gateway.resources.provider import LLMProvider
from gateway.resources.route import LLMRoute
from gateway.snapshot.backends import DestinationKey


@frozen
class TenantResources:
    """What one tenant has written."""

    providers: tuple[LLMProvider, ...] = ()
    routes: tuple[LLMRoute, ...] = ()
    destinations: Mapping[DestinationKey, Destination] = MappingProxyType({})
    """Where its providers were when it was last good: a certificate's content is part of what was good.  Empty
    for what has not been compiled yet."""

    def all(self) -> tuple[LLMProvider | LLMRoute, ...]:
        """Every resource, whatever its kind."""
        return (*self.providers, *self.routes)


@frozen
class Surroundings:
    """What a compilation needs to know of the gateway around it."""

    labels: Mapping[str, str]
    """`--label`: providers with a workloadSelector are loaded only where it fits."""
    root_namespace: str
    """Its providers are visible to all tenants, and it is none itself."""
    read_file: Callable[[str], bytes]
    """Gives a certificate file's content; raises OSError."""
    prepare_tls: Callable[[TlsSettings], None]
    """Builds the TLS context of a destination ahead of use; raises ValueError with an operator's sentence."""
