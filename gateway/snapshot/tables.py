"""The shapes of a snapshot: compiled whole, never changed, read through one reference.

Nothing here is looked up in a request that could have been looked up when the configuration was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec
from attrs import field, frozen

from gateway.dialects.dialect import Dialect
from gateway.dialects.operations import Operation
from gateway.messages import Destination, PoolLimits, Secret, Timeouts
from gateway.policy.breaking import OutlierDetection
from gateway.policy.pricing import Pricing
from gateway.policy.retrying import RetryPolicy
from gateway.resources.tracing import TracingSettings
from gateway.snapshot.captures import CaptureTable
from gateway.snapshot.clients import NO_CLIENTS, ClientIndex, KnownClient
from gateway.snapshot.hosts import HostTable

TurnsKey = tuple[str, str, str]
"""Tenant, route and rule: the stable name under which live state keeps a rule's turns."""


ProviderName = tuple[str, str]
"""Owner and provider: the stable name under which live state keeps a provider's retry budget."""


@frozen(cache_hash=True)
class BreakerName:
    """The stable name under which live state keeps a breaker and the state of its key.

    Each tenant has its own of a provider that it shares with others: what one makes of it, with timeouts that are
    too short or models that its key may not use, takes it from nobody else.
    """

    tenant: str
    """Whose requests they are."""
    owner: str
    """Whose provider it is."""
    provider: str
    key: str
    """The key's name; empty for the only one."""
    secret: Secret | None
    """The key itself: two of one name, of two rules or two generations, are two."""


class SeriesLabels(msgspec.Struct, frozen=True, cache_hash=True):
    """The labels of a request's metrics that configuration decides; no client can make a new one."""

    tenant: str
    route: str
    rule: str
    provider: str
    model: str
    """As configured; empty where the client chooses."""


class ValueTest(Protocol):
    """A condition on one value."""

    def __call__(self, value: bytes | None, /) -> bool:
        """Tell whether it holds; the value is None where it is absent."""


@frozen
class Condition:
    """What one value of a request must be."""

    name: bytes
    """Of the header, in lower case, or of the parameter; empty where there is only one such value."""
    holds: ValueTest
    text: str
    """As an operator reads it: `header user-type exact subscriber`."""


@frozen
class Match:
    """One block of `matches`: every part of it must hold."""

    headers: tuple[Condition, ...] = ()
    """Those of `withoutHeaders` among them."""
    path: Condition | None = None
    method: Condition | None = None
    query: tuple[Condition, ...] = ()
    model: Condition | None = None
    source_labels: tuple[tuple[str, str], ...] = ()
    gateways: frozenset[str] = frozenset()
    """Names of listeners; empty for all."""
    only_headers: bool = field(init=False)
    """It asks for nothing else, as most do."""

    @only_headers.default
    def _asks_for_nothing_else(self) -> bool:
        rest = (self.path, self.method, self.query, self.model, self.source_labels, self.gateways)
        return not any(rest)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that is asked of the request itself."""
        alone = (self.path, self.method, self.model)
        return (*self.headers, *(each for each in alone if each is not None), *self.query)


@frozen(eq=False)
class HeaderEdit:
    """What a rule does to one head: remove, then set, then add.  Names in lower case."""

    removed: frozenset[bytes] = frozenset()
    set: tuple[tuple[bytes, Secret], ...] = ()
    added: tuple[tuple[bytes, Secret], ...] = ()
    dropped: frozenset[bytes] = field(init=False)
    """Whose lines go: what is removed or set anew."""
    lines: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False)
    """What comes in addition, in this order."""

    @property
    def edits(self) -> bool:
        """It does something."""
        return bool(self.dropped or self.lines)

    @dropped.default
    def _dropped(self) -> frozenset[bytes]:
        return self.removed.union(name for name, _ in self.set)

    @lines.default
    def _lines(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple((name, value.reveal().encode()) for name, value in (*self.set, *self.added))


@frozen(eq=False)
class RuleHeaders:
    """What a rule does to the heads that pass by it."""

    request: HeaderEdit = field(factory=HeaderEdit)
    """To what a provider is sent."""
    answer: HeaderEdit = field(factory=HeaderEdit)
    """To what a provider has answered."""
    from_outside: tuple[Secret, ...] = ()
    """What came from the environment or a file into `request`."""


@frozen
class Stickiness:
    """By what requests stick to a backend."""

    header: bytes | None
    """The name of the header, in lower case; None for the client."""


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


@frozen(eq=False)
class Mirror:
    """Where copies of requests go."""

    backend: Backend
    percent: int
    """The share of the requests that is copied, 0 to 100."""


@frozen(eq=False)
class HealthCheck:
    """What a provider is asked now and then, whatever clients ask."""

    backend: Backend
    """The provider with its default configuration."""
    operation: Operation | None
    """None where a path says where to ask."""
    target: bytes = field(repr=False)
    body: bytes | None = field(repr=False)
    """JSON to post; None asks with GET."""
    interval: float
    """Seconds from one to the next."""
    timeout: float
    """Seconds that an answer may take."""
    is_hidden: bool
    """Something in target or body came from the environment or a file."""


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
    headers: RuleHeaders = field(factory=RuleHeaders)
    sticky: Stickiness | None = None
    """None lets backends take turns."""
    fallback: tuple[Backend, ...] = ()
    """Tried in this order after the chosen one."""
    retries: RetryPolicy = field(factory=RetryPolicy)
    fallback_on: frozenset[str] = frozenset()
    """Provider error codes and statuses that move on to the next backend."""
    continues: bool = True
    """A stream that breaks after content goes on at the next backend; False ends it in an error."""
    drains: bool = False
    """What a client has left is read to its end; False breaks it off."""
    tries_least_bad: bool = False
    """Where every breaker is open the least bad backend is tried; False answers 503."""
    hedge_after: float | None = None
    """Seconds without content after which the next backend is asked, too; None never does."""
    mirror: Mirror | None = None
    keep_alive: float | None = None
    """Seconds between two comments to a client that waits for a stream; None sends none."""
    backend_keys: tuple[bytes, ...] = field(init=False)
    """By which requests stick to them."""

    @backend_keys.default
    def _keys(self) -> tuple[bytes, ...]:
        return tuple(backend.key.encode() for backend in self.backends)

    def fallback_after(self, chosen: Backend) -> tuple[Backend, ...]:
        """What is tried after the backend that was chosen: the fallbacks in order, each once."""
        left = {backend.key: backend for backend in reversed(self.fallback) if backend.key != chosen.key}
        return tuple(backend for backend in self.fallback if left.get(backend.key) is backend)

    @property
    def every_backend(self) -> tuple[Backend, ...]:
        """All that may be asked, the mirror last."""
        mirrored = (self.mirror.backend,) if self.mirror is not None else ()
        return (*self.backends, *self.fallback, *mirrored)


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
    reads_bodies: bool = field(init=False)
    """Which rule answers depends on more than a request's head."""

    @reads_bodies.default
    def _reads_bodies(self) -> bool:
        return any(match.model is not None for rule in self.rules for match in rule.matches)


