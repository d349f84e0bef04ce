from __future__ import annotations

import pytest

from bench.doors import hammered


@pytest.mark.parametrize(
    "times",
    [[], [0.0], [0.0, 0.0], [0.0, 0.2, 1.6], [0.0, 0.2, 1.7, 3.2, 4.7]],
)
def test_a_backend_may_be_asked_twice_and_then_after_a_while(times: list[float]) -> None:
    assert not hammered(times)


@pytest.mark.parametrize("times", [[0.0, 0.0, 0.0], [0.0, 0.2, 1.4], [0.0, 0.1, 1.6, 1.7, 2.9]])
def test_it_must_not_be_asked_too_often_in_too_short_a_time(times: list[float]) -> None:
    assert hammered(times)
