"""What is not counted here but asked when somebody scrapes: connections, keys, the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import field, frozen

from gateway.live.standing import KeyStanding
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import ProviderName
from gateway.telemetry import families
from gateway.telemetry.family import Shown
from gateway.wire.counts import LAG_BUCKETS, HandshakeResult, Histogram, ListenerCounts, PoolCounts


@frozen
class Sources:
    """Whom to ask.  All are asked in the thread that scrapes: what they read must be plain numbers, or containers that
    they copy first."""

    snapshot: Callable[[], Snapshot | None] = lambda: None
    """What the gateway runs on."""
    seconds: Callable[[], float] = float
    """A clock that does not jump."""
    upstream_connections: Callable[[], Mapping[tuple[str, str, str], int]] = dict
    """How many there are by owner, provider and state."""
    pools: dict[ProviderName, PoolCounts] = field(factory=dict)
    """What has been counted of connections to each provider, which is forgotten here when it is gone for long."""
    downstream_connections: Callable[[], Iterable[ListenerCounts]] = tuple
    """How many clients have at each listener."""
    handshakes: Callable[[], Mapping[tuple[str, HandshakeResult], int]] = dict
    """How many TLS handshakes there were by side and result."""
    certificates: Callable[[], Mapping[str, float]] = dict
    """When which listener's certificate ends, in seconds of Unix time, by its file."""
    client_certificates: Callable[[], Mapping[ProviderName, float]] = dict
    """When the certificate ends that which provider is shown, in seconds of Unix time."""
    loop_lag: Histogram = field(factory=lambda: Histogram(LAG_BUCKETS))
    """By how many seconds the event loop was late."""
    keys: Callable[[], Iterable[KeyStanding]] = tuple
    """How every key of every provider stands."""
    lines_dropped: Callable[[], int] = int
    """How many lines the access log has lost."""
    own_lines_dropped: Callable[[], int] = int
    """How many lines the gateway's own log has lost."""
    captured_lines_dropped: Callable[[], int] = int
    """How many lines the capture log has lost."""
    spans_exported: Callable[[], int] = int
    """How many spans the tracing collector has taken."""
    spans_lost: Callable[[], int] = int
    """How many it has not."""
    held_bodies: Callable[[], int] = int
    """How many bytes of requests' bodies are held."""
    admin_refusals: Callable[[], Mapping[str, int]] = dict
    """How many requests the admin port has refused, by reason."""

    def collect(self) -> Iterator[Shown]:
        """All of it, for a scrape."""
        yield from self._collect_connections()
        handshakes = Shown(families.TLS_HANDSHAKES)
        for (side, result), number in self.handshakes().items():
            handshakes.add_metric((side, result), number)
        yield handshakes
        expiry = Shown(families.CERTIFICATE_EXPIRY)
        for path, ends_at in self.certificates().items():
            expiry.add_metric([path], ends_at)
        yield expiry
        shown_to = Shown(families.CLIENT_CERTIFICATE_EXPIRY)
        for provider, ends_at in self.client_certificates().items():
            shown_to.add_metric(provider, ends_at)
        yield shown_to
        breakers, usable = Shown(families.BREAKER_STATE), Shown(families.KEY_USABLE)
        for standing in self.keys():
            names = (standing.owner, standing.provider, standing.key)
            breakers.add_metric(names, standing.breaker.value)
            usable.add_metric(names, float(standing.is_usable))
        yield from (breakers, usable)
        lag = Shown(families.LOOP_LAG)
        lag.add_metric((), self.loop_lag.buckets())
        yield lag
        for family, asked in (
            (families.LINES_DROPPED, self.lines_dropped),
            (families.OWN_LINES_DROPPED, self.own_lines_dropped),
            (families.CAPTURED_LINES_DROPPED, self.captured_lines_dropped),
            (families.SPANS_EXPORTED, self.spans_exported),
            (families.SPANS_LOST, self.spans_lost),
        ):
            counter = Shown(family)
            counter.add_metric([], asked())
            yield counter
        held = Shown(families.HELD_BODY_BYTES)
        held.add_metric([], self.held_bodies())
        yield held
        refusals = Shown(families.ADMIN_REFUSALS)
        for reason, number in self.admin_refusals().items():
            refusals.add_metric([reason], number)
        yield refusals

    def _collect_connections(self) -> Iterator[Shown]:
        connections = Shown(families.UPSTREAM_CONNECTIONS)
        for name, number in self.upstream_connections().items():
            connections.add_metric(name, number)
        opened, waits = Shown(families.UPSTREAM_OPENED), Shown(families.POOL_WAIT)
        for provider, counts in self.pools.copy().items():
            opened.add_metric(provider, counts.opened)
            waits.add_metric(provider, counts.all_waits())
        yield from (connections, opened, waits)
        clients, accepted = Shown(families.DOWNSTREAM_CONNECTIONS), Shown(families.DOWNSTREAM_OPENED)
        for each in self.downstream_connections():
            clients.add_metric((each.listener, "active"), each.active)
            clients.add_metric((each.listener, "idle"), each.idle)
            accepted.add_metric((each.listener,), each.opened)
        yield from (clients, accepted)
