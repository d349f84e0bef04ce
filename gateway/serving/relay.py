"""The client's answer from its first content on: relayed as it comes, and continued elsewhere if it breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.errors import GatewayError
from gateway.policy.retrying import Failure, Fault, Onward
from gateway.serving.answer import Answer
from gateway.serving.attempt import Attempt
from gateway.serving.attempts import Attempts
from gateway.serving.faults import cut_short, failure_of_answer, failure_of_error, verdict_on
from gateway.serving.outgoing import Original
from gateway.serving.patience import Pulse, overdue
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.recourse import Recourse
from gateway.serving.scrubbing import scrubbed
from gateway.serving.sequel import Sequel, Step
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.backends import Backend
from gateway.snapshot.tables import RuleTable
from gateway.telemetry.outcomes import Outcome, outcome_of_answer


class RelayOwner(Protocol):
    """Who wants the answer told."""

    backend: Backend
    """Whose answer the client sees."""
    shown: Attempt | None
    """The attempt that brings it."""

    def ended(self, outcome: Outcome, error: GatewayError | None) -> None:
        """The client has been told all that it will be."""

    def watch(self) -> None:
        """There are deadlines to be looked at."""

    def recourse(self) -> Recourse:
        """What is left to be done where all does not go well."""

    def later(self, seconds: float, call: Callable[[float], None]) -> None:
        """Call this after so many seconds, with the clock time then, unless all is over before."""

    def break_down(self) -> None:
        """The gateway itself has failed, as the exception at hand says."""


class Relay:
    """Tells the client what one attempt brings, then, if that breaks, what others bring of the rest."""

    __slots__ = (
        "_answer",
        "_attempts",
        "_before",
        "_last_error",
        "_original",
        "_owner",
        "_paused",
        "_pulse",
        "_rule",
        "_sequel",
        "_surroundings",
        "continues",
        "speaker",
        "speaks",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        original: Original,
        rule: RuleTable,
        attempts: Attempts,
        answer: Answer,
        owner: RelayOwner,
    ) -> None:
        self._surroundings = surroundings
        self._original = original
        self._rule = rule
        self._attempts = attempts
        self._answer = answer
        self._owner = owner
        self._sequel: Sequel | None = None
        self._pulse: Pulse | None = None
        self._paused = False
        self._last_error: GatewayError | None = None

    def begin(self, attempt: Attempt) -> None:
        """The client gets this attempt's answer."""
        self.speaker = self._before = attempt
        """The one whose content the client has got last, and the one before it."""
        self.speaks = True
        """It is still speaking; else another one is asked for the rest."""
        self.continues = self._rule.continues
        said, answer = attempt.answer, self._answer
        attempt.observer = self
        attempt.content_came()
        if not answer.begun:
            answer.begin(said, self._attempts.headers(attempt))
        elif said.watcher is None:
            # The client was promised a stream.
            self._break(attempt, Failure(Fault.CUT), cut_short())
            return
        self._watch_contents()
        self._tell()

    @property
    def heard(self) -> Sequence[ProviderAnswer]:
        """Every answer that the client has something of, in that order."""
        broken = self._sequel.broken if self._sequel is not None else []
        return [*broken, self.speaker.answer] if self.speaks or not broken else broken

    # -- AttemptObserver -------------------------------------------------------------------------------

    def attempt_read(self, attempt: Attempt) -> None:
        if attempt is self.speaker and self.speaks:
            self._tell()
            return
        said = attempt.answer
        if said.has_content:
            self._before, self.speaks = self.speaker, True
            self._attribute_to(attempt)
            attempt.content_came()
            self._watch_contents()
            if self._paused:
                attempt.pause()
            self._tell()
        elif said.is_lost:
            failure = failure_of_answer(said, self._surroundings.wall_clock())
            self._attempts.failed(attempt, failure, verdict_on(failure, None))
            self._not_continued(attempt, failure)

    def attempt_failed(self, attempt: Attempt, error: GatewayError) -> None:
        failure = failure_of_error(error)
        if attempt is self.speaker and self.speaks:
            self._break(attempt, failure, error)
        else:
            self._attempts.failed(attempt, failure, verdict_on(failure, error), error)
            self._not_continued(attempt, failure)

    def break_down(self) -> None:
        self._owner.break_down()

    # -- what the pursuit asks ---------------------------------------------------------------------------

    def pause(self) -> None:
        """The client takes no more for now."""
        self._paused = True
        self.speaker.pause()

    def resume(self) -> None:
        """The client takes more again."""
        self._paused = False
        self.speaker.resume()

    def look(self, now: float) -> None:
        """Look at the deadlines."""
        if self.speaks:
            error = None
            if self._pulse is not None:
                error = self._pulse.stopped(self.speaker, now, paused=self._paused)
            if error is not None:
                self._break(self.speaker, failure_of_error(error), error)
            return
        for attempt in tuple(self._attempts.running):
            error = overdue(attempt, self._rule.retries.per_try, now)
            if error is not None:
                self.attempt_failed(attempt, error)

    @property
    def takes_comments(self) -> bool:
        """The client's stream is between two events, and the client takes what it is sent."""
        watcher = self.speaker.answer.watcher
        return watcher is not None and not watcher.within_event and not self._paused

    def break_off(self, error: GatewayError) -> None:
        """There is no more time for any of it."""
        self._last_error = error
        self._leave_broken()

    # -- how it works inside ----------------------------------------------------------------------------

    def _attribute_to(self, attempt: Attempt) -> None:
        """Of all answers the client has this one's words last."""
        self.speaker = self._owner.shown = attempt
        self._owner.backend = attempt.backend

    def _tell(self) -> None:
        """Send on what has come of the speaker's answer, and end as it ends."""
        attempt, answer = self.speaker, self._answer
        said = attempt.answer
        watcher = said.watcher
        if watcher is None:
            if said.has_failed:
                self._break(attempt, Failure(Fault.CUT), cut_short())
            elif said.ended:
                answer.end(said.release())
                self._succeed()
            else:
                answer.relay(said.release())
        elif said.has_failed:
            self._break(attempt, failure_of_answer(said, self._surroundings.wall_clock()), cut_short())
        elif watcher.finished:
            answer.end(said.release())
            self._succeed()
        elif said.ended:
            self._break(attempt, Failure(Fault.CUT), cut_short())
        else:
            data = said.release()
            if data:
                answer.relay(data)

    def _succeed(self) -> None:
        self._attempts.succeeded(self.speaker)
        self._owner.ended(outcome_of_answer(self._answer.status), None)

    def _watch_contents(self) -> None:
        if self.speaker.answer.watcher is not None and self.speaker.backend.timeouts.idle is not None:
            self._pulse = Pulse(self._surroundings.sweep.seconds())
            self._owner.watch()

    def _break(self, attempt: Attempt, failure: Failure, error: GatewayError) -> None:
        """The speaker's answer has ended before it was whole."""
        said, answer = attempt.answer, self._answer
        said.break_off()
        data = said.release()
        watcher = said.watcher
        if watcher is not None and watcher.finished and not said.has_failed:
            answer.end(data)
            self._succeed()
            attempt.cancel()
            return
        recourse = self._owner.recourse()
        alone = not (recourse.candidates.left and self.continues)
        if said.done and not said.disagrees and (alone or self._sequel is not None):
            # Nobody is left to be asked whether that was all, so the provider's word has to do.
            answer.end(data + said.done)
            self._succeed()
            return
        if said.disagrees:
            self._attempts.cancel(attempt)
        else:
            self._attempts.failed(attempt, failure, verdict_on(failure, error), error)
        self.speaks = False
        self._pulse = None
        self._last_error = error
        if watcher is None or not answer.is_stream:
            answer.break_off(answer.error_event(error))
            self._owner.ended(Outcome.ANSWER_CUT, error)
            return
        if data:
            answer.relay(data)
        now = self._surroundings.sweep.seconds()
        decision = Onward() if said.disagrees else recourse.decide(attempt, failure, now, last=False)
        if self._sequel is None:
            self._sequel = Sequel(
                said,
                self._original,
                self._attempts,
                recourse.candidates.left,
                decision,
                goes_on=self.continues,
            )
        elif not self._sequel.broke_off(said, decision):
            self._attribute_to(self._before)
        self._go_on(now)

    def _not_continued(self, attempt: Attempt, failure: Failure) -> None:
        """What was asked for last has brought nothing."""
        sequel, now = self._sequel, self._surroundings.sweep.seconds()
        assert sequel is not None
        decision = self._owner.recourse().decide(attempt, failure, now, last=not sequel.has_others)
        sequel.failed(failure, decision)
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        """Have somebody asked for the rest."""
        assert self._sequel is not None
        step = self._sequel.step() if self.continues else None
        if step is None:
            self._leave_broken()
        elif step.wait:
            self._attempts.will_repeat(step.backend, now)
            self._owner.later(step.wait, lambda now: self._ask(step, now))
        else:
            self._ask(step, now)

    def _ask(self, step: Step, now: float) -> None:
        surroundings, sequel, backend = self._surroundings, self._sequel, step.backend
        assert sequel is not None
        key = surroundings.live.keys.choose(backend, now)
        if key is not None:
            surroundings.metrics.continued(backend.labels, step.way)
            self._owner.watch()
            try:
                self._attempts.begin(backend, key, self, now, step.original, step.splice)
                return
            except GatewayError:
                pass  # it has no such operation
        self._attempts.passed_over(backend)
        sequel.passed_over()
        self._go_on(now)

    def _leave_broken(self) -> None:
        """Nobody goes on with the client's answer: say so in it, if whoever spoke last has not called it complete."""
        answer, said, error = self._answer, self.speaker.answer, self._last_error
        assert error is not None
        if said.done:
            answer.end(said.done)
            self._owner.ended(outcome_of_answer(answer.status), None)
            return
        watcher = said.watcher
        event = answer.error_event(error)
        if watcher is not None:
            if watcher.error is not None:
                event = scrubbed(watcher.error_event, said.backend.secrets)
            if watcher.within_event:
                event = b"\n\n" + event
        answer.break_off(event)
        self._owner.ended(Outcome.ANSWER_CUT, error)
