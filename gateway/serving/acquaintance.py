"""What serving remembers of a connection from one request to the next.

On a connection that is kept, most requests differ in nothing but their bodies.  What a head alone decides is decided
once for all heads that are alike, as long as the configuration stays and the client is known as the same.
"""

from __future__ import annotations

import msgspec

from gateway.dialects.operations import Operation
from gateway.messages import RequestHead
from gateway.serving.outgoing import OutgoingHead
from gateway.snapshot.backends import Backend
from gateway.snapshot.captures import CaptureTable
from gateway.snapshot.clients import ConnectedClient, KnownClient
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.tables import RouteTable, RuleTable
from gateway.telemetry.exchange_record import ExchangeNames
from gateway.wire.downstream import DownstreamConnection


class HeadReading(msgspec.Struct, eq=False):
    """What one head was found to mean.

    It holds no snapshot: an idle connection would keep a whole generation of tables from being let go.
    """

    identity: object
    """Of the snapshot that it was looked up in."""
    values: dict[bytes, bytes]
    """The head's own: those of heads that are alike are the same object."""
    client: KnownClient | None
    tells_more: bool
    """`attemptHeaders` of the Gateway document."""
    route: RouteTable
    operation: Operation | None
    """None where only the body can tell."""
    passes_through: bool
    """The body is handed through unread."""
    capture: CaptureTable | None = None
    """What is kept of the exchange; None for nothing."""
    rule: RuleTable | None = None
    """None where the body has a say in it, or no body has come yet."""
    heads: dict[Backend, OutgoingHead] = msgspec.field(default_factory=dict)
    """What the backends that were asked get for it."""
    traced_heads: dict[Backend, OutgoingHead] = msgspec.field(default_factory=dict)
    """The same where there is tracing."""
    names: dict[Backend, ExchangeNames] = msgspec.field(default_factory=dict)
    """What the logs call those concerned, where somebody wanted to know, for each backend that has answered it."""

    def holds(self, snapshot: Snapshot | None, client: KnownClient | None, head: RequestHead) -> bool:
        """Tell whether this head means the same, now."""
        return (
            head.values is self.values
            and snapshot is not None
            and snapshot.identity is self.identity
            and client is self.client
        )


class Acquaintance:
    """All that is remembered of one connection."""

    __slots__ = ("client", "reading")

    def __init__(self) -> None:
        self.client: ConnectedClient | None = None
        """What its certificate and address say; None where nobody could be known by them."""
        self.reading: HeadReading | None = None
        """Of its last request."""


def acquaintance_with(connection: DownstreamConnection) -> Acquaintance:
    """What is remembered of this connection; nothing, the first time."""
    known = connection.remembered
    if not isinstance(known, Acquaintance):
        known = connection.remembered = Acquaintance()
    return known
