"""The steps that the simulated provider takes, one after the other, when it answers.

A script that ends without `End`, `Respond`, `BreakOff` or `Reset` falls silent: the connection stays open until the
client leaves.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from gateway.messages import Headers, TokenUsage


@frozen
class Wait:
    """Say nothing for a while; what was said before is sent first."""

    seconds: float


@frozen
class Respond:
    """Send a whole answer at once."""

    status: int
    headers: Headers
    body: bytes
    asked: int = 0
    """How many tokens the prompt has."""
    spoken: int = 0
    """How much of the body the model has said: bytes of UTF-8."""
    usage: TokenUsage | None = None
    """What it tells of tokens."""


@frozen
class Begin:
    """Send the head of an answer."""

    status: int
    headers: Headers
    body_length: int | None
    """None for a stream."""
    asked: int = 0
    """How many tokens the prompt has."""


@frozen
class Say:
    """Send some of the body."""

    data: bytes
    spoken: int = 0
    """How much of it the model has said: bytes of UTF-8."""
    usage: TokenUsage | None = None
    """What it tells of tokens, at its end, that was not told before."""


@frozen
class Blurt:
    """Send these bytes in place of an answer, whatever HTTP would say to them."""

    data: bytes


@frozen
class End:
    """The body is whole."""


@frozen
class BreakOff:
    """Close the connection (FIN), whatever is still missing."""


@frozen
class Reset:
    """Reset the connection (RST), whatever is still on its way."""


Step: TypeAlias = Wait | Respond | Begin | Say | Blurt | End | BreakOff | Reset
