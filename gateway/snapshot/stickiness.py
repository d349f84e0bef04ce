"""By what requests stick to a backend: a rule's `sticky`, compiled."""

from __future__ import annotations

from typing import assert_never

from attrs import frozen

from gateway.resources.route import StickToClient, StickToHeader, Sticky


@frozen
class Stickiness:
    """By what requests stick to a backend."""

    header: bytes | None
    """The name of the header, in lower case; None for the client."""


def stickiness_of(sticky: Sticky | None) -> Stickiness | None:
    """Compile a rule's `sticky`."""
    match sticky:
        case None:
            return None
        case StickToHeader(name):
            return Stickiness(header=name.encode())
        case StickToClient():
            return Stickiness(header=None)
        case _:
            assert_never(sticky)
