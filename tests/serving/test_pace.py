"""How fast a streamed answer came."""

from __future__ import annotations

import pytest

from gateway.messages import TokenUsage
from gateway.serving.pace import Pace, pace_of


@pytest.mark.parametrize(
    ("usage", "per_token"),
    [
        (TokenUsage(9, 5), 0.5),
        (TokenUsage(9, 2), 2.0),
        (TokenUsage(9, 1), None),
        (TokenUsage(9, 0), None),
        (TokenUsage(9, 5, estimated=True), None),
        (None, None),
    ],
)
def test_each_token_after_the_first(usage: TokenUsage | None, per_token: float | None) -> None:
    assert pace_of(10.0, 13.0, 15.0, usage) == Pace(3.0, per_token)
