"""How every key of every provider stands, for people and machines that look on.  Safe in any thread."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from attrs import frozen

from gateway.live.breakers import Breakers
from gateway.live.keys import Keys
from gateway.policy.breaking import Breaker, Open, Probing
from gateway.policy.key_choosing import Cooling, Dead, KeyState
from gateway.snapshot.tables import BreakerName


class BreakerStanding(Enum):
    """What a breaker is at; the values are those of its metric."""

    CLOSED = 0
    PROBING = 1
    OPEN = 2


@frozen
class KeyStanding:
    """One key by its names."""

    owner: str
    provider: str
    key: str
    """Empty for the only one."""
    breaker: BreakerStanding
    is_usable: bool
    """The provider has neither refused it nor said that it is at its limit."""


def standings(names: Iterable[BreakerName], breakers: Breakers, keys: Keys, now: float) -> list[KeyStanding]:
    """One for each name; where rules have different keys of one name, the worse of each.

    :param now: clock time in seconds.
    """
    in_trouble, states = breakers.remembered(), keys.remembered()
    found: dict[tuple[str, str, str], tuple[BreakerStanding, bool]] = {}
    for name in names:
        breaker, usable = _standing(in_trouble.get(name)), _is_usable(states.get(name), now)
        shown = (name.owner, name.provider, name.key)
        if shown in found:
            other, other_usable = found[shown]
            breaker = max(breaker, other, key=lambda each: each.value)
            usable = usable and other_usable
        found[shown] = (breaker, usable)
    return [
        KeyStanding(*shown, *standing) for shown, standing in sorted(found.items(), key=lambda each: each[0])
    ]


def _standing(breaker: Breaker | None) -> BreakerStanding:
    match breaker:
        case Open():
            return BreakerStanding.OPEN
        case Probing():
            return BreakerStanding.PROBING
        case _:
            return BreakerStanding.CLOSED


def _is_usable(state: KeyState | None, now: float) -> bool:
    return not (isinstance(state, Dead) or (isinstance(state, Cooling) and now < state.until))
