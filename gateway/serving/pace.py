"""How fast a streamed answer came."""

from __future__ import annotations

from typing import NamedTuple

from gateway.messages import TokenUsage


class Pace(NamedTuple):
    """How fast a stream came, in seconds."""

    first_token: float | None
    """From the end of the request's head to the first content; None where it was no stream, or had none."""
    per_token: float | None
    """For each token after the first; None where nobody knows."""


NO_PACE = Pace(None, None)


def pace_of(started: float, begun_at: float, now: float, usage: TokenUsage | None) -> Pace:
    """The pace of a stream that ends now.

    :param started: clock time at which the request's head was whole, begun_at that of the first content.
    :param usage: None where it is not known, or the stream is not whole; of an estimate no time can be told.
    """
    per_token = None
    if usage is not None and usage.output > 1 and not usage.estimated:
        per_token = (now - begun_at) / (usage.output - 1)
    return Pace(begun_at - started, per_token)
