"""Who is asked for its health, and when; breakers learn from it.

Providers whose operator wants it are asked now and then, each one time after the other.  What a check does to a
breaker says `policy/breaking.py`.  A key is never held to blame for one: what may chat need not be allowed to list
models.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger

from gateway.serving.health_check import RunningCheck, check_request
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.health_checks import HealthCheck
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import BreakerName, ProviderName
from gateway.telemetry.outcomes import CheckResult
from gateway.wire.pool import Connect

JITTER = 0.1
"""Share of the interval by which a check may come earlier or later, so that providers are not asked all at once."""


class HealthChecks:
    """Every provider that is asked for its health."""

    def __init__(self, surroundings: Surroundings, connect: Connect) -> None:
        """Make it; it asks nobody before a snapshot is adopted."""
        self._surroundings = surroundings
        self._connect = connect
        self._providers: dict[ProviderName, CheckedProvider] = {}

    def adopt(self, snapshot: Snapshot) -> None:
        """Ask those whom this snapshot wants to have asked, and no others.

        Who is asked something else than before begins anew; the others keep their time.
        """
        breakers: dict[ProviderName, list[BreakerName]] = {name: [] for name in snapshot.health_checks}
        for breaker in snapshot.breaker_names:
            if (breaker.owner, breaker.provider) in breakers:
                breakers[breaker.owner, breaker.provider].append(breaker)
        for name, provider in tuple(self._providers.items()):
            check = snapshot.health_checks.get(name)
            if check is None or _question(check) != _question(provider.check):
                provider.stop()
                del self._providers[name]
        for name, check in snapshot.health_checks.items():
            known = self._providers.get(name)
            if known is None:
                known = self._providers[name] = CheckedProvider(self._surroundings, self._connect, check)
            known.check, known.breakers = check, breakers[name]

    def stop(self) -> None:
        """Ask nobody any more."""
        for provider in self._providers.values():
            provider.stop()
        self._providers.clear()


class CheckedProvider:
    """One provider that is asked."""

    _log = Logger()

    def __init__(self, surroundings: Surroundings, connect: Connect, check: HealthCheck) -> None:
        self.check = check
        self.breakers: Iterable[BreakerName] = ()
        """Of all its keys."""
        self._surroundings = surroundings
        self._connect = connect
        # Anywhere in the first interval, for after a start all would be asked together.
        self._due = surroundings.sweep.seconds() + check.interval * surroundings.chance()
        self._running: RunningCheck | None = None
        self._last = CheckResult.SUCCESS
        surroundings.sweep.watch(self)

    def stop(self) -> None:
        """Ask it no more."""
        self._surroundings.sweep.forget(self)
        if self._running is not None:
            self._running.cancel()

    def swept(self, now: float) -> None:
        """Look whether it is time."""
        if self._running is not None:
            self._running.swept(now)
        elif now >= self._due:
            self._due = now + self.check.interval * (1 - JITTER + 2 * JITTER * self._surroundings.chance())
            self._begin(now)

    def _begin(self, now: float) -> None:
        check = self.check
        keys = self._surroundings.live.keys.unbroken(check.backend, now)
        if keys:  # a dead one would only be refused
            self._running = RunningCheck(check, keys[0], now + check.timeout, self._ended)
            self._running.begin(self._connect)

    def _ended(self, result: CheckResult, reason: str) -> None:
        self._running = None
        surroundings, backend = self._surroundings, self.check.backend
        surroundings.metrics.health_checked(backend.name, result)
        if result is not CheckResult.REFUSED:
            succeeded, now = result is CheckResult.SUCCESS, surroundings.sweep.seconds()
            fault = f"health check: {reason}"
            surroundings.live.breakers.checked(self.breakers, succeeded, backend.outlier, now, fault)
        if result is not self._last:
            self._last = result
            tell = self._log.info if result is CheckResult.SUCCESS else self._log.warn
            tell(
                "health check of provider {provider} of tenant {tenant}: {result}{reason}",
                provider=backend.provider,
                tenant=backend.owner,
                result=result.value,
                reason=reason and f", {reason}",
            )


def _question(check: HealthCheck) -> tuple[object, ...]:
    """What two equal checks have alike."""
    requests = tuple(check_request(check, key) for key in check.backend.keys)
    return check.backend.destination, check.backend.timeouts, check.interval, check.timeout, requests
