"""The headers by which a request belongs to a trace: W3C Trace Context, https://www.w3.org/TR/trace-context/.

Reading is strict: a `traceparent` that is not valid counts as none, and a `tracestate` is nothing without one (§3.3.1,
§4.3).  What is read is never changed but for the parent's identifier.
"""

from __future__ import annotations

import re

import msgspec

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"

SAMPLED = 1
"""The one flag that version 00 knows (§3.2.2.5): others are not handed on."""

# §3.2.2: version, trace-id, parent-id, trace-flags.  Of a later version what follows is unknown (§3.2.4); ff is none.
_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?"
).fullmatch

# §3.3.1.3: `key=value`, where a key may be that of one tenant of a system; values neither hold nor end with what
# would make the list ambiguous.
_MEMBER = re.compile(
    rb"([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})="
    rb"[ -+\--<>-~]{0,255}[!-+\--<>-~]"
).fullmatch

MOST_MEMBERS = 32
"""Of a `tracestate` (§3.3.1.1)."""

LONGEST_STATE = 4096
"""Bytes of a `tracestate` that is handed on; §3.3.1.5 wants 512 at least."""


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """Where in a trace somebody who asks stands."""

    trace_id: str
    """32 hexadecimal digits, in lower case, as is the next."""
    span_id: str
    """16 of them: of what the asking is part of."""
    sampled: bool
    """Who asks has recorded it."""
    state: bytes = b""
    """What tracing systems tell one another, as it came; empty for nothing."""


def read_trace_context(traceparent: bytes | None, tracestate: bytes | None) -> TraceContext | None:
    """What a request's headers say; None where it belongs to no trace.

    :param tracestate: several lines joined by commas, as RFC 9110 §5.3 has it.
    """
    if traceparent is None:
        return None
    found = _TRACEPARENT(traceparent)
    if found is None or (found[1] == b"00" and found[5] is not None):
        return None
    return TraceContext(
        trace_id=found[2].decode(),
        span_id=found[3].decode(),
        sampled=bool(int(found[4], 16) & SAMPLED),
        state=_valid_state(tracestate) if tracestate else b"",
    )


def traceparent_of(trace_id: str, span_id: str, *, sampled: bool) -> bytes:
    """The header for somebody who is asked by this span."""
    return b"00-%b-%b-%02x" % (trace_id.encode(), span_id.encode(), SAMPLED if sampled else 0)


def _valid_state(tracestate: bytes) -> bytes:
    """The list as it came; nothing where it is none (§3.3.1.4 lets it be dropped whole, and so does §4.3)."""
    if len(tracestate) > LONGEST_STATE:
        return b""
    # §3.3.1.1: empty members are allowed, and blanks around the commas.
    members = [member for each in tracestate.split(b",") if (member := each.strip(b" \t"))]
    if not members or len(members) > MOST_MEMBERS or not all(map(_MEMBER, members)):
        return b""
    keys = {member.partition(b"=")[0] for member in members}
    return tracestate if len(keys) == len(members) else b""
