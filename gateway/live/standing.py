"""How every key of every provider stands, for people and machines that look on.  Safe in any thread."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from attrs import frozen

from gateway.live.breakers import Breakers
from gateway.live.keys import Keys
from gateway.policy.breaking import Breaker, Open, Probing
from gateway.policy.key_choosing import Cooling, Dead, KeyState
from gateway.snapshot.stable_names import BreakerName


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
    admits_in: float = 0.0
    """Seconds until an open breaker lets a request pass."""
    refused_with: int | None = None
    """The status with which the provider has refused the key; None where it has not."""
    usable_in: float = 0.0
    """Seconds until a key that is at its limit may be used again."""


def standings(names: Iterable[BreakerName], breakers: Breakers, keys: Keys, now: float) -> list[KeyStanding]:
    """One for each key of each provider: the worst that any tenant has of it, or any rule of a key of this name.

    :param now: clock time in seconds.
    """
    in_trouble, states = breakers.remembered(), keys.remembered()
    found: dict[tuple[str, str, str], KeyStanding] = {}
    for name in names:
        standing = _standing(name, in_trouble.get(name), states.get(name), now)
        shown = (name.owner, name.provider, name.key)
        found[shown] = _worst(standing, found[shown]) if shown in found else standing
    return [standing for _, standing in sorted(found.items(), key=lambda each: each[0])]


def _standing(name: BreakerName, breaker: Breaker | None, state: KeyState | None, now: float) -> KeyStanding:
    breaker_standing, admits_in = BreakerStanding.CLOSED, 0.0
    match breaker:
        case Open(until) if now < until:
            breaker_standing, admits_in = BreakerStanding.OPEN, until - now
        case Open():
            breaker_standing = BreakerStanding.PROBING  # as soon as there is a request
        case Probing():
            breaker_standing = BreakerStanding.PROBING
    refused_with, usable_in = None, 0.0
    match state:
        case Dead(status):
            refused_with = status
        case Cooling(until):
            usable_in = max(0.0, until - now)
    return KeyStanding(
        owner=name.owner,
        provider=name.provider,
        key=name.key,
        breaker=breaker_standing,
        is_usable=refused_with is None and not usable_in,
        admits_in=admits_in,
        refused_with=refused_with,
        usable_in=usable_in,
    )


def _worst(one: KeyStanding, other: KeyStanding) -> KeyStanding:
    """The worse of two of the same names, breaker and key each by itself."""
    breaker = max(one, other, key=lambda each: (each.breaker.value, each.admits_in))
    return KeyStanding(
        owner=one.owner,
        provider=one.provider,
        key=one.key,
        breaker=breaker.breaker,
        is_usable=one.is_usable and other.is_usable,
        admits_in=breaker.admits_in,
        refused_with=one.refused_with or other.refused_with,
        usable_in=max(one.usable_in, other.usable_in),
    )
