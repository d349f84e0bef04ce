"""What is counted of exchanges that have ended, by who asked and who answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.messages import TokenUsage
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry import families
from gateway.telemetry.family import Row, Shown
from gateway.telemetry.names import ConfiguredNames, Lingering
from gateway.telemetry.outcomes import Outcome
from gateway.wire.counts import Buckets, Histogram

NO_ROUTE = SeriesLabels(tenant="", route="", rule="", provider="", model="")
"""The labels of a request that was refused before it was known whose it is."""


_OK = Outcome.OK


class Timings:
    """How long things took at one backend, whichever client asked."""

    __slots__ = ("first_token", "overhead", "per_token")

    def __init__(self) -> None:
        self.overhead = Histogram(families.OVERHEAD_BUCKETS)
        self.first_token: Histogram | None = None
        """None until something was streamed; likewise the next."""
        self.per_token: Histogram | None = None


class Series:
    """What has been counted for one set of labels."""

    __slots__ = (
        "_answers",
        "_fine",
        "cached_input_tokens",
        "costs",
        "duration",
        "estimated_input_tokens",
        "estimated_output_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "request_bytes",
        "response_bytes",
        "timings",
    )

    def __init__(self, timings: Timings) -> None:
        self.timings = timings
        self._fine = 0
        """How many exchanges ended well and with 200: nearly all do, and a number is cheaper than a dictionary."""
        self._answers: dict[tuple[int, Outcome], int] = {}
        """How many others ended with this code and outcome."""
        self.duration = Histogram(families.BUCKETS)
        self.input_tokens = 0
        self.output_tokens = 0
        self.cached_input_tokens = 0
        self.reasoning_tokens = 0
        self.estimated_input_tokens = 0
        self.estimated_output_tokens = 0
        self.costs: dict[str, float] = {}
        """By currency."""
        self.request_bytes = 0
        """Of bodies that the client sent; whoever ends an exchange adds them."""
        self.response_bytes = 0
        """Of bodies that it was sent."""

    def finished(
        self,
        code: int,
        outcome: Outcome,
        seconds: float,
        usage: TokenUsage | None,
        overhead: float | None = None,
    ) -> None:
        """Count one exchange that has ended.

        :param code: the status that the client saw; 499 where it left.
        :param seconds: how long the exchange took.
        :param usage: None where nothing is known of it, or several have made the answer, of which each is `used`.
        :param overhead: seconds that the gateway itself worked on it; None where that was not measured.
        """
        if code == 200 and outcome is _OK:
            self._fine += 1
        else:
            self._answers[code, outcome] = self._answers.get((code, outcome), 0) + 1
        self.duration.add(seconds)
        if usage is not None:
            self.used(usage)
        if overhead is not None:
            self.timings.overhead.add(overhead)

    def used(self, usage: TokenUsage) -> None:
        """Count the tokens of one answer, or of the part of it that was made here."""
        self.input_tokens += usage.input
        self.output_tokens += usage.output
        if usage.cached_input:
            self.cached_input_tokens += usage.cached_input
        if usage.reasoning:
            self.reasoning_tokens += usage.reasoning
        if usage.estimated:
            self.estimated_input_tokens += usage.input - usage.counted_input
            self.estimated_output_tokens += usage.output - usage.counted_output

    def streamed(self, first_token: float | None, per_token: float | None) -> None:
        """Count one streamed answer.

        :param first_token: seconds from the end of the request's head to the first content.
        :param per_token: seconds for each token after the first; None where it cannot be told.
        """
        timings = self.timings
        if first_token is not None:
            if timings.first_token is None:
                timings.first_token = Histogram(families.FIRST_TOKEN_BUCKETS)
            timings.first_token.add(first_token)
        if per_token is not None:
            if timings.per_token is None:
                timings.per_token = Histogram(families.PER_TOKEN_BUCKETS)
            timings.per_token.add(per_token)

    def spent(self, cost: float, currency: str) -> None:
        """Count what one answer has cost."""
        self.costs[currency] = self.costs.get(currency, 0.0) + cost

    def answers(self) -> dict[tuple[int, Outcome], int]:
        """How many exchanges ended with which code and outcome.  May be asked in any thread."""
        answers, fine = self._answers.copy(), self._fine
        return {(200, _OK): fine, **answers} if fine else answers


class _OfBackend:
    """What is counted for the same labels, the client's aside."""

    __slots__ = ("by_client", "timings")

    def __init__(self) -> None:
        self.timings = Timings()
        self.by_client: dict[str, Series] = {}


