"""All attempts for one request: each is started here, and counted here, once, as it ends."""

from __future__ import annotations

from gateway.dialects.dialect import StreamSplice
from gateway.messages import Headers
from gateway.policy.breaking import Outcome
from gateway.policy.retrying import Failure, Fault
from gateway.serving.attempt import Attempt, AttemptObserver
from gateway.serving.outgoing import Original, outgoing_request
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.surroundings import Surroundings
from gateway.serving.upload import Upload
from gateway.snapshot.tables import Backend, ProviderKey
from gateway.telemetry.access_log import Tried

OK = "ok"
CANCELLED = "cancelled"
"""Another attempt was faster, or nobody wanted the answer any more."""


class Attempts:
    """Who was asked for one request, and who still is."""

    __slots__ = ("_begun", "_keeps_text", "_original", "_surroundings", "_upload", "running", "tried")

    def __init__(
        self, surroundings: Surroundings, original: Original, upload: Upload | None, *, keeps_text: bool
    ) -> None:
        """Begin with none.

        :param upload: the body, where it is streamed through.
        :param keeps_text: a stream that breaks may have to be continued.
        """
        self._surroundings = surroundings
        self._original = original
        self._upload = upload
        self._keeps_text = keeps_text
        self._begun: list[Attempt] = []
        self.running: list[Attempt] = []
        self.tried: list[Tried] = []
        """Every attempt that has ended, and every backend that was passed over, in that order, for the access log."""

    @property
    def number(self) -> int:
        """How many times a provider was tried, a kept connection that was dead included."""
        number = 0
        for attempt in self._begun:
            number += attempt.connections or 1
        return number

    def at(self, backend: Backend) -> int:
        """How many there were at this backend."""
        number = 0
        for attempt in self._begun:
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
        request = outgoing_request(original, backend, key)
        answer = ProviderAnswer(backend, original, keeps_text=self._keeps_text, splice=splice)
        attempt = Attempt(surroundings, request, answer, observer, self._upload)
        budgets = surroundings.live.budgets
        if self._begun and self.at(backend):
            budgets.retry_sent(backend.name, now)
        else:
            budgets.request_sent(backend.name, now)
        self._begun.append(attempt)
        self.running.append(attempt)
        attempt.start(now)
        return attempt

    def passed_over(self, backend: Backend) -> None:
        """This backend was not even asked."""
        self.tried.append(Tried(backend.provider, "", Fault.OPEN.value, None, 0.0))
        self._surroundings.metrics.attempted(backend.labels, Fault.OPEN.value)

    def failed(self, attempt: Attempt, failure: Failure, verdict: Outcome) -> None:
        """This one has, in the provider's hands or in the client's; nothing more of it is wanted.

        :param verdict: for the breaker.
        """
        now = self._end(attempt, failure.fault.value, failure.status)
        attempt.conclude(verdict, now)
        attempt.cancel()
        if failure.fault is Fault.STATUS and failure.status is not None:
            keys = self._surroundings.live.keys
            keys.answered(attempt.key, failure.status, failure.code, failure.retry_after, now)

    def succeeded(self, attempt: Attempt) -> None:
        """This one has brought all there is."""
        attempt.succeed(self._end(attempt, OK, attempt.answer.status))

    def cancel(self, attempt: Attempt) -> None:
        """Nobody wants this one any more, whatever it would have brought."""
        self._end(attempt, CANCELLED, None)
        attempt.cancel()

    def cancel_all(self) -> None:
        """Nobody wants any of them."""
        for attempt in tuple(self.running):
            self.cancel(attempt)

    def headers(self, shown: Attempt) -> Headers:
        """What a client is told of how its answer came about."""
        return [
            (b"x-llmgateway-attempts", b"%d" % self.number),
            (b"x-llmgateway-backend", shown.backend.provider.encode()),
        ]

    def _end(self, attempt: Attempt, outcome: str, status: int | None) -> float:
        """Count it, and tell what time it is."""
        self.running.remove(attempt)
        surroundings, backend = self._surroundings, attempt.backend
        now = surroundings.sweep.seconds()
        if surroundings.access_log is not None:
            seconds = round(now - attempt.started, 3)
            self.tried.append(Tried(backend.provider, attempt.key.name, outcome, status, seconds))
        surroundings.metrics.attempted(backend.labels, outcome)
        return now
