"""What a client is told if nobody answers: the error of the provider that answered last, else our most telling one."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.policy.retrying import Fault
from gateway.serving.answer import Answer
from gateway.serving.attempt import Attempt
from gateway.serving.attempts import Attempts
from gateway.telemetry.outcomes import Outcome, outcome_of_answer, outcome_of_error

_TELLING = (
    *(Fault.CUT, Fault.STALLED, Fault.NO_CONTENT, Fault.RESET, Fault.SILENT, Fault.UNREACHABLE, Fault.OPEN),
)
"""What a client learns most from comes first."""


class LastWord:
    """What has failed so far for one request."""

    __slots__ = ("_error", "_fault", "refused")

    def __init__(self) -> None:
        self.refused: Attempt | None = None
        """The last one to which a provider answered with an error."""
        self._fault = Fault.OPEN
        self._error: GatewayError | None = None

    @property
    def has_something(self) -> bool:
        """Something has failed, not only been passed over."""
        return self.refused is not None or self._error is not None

    def note(self, fault: Fault, error: GatewayError) -> None:
        """An attempt has brought no answer."""
        if self._error is None or _TELLING.index(fault) <= _TELLING.index(self._fault):
            self._fault, self._error = fault, error

    def tell(self, answer: Answer, attempts: Attempts) -> tuple[Outcome, GatewayError | None]:
        """End the client's answer with it."""
        if self.refused is None:
            assert self._error is not None
            return refuse(answer, self._error, attempts)
        said = self.refused.answer
        if answer.begun:
            answer.break_off(said.error_event())
            return Outcome.ANSWER_CUT, None
        status, headers, body = said.shown_error()
        answer.tell_error(status, headers, body, attempts.headers(self.refused))
        return outcome_of_answer(status), None


def refuse(answer: Answer, error: GatewayError, attempts: Attempts) -> tuple[Outcome, GatewayError]:
    """End the client's answer with an error of our own."""
    begun = answer.begun
    answer.refuse(error, attempts.headers_of_failure())
    return outcome_of_error(error, begun=begun), error
