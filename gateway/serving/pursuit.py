"""The pursuit of an answer: attempts for one request, until one brings content or none is left to be made.

    ask -> failed? again, the next backend, or hand it on -> first content: `relay.py` has the rest

Pure policies decide what comes next.  Until the first content an attempt can be thrown away, and the client never
hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, assert_never

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gateway.dialects.dialect import AnswerFacts
from gateway.errors import GatewayError
from gateway.policy import breaking
from gateway.policy.retrying import Again, Failure, Fault, HandOn, Onward, decide
from gateway.serving.answer import Answer
from gateway.serving.attempt import Attempt
from gateway.serving.attempts import Attempts
from gateway.serving.candidates import Candidates
from gateway.serving.faults import cut_short, failure_of_answer, failure_of_error, verdict_on
from gateway.serving.last_word import LastWord, refuse
from gateway.serving.outgoing import Original
from gateway.serving.patience import Patience, overdue, request_timeout
from gateway.serving.relay import Relay
from gateway.serving.surroundings import Surroundings
from gateway.serving.upload import Upload
from gateway.snapshot.tables import Backend, ProviderKey, RuleTable
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
        "_hedge",
        "_last_word",
        "_original",
        "_others",
        "_over",
        "_owner",
        "_patience",
        "_relay",
        "_rule",
        "_shown",
        "_surroundings",
        "_upload",
        "_waiting",
        "_watched",
        "attempts",
        "backend",
        "content_at",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        original: Original,
        rule: RuleTable,
        chosen: Backend,
        answer: Answer,
        owner: PursuitOwner,
        upload: Upload | None = None,
    ) -> None:
        """Prepare it.

        :param chosen: whose turn it is under the rule.
        :param upload: the body, where it is streamed through.
        """
        self._surroundings = surroundings
        self._original = original
        self._rule = rule
        self._answer = answer
        self._owner = owner
        self._upload = upload
        self.attempts = Attempts(surroundings, original, upload, keeps_text=rule.continues)
        self.backend = self._chosen = chosen
        """Whose answer the client sees, or who was asked last."""
        self.content_at: float | None = None
        """Clock time at which the client was told the first of a provider's answer."""
        self._patience: Patience | None = None
        """None where nothing limits the request as a whole."""
        self._others: Candidates | None = None
        """None as long as all goes well."""
        self._last_word: LastWord | None = None
        """None as long as nothing has failed."""
        self._relay: Relay | None = None
        """Has the word from the first content on."""
        self._shown: Attempt | None = None
        """Whose answer or error the client has got, whole and at once."""
        self._hedge: Attempt | None = None
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
            self._ask(chosen, key, now)
        else:
            self.attempts.passed_over(chosen)
            self._ask_next(now)

    def watch(self) -> None:
        """There are deadlines to be looked at."""
        if not self._watched:
            self._watched = True
            self._surroundings.sweep.watch(self)

    def facts(self) -> AnswerFacts:
        """Usage and model, as far as providers have told them."""
        if self._relay is not None:
            return self._relay.facts()
        return self._shown.answer.facts() if self._shown is not None else AnswerFacts()

    @property
    def provider_request_id(self) -> bytes | None:
        """What the provider calls the request whose answer or error the client sees."""
        shown = self._relay.speaker if self._relay is not None else self._shown
        return shown.answer.provider_request_id if shown is not None else None

    # -- whom to ask -----------------------------------------------------------------------------------

    def _candidates(self) -> Candidates:
        if self._others is None:
            self._others = Candidates(self._surroundings.live, self._rule, self._chosen, self.attempts)
        return self._others

    def _ask_next(self, now: float) -> None:
        candidate = self._candidates().next(now)
        if candidate is not None:
            self._ask(*candidate, now)
        elif not self.attempts.running:
            self._give_up(now)

    def _ask(self, backend: Backend, key: ProviderKey, now: float) -> Attempt | None:
        """Start an attempt; None where the provider cannot even be asked this."""
        self.backend = backend
        if backend.timeouts.first_content is not None or self._rule.retries.per_try is not None:
            self.watch()
        try:
            return self.attempts.begin(backend, key, self, now)
        except GatewayError as error:
            self._failures().note(Fault.OPEN, error)
            self._ask_next(now)
            return None

    def _failures(self) -> LastWord:
        if self._last_word is None:
            self._last_word = LastWord()
        return self._last_word

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
        self.content_at = self._surroundings.sweep.seconds()
        if len(self.attempts.running) > 1:
            self._drop_others(attempt)
        if said.ended and said.watcher is None and not answer.begun:
            self._shown = attempt
            answer.tell(said, self.attempts.headers(attempt))
            self.attempts.succeeded(attempt)
            self._end(outcome_of_answer(said.status), None)
            return
        self._relay = relay = Relay(
            self._surroundings, self._original, self._rule, self.attempts, answer, self
        )
        relay.begin(attempt, self._candidates().left)
        if self._over:
            return
        if error is not None:
            relay.attempt_failed(attempt, error)
        elif self._client_full:
            relay.pause()

    def _drop_others(self, winner: Attempt) -> None:
        """Of two attempts one has brought content first."""
        for attempt in tuple(self.attempts.running):
            if attempt is not winner:
                self.attempts.cancel(attempt)
        self._count_hedge(won=winner is self._hedge)

    def _count_hedge(self, *, won: bool) -> None:
        if self._hedge is not None:
            self._surroundings.metrics.hedged(self._hedge.backend.labels, won=won)
            self._hedge = None

    def _failed(self, attempt: Attempt, failure: Failure, error: GatewayError | None) -> None:
        """An attempt has failed before its content reached the client.

        :param error: None where the provider has answered with an error of its own.
        """
        self.attempts.failed(attempt, failure, verdict_on(failure, error))
        if error is None:
            self._failures().refused = attempt
        else:
            self._failures().note(failure.fault, error)
        if self.attempts.running:
            return  # the other one may still answer
        if self._client_left:
            self._end(Outcome.CLIENT_LEFT, None)
        else:
            self._decide(attempt, failure, self._surroundings.sweep.seconds())

    def _decide(self, attempt: Attempt, failure: Failure, now: float) -> None:
        if self._upload is not None and self._upload.spent:
            self._give_up(now)
            return
        surroundings, backend = self._surroundings, attempt.backend
        live = surroundings.live
        decision = decide(
            failure,
            self._rule.retries,
            tries_here=self.attempts.at(backend),
            last=not self._candidates().left,
            seconds_left=self._patience.seconds_left(now) if self._patience is not None else None,
            fallback_on=self._rule.fallback_on,
            budget_left=live.budgets.allows_retry(backend.name, now),
            chance=surroundings.chance(),
            other_key=live.keys.has_other(backend, attempt.key, now),
        )
        match decision:
            case Again(wait):
                self._waiting = surroundings.sweep.later(wait, lambda: self._waited(backend))
            case Onward():
                self._ask_next(now)
            case HandOn():
                self._give_up(now)
            case _:
                assert_never(decision)

    def _waited(self, backend: Backend) -> None:
        self._waiting = None
        self._guarded(lambda: self._ask_again(backend, self._surroundings.sweep.seconds()))

    def _ask_again(self, backend: Backend, now: float) -> None:
        candidate = self._candidates().at(backend, now)
        if candidate is not None:
            self._ask(*candidate, now)
        else:
            self._ask_next(now)

    def _give_up(self, now: float) -> None:
        """Nobody answers: tell the client."""
        if self._last_word is not None:
            self._shown = self._last_word.refused
            if self._shown is not None:
                self.backend = self._shown.backend
                self.content_at = now
            self._end(*self._last_word.tell(self._answer, self.attempts))
            return
        candidate = self._candidates().last_resort(now)
        if candidate is not None:
            self._ask(*candidate, now)
        else:
            self._end(*refuse(self._answer, self._candidates().nobody(now)))

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
        if self.attempts.running:
            self.attempts.cancel_all()
        if self._hedge is not None:
            self._count_hedge(won=False)

    # -- deadlines -----------------------------------------------------------------------------------------------

    def swept(self, now: float) -> None:
        """Look at them; `now` is in seconds of the sweep's clock."""
        self._guarded(lambda: self._look(now))

    def _look(self, now: float) -> None:
        if self._patience is not None and self._patience.is_over(now):
            self._out_of_time()
        elif self._relay is not None:
            self._relay.look(now)
        else:
            self._look_for_content(now)

    def _look_for_content(self, now: float) -> None:
        for attempt in tuple(self.attempts.running):
            error = overdue(attempt, self._rule.retries.per_try, now)
            if error is not None:
                self.attempt_failed(attempt, error)
        if self._over or self._relay is not None or self._patience is None:
            return
        if len(self.attempts.running) == 1 and self._patience.wants_hedge(now):
            candidate = self._candidates().next(now)
            if candidate is not None:
                self._hedge = self._ask(*candidate, now)
        if not self._over and self._patience.wants_comment(now):
            self._answer.keep_waiting()

    def _out_of_time(self) -> None:
        error = request_timeout(begun=self._answer.begun)
        # Who had all the time there was has failed; who came late may not have.
        verdict = breaking.Outcome.FAILURE if self.attempts.number == 1 else breaking.Outcome.ABANDONED
        for attempt in tuple(self.attempts.running):
            self.attempts.failed(attempt, failure_of_error(error), verdict)
        if self._relay is not None:
            self._relay.break_off(error)
        else:
            self._end(*refuse(self._answer, error))

    def _guarded(self, call: Callable[[], None]) -> None:
        """What fails where no wire is at hand to catch it ends this exchange, and no other."""
        try:
            call()
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
        # A pursuit and its relay know each other: let go, so that both are freed without the collector.
        self._relay = None
