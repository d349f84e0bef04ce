"""All attempts for one request: each is started here, and counted here, once, as it ends."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from gateway.dialects.dialect import StreamSplice
from gateway.errors import GatewayError
from gateway.messages import Headers
from gateway.policy.breaking import Outcome
from gateway.policy.retrying import Failure, Fault
from gateway.serving.attempt import Attempt, AttemptObserver
from gateway.serving.effort import Effort
from gateway.serving.faults import fault_of_unfinished, in_words
from gateway.serving.outgoing import Original, outgoing_request
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.scrubbing import shown_code
from gateway.serving.surroundings import Surroundings
from gateway.serving.upload import Upload
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.exchange_record import Tried
from gateway.telemetry.traces import AttemptSpan, Purpose, Trace

OK = "ok"
CANCELLED = "cancelled"
"""Another attempt was faster, or nobody wanted the answer any more."""

_NUMBER = b"x-llmgateway-attempts"


class Attempts:
    """Who was asked for one request, and who still is."""

    __slots__ = (
        "_awaited",
        "_effort",
        "_first",
        "_keeps_text",
        "_original",
        "_surroundings",
        "_upload",
        "begun",
        "ended",
        "hedge",
        "running",
        "tried",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        original: Original,
        effort: Effort,
        upload: Upload | None,
        *,
        keeps_text: bool,
    ) -> None:
        """Begin with none.

        :param effort: of the exchange that they are made for.
        :param upload: the body, where it is streamed through.
        :param keeps_text: a stream that breaks may have to be continued.
        """
        self._surroundings = surroundings
        self._original = original
        self._effort = effort
        self._upload = upload
        self._keeps_text = keeps_text
        self._awaited: Backend | None = None
        """To be asked again after a wait."""
        self._first: Backend | None = None
        """Who was to be asked first."""
        # Tuples: of what nearly always is one they are cheaper than lists.
        self.begun: tuple[Attempt, ...] = ()
        """Every attempt, in that order."""
        self.running: list[Attempt] = []
        self.hedge: Attempt | None = None
        """The one that was made beside another; None once it is counted what it was good for."""
        self.tried: tuple[Tried, ...] = ()
        """Every attempt that has ended, and every backend that was passed over, in that order; those that went well
        only for the access log."""
        self.ended: tuple[tuple[Attempt, Tried], ...] = ()
        """Every attempt that has ended, with what is said of it; empty where the only one has ended well."""

    @property
    def number(self) -> int:
        """How many times a provider was tried, a kept connection that was dead included."""
        if len(self.begun) == 1:  # nearly always
            return self.begun[0].connections or 1
        return sum(attempt.connections or 1 for attempt in self.begun)

    @property
    def repeatable(self) -> bool:
        """The request can be sent once more: nothing is gone of a body that is streamed through."""
        return self._upload is None or not self._upload.spent

    def labels_of(self, backend: Backend) -> SeriesLabels:
        """What is counted of a backend under: without the model where nobody has read the body in which it stands."""
        return backend.labels if self._upload is None else msgspec.structs.replace(backend.labels, model="")

    def at(self, backend: Backend) -> int:
        """How many there were at this backend."""
        number = 0
        for attempt in self.begun:
            if attempt.backend is backend:
                number += 1
        return number

    def begin(
        self,
        backend: Backend,
        key: ProviderKey,
        observer: AttemptObserver,
        now: float,
        original: Original | None = None,
        splice: StreamSplice | None = None,
    ) -> Attempt:
        """Start one; it may have failed when this returns.

        :param original: asked instead of the client's own request.
        :raises GatewayError: where the provider has no such operation; nothing was started then.
        """
        surroundings, original = self._surroundings, original or self._original
        if self._first is None:
            self._first = backend
        elif splice is None and not self.running:
            self._count_another(backend)
        span = None if original.trace is None else self._span(original.trace, original, backend, splice)
        request = outgoing_request(original, backend, key, span)
        keeps_text = self._keeps_text and splice is None  # of a rest the client's text is known
        answer = ProviderAnswer(backend, original, keeps_text=keeps_text, splice=splice)
        if backend.pricing is not None and backend.pricing.catalog is not None:
            surroundings.costs.expect(backend.pricing.catalog, answer.sent_model)
        attempt = Attempt(surroundings, request, answer, observer, self._effort, self._upload)
        if self._awaited is backend:
            self._awaited = None  # it is counted already
        elif self.begun and self.at(backend):
            surroundings.live.budgets.retry_sent(backend.name, now)
        else:
            surroundings.live.budgets.request_sent(backend.name, now)
        self.begun += (attempt,)
        self.running.append(attempt)
        attempt.start(now)
        return attempt

    def will_repeat(self, backend: Backend, now: float) -> None:
        """This backend is to be asked again after a wait.

        It is counted now: a thousand requests that fail together do not wait together for a budget of a hundred.
        """
        self._surroundings.live.budgets.retry_sent(backend.name, now)
        self._awaited = backend

    def passed_over(self, backend: Backend) -> None:
        """This backend was not even asked."""
        self._first = self._first or backend
        self.tried += (Tried(backend.provider, "", Fault.OPEN.value, None, 0.0),)
        self._surroundings.metrics.attempted(self.labels_of(backend), Fault.OPEN.value)

    def failed(
        self, attempt: Attempt, failure: Failure, verdict: Outcome, error: GatewayError | None = None
    ) -> None:
        """This one has, in the provider's hands or in the client's; nothing more of it is wanted.

        :param verdict: for the breaker.
        :param error: of the wire, or of a deadline.
        """
        now = self._end(attempt, failure.fault.value, failure.status or attempt.answer.status or None)
        self._remember(attempt)
        attempt.conclude(verdict, now, in_words(failure, error))
        attempt.cancel()
        if failure.fault is Fault.STATUS and failure.status is not None:
            backend = attempt.backend
            self._surroundings.metrics.failed_with(self.labels_of(backend), failure.status)
            if failure.code is not None:
                self.tried[-1].code = shown_code(failure.code, backend.secrets) or UNSET
            keys = self._surroundings.live.keys
            keys.answered(attempt.key, failure.status, failure.code, failure.retry_after, now)

    def succeeded(self, attempt: Attempt) -> None:
        """This one has brought all there is."""
        attempt.succeed(self._end(attempt, OK, attempt.answer.status))
        keys = self._surroundings.live.keys
        if keys.in_trouble:
            keys.accepted(attempt.key)
        if self.ended:
            self._remember(attempt)

    def cancel(self, attempt: Attempt) -> None:
        """Nobody wants this one any more, whatever it would have brought."""
        self._end(attempt, CANCELLED, attempt.answer.status or None)
        self._remember(attempt)
        attempt.cancel()

    def cancel_all(self) -> None:
        """Nobody wants any of them."""
        self.keep_only(None)

    def keep_only(self, winner: Attempt | None) -> None:
        """This one has brought content first, and nobody wants what another one would."""
        for attempt in tuple(self.running):
            if attempt is not winner:
                self.cancel(attempt)
        if self.hedge is not None:
            self._surroundings.metrics.hedged(self.labels_of(self.hedge.backend), won=self.hedge is winner)
            self.hedge = None

    def fail_all(self) -> None:
        """There is no more time.  Who had all of it has failed; who came late, or was never asked, may not have."""
        alone = self.number == 1
        for attempt in tuple(self.running):
            had_all = alone and not attempt.is_queued
            fault = Fault.UNREACHABLE if attempt.is_queued else fault_of_unfinished(attempt.answer)
            self.failed(attempt, Failure(fault), Outcome.FAILURE if had_all else Outcome.ABANDONED)

    def headers(self, shown: Attempt) -> Headers:
        """What a client is told of how its answer came about."""
        return [
            (_NUMBER, b"%d" % self.number),
            (b"x-llmgateway-backend", shown.backend.provider.encode()),
        ]

    def headers_of_failure(self) -> Headers:
        """What a client is told where none of them has brought an answer."""
        return [(_NUMBER, b"%d" % self.number)]

    def _count_another(self, backend: Backend) -> None:
        """The one before has not answered; neither a hedge nor the rest of a stream is begun here."""
        if self.at(backend):
            self._surroundings.metrics.retried(self.labels_of(backend))
        elif backend is not self._first:
            self._surroundings.metrics.fell_back(self.labels_of(backend))

    def _span(
        self, trace: Trace, original: Original, backend: Backend, splice: StreamSplice | None
    ) -> AttemptSpan:
        if splice is not None:
            purpose = Purpose.CONTINUATION
        elif self.running:
            purpose = Purpose.HEDGE
        elif self.at(backend):
            purpose = Purpose.RETRY
        else:
            purpose = Purpose.FIRST if backend is self._first else Purpose.FALLBACK
        model, stream = original.sent_model(backend), original.wants_stream(backend)
        return trace.attempt(purpose, original.operation, model, stream=stream)

    def _end(self, attempt: Attempt, outcome: str, status: int | None) -> float:
        """Count it, and tell what time it is."""
        self.running.remove(attempt)
        surroundings, backend = self._surroundings, attempt.backend
        now = surroundings.sweep.seconds()
        if surroundings.access_log is not None or outcome != OK or self.ended:
            first = self.begun[0]
            after = 0.0 if attempt is first else _to_the_millisecond(attempt.started - first.started)
            seconds = _to_the_millisecond(now - attempt.started)
            self.tried += (Tried(backend.provider, attempt.key.name, outcome, status, seconds, after),)
        surroundings.metrics.attempted(self.labels_of(backend), outcome)
        if attempt.span is not None:
            attempt.span.end(outcome, status, now)
        return now

    def _remember(self, attempt: Attempt) -> None:
        """Keep in mind that this one has just ended."""
        self.ended += ((attempt, self.tried[-1]),)


def _to_the_millisecond(seconds: float) -> float:
    """Rounded, at a third of what `round` costs."""
    return int(seconds * 1e3 + 0.5) / 1e3
