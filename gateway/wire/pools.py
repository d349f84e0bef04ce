"""All connections to providers, by destination: what the newest configuration no longer names is not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gateway.errors import GatewayError
from gateway.messages import Destination, PoolLimits, Timeouts
from gateway.wire.counts import PoolCounts
from gateway.wire.pool import Connect, ConnectionWaiter, PendingConnection, Pool
from gateway.wire.sweep import Sweep


class Pools:
    """Every pool there is."""

    def __init__(self, connect: Connect, sweep: Sweep) -> None:
        self._connect = connect
        self._sweep = sweep
        self._limits: Mapping[Destination, PoolLimits] | None = None
        """Of all that the newest configuration names; None before the first."""
        self._closed = False
        self.by_destination: dict[Destination, Pool] = {}
        self.by_provider: dict[tuple[str, str], PoolCounts] = {}
        """What was counted, by owner and provider; whoever shows it may forget those that are gone."""
        sweep.watch(self)

    def acquire(
        self,
        destination: Destination,
        waiter: ConnectionWaiter,
        timeouts: Timeouts,
        *,
        fresh: bool = False,
    ) -> PendingConnection | None:
        """Ask for a connection.

        :param timeouts: `connect` and `handshake` of these count, if a connection has to be made.
        :param fresh: it must not have carried an answer before.
        :return: a handle with which the asker can change its mind; None when the waiter has been told.
        """
        if self._closed:
            waiter.connection_failed(_stopping())
            return None
        pool = self.by_destination.get(destination)
        if pool is None:
            pool = self.by_destination[destination] = self._new_pool(destination)
        return pool.acquire(waiter, timeouts, fresh=fresh)

    def adopt(self, limits: Mapping[Destination, PoolLimits]) -> None:
        """A new configuration names these destinations, and no others.

        Their limits hold at once.  Of others nothing is kept that is idle, now or later; who still needs one of them
        is served.
        """
        self._limits = limits
        for destination, pool in tuple(self.by_destination.items()):
            if destination in limits:
                pool.retired = False
                pool.counts = self._counts_of(destination)
                pool.limit(limits[destination])
            else:
                pool.retire()

    def close(self) -> None:
        """End everything at once."""
        self._closed = True
        self._sweep.forget(self)
        for pool in tuple(self.by_destination.values()):
            pool.end(_stopping())

    def swept(self, now: float) -> None:
        """Look at every pool's deadlines, and forget pools that are retired and empty."""
        for destination, pool in tuple(self.by_destination.items()):
            pool.swept(now)
            if pool.retired and pool.vacant:
                del self.by_destination[destination]

    def counts(self) -> Counter[tuple[str, str, str]]:
        """How many there are by owner, provider and state, for metrics; asked in the thread that renders them."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for destination, pool in self.by_destination.copy().items():
            name, idle = (destination.owner, destination.provider), len(pool.idle)
            counts[*name, "idle"] += idle
            counts[*name, "active"] += len(pool.open) - idle
            counts[*name, "pending"] += len(pool.pending)
        return counts

    def _new_pool(self, destination: Destination) -> Pool:
        if self._limits is None:
            limits, retired = PoolLimits(), False
        else:
            limits, retired = self._limits.get(destination, PoolLimits()), destination not in self._limits
        counts = self._counts_of(destination)
        return Pool(destination, self._connect, self._sweep, limits, counts, retired=retired)

    def _counts_of(self, destination: Destination) -> PoolCounts:
        return self.by_provider.setdefault((destination.owner, destination.provider), PoolCounts())


def _stopping() -> GatewayError:
    return GatewayError("draining", "The gateway is stopping.")
