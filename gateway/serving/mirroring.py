"""Copies of requests: a share of them goes to another backend, too, whose answer is thrown away.

A copy begins when the reactor's turn is over, is an attempt of its own, and knows nothing of the request that it was
made from.  Its tokens are no client's, and whatever becomes of it, the client does not notice.
"""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.policy.breaking import Outcome
from gateway.policy.retrying import Failure, Fault
from gateway.serving.attempt import Attempt
from gateway.serving.effort import Effort
from gateway.serving.faults import failure_of_answer, failure_of_error, in_words, verdict_on
from gateway.serving.outgoing import Original, outgoing_request
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.spans import tell_attempt
from gateway.serving.spending import spending_of, used
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.backends import Backend
from gateway.snapshot.tables import Mirror
from gateway.telemetry.discarded_counts import Discarded
from gateway.telemetry.traces import AttemptSpan, Purpose

MOST_COPIES = 256
"""At one time; further requests are not copied.  A backend that is slow must not fill the memory."""

MOST_BYTES = 32 * 1024 * 1024
"""Of the bodies of all copies together, but for one that is longer by itself.  Each is held some three times: as it
came, as it goes out, and as much of that as the backend has not taken."""

COPY_SECONDS = 300.0
"""How long a copy may take, where its backend sets no `request`."""

SKIPPED = "skipped"
"""There were too many at that time, or too large ones."""


class Mirrors:
    """All copies that are under way."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self.running: set[Copy] = set()
        self.running_bytes = 0
        """Of their bodies."""

    def consider(self, original: Original, mirror: Mirror) -> None:
        """Copy this request, if it is one of the share."""
        surroundings = self._surroundings
        if surroundings.chance() * 100 < mirror.percent:
            surroundings.sweep.soon(lambda: self._begin(original, mirror.backend))

    def _begin(self, original: Original, backend: Backend) -> None:
        surroundings = self._surroundings
        now = surroundings.sweep.seconds()
        key = surroundings.live.keys.choose(backend, now)
        if key is None:
            surroundings.metrics.mirrored(backend.labels, Fault.OPEN.value)
            return
        assert original.envelope is not None
        size = len(original.envelope.body)
        if self.running and (len(self.running) >= MOST_COPIES or self.running_bytes + size > MOST_BYTES):
            surroundings.metrics.mirrored(backend.labels, SKIPPED)
            return
        try:
            request = outgoing_request(original, backend, key, _span(original, backend))
        except GatewayError:
            return  # the mirror has no such operation
        copy = Copy(surroundings, self, size)
        answer = ProviderAnswer(backend, original, keeps_text=False)
        self.running.add(copy)
        self.running_bytes += size
        copy.begin(Attempt(surroundings, request, answer, copy, Effort()), now)

    def ended(self, copy: Copy) -> None:
        """It needs no more room."""
        if copy in self.running:
            self.running.remove(copy)
            self.running_bytes -= copy.size


def _span(original: Original, backend: Backend) -> AttemptSpan | None:
    if original.trace is None:
        return None
    model, stream = original.sent_model(backend), original.wants_stream(backend)
    return original.trace.attempt(Purpose.MIRROR, original.operation, model, stream=stream)


class Copy:
    """One copied request."""

    def __init__(self, surroundings: Surroundings, mirrors: Mirrors, size: int) -> None:
        self._surroundings = surroundings
        self._mirrors = mirrors
        self.size = size
        """Of its body, in bytes."""
        self._until = 0.0

    def begin(self, attempt: Attempt, now: float) -> None:
        """Send it."""
        self._attempt = attempt
        self._until = now + (attempt.backend.timeouts.request or COPY_SECONDS)
        self._surroundings.sweep.watch(self)
        attempt.start(now)

    def attempt_read(self, attempt: Attempt) -> None:
        answer = attempt.answer
        answer.release()
        if answer.is_lost:
            self._fail(failure_of_answer(answer, self._surroundings.wall_clock()), None)
        elif answer.ended:
            self._end(Outcome.SUCCESS, "ok")

    def attempt_failed(self, attempt: Attempt, error: GatewayError) -> None:
        self._fail(failure_of_error(error), error)

    def break_down(self) -> None:
        self._end(Outcome.ABANDONED, "cancelled")

    def swept(self, now: float) -> None:
        """Look whether it has taken too long."""
        if now >= self._until:
            self._fail(Failure(Fault.STALLED), None)

    def _fail(self, failure: Failure, error: GatewayError | None) -> None:
        if failure.status is not None:
            keys, now = self._surroundings.live.keys, self._surroundings.sweep.seconds()
            keys.answered(self._attempt.key, failure.status, failure.code, failure.retry_after, now)
        self._end(verdict_on(failure, error), failure.fault.value, in_words(failure, error))

    def _end(self, verdict: Outcome, outcome: str, fault: str = "") -> None:
        surroundings, attempt = self._surroundings, self._attempt
        now = surroundings.sweep.seconds()
        surroundings.sweep.forget(self)
        self._mirrors.ended(self)
        attempt.conclude(verdict, now, fault)
        attempt.cancel()
        surroundings.metrics.mirrored(attempt.backend.labels, outcome)
        spent = spending_of(attempt, Discarded.MIRROR, surroundings.costs)
        if attempt.span is not None:
            attempt.span.end(outcome, attempt.answer.status or None, now)
            tell_attempt(attempt, attempt.span, None if spent is None else used(spent))
        if spent is not None:
            labels = attempt.backend.labels
            surroundings.metrics.discarded(
                labels, "", Discarded.MIRROR, spent.usage, spent.cost, spent.currency
            )
