"""The breakers of all providers' keys; `policy/breaking.py` decides, this remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.live.changes import UNHEARD, StandingListener
from gateway.policy import breaking
from gateway.policy.breaking import Breaker, Closed, Open, Outcome, OutlierDetection
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.snapshot.stable_names import BreakerName

_NEW = Closed()

# By itself: looking a member up in its Enum costs as much as a call.
_FAILURE = Outcome.FAILURE


class Breakers:
    """One breaker for each key of a provider.  What was never in trouble takes no room."""

    def __init__(self, listener: StandingListener = UNHEARD) -> None:
        """Begin with all closed.

        :param listener: hears of each that opens or closes.
        """
        self._listener = listener
        self.in_trouble: dict[BreakerName, Breaker] = {}
        """Every breaker that is not as if it were new.  Empty on a good day."""

    def admits(self, key: ProviderKey, now: float) -> bool:
        """Tell whether a request may be sent with this key."""
        breaker = self.in_trouble.get(key.breaker_name)
        return breaker is None or breaking.admits(breaker, now)

    def begin(self, key: ProviderKey, now: float) -> bool:
        """A request is sent; tell whether it is the probe, for `report`."""
        breaker = self.in_trouble.get(key.breaker_name)
        if breaker is None:
            return False
        self.in_trouble[key.breaker_name], is_probe = breaking.begin(breaker, now)
        return is_probe

    def report(
        self,
        backend: Backend,
        key: ProviderKey,
        outcome: Outcome,
        now: float,
        *,
        probe: bool,
        fault: str = "",
    ) -> None:
        """A request that began has ended; said once for each.

        :param fault: what was wrong, in words.
        """
        if not self.in_trouble and outcome is not _FAILURE and backend.outlier.failure_percent is None:
            return  # nothing is remembered of a success
        breaker = self.in_trouble.get(key.breaker_name, _NEW)
        after = breaking.report(breaker, outcome, backend.outlier, now, probe)
        self._remember(key.breaker_name, breaker, after, fault)

    def checked(
        self,
        names: Iterable[BreakerName],
        succeeded: bool,
        settings: OutlierDetection,
        now: float,
        fault: str = "",
    ) -> None:
        """A health check of a provider has ended; these are the breakers of all its keys.

        :param fault: what was wrong, in words.
        """
        for name in names:
            breaker = self.in_trouble.get(name, _NEW)
            self._remember(name, breaker, breaking.checked(breaker, succeeded, settings, now), fault)

    def seconds_until_admitted(self, key: ProviderKey, now: float) -> float:
        """Seconds until a request may be sent with this key; 0 if it may now, or at any moment."""
        return breaking.seconds_until_admitted(self.in_trouble.get(key.breaker_name, _NEW), now)

    def least_bad(self, keys: Sequence[ProviderKey]) -> int:
        """The index of the key to try when none is admitted; there is at least one."""
        return breaking.least_bad([self.in_trouble.get(key.breaker_name, _NEW) for key in keys])

    def keep(self, names: frozenset[BreakerName]) -> None:
        """Forget the breakers of keys that no snapshot names any more."""
        for name in self.in_trouble.keys() - names:
            del self.in_trouble[name]

    def remembered(self) -> Mapping[BreakerName, Breaker]:
        """A copy of all that is remembered; a breaker that is missing is closed.  Safe in any thread."""
        return self.in_trouble.copy()

    def _remember(self, name: BreakerName, before: Breaker, breaker: Breaker, fault: str) -> None:
        if breaker == _NEW:
            self.in_trouble.pop(name, None)
        else:
            self.in_trouble[name] = breaker
        # That a probe has failed is nothing new.
        if isinstance(before, Closed):
            if isinstance(breaker, Open):
                self._listener.breaker_opened(name, breaker.until, fault)
        elif isinstance(breaker, Closed):
            self._listener.breaker_closed(name)
