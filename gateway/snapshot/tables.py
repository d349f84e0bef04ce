"""The shapes of a snapshot: compiled whole, never changed, read through one reference.

Nothing here is looked up in a request that could have been looked up when the configuration was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
from attrs import field, frozen

from gateway.dialects.dialect import Dialect
from gateway.messages import Destination, Secret, Timeouts
from gateway.snapshot.hosts import HostTable

TurnsKey = tuple[str, str, str]
"""Tenant, route and rule: the stable name under which live state keeps a rule's turns."""


class SeriesLabels(msgspec.Struct, frozen=True):
    """The labels of a request's metrics that configuration decides; no client can make a new one."""

    tenant: str
    route: str
    rule: str
    provider: str
    model: str
    """As configured; empty where the client chooses."""


class HeaderTest(Protocol):
    """A condition on one header."""

    def __call__(self, value: bytes | None, /) -> bool:
        """Tell whether it holds; the value is None where the header is absent."""


@frozen
class HeaderMatch:
    """One header's condition."""

    name: bytes
    """Lower case."""
    holds: HeaderTest
    text: str
    """As an operator reads it: `user-type: exact subscriber`."""


@frozen
class Match:
    """One block of `matches`: every part of it must hold."""

    headers: tuple[HeaderMatch, ...] = ()
    source_labels: tuple[tuple[str, str], ...] = ()
    gateways: frozenset[str] = frozenset()
    """Names of listeners; empty for all."""


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
    api_key: Secret | None
    headers: tuple[tuple[bytes, Secret], ...]
    """What this backend sets: its authentication, then the configured headers.  Names in lower case."""
    header_names: frozenset[bytes]
    """Of `headers`: the client's of these names are not sent."""
    header_names_beside_json: frozenset[bytes]
    """The same where the body is JSON: with Content-Type."""
    head_lines: bytes = field(repr=False)
    """Host and `headers` as they stand in a request's head, each line ended by CRLF."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """Values that must never reach a client."""
    timeouts: Timeouts
    labels: SeriesLabels


@frozen(eq=False)
class RuleTable:
    """One rule of a route."""

    name: str
    """As written, or `rules[N]` where it has none."""
    matches: tuple[Match, ...]
    """Any of them; none matches everything."""
    backends: tuple[Backend, ...]
    weights: tuple[int, ...]
    turns_key: TurnsKey


@frozen(eq=False)
class RouteTable:
    """One LLMRoute, or a provider's host that has none."""

    tenant: str
    name: str
    """The LLMRoute's metadata.name; empty for a provider reached by its own host."""
    host: str
    gateways: frozenset[str]
    """Names of listeners; empty for all."""
    rules: tuple[RuleTable, ...]


@frozen(eq=False)
class TenantTable:
    """Everything that one tenant has."""

    name: str
    routes: HostTable[RouteTable]


@frozen
class GatewaySettings:
    """The few settings of the whole, from the Gateway document.  Bytes and seconds; None leaves the wire's default."""

    body_bytes: int | None = None
    head_bytes: int | None = None
    headers: int | None = None
    connections: int | None = None
    head_seconds: float | None = None
    body_seconds: float | None = None
    keep_alive_seconds: float | None = None


@frozen(eq=False)
class Snapshot:
    """The whole, as one generation of files made it."""

    tenants: Mapping[str, TenantTable]
    anonymous: HostTable[TenantTable]
    """The tenants that are known by the host that is asked."""
    withheld: HostTable[str]
    """Hosts that the files name for tenants whose files do not compile; each pattern stands for itself."""
    settings: GatewaySettings
    destinations: frozenset[Destination]
    """Every place that some backend connects to."""
    turns_keys: frozenset[TurnsKey]
