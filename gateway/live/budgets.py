"""The retry budgets of all providers; `policy/budgeting.py` decides, this remembers."""

from __future__ import annotations

from gateway.policy import budgeting
from gateway.policy.budgeting import Budget
from gateway.snapshot.stable_names import ProviderName

_TOGETHER = 1.0
"""Seconds whose first tries are counted together: every request makes one."""


class _Ledger:
    """One provider's budget, and the first tries that are not yet in it."""

    __slots__ = ("budget", "requests", "since")

    def __init__(self, now: float) -> None:
        self.budget = Budget()
        self.requests = 0
        self.since = now

    def settled(self) -> Budget:
        """The budget with everything in it."""
        if self.requests:
            self.budget = budgeting.request_sent(self.budget, self.since, self.requests)
            self.requests = 0
        return self.budget


class RetryBudgets:
    """One budget for each provider."""

    def __init__(self) -> None:
        self._ledgers: dict[ProviderName, _Ledger] = {}

    def request_sent(self, provider: ProviderName, now: float) -> None:
        """A request was sent to this provider for the first time."""
        ledger = self._ledgers.get(provider)
        if ledger is None:
            ledger = self._ledgers[provider] = _Ledger(now)
        if now - ledger.since > _TOGETHER:
            ledger.settled()
            ledger.since = now
        ledger.requests += 1

    def retry_sent(self, provider: ProviderName, now: float) -> None:
        """A request was sent to it again."""
        ledger = self._ledgers.get(provider)
        if ledger is not None:
            ledger.budget = budgeting.retry_sent(ledger.settled(), now)

    def allows_retry(self, provider: ProviderName, now: float) -> bool:
        """Tell whether one more retry stays within its budget."""
        ledger = self._ledgers.get(provider)
        return ledger is None or budgeting.allows_retry(ledger.settled(), now)

    def keep(self, providers: frozenset[ProviderName]) -> None:
        """Forget providers that no snapshot names any more."""
        for provider in self._ledgers.keys() - providers:
            del self._ledgers[provider]
