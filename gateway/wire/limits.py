"""Every number of the wire, with its reason.  Bytes and seconds throughout."""

from __future__ import annotations

from attrs import frozen


@frozen
class DownstreamLimits:
    """What a client may send, and how slowly.  The Gateway document sets these."""

    body_bytes: int = 32 * 1024 * 1024
    """A long conversation with pictures in base64 is some 10 MB."""
    head_bytes: int = 64 * 1024
    """Request line and headers together; llhttp itself has no limit."""
    headers: int = 100
    """Header lines."""
    connections: int | None = None
    """Open client connections, or None for as many as there are file descriptors."""
    head_seconds: float = 10.0
    """From a request's first byte to the end of its head."""
    body_seconds: float = 60.0
    """From the end of the head to the end of the body."""
    keep_alive_seconds: float = 75.0
    """An idle connection; a little longer than common load balancers (60 s), so that they close first."""


HANDSHAKE_SECONDS = 10.0
"""From a client's connect to the end of its TLS handshake: three round trips, one of them lost."""

TLS_FILES_SECONDS = 1.0
"""How often a listener looks, when clients connect, whether its certificate was replaced."""

CERTIFICATE_ENDS_SOON_SECONDS = 24 * 3600.0
"""A listener's certificate with less time than this is warned of: who renews by a machine does it days before."""

TOLD_FAILURES = 10
"""TLS handshakes with clients that fail and have a line of their own in the log, in each ..."""

TOLD_FAILURES_SECONDS = 60.0
"""... of this: strangers must not fill a disk."""

BACKLOG = 50
"""Connections that the kernel holds until we take them, unless an operator says otherwise; as with `tcp:`."""

PIPELINED_BYTES = 64 * 1024
"""What one client may send ahead of its turn, held unread, before its socket is no longer read."""

TRAILER_BYTES = 1024
"""Trailers of a chunked request body, which nobody reads."""

CHUNK_OVERHEAD_BYTES = 128
"""Framing of one chunk: the longest extension in use, aws-chunked's signature, has 85."""

SWALLOWED_BYTES = 64 * 1024
"""The rest of a body whose request has its answer already: up to this much costs less than a new connection."""

SEND_BUFFER_HIGH = 64 * 1024
"""Bytes waiting for a slow peer above which the other side is paused."""

LINGER_SECONDS = 2.0
"""After a refusal the client may still be sending; closing at once would reset the connection and eat the answer."""

LAST_REQUEST_SECONDS = 1.0
"""While the gateway stops: how long a connection waits for its next request, since its last answer.  Who asks one
thing after the other asks once more in this time, and hears `Connection: close`."""

QUEUED_CONNECTIONS = 4096
"""Reads of a port that is about to close, each of which takes at least one queued connection; Linux's usual bound of
that queue (`net.core.somaxconn`)."""

WRITE_STALL_SECONDS = 60.0
"""A client that takes no byte for this long while an answer waits is cut off."""

ANSWER_HEAD_BYTES = 64 * 1024
"""A provider's status line and headers together."""

ANSWER_HEADERS = 200
"""Header lines of a provider's answer."""

INFORMATIONAL_ANSWERS = 8
"""1xx answers before the final one (RFC 9110 §15.2 sets no limit)."""

UPSTREAM_IDLE_CONNECTIONS = 256
"""Idle connections kept to one destination."""

NAME_SECONDS = 5.0
"""How long a provider's addresses are used without asking again; most names are good for a minute."""

NEXT_ADDRESS_SECONDS = 0.25
"""How long one address of a provider may keep silent before the next is tried beside it (RFC 8305 §5)."""

SWEEP_SECONDS = 0.25
"""How often deadlines are looked at: each is met up to this much late."""
