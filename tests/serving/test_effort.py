"""The gateway's own work on one exchange."""

from __future__ import annotations

from gateway.serving.effort import Effort


def test_waiting_is_no_work() -> None:
    effort = Effort(1.0)
    effort.pause(1.25)
    effort.begin(100.0)
    effort.pause(100.5)
    assert effort.pause(1000.0) == 0.75


def test_an_exchange_that_ends_in_a_callback() -> None:
    effort = Effort(1.0)
    assert effort.pause(3.0) == 2.0
    effort.pause(9.0)
    assert effort.spent == 2.0


def test_a_callback_within_another_one_is_counted_once() -> None:
    effort = Effort(1.0)
    effort.begin(2.0)
    effort.pause(3.0)
    effort.pause(4.0)
    assert effort.spent == 2.0
