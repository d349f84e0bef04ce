"""What is counted of answers that no client got anything of: their providers bill them all the same."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from gateway.messages import TokenUsage
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry import families
from gateway.telemetry.family import Row, Shown
from gateway.telemetry.names import ConfiguredNames, Lingering


class Discarded(StrEnum):
    """Why nobody got an answer that a provider was asked for."""

    LEFT = "left"
    """The client left before any of it came."""
    FAILED = "failed"
    """It came too late, or broke off before its first content."""
    HEDGE = "hedge"
    """Another attempt, made at the same time, was faster."""
    CONTINUATION = "continuation"
    """It was to be the rest of a stream that broke, and was not."""
    MIRROR = "mirror"
    """It was asked for with a copy of a request."""


class _Counts:
    """What was counted for the same labels."""

    __slots__ = ("costs", "tokens")

    def __init__(self) -> None:
        self.tokens: dict[tuple[Discarded, str, bool], int] = {}
        """By reason, type and whether they are estimated."""
        self.costs: dict[tuple[Discarded, str], float] = {}
        """By reason and currency."""


class DiscardedCounts:
    """Tokens and cost by who asked, and whose answer it would have been."""

    def __init__(self) -> None:
        self._counts: dict[tuple[SeriesLabels, str], _Counts] = {}
        self._lingering: Lingering[tuple[SeriesLabels, str]] = Lingering()

    def add(
        self,
        labels: SeriesLabels,
        client: str,
        reason: Discarded,
        usage: TokenUsage,
        cost: float | None,
        currency: str,
    ) -> None:
        """Count one answer.

        :param labels: of the backend that was asked.
        :param client: empty for an anonymous one, and for a copy.
        :param cost: in this currency; None where nobody knows.
        """
        counts = self._counts.get((labels, client))
        if counts is None:
            counts = self._counts[labels, client] = _Counts()
        for kind, number, counted in (
            ("input", usage.input, usage.counted_input),
            ("output", usage.output, usage.counted_output),
        ):
            if not usage.estimated:
                counted = number
            for part, is_estimated in ((counted, False), (number - counted, True)):
                if part or is_estimated is usage.estimated:
                    key = (reason, kind, is_estimated)
                    counts.tokens[key] = counts.tokens.get(key, 0) + part
        if cost is not None:
            counts.costs[reason, currency] = counts.costs.get((reason, currency), 0.0) + cost

    def forget_removed(self, names: ConfiguredNames, now: float) -> None:
        """Let go of what has been gone from the configuration for long enough."""

        def is_named(key: tuple[SeriesLabels, str]) -> bool:
            labels, client = key
            return labels in names.labels and (labels.tenant, client) in names.clients

        self._lingering.forget(self._counts, is_named, now)

    def collect(self) -> Iterator[Shown]:
        """Everything, for a scrape."""
        yield Shown(families.DISCARDED_TOKENS, self._tokens)
        yield Shown(families.DISCARDED_COST, self._costs)

    def _tokens(self) -> Iterator[Row]:
        for values, counts in self._all():
            for (reason, kind, estimated), number in counts.tokens.copy().items():
                yield (*values, reason, kind, "true" if estimated else "false"), number

    def _costs(self) -> Iterator[Row]:
        for values, counts in self._all():
            for (reason, currency), amount in counts.costs.copy().items():
                yield (*values, reason, currency), amount

    def _all(self) -> Iterator[tuple[tuple[str, ...], _Counts]]:
        for (labels, client), counts in self._counts.copy().items():
            yield (labels.tenant, client, labels.route, labels.rule, labels.provider, labels.model), counts