@frozen(eq=False)
class TenantTable:
    """Everything that one tenant has."""

    name: str
    routes: HostTable[RouteTable]
    clients: tuple[KnownClient, ...] | None = None
    """Who alone reaches it; None where it is anonymous and answers everybody on the hosts that it names."""
    health_checks: Mapping[ProviderName, HealthCheck] = MappingProxyType({})
    """Of the providers that it uses."""
    capture: CaptureTable | None = None
    """What is kept of what its clients ask and are answered; None for nothing."""
    turns_keys: frozenset[TurnsKey] = field(init=False, repr=False)
    """Of all its rules."""

    @turns_keys.default
    def _turns_keys(self) -> frozenset[TurnsKey]:
        return frozenset(rule.turns_key for _, route in self.routes.items() for rule in route.rules)

    asks_catalog: bool = field(init=False, repr=False)
    """Some of its prices are to be found in a catalog."""

    @asks_catalog.default
    def _asks_catalog(self) -> bool:
        rules = (rule for _, route in self.routes.items() for rule in route.rules)
        return any(
            backend.pricing is not None and backend.pricing.catalog is not None
            for rule in rules
            for backend in (*rule.backends, *rule.fallback)
        )

    @property
    def is_anonymous(self) -> bool:
        """Nobody has to be known to reach it."""
        return self.clients is None


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
    attempt_headers: bool | None = None
    """Answers tell how they came about; None is true."""
    gen_ai: tuple[str, ...] = ()
    """Generations of OpenTelemetry's metrics of generative AI that are shown."""
    tracing: TracingSettings | None = None
    """Where spans go; None for no tracing."""


@frozen(eq=False)
class Snapshot:
    """The whole, as one generation of files made it."""

    tenants: Mapping[str, TenantTable]
    anonymous: HostTable[TenantTable]
    """The tenants that are known by the host that is asked."""
    withheld: HostTable[str]
    """Hosts that the files name for tenants whose files do not compile, and that anybody could reach; each pattern
    stands for itself."""
    settings: GatewaySettings
    destinations: Mapping[Destination, PoolLimits]
    """Every place that some backend connects to, and how much is sent there at once."""
    clients: ClientIndex = NO_CLIENTS
    """Finds out who is asking."""
    breaker_names: frozenset[BreakerName] = frozenset()
    """Of every key of every backend."""
    health_checks: Mapping[ProviderName, HealthCheck] = MappingProxyType({})
    """Of every provider that some tenant uses."""
    withheld_from: Mapping[str, HostTable[str]] = MappingProxyType({})
    """By tenant, such hosts of one that only its clients reach."""
    identity: object = field(factory=object)
    """Tells it from every other, for those who must not keep it from being let go."""

    def names_turns(self, key: TurnsKey) -> bool:
        """Tell whether there is a rule with this key."""
        table = self.tenants.get(key[0])
        return table is not None and key in table.turns_keys

    @property
    def hosts(self) -> int:
        """How many hosts are answered for; what two identified tenants have alike counts twice."""
        identified = (table for table in self.tenants.values() if not table.is_anonymous)
        return len(self.anonymous) + sum(len(table.routes) for table in identified)
