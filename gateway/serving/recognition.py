"""Who is asking, asked once for each request, before anything of its body is read."""

from __future__ import annotations

from collections.abc import Callable

from gateway.messages import RequestHead
from gateway.serving.acquaintance import Acquaintance
from gateway.snapshot.clients import ConnectedClient, KnownClient, key_of
from gateway.snapshot.snapshot import Snapshot
from gateway.wire.downstream import DownstreamConnection


def client_of(
    snapshot: Snapshot | None,
    head: RequestHead,
    connection: DownstreamConnection,
    known: Acquaintance,
    wall_clock: Callable[[], float],
) -> KnownClient | None:
    """The client, or None where nobody knows it.

    :param known: what is remembered of the connection.
    :param wall_clock: seconds of Unix time, by which keys end.
    """
    if snapshot is None or not snapshot.clients.ways:
        return None
    index, connected = snapshot.clients, known.client
    if connected is None or connected.index is not index:
        connected = ConnectedClient(index, connection.certificate_names, connection.address)
        known.client = connected
    return connected.identify(key_of(head), wall_clock())
