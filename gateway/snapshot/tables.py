"""What a request is looked up in: a tenant's routes, a route's rules, a rule's backends.

Nothing here is looked up in a request that could have been looked up when the configuration was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from gateway.policy.pricing import CatalogName
from gateway.policy.retrying import RetryPolicy
from gateway.snapshot.backends import Backend
from gateway.snapshot.captures import CaptureTable
from gateway.snapshot.clients import KnownClient
from gateway.snapshot.conditions import Match
from gateway.snapshot.health_checks import HealthCheck
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.rule_headers import RuleHeaders
from gateway.snapshot.stable_names import ProviderName, TurnsKey
from gateway.snapshot.stickiness import Stickiness


@frozen(eq=False)
class Mirror:
    """Where copies of requests go."""

    backend: Backend
    percent: int
    """The share of the requests that is copied, 0 to 100."""


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

    catalog_names: frozenset[CatalogName] = field(init=False, repr=False)
    """The models whose prices may be found in a catalog; with an empty model where only clients say which."""

    @catalog_names.default
    def _catalog_names(self) -> frozenset[CatalogName]:
        rules = (rule for _, route in self.routes.items() for rule in route.rules)
        return frozenset(
            CatalogName(backend.pricing.catalog, backend.model or "")
            for rule in rules
            for backend in rule.every_backend
            if backend.pricing is not None and backend.pricing.catalog is not None
        )

    @property
    def is_anonymous(self) -> bool:
        """Nobody has to be known to reach it."""
        return self.clients is None
