"""The exchanges of late that did not go well, kept in memory for people to look at.

A few of each outcome, so that a thousand requests without a key do not push out the one that a provider failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import time

import msgspec

from gateway.telemetry.exchange_record import (
    LONGEST_DETAIL,
    LONGEST_TEXT,
    ExchangeNames,
    ExchangeRecord,
    Tried,
)

KEPT = 20
"""Of each outcome."""


class RecentFailure(msgspec.Struct, frozen=True):
    """One exchange that has ended otherwise than well; the fields are those of the access log."""

    at: float
    """When it ended, in seconds of Unix time."""
    request_id: str
    tenant: str
    client: str
    route: str
    rule: str
    provider: str
    method: str
    path: str
    host: str
    code: int
    outcome: str
    error: str
    asked_model: str
    sent_model: str
    stream: bool
    duration_ms: float
    tried: tuple[Tried, ...]
    detail: str


class RecentFailures:
    """The last few of each outcome."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        """Begin with none.

        :param now: seconds of Unix time.
        """
        self._now = now
        self._by_outcome: dict[str, deque[RecentFailure]] = {}

    def remember(self, names: ExchangeNames, record: ExchangeRecord) -> None:
        """An exchange has ended, and its outcome is not ok.  Neither of the two is kept itself."""
        failures = self._by_outcome.get(record.outcome)
        if failures is None:
            failures = self._by_outcome[record.outcome] = deque(maxlen=KEPT)
        failures.append(
            RecentFailure(
                at=self._now(),
                request_id=record.request_id[:LONGEST_TEXT],
                tenant=names.tenant,
                client=names.client,
                route=names.route,
                rule=names.rule,
                provider=names.provider,
                method=names.method[:LONGEST_TEXT],
                path=names.path[:LONGEST_TEXT],
                host=names.host[:LONGEST_TEXT],
                code=record.code,
                outcome=record.outcome,
                error=record.error,
                asked_model=record.asked_model[:LONGEST_TEXT],
                sent_model=record.sent_model[:LONGEST_TEXT],
                stream=record.stream,
                duration_ms=record.duration_ms,
                tried=tuple(record.tried),
                detail=record.detail[:LONGEST_DETAIL],
            )
        )

    def newest_first(self) -> list[RecentFailure]:
        """All that are kept."""
        failures = [each for kept in self._by_outcome.values() for each in kept]
        return sorted(failures, key=lambda failure: failure.at, reverse=True)
