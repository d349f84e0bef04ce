"""The pursuit of an answer: attempts for one request, until one brings content or none is left to be made.

    ask -> failed? `recourse.py`: again, the next backend, or a last word -> first content: `relay.py` has the rest

Until the first content an attempt can be thrown away, and the client never hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.errors import GatewayError
from gateway.policy.retrying import Failure, Fault
from gateway.serving.answer import Answer
from gateway.serving.attempt import Attempt
from gateway.serving.attempts import Attempts
from gateway.serving.effort import Effort
from gateway.serving.faults import cut_short, failure_of_answer, failure_of_error, verdict_on
from gateway.serving.last_word import refuse
from gateway.serving.outgoing import Original
from gateway.serving.patience import Patience, overdue, request_timeout
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.recourse import Recourse
from gateway.serving.relay import Relay
from gateway.serving.surroundings import Surroundings
from gateway.serving.upload import Upload
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.snapshot.tables import RuleTable
from gateway.telemetry.outcomes import Outcome, outcome_of_answer


class PursuitOwner(Protocol):
    """Who wants the answer."""

    def pursuit_ended(self, outcome: Outcome, error: GatewayError | None) -> None:
        """The client has been told all that it will be.  Said once."""

    def break_down(self) -> None:
        """The gateway itself has failed, as the exception at hand says."""


class Pursuit:
    """The search for somebody who answers one request."""

    _log = Logger()

    __slots__ = (
        "_answer",
        "_chosen",
        "_client_full",
        "_client_left",
        "_effort",
        "_original",
        "_over",
        "_owner",
        "_patience",
        "_recourse",
        "_relay",
        "_rule",
        "_surroundings",
        "_upload",
        "_waiting",
        "_watched",
        "attempts",
        "backend",
        "content_at",
        "shown",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        original: Original,
        rule: RuleTable,
        chosen: Backend,
        answer: Answer,
        owner: PursuitOwner,
        effort: Effort,
        upload: Upload | None = None,
    ) -> None:
        """Prepare it.

        :param chosen: whose turn it is under the rule.
        :param effort: of the exchange; what is done here at deadlines counts, too.
        :param upload: the body, where it is streamed through.
        """
        self._surroundings = surroundings
        self._original = original
        self._rule = rule
        self._answer = answer
        self._owner = owner
        self._effort = effort
        self._upload = upload
        self.attempts = Attempts(surroundings, original, effort, upload, keeps_text=rule.continues)
        self.backend = self._chosen = chosen
        """Whose answer the client sees, or who was asked last."""
        self.content_at: float | None = None
        """Clock time at which the client was told the first of a provider's answer."""
        self.shown: Attempt | None = None
        """Whose answer or error the client sees, or saw last."""
        self._patience: Patience | None = None
        """None where nothing limits the request as a whole."""
        self._recourse: Recourse | None = None
        """None as long as all goes well."""
        self._relay: Relay | None = None
        """Has the word from the first content on."""
        self._waiting: IDelayedCall | None = None
        """The next try at a backend."""
        self._watched = False
        self._client_full = False
        self._client_left = False
        self._over = False

    def start(self) -> None:
        """Ask the first backend."""
        rule, chosen, now = self._rule, self._chosen, self._surroundings.sweep.seconds()
        if chosen.timeouts.request is not None or rule.hedge_after is not None or rule.keep_alive is not None:
            self._patience = Patience(self._original, rule, chosen, now)
            self.watch()
        key = self._surroundings.live.keys.choose(chosen, now)
        if key is not None:
            self.ask(chosen, key, now)
        else:
            self.attempts.passed_over(chosen)
            self.recourse().ask_next(now)

    def watch(self) -> None:
        """There are deadlines to be looked at."""
        if not self._watched:
            self._watched = True
            self._surroundings.sweep.watch(self)

    @property
    def heard(self) -> Sequence[ProviderAnswer]:
        """Every answer that the client has something of, in that order."""
        if self._relay is not None:
            return self._relay.heard
        return [self.shown.answer] if self.shown is not None else []

    @property
    def stream_begun_at(self) -> float | None:
        """Clock time at which the client was told the first content of a stream; None where it was told none."""
        relay = self._relay
        return self.content_at if relay is not None and relay.speaker.answer.watcher is not None else None

    # -- whom to ask -----------------------------------------------------------------------------------

    def ask(self, backend: Backend, key: ProviderKey, now: float) -> Attempt | None:
        """Start an attempt; None where the provider cannot even be asked this."""
        self.backend = backend
        if backend.timeouts.first_content is not None or self._rule.retries.per_try is not None:
            self.watch()
        try:
            return self.attempts.begin(backend, key, self, now)
        except GatewayError as error:
            self.recourse().not_answered(Fault.OPEN, error)
            self.recourse().ask_next(now)
            return None

    def recourse(self) -> Recourse:
        """What is left to be done where all does not go well."""
        if self._recourse is None:
            of_all = self._surroundings, self._rule, self._chosen, self.attempts, self._answer
            self._recourse = Recourse(*of_all, self, self._patience)
        return self._recourse

    def later(self, seconds: float, call: Callable[[float], None]) -> None:
        """Call this after so many seconds, with the clock time then, unless all is over before."""
        self._waiting = self._surroundings.sweep.later(seconds, lambda: self._waited(call))

    def _waited(self, call: Callable[[float], None]) -> None:
        self._waiting = None
        self._guarded(lambda: call(self._surroundings.sweep.seconds()))

    # -- AttemptObserver, until the first content ----------------------------------------------------------

    def attempt_read(self, attempt: Attempt) -> None:
        said = attempt.answer
        if said.has_content:
            self._commit(attempt)
        elif said.is_lost:
            failure = failure_of_answer(said, self._surroundings.wall_clock())
            self._failed(attempt, failure, None if said.error is not None else cut_short())

    def attempt_failed(self, attempt: Attempt, error: GatewayError) -> None:
        said = attempt.answer
        said.break_off()
        if said.has_content:
            self._commit(attempt, error)
        elif said.error is not None:
            self._failed(attempt, failure_of_answer(said, self._surroundings.wall_clock()), None)
        else:
            self._failed(attempt, failure_of_error(error), error)

    def break_down(self) -> None:
        self._owner.break_down()

    # -- what comes of an attempt ----------------------------------------------------------------------------

    def _commit(self, attempt: Attempt, error: GatewayError | None = None) -> None:
        """The client gets this attempt's answer, and no other's.

        :param error: with which it has ended already.
        """
        self.backend, said, answer = attempt.backend, attempt.answer, self._answer
        self.shown = attempt
        self.content_at = self._surroundings.sweep.seconds()
        if len(self.attempts.running) > 1 or self.attempts.hedge is not None:
            self.attempts.keep_only(attempt)
        if said.ended and said.watcher is None and not answer.begun:
            answer.tell(said, self.attempts.headers(attempt))
            self.attempts.succeeded(attempt)
            self._end(outcome_of_answer(said.status), None)
            return
        if self._effort.chunks is not None:
            self._effort.chunks.content_came()
        self._relay = relay = Relay(
            self._surroundings, self._original, self._rule, self.attempts, answer, self
        )
        relay.begin(attempt)
        if self._over:
            return
        if error is not None:
            relay.attempt_failed(attempt, error)
        elif self._client_full:
            relay.pause()

    def _failed(self, attempt: Attempt, failure: Failure, error: GatewayError | None) -> None:
        """An attempt has failed before its content reached the client.

        :param error: None where the provider has answered with an error of its own.
        """
        self.attempts.failed(attempt, failure, verdict_on(failure, error), error)
        recourse = self.recourse()
        if error is None:
            recourse.answered_with_error(attempt)
        else:
            recourse.not_answered(failure.fault, error)
        if self.attempts.running:
            return  # the other one may still answer
        if self._client_left:
            self._end(Outcome.CLIENT_LEFT, None)
        else:
            recourse.go_on(attempt, failure, self._surroundings.sweep.seconds())

    def refused(self, outcome: Outcome, error: GatewayError | None, by: Attempt | None) -> None:
        """The client has been told that nobody answers it.

        :param by: whose own error that was; None where it was one of ours.
        """
        if by is not None:
            self.shown, self.backend = by, by.backend
            self.content_at = self._surroundings.sweep.seconds()
        self._end(outcome, error)

    # -- the client's side -------------------------------------------------------------------------------------

    def client_full(self) -> None:
        self._client_full = True
        if self._relay is not None:
            self._relay.pause()

    def client_drained(self) -> None:
        self._client_full = False
        if self._relay is not None:
            self._relay.resume()

    def client_left(self) -> None:
        """Nobody reads the answer: read it on for its usage where the rule says so, else break it off."""
        if not self._rule.drains or self._upload is not None or not self.attempts.running:
            self._end(Outcome.CLIENT_LEFT, None)
            return
        self._client_left = True
        now = self._surroundings.sweep.seconds()
        if self._patience is None:
            self._patience = Patience(self._original, self._rule, self._chosen, now)
            self.watch()
        self._patience.client_left(now)
        if self._relay is not None:
            self._relay.continues = False
        self.client_drained()

    def abandon(self) -> None:
        """End everything; the owner hears nothing more, and tells the client itself."""
        self._over = True
        if self._watched:
            self._surroundings.sweep.forget(self)
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        self._recourse = None
        self.attempts.cancel_all()

    # -- deadlines -----------------------------------------------------------------------------------------------

    def swept(self, now: float) -> None:
        """Look at them; `now` is in seconds of the sweep's clock."""
        self._guarded(lambda: self._look(now))

    def _look(self, now: float) -> None:
        if self._patience is not None and self._patience.is_over(now):
            self._out_of_time()
            return
        if self._relay is not None:
            self._relay.look(now)
        else:
            self._look_for_content(now)
        if self._over or self._patience is None:
            return
        if self._relay is None or self._relay.takes_comments:
            self._patience.look_after(self._answer, now)

    def _look_for_content(self, now: float) -> None:
        for attempt in tuple(self.attempts.running):
            error = overdue(attempt, self._rule.retries.per_try, now)
            if error is not None:
                self.attempt_failed(attempt, error)
            if self._over or self._relay is not None:
                return  # there was content in what had been held back
        if self._patience is None or len(self.attempts.running) != 1 or not self._patience.wants_hedge(now):
            return
        candidate = self.recourse().candidates.next(now)
        if candidate is not None:
            self.attempts.hedge = self.ask(*candidate, now)

    def _out_of_time(self) -> None:
        error = request_timeout(begun=self._answer.begun)
        self.attempts.fail_all()
        if self._relay is not None:
            self._relay.break_off(error)
        else:
            self._end(*refuse(self._answer, error, self.attempts))

    def _guarded(self, call: Callable[[], None]) -> None:
        """What fails where no wire is at hand to catch it ends this exchange, and no other."""
        effort, seconds = self._effort, self._surroundings.sweep.seconds
        effort.begin(seconds())
        try:
            call()
            effort.pause(seconds())
        except Exception:
            self._log.failure("an exchange failed at its deadlines")
            self._owner.break_down()

    # -- the end ---------------------------------------------------------------------------------------------------

    def ended(self, outcome: Outcome, error: GatewayError | None) -> None:
        """The relay has told the client all there is."""
        self._end(outcome, error)

    def _end(self, outcome: Outcome, error: GatewayError | None) -> None:
        if self._client_left:
            outcome = Outcome.CLIENT_LEFT
        self._over = True
        if self._watched or self.attempts.running or self._waiting is not None:
            self.abandon()
        self._owner.pursuit_ended(outcome, error)
        # A pursuit and these two know each other: let go, so that all are freed without the collector.
        self._relay = self._recourse = None
