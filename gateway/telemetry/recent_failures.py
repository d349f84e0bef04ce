"""The exchanges of late that did not go well, kept in memory for people to look at.

Those that are alike are told once, with how many there were.  Of each outcome there is room for some kinds, so that a
thousand requests without a key do not push out the one that a provider failed.
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

KINDS = 30
"""That are kept of each outcome: those of late."""

KEPT = 5
"""Exchanges of each kind."""


class Kind(msgspec.Struct, frozen=True):
    """What exchanges that are alike have in common: names of the configuration and codes of ours, so there are few."""

    outcome: str
    code: int
    error: str
    tenant: str
    route: str
    rule: str
    provider: str


class RecentFailure(msgspec.Struct, frozen=True):
    """One exchange that has ended otherwise than well; the fields are those of the access log."""

    at: float
    """When it ended, in seconds of Unix time."""
    request_id: str
    client: str
    method: str
    path: str
    host: str
    asked_model: str
    sent_model: str
    stream: bool
    duration_ms: float
    tried: tuple[Tried, ...]
    detail: str


class Failures(msgspec.Struct, frozen=True):
    """All of one kind."""

    kind: Kind
    number: int
    """How many there were since the first one."""
    first_at: float
    """When that ended, in seconds of Unix time."""
    last: tuple[RecentFailure, ...]
    """The last few, the newest first."""


class _Alike:
    """Those of one kind, as they come."""

    __slots__ = ("first_at", "last", "number")

    def __init__(self, first_at: float) -> None:
        self.first_at = first_at
        self.number = 0
        self.last: deque[RecentFailure] = deque(maxlen=KEPT)


class RecentFailures:
    """The last few of each kind."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        """Begin with none.

        :param now: seconds of Unix time.
        """
        self._now = now
        self._by_outcome: dict[str, dict[Kind, _Alike]] = {}
        """The kind of which there was one last stands last."""

    def remember(self, names: ExchangeNames, record: ExchangeRecord) -> None:
        """An exchange has ended, and its outcome is not ok.  Neither of the two is kept itself."""
        now = self._now()
        kind = Kind(
            record.outcome,
            record.code,
            record.error,
            names.tenant,
            names.route,
            names.rule,
            names.provider,
        )
        kinds = self._by_outcome.setdefault(kind.outcome, {})
        alike = kinds.pop(kind, None) or _Alike(now)
        if len(kinds) >= KINDS:
            del kinds[next(iter(kinds))]
        kinds[kind] = alike
        alike.number += 1
        alike.last.appendleft(
            RecentFailure(
                at=now,
                request_id=record.request_id[:LONGEST_TEXT],
                client=names.client,
                method=names.method[:LONGEST_TEXT],
                path=names.path[:LONGEST_TEXT],
                host=names.host[:LONGEST_TEXT],
                asked_model=record.asked_model[:LONGEST_TEXT],
                sent_model=record.sent_model[:LONGEST_TEXT],
                stream=record.stream,
                duration_ms=record.duration_ms,
                tried=record.tried,
                detail=record.detail[:LONGEST_DETAIL],
            )
        )

    def newest_first(self) -> list[Failures]:
        """Everything that is kept."""
        failures = [
            Failures(kind, alike.number, alike.first_at, tuple(alike.last))
            for kinds in self._by_outcome.values()
            for kind, alike in kinds.items()
        ]
        return sorted(failures, key=lambda each: each.last[0].at, reverse=True)
