"""What went on: by tenant, rule, backend and provider, since the start and in the last minute."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from gateway.serving.page.counts import Counts, Ended, Pair, between, ended_between, total
from gateway.serving.page.history import Recent
from gateway.snapshot.stable_names import SeriesLabels


@frozen
class Activity:
    """What went on at something.

    Few rows of a table are shown, and of the others nothing is wanted but how requests and attempts have ended.
    """

    _pairs: tuple[Pair, ...]
    """What was counted up to a minute ago, and up to now, at each backend that is part of it."""
    seconds: float
    """How long that minute is; 0 where nothing has happened in it, or there is nothing to compare with yet."""
    ended: Ended = field(init=False, eq=False)
    """In the last minute."""

    @ended.default
    def _ended(self) -> Ended:
        return ended_between(self._pairs)

    @property
    def lately(self) -> Counts:
        """All that was counted in the last minute."""
        return between(self._pairs)

    @property
    def total(self) -> Counts:
        """All that was counted since the start."""
        return total(now for _, now in self._pairs)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.ended.requests / self.seconds if self.seconds else 0.0

    @property
    def failing(self) -> float:
        """The share of requests that have failed, 0 to 1."""
        requests = self.ended.requests
        return self.ended.failed / requests if requests else 0.0

    @property
    def is_quiet(self) -> bool:
        """No request and no attempt has ended in the last minute."""
        return not self.ended.requests and not self.ended.attempts


class Activities:
    """What went on, to be asked by who is meant."""

    def __init__(self, recent: Recent | None) -> None:
        """Sort what was counted.

        :param recent: None before the first reading.
        """
        self._recent = recent
        self._seconds = recent.seconds if recent is not None else 0.0
        self._now = recent.now.backends if recent is not None else {}
        self._before = recent.before.backends if recent is not None else {}
        self._by_tenant: dict[str, list[SeriesLabels]] = {}
        self._by_rule: dict[tuple[str, str, str], list[SeriesLabels]] = {}
        for labels in self._now:
            self._by_tenant.setdefault(labels.tenant, []).append(labels)
            self._by_rule.setdefault((labels.tenant, labels.route, labels.rule), []).append(labels)

    @property
    def tenants(self) -> Iterable[str]:
        """Whose requests there were."""
        return self._by_tenant

    @property
    def labels(self) -> Iterable[SeriesLabels]:
        """All that something went on at."""
        return self._now

    def whole(self) -> Activity:
        """Everything together."""
        if self._recent is None:
            return Activity((), 0.0)
        return Activity(((self._recent.before.whole, self._recent.now.whole),), self._seconds)

    def of_tenant(self, name: str) -> Activity:
        return self.of(self._by_tenant.get(name, ()))

    def of_rule(self, tenant: str, route: str, rule: str) -> Activity:
        return self.of(self._by_rule.get((tenant, route, rule), ()))

    def of(self, several: Iterable[SeriesLabels]) -> Activity:
        """All of these together."""
        now, before = self._now, self._before
        pairs = tuple(
            (before.get(labels), tally) for labels in several if (tally := now.get(labels)) is not None
        )
        # A reading takes over from the one before what has not changed: most of it, nearly always.
        is_quiet = all(then is tally for then, tally in pairs)
        return Activity(pairs, 0.0 if is_quiet else self._seconds)
