"""How many retries a provider gets: a share of its traffic, so that no storm of retries hits one that is down.

A budget is a value: each function takes it as it was and returns it as it is next.  It remembers requests and retries
of about the last ten seconds: what is older fades, to a third in every ten seconds, so a budget is three numbers
however much traffic there is.
"""

from __future__ import annotations

from math import exp

import msgspec

_MEMORY = 10.0
"""Seconds.  This, the share and the minimum are the defaults of Finagle and Linkerd, where retry budgets come from
(finagle.github.io, "Retry Budgets", 2016)."""
_SHARE = 0.2
_LEAST_PER_SECOND = 10.0
"""Retries a second that are always allowed: small traffic has no share worth the name."""


class Budget(msgspec.Struct, frozen=True, gc=False):
    """The traffic of one provider, as much of it as is remembered."""

    requests: float = 0.0
    """First tries."""
    retries: float = 0.0
    at: float = 0.0
    """Clock time of both numbers, in seconds."""


def request_sent(budget: Budget, now: float, number: int = 1) -> Budget:
    """The budget after a first try, or so many at about this time."""
    kept = _kept(budget, now)
    return Budget(budget.requests * kept + number, budget.retries * kept, now)


def retry_sent(budget: Budget, now: float) -> Budget:
    """The budget after a further try."""
    kept = _kept(budget, now)
    return Budget(budget.requests * kept, budget.retries * kept + 1, now)


def allows_retry(budget: Budget, now: float) -> bool:
    """Tell whether one more retry stays within the budget."""
    kept = _kept(budget, now)
    return budget.retries * kept + 1 <= _SHARE * budget.requests * kept + _LEAST_PER_SECOND * _MEMORY


def _kept(budget: Budget, now: float) -> float:
    return exp((budget.at - now) / _MEMORY)