class AllSeries:
    """The series of every set of labels that something was counted for."""

    def __init__(self) -> None:
        self._by_labels: dict[SeriesLabels, _OfBackend] = {}
        self._lingering: Lingering[SeriesLabels] = Lingering()
        self._lingering_clients: Lingering[tuple[SeriesLabels, str]] = Lingering()

    def of(self, labels: SeriesLabels, client: str) -> Series:
        """Where exchanges of these labels are counted.

        :param labels: of the backend that answered or was tried last; `NO_ROUTE` where none was known.
        :param client: the configured name of the tenant's client; empty for an anonymous one.
        """
        try:
            return self._by_labels[labels].by_client[client]
        except KeyError:
            counted = self._by_labels.setdefault(labels, _OfBackend())
            return counted.by_client.setdefault(client, Series(counted.timings))

    def forget_removed(self, names: ConfiguredNames, now: float) -> None:
        """Let go of series whose names have been gone from the configuration for long enough."""
        counted = self._by_labels
        self._lingering.forget(counted, names.labels.__contains__, now)
        clients = (
            (labels, client) for labels, each in counted.copy().items() for client in each.by_client.copy()
        )
        for labels, client in self._lingering_clients.over(
            clients, lambda key: (key[0].tenant, key[1]) in names.clients, now
        ):
            counted[labels].by_client.pop(client, None)

    def backends(self) -> Iterator[tuple[SeriesLabels, Timings, list[Series]]]:
        """What was counted at each backend, and for each of its clients.  May be asked in any thread."""
        for labels, counted in self._by_labels.copy().items():
            yield labels, counted.timings, list(counted.by_client.copy().values())

    def collect(self) -> Iterator[Shown]:
        """Everything, for a scrape."""
        yield Shown(families.REQUESTS, self._requests)
        yield Shown(families.DURATION, self._each(lambda series: series.duration.buckets()))
        yield Shown(families.TOKENS, self._tokens)
        yield Shown(families.TOKENS_ESTIMATED, self._estimated_tokens)
        yield Shown(families.COST, self._costs)
        yield Shown(families.REQUEST_BYTES, self._each(lambda series: series.request_bytes))
        yield Shown(families.RESPONSE_BYTES, self._each(lambda series: series.response_bytes))
        yield Shown(families.OVERHEAD, self._timed(lambda timings: timings.overhead))
        yield Shown(families.TIME_TO_FIRST_TOKEN, self._timed(lambda timings: timings.first_token))
        yield Shown(families.TIME_PER_OUTPUT_TOKEN, self._timed(lambda timings: timings.per_token))

    def _requests(self) -> Iterator[Row]:
        for values, series in self._all():
            for (code, outcome), number in series.answers().items():
                yield (*values, str(code), outcome), number

    def _tokens(self) -> Iterator[Row]:
        for values, series in self._all():
            yield (*values, "input"), series.input_tokens
            yield (*values, "output"), series.output_tokens
            yield (*values, "cached_input"), series.cached_input_tokens
            yield (*values, "reasoning"), series.reasoning_tokens

    def _estimated_tokens(self) -> Iterator[Row]:
        for values, series in self._all():
            yield (*values, "input"), series.estimated_input_tokens
            yield (*values, "output"), series.estimated_output_tokens

    def _costs(self) -> Iterator[Row]:
        for values, series in self._all():
            for currency, amount in series.costs.copy().items():
                yield (*values, currency), amount

    def _each(self, counted: Callable[[Series], float | Buckets]) -> Callable[[], Iterator[Row]]:
        """Rows of this."""
        return lambda: ((values, counted(series)) for values, series in self._all())

    def _timed(self, timed: Callable[[Timings], Histogram | None]) -> Callable[[], Iterator[Row]]:
        """Rows of this, where there is any."""

        def rows() -> Iterator[Row]:
            for labels, counted in self._by_labels.copy().items():
                histogram = timed(counted.timings)
                if histogram is not None:
                    values = (labels.tenant, labels.route, labels.rule, labels.provider, labels.model)
                    yield values, histogram.buckets()

        return rows

    def _all(self) -> Iterator[tuple[tuple[str, ...], Series]]:
        """Every series, and the values of its labels."""
        for labels, counted in self._by_labels.copy().items():
            for client, series in counted.by_client.copy().items():
                yield (
                    (labels.tenant, client, labels.route, labels.rule, labels.provider, labels.model),
                    series,
                )
