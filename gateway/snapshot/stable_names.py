"""The names under which live state and metrics keep what outlives every snapshot."""

from __future__ import annotations

import msgspec
from attrs import frozen

from gateway.messages import Secret

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
