"""Which keys of a provider's pool may be used, and what an answer says about the key it was asked with.

The turns of the keys are taken as those of backends are, over the weights that `usable_weights` leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from attrs import frozen


@frozen
class Ready:
    """Nothing is held against this key."""


@frozen
class Resting:
    """It met its limit, and the provider did not say for how long: other keys go first."""

    until: float
    """Clock time in seconds."""


@frozen
class Cooling:
    """It is of no use before a time."""

    until: float
    """Clock time in seconds."""


@frozen
class Dead:
    """The provider does not know this key, or forbids it.  So it stays until a request with it is answered rightly, or
    the file changes."""

    status: int


KeyState = Ready | Resting | Cooling | Dead

_REST = 5.0
"""Seconds that other keys go first."""
_UNPAID = 300.0
"""Seconds that a key without credit is left alone: somebody has to pay, and no file changes when that is done."""

_NOT_THE_KEY = frozenset({"content_filter", "context_length_exceeded", "model_not_found"})
"""Error codes that speak of the request, whatever the status."""


def after_answer(
    state: KeyState, status: int, code: str | None, retry_after: float | None, now: float
) -> KeyState:
    """The state of a key after a provider answered with an error.

    :param state: before.  Attempts end in any order, so what is worse or lasts longer stays.
    :param code: the provider's error code as its dialect reads it.
    :param retry_after: seconds that the provider asks to wait; None where it does not say.
    """
    if isinstance(state, Dead) or code in _NOT_THE_KEY:
        return state
    if status in (401, 403) or code == "invalid_api_key":
        return Dead(status)
    if status == 402 or code == "insufficient_quota":
        return _longer(state, Cooling(now + max(retry_after or 0.0, _UNPAID)))
    if status == 429 and retry_after is not None:
        return _longer(state, Cooling(now + retry_after))
    if status == 429 and _unfitness(state, now) < 2:
        return Resting(now + _REST)
    return state


def usable_weights(weights: Sequence[int], states: Sequence[KeyState], now: float) -> list[int] | None:
    """The weights to take a turn over: 0 for each key that may not be used now.

    :return: None if no key may be used.  Those that rest are used where there is no other.
    """
    for most in (0, 1):
        left = [
            weight if _unfitness(state, now) <= most else 0
            for weight, state in zip(weights, states, strict=True)
        ]
        if any(left):
            return left
    return None


def seconds_until_usable(weights: Sequence[int], states: Sequence[KeyState], now: float) -> float | None:
    """Seconds until the first key may be used: 0 where one may be used now, None where all are dead."""
    waits = [
        max(0.0, state.until - now) if isinstance(state, Cooling) else 0.0
        for weight, state in zip(weights, states, strict=True)
        if weight and not isinstance(state, Dead)
    ]
    return min(waits, default=None)


def _unfitness(state: KeyState, now: float) -> int:
    """0: as good as any.  1: where there is no better.  2: not at all."""
    match state:
        case Ready():
            return 0
        case Resting(until):
            return 1 if now < until else 0
        case Cooling(until):
            return 2 if now < until else 0
        case Dead():
            return 2
        case _:
            assert_never(state)


def _longer(state: KeyState, cooling: Cooling) -> Cooling:
    return state if isinstance(state, Cooling) and state.until > cooling.until else cooling
