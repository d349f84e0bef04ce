"""All that the gateway runs on: compiled whole, never changed, read through one reference."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from gateway.messages import Destination, PoolLimits
from gateway.snapshot.clients import NO_CLIENTS, ClientIndex
from gateway.snapshot.health_checks import HealthCheck
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.settings import GatewaySettings
from gateway.snapshot.stable_names import BreakerName, ProviderName, TurnsKey
from gateway.snapshot.tables import TenantTable


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
    credentials: frozenset[bytes] = field(default=frozenset(), repr=False)
    """The words by which what any tenant sends as a credential is known; empty where nobody's exchanges are kept."""
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
