"""Copies of requests: a share of them goes to another backend, too, whose answer is thrown away.

A copy begins when the reactor's turn is over, is an attempt of its own, and knows nothing of the request that it was
made from.  Its tokens are nobody's, and whatever becomes of it, the client does not notice.
"""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.policy.breaking import Outcome
from gateway.policy.retrying import Failure, Fault
from gateway.serving.attempt import Attempt
from gateway.serving.faults import failure_of_answer, failure_of_error, verdict_on
from gateway.serving.outgoing import Original, outgoing_request
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.tables import Backend, Mirror

MOST_COPIES = 256
"""At one time; further requests are not copied.  A backend that is slow must not fill the memory."""

COPY_SECONDS = 300.0
"""How long a copy may take, where its backend sets no `request`."""

SKIPPED = "skipped"
"""There were too many at that time."""


class Mirrors:
    """All copies that are under way."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self.running: set[Copy] = set()

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
        if len(self.running) >= MOST_COPIES:
            surroundings.metrics.mirrored(backend.labels, SKIPPED)
            return
        try:
            request = outgoing_request(original, backend, key)
        except GatewayError:
            return  # the mirror has no such operation
        copy = Copy(surroundings, self)
        answer = ProviderAnswer(backend, original, keeps_text=False)
        self.running.add(copy)
        copy.begin(Attempt(surroundings, request, answer, copy), now)


class Copy:
    """One copied request."""

    def __init__(self, surroundings: Surroundings, mirrors: Mirrors) -> None:
        self._surroundings = surroundings
        self._mirrors = mirrors
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
        self._end(verdict_on(failure, error), failure.fault.value)

    def _end(self, verdict: Outcome, outcome: str) -> None:
        surroundings, attempt = self._surroundings, self._attempt
        surroundings.sweep.forget(self)
        self._mirrors.running.discard(self)
        attempt.conclude(verdict, surroundings.sweep.seconds())
        attempt.cancel()
        surroundings.metrics.mirrored(attempt.backend.labels, outcome)
