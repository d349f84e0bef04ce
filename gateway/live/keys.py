"""Which key of a provider's pool a request is sent with; `policy/key_choosing.py` decides, this remembers."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.live.breakers import Breakers
from gateway.live.changes import UNHEARD, StandingListener
from gateway.policy.balancing import next_turn
from gateway.policy.key_choosing import (
    Cooling,
    Dead,
    KeyState,
    Ready,
    after_answer,
    seconds_until_usable,
    usable_weights,
)
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.snapshot.stable_names import BreakerName

_READY = Ready()


class Keys:
    """What is held against keys, and their turns."""

    def __init__(self, breakers: Breakers, listener: StandingListener = UNHEARD) -> None:
        """Begin with keys of which nothing bad is known.

        :param breakers: a key whose breaker is open is no choice either.
        :param listener: hears of each that is refused or meets its limit.
        """
        self._breakers = breakers
        self._listener = listener
        self.in_trouble: dict[BreakerName, KeyState] = {}
        """What is held against keys.  Empty on a good day."""
        self._balances: dict[BreakerName, int] = {}

    def choose(self, backend: Backend, now: float) -> ProviderKey | None:
        """The key whose turn it is, of those that are usable now; None if none is."""
        keys = backend.keys
        if len(keys) == 1 and not self.in_trouble and not self._breakers.in_trouble:
            return keys[0]
        weights = self._weights(backend, now)
        if weights is None:
            return None
        if len(keys) == 1:
            return keys[0]
        index, balances = next_turn(weights, [self._balances.get(key.breaker_name, 0) for key in keys])
        for key, balance in zip(keys, balances, strict=True):
            self._balances[key.breaker_name] = balance
        return keys[index]

    def has_other(self, backend: Backend, key: ProviderKey, now: float) -> bool:
        """Tell whether a further request to this backend would have another key than this one."""
        if len(backend.keys) == 1:
            return False
        weights = self._weights(backend, now)
        return weights is not None and any(
            weight for each, weight in zip(backend.keys, weights, strict=True) if each is not key
        )

    def unbroken(self, backend: Backend, now: float) -> list[ProviderKey]:
        """The keys against which nothing is held, whatever their breakers say."""
        states = [self._state(key) for key in backend.keys]
        weights = usable_weights(backend.key_weights, states, now) or [0] * len(states)
        return [key for key, weight in zip(backend.keys, weights, strict=True) if weight]

    def dead(self, backend: Backend, now: float) -> list[ProviderKey]:
        """The keys that the provider refuses, and against which nothing else is held."""
        return [
            key
            for key in backend.keys
            if key.weight and isinstance(self._state(key), Dead) and self._breakers.admits(key, now)
        ]

    def answered(
        self, key: ProviderKey, status: int, code: str | None, retry_after: float | None, now: float
    ) -> None:
        """The provider has answered a request with this key with an error: see `after_answer`."""
        if key.secret is None:
            return  # there is no key to blame
        name, before = key.breaker_name, self._state(key)
        state = after_answer(before, status, code, retry_after, now)
        if state == before:
            return
        self.in_trouble[name] = state
        match state:
            case Dead():
                self._listener.key_refused(name, status)
            case Cooling(until) if not (isinstance(before, Cooling) and now < before.until):
                self._listener.key_limited(name, until, status)

    def accepted(self, key: ProviderKey) -> None:
        """The provider has answered a request with this key rightly: if it was refused, it is no longer."""
        name = key.breaker_name
        if isinstance(self.in_trouble.get(name), Dead):
            del self.in_trouble[name]
            self._listener.key_accepted(name)

    def seconds_until_usable(self, backend: Backend, now: float) -> float | None:
        """Seconds until this backend may be asked again; None where no time helps."""
        waits = []
        for key in backend.keys:
            wait = seconds_until_usable((key.weight,), (self._state(key),), now)
            if wait is not None:
                waits.append(max(wait, self._breakers.seconds_until_admitted(key, now)))
        return min(waits, default=None)

    def keep(self, names: frozenset[BreakerName]) -> None:
        """Forget keys that no snapshot names any more."""
        for name in self.in_trouble.keys() - names:
            del self.in_trouble[name]
        for name in self._balances.keys() - names:
            del self._balances[name]

    def remembered(self) -> Mapping[BreakerName, KeyState]:
        """What is held against which key, in a copy; the others are ready.  Safe in any thread."""
        return self.in_trouble.copy()

    def _weights(self, backend: Backend, now: float) -> list[int] | None:
        admitted = [key.weight if self._breakers.admits(key, now) else 0 for key in backend.keys]
        return usable_weights(admitted, [self._state(key) for key in backend.keys], now)

    def _state(self, key: ProviderKey) -> KeyState:
        return self.in_trouble.get(key.breaker_name, _READY)
