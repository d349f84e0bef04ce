"""What becomes of a request after an attempt has failed: the same backend again, the next one, or a last word.

It is made for the first failure, and gathers the facts by which `policy/retrying.py` decides.  Before the first
content it carries the decision out; afterwards `relay.py` does, for the rest of a stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, assert_never

from gateway.errors import GatewayError
from gateway.policy.retrying import Again, Decision, Failure, Fault, HandOn, Onward, decide
from gateway.serving.answer import Answer
from gateway.serving.attempt import Attempt
from gateway.serving.attempts import Attempts
from gateway.serving.candidates import Candidates
from gateway.serving.last_word import LastWord, refuse
from gateway.serving.patience import Patience
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.snapshot.tables import RuleTable
from gateway.telemetry.outcomes import Outcome


class RecourseOwner(Protocol):
    """Who wants an answer."""

    def ask(self, backend: Backend, key: ProviderKey, now: float) -> Attempt | None:
        """Start an attempt."""

    def later(self, seconds: float, call: Callable[[float], None]) -> None:
        """Call this after so many seconds, with the clock time then, unless all is over before."""

    def refused(self, outcome: Outcome, error: GatewayError | None, by: Attempt | None) -> None:
        """The client has been told that nobody answers it.

        :param by: whose own error that was; None where it was one of ours.
        """


class Recourse:
    """What is left to be done for one request."""

    __slots__ = (
        "_answer",
        "_attempts",
        "_last_word",
        "_owner",
        "_patience",
        "_rule",
        "_surroundings",
        "candidates",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        rule: RuleTable,
        chosen: Backend,
        attempts: Attempts,
        answer: Answer,
        owner: RecourseOwner,
        patience: Patience | None,
    ) -> None:
        """Begin with every fallback.

        :param chosen: whose turn it is under the rule.
        :param patience: None where nothing limits the request as a whole.
        """
        self._surroundings = surroundings
        self._rule = rule
        self._attempts = attempts
        self._answer = answer
        self._owner = owner
        self._patience = patience
        self._last_word = LastWord()
        self.candidates = Candidates(surroundings.live, rule, chosen, attempts)

    def decide(self, attempt: Attempt, failure: Failure, now: float, *, last: bool) -> Decision:
        """What the rule, the time left and the provider's budget call for after this failure.

        :param last: nobody else is left to be asked.
        """
        backend, live = attempt.backend, self._surroundings.live
        return decide(
            failure,
            self._rule.retries,
            tries_here=self._attempts.at(backend),
            last=last,
            seconds_left=self._patience.seconds_left(now) if self._patience is not None else None,
            fallback_on=self._rule.fallback_on,
            budget_left=live.budgets.allows_retry(backend.name, now),
            chance=self._surroundings.chance(),
            other_key=live.keys.has_other(backend, attempt.key, now),
        )

    # -- before the first content ------------------------------------------------------------------------

    def answered_with_error(self, attempt: Attempt) -> None:
        """A provider has answered, with an error of its own."""
        self._last_word.refused = attempt

    def not_answered(self, fault: Fault, error: GatewayError) -> None:
        """An attempt has brought no answer, or could not even be made."""
        self._last_word.note(fault, error)

    def go_on(self, attempt: Attempt, failure: Failure, now: float) -> None:
        """This attempt, the only one that was under way, has failed."""
        if not self._attempts.repeatable:
            self._give_up(now)
            return
        decision = self.decide(attempt, failure, now, last=not self.candidates.left)
        match decision:
            case Again(wait):
                self._attempts.will_repeat(attempt.backend, now)
                self._owner.later(wait, lambda now: self._ask_again(attempt.backend, now))
            case Onward():
                self.ask_next(now)
            case HandOn():
                self._give_up(now)
            case _:
                assert_never(decision)

    def ask_next(self, now: float) -> None:
        """Ask the next backend that can be asked."""
        candidate = self.candidates.next(now)
        if candidate is not None:
            self._owner.ask(*candidate, now)
        elif not self._attempts.running:
            self._give_up(now)

    def _ask_again(self, backend: Backend, now: float) -> None:
        candidate = self.candidates.at(backend, now)
        if candidate is not None:
            self._owner.ask(*candidate, now)
        else:
            self.ask_next(now)

    def _give_up(self, now: float) -> None:
        """Nobody answers: tell the client."""
        word = self._last_word
        if word.has_something:
            outcome, error = word.tell(self._answer, self._attempts)
            self._owner.refused(outcome, error, word.refused)
            return
        candidate = self.candidates.last_resort(now)
        if candidate is not None:
            self._owner.ask(*candidate, now)
        else:
            outcome, error = refuse(self._answer, self.candidates.nobody(now), self._attempts)
            self._owner.refused(outcome, error, None)
