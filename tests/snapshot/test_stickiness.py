from __future__ import annotations

from gateway.resources.route import StickToClient, StickToHeader
from gateway.snapshot.stickiness import Stickiness, stickiness_of


def test_what_sticks() -> None:
    assert stickiness_of(None) is None
    assert stickiness_of(StickToClient()) == Stickiness(header=None)
    assert stickiness_of(StickToHeader("x-session")) == Stickiness(header=b"x-session")
