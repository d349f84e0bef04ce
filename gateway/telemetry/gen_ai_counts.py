"""What OpenTelemetry's metrics of generative AI count, where the Gateway document asks for them.

Both generations show the same counts under their own names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from gateway.dialects.operations import Operation
from gateway.messages import TokenUsage
from gateway.snapshot.backends import Backend
from gateway.telemetry import gen_ai_families as names
from gateway.telemetry.family import Family, Row, Shown
from gateway.telemetry.gen_ai import operation_name, provider_name
from gateway.telemetry.names import ConfiguredNames, Lingering
from gateway.wire.counts import Histogram

_MODALITY = "unknown"
"""Which tokens were text, sound or pictures is nothing that usage says in all dialects."""


class Asked(NamedTuple):
    """What was asked of whom: the labels of everything here."""

    operation: str
    provider: str
    model: str
    """As configured; empty where the client chooses."""
    address: str
    """The provider's `spec.host`."""
    port: str


def asked(operation: Operation, backend: Backend, model: str) -> Asked:
    """The labels of an exchange."""
    host = backend.provider_host
    port = str(backend.destination.port)
    return Asked(operation_name(operation), provider_name(host, backend.dialect.name), model, host, port)


class ChunkTimes:
    """How long it was between the pieces of one answer, from the one with the first content on."""

    __slots__ = ("_has_content", "_last", "between")

    def __init__(self) -> None:
        self.between = Histogram(names.DURATION_BUCKETS)
        """In seconds."""
        self._has_content = False
        self._last = 0.0

    def read(self, now: float) -> None:
        """A piece is read at this clock time."""
        if self._has_content:
            self.between.add(now - self._last)
        self._last = now

    def content_came(self) -> None:
        """The piece that was read last has the first content."""
        self._has_content = True


class _Counts:
    """What was counted for the same labels."""

    def __init__(self) -> None:
        self.durations: dict[str, Histogram] = {}
        """By error; the empty one is none."""
        self.first_chunk = Histogram(names.DURATION_BUCKETS)
        self.first_token = Histogram(names.FIRST_TOKEN_BUCKETS)
        self.per_chunk = Histogram(names.DURATION_BUCKETS)
        self.per_token = Histogram(names.PER_TOKEN_BUCKETS)
        self.input = Histogram(names.TOKEN_BUCKETS)
        self.output = Histogram(names.TOKEN_BUCKETS)
        self.cached_input = 0
        self.reasoning = 0


class GenAiCounts:
    """The counts of all labels."""

    def __init__(self) -> None:
        self.generations: Sequence[str] = ()
        """Those that are shown; while there are none, nothing is to be counted."""
        self._counts: dict[Asked, _Counts] = {}
        self._lingering: Lingering[Asked] = Lingering()

    def adopt(self, generations: Sequence[str]) -> None:
        """Show these from now on; with the last of them goes what was counted."""
        self.generations = generations
        if not generations:
            self._counts = {}

    def finished(self, what: Asked, error: str, seconds: float, usage: TokenUsage | None) -> None:
        """Count an exchange that has ended.

        :param error: a code of `gateway.errors.CODES`, or the status of a provider's own error; empty for none.
        :param usage: None where nothing is known of it, or several have made the answer, of which each is `used`.
        """
        counts = self._of(what)
        duration = counts.durations.get(error)
        if duration is None:
            duration = counts.durations[error] = Histogram(names.DURATION_BUCKETS)
        duration.add(seconds)
        if usage is not None:
            self.used(what, usage)

    def used(self, what: Asked, usage: TokenUsage) -> None:
        """Count the tokens of one answer."""
        counts = self._of(what)
        counts.input.add(usage.input)
        counts.output.add(usage.output)
        counts.cached_input += usage.cached_input
        counts.reasoning += usage.reasoning

    def streamed(
        self,
        what: Asked,
        first_token: float,
        per_token: float | None,
        chunks: ChunkTimes,
    ) -> None:
        """Count a streamed answer.

        :param first_token: seconds to its first content; None for `per_token` where it cannot be told.
        """
        counts = self._of(what)
        counts.first_chunk.add(first_token)
        counts.first_token.add(first_token)
        if per_token is not None:
            counts.per_token.add(per_token)
        counts.per_chunk.include(chunks.between)

    def forget_removed(self, configured: ConfiguredNames, now: float) -> None:
        """Let go of backends that have been gone from the configuration for long enough."""
        self._lingering.forget(self._counts, lambda key: (key.address, key.model) in configured.models, now)

    def _of(self, what: Asked) -> _Counts:
        counts = self._counts.get(what)
        if counts is None:
            counts = self._counts[what] = _Counts()
        return counts

    # -- a scrape ------------------------------------------------------------------------------------

    def collect(self) -> Iterator[Shown]:
        """Everything that is asked for, for a scrape."""
        wanted = {family for word in self.generations for family in names.GENERATIONS[word]}
        everything = self._counts.copy()
        for family in sorted(wanted, key=lambda family: family.name):
            yield Shown(family, partial(_rows, family, everything))


def _rows(family: Family, everything: dict[Asked, _Counts]) -> Iterator[Row]:
    for what, counts in everything.items():
        if family in _TOTALS:
            yield (*what, _MODALITY), _TOTALS[family](counts)
        elif family in _DURATIONS:
            for error, duration in counts.durations.copy().items():
                yield (*what, error), duration.buckets()
        elif family is names.TOKEN_USAGE:
            yield (*what, "input"), counts.input.buckets()
            yield (*what, "output"), counts.output.buckets()
        else:
            yield what, _HISTOGRAMS[family](counts).buckets()


_DURATIONS = (names.CLIENT_DURATION, names.SERVER_DURATION, names.NEXT_DURATION)

_HISTOGRAMS: dict[Family, Callable[[_Counts], Histogram]] = {
    names.FIRST_CHUNK: lambda counts: counts.first_chunk,
    names.NEXT_FIRST_CHUNK: lambda counts: counts.first_chunk,
    names.PER_CHUNK: lambda counts: counts.per_chunk,
    names.NEXT_PER_CHUNK: lambda counts: counts.per_chunk,
    names.SERVER_FIRST_TOKEN: lambda counts: counts.first_token,
    names.SERVER_PER_TOKEN: lambda counts: counts.per_token,
    names.NEXT_INPUT: lambda counts: counts.input,
    names.NEXT_OUTPUT: lambda counts: counts.output,
}

_TOTALS: dict[Family, Callable[[_Counts], float]] = {
    names.USAGE_INPUT: lambda counts: counts.input.buckets().sum,
    names.USAGE_OUTPUT: lambda counts: counts.output.buckets().sum,
    names.USAGE_CACHED: lambda counts: counts.cached_input,
    names.USAGE_REASONING: lambda counts: counts.reasoning,
}
