"""What is counted of exchanges that have ended, by who asked and who answered."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from gateway.messages import TokenUsage
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry import families
from gateway.telemetry.family import add_histogram
from gateway.telemetry.names import ConfiguredNames, Lingering
from gateway.telemetry.outcomes import Outcome
from gateway.wire.counts import Histogram

NO_ROUTE = SeriesLabels(tenant="", route="", rule="", provider="", model="")
"""The labels of a request that was refused before it was known whose it is."""


class Timings:
    """How long things took at one backend, whichever client asked."""

    __slots__ = ("first_token", "overhead", "per_token")

    def __init__(self) -> None:
        self.overhead = Histogram(families.OVERHEAD_BUCKETS)
        self.first_token = Histogram(families.FIRST_TOKEN_BUCKETS)
        self.per_token = Histogram(families.PER_TOKEN_BUCKETS)


class Series:
    """What has been counted for one set of labels."""

    __slots__ = (
        "answers",
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
        self.answers: dict[tuple[int, Outcome], int] = {}
        """How many exchanges ended with this code and outcome."""
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
        :param usage: None where nothing is known of it.
        :param overhead: seconds that the gateway itself worked on it; None where that was not measured.
        """
        key = (code, outcome)
        self.answers[key] = self.answers.get(key, 0) + 1
        self.duration.add(seconds)
        if usage is not None:
            self.input_tokens += usage.input
            self.output_tokens += usage.output
            if usage.cached_input:
                self.cached_input_tokens += usage.cached_input
            if usage.reasoning:
                self.reasoning_tokens += usage.reasoning
            if usage.estimated:
                self.estimated_input_tokens += usage.input
                self.estimated_output_tokens += usage.output
        if overhead is not None:
            self.timings.overhead.add(overhead)

    def streamed(self, first_token: float | None, per_token: float | None) -> None:
        """Count one streamed answer.

        :param first_token: seconds from the end of the request's head to the first content.
        :param per_token: seconds for each token after the first; None where it cannot be told.
        """
        if first_token is not None:
            self.timings.first_token.add(first_token)
        if per_token is not None:
            self.timings.per_token.add(per_token)

    def spent(self, cost: float, currency: str) -> None:
        """Count what one answer has cost."""
        self.costs[currency] = self.costs.get(currency, 0.0) + cost


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
        counted = self._by_labels.get(labels)
        if counted is None:
            counted = self._by_labels[labels] = _OfBackend()
        series = counted.by_client.get(client)
        if series is None:
            series = counted.by_client[client] = Series(counted.timings)
        return series

    def forget_removed(self, names: ConfiguredNames, now: float) -> None:
        """Let go of series whose names have been gone from the configuration for long enough."""
        counted = self._by_labels
        self._lingering.forget(counted, names.labels.__contains__, now)
        clients = [
            (labels, client) for labels, each in counted.copy().items() for client in each.by_client.copy()
        ]
        for labels, client in self._lingering_clients.over(
            clients, lambda key: (key[0].tenant, key[1]) in names.clients, now
        ):
            counted[labels].by_client.pop(client, None)

    def backends(self) -> Iterator[tuple[SeriesLabels, Timings, list[Series]]]:
        """What was counted at each backend, and for each of its clients.  May be asked in any thread."""
        for labels, counted in self._by_labels.copy().items():
            yield labels, counted.timings, list(counted.by_client.copy().values())

    def collect(self) -> Iterator[Metric]:
        """Everything, as prometheus_client wants it."""
        requests, duration = families.REQUESTS.counter(), families.DURATION.histogram()
        tokens, estimated = families.TOKENS.counter(), families.TOKENS_ESTIMATED.counter()
        cost = families.COST.counter()
        request_bytes, response_bytes = families.REQUEST_BYTES.counter(), families.RESPONSE_BYTES.counter()
        for labels, client, series in self._all():
            values = (labels.tenant, client, labels.route, labels.rule, labels.provider, labels.model)
            for (code, outcome), number in series.answers.copy().items():
                requests.add_metric((*values, str(code), outcome), number)
            add_histogram(duration, values, families.BUCKETS, series.duration.buckets())
            tokens.add_metric((*values, "input"), series.input_tokens)
            tokens.add_metric((*values, "output"), series.output_tokens)
            tokens.add_metric((*values, "cached_input"), series.cached_input_tokens)
            tokens.add_metric((*values, "reasoning"), series.reasoning_tokens)
            estimated.add_metric((*values, "input"), series.estimated_input_tokens)
            estimated.add_metric((*values, "output"), series.estimated_output_tokens)
            for currency, amount in series.costs.copy().items():
                cost.add_metric((*values, currency), amount)
            request_bytes.add_metric(values, series.request_bytes)
            response_bytes.add_metric(values, series.response_bytes)
        yield from (requests, duration, tokens, estimated, cost, request_bytes, response_bytes)
        yield from self._collect_timings()

    def _collect_timings(self) -> Iterator[Metric]:
        overhead = families.OVERHEAD.histogram()
        first_token = families.TIME_TO_FIRST_TOKEN.histogram()
        per_token = families.TIME_PER_OUTPUT_TOKEN.histogram()
        for labels, counted in self._by_labels.copy().items():
            timings = counted.timings
            values = (labels.tenant, labels.route, labels.rule, labels.provider, labels.model)
            add_histogram(overhead, values, families.OVERHEAD_BUCKETS, timings.overhead.buckets())
            if labels.provider:
                buckets = timings.first_token.buckets()
                add_histogram(first_token, values, families.FIRST_TOKEN_BUCKETS, buckets)
                add_histogram(per_token, values, families.PER_TOKEN_BUCKETS, timings.per_token.buckets())
        yield from (overhead, first_token, per_token)

    def _all(self) -> Iterator[tuple[SeriesLabels, str, Series]]:
        for labels, counted in self._by_labels.copy().items():
            for client, series in counted.by_client.copy().items():
                yield labels, client, series
