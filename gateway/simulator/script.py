"""From a request to the steps of its answer: which drill it meets, and what becomes of the answer by that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.messages import RequestHead
from gateway.resources.directives import DrillError
from gateway.resources.drills import Drill
from gateway.resources.misbehaviour import read_misbehaviour
from gateway.simulator.answers import answer, common_headers
from gateway.simulator.courses import Courses
from gateway.simulator.errors import bad_drill, filtered, simulated_error, too_long
from gateway.simulator.replies import Answer
from gateway.simulator.steps import Blurt, BreakOff, Reset, Respond, Step, Wait
from gateway.simulator.tampering import GARBAGE, steps_of
from gateway.simulator.wishes import caller_of, wishes

_CONTEXT = 8192
"""Tokens that the model says it can read, where a drill says that a prompt is too long whatever it is."""


class Playwright:
    """Writes the script for each request; remembers what was played."""

    def __init__(
        self, seconds: Callable[[], float], wall_clock: Callable[[], float], standing: tuple[str, ...] = ()
    ) -> None:
        """Make one.

        :param seconds: a clock that never jumps, for what happens only for a while.
        :param wall_clock: Unix time, for dates in answers.
        :param standing: misbehaviour that every request meets, as groups of directives.
        """
        self._seconds = seconds
        self._wall_clock = wall_clock
        self._standing = standing
        self._courses = Courses()

    def script(self, head: RequestHead, body: bytes) -> Iterator[Step]:
        """The steps with which this request is answered."""
        try:
            misbehaviour = read_misbehaviour(wishes(head, body, self._standing))
        except DrillError as error:
            refusal = bad_drill(str(error)).as_answer(common_headers(head, body))
            return iter((Respond(refusal.status, refusal.headers, refusal.body),))
        if misbehaviour.sometimes:
            drill = self._courses.drill(misbehaviour, caller_of(head), self._seconds())
        else:
            drill = misbehaviour.drill()
        return self._steps(head, body, drill)

    def _steps(self, head: RequestHead, body: bytes, drill: Drill) -> Iterator[Step]:
        if drill.delay:
            yield Wait(drill.delay)
        if drill.stall:
            return
        if drill.close:
            yield BreakOff()
        elif drill.reset:
            yield Reset()
        elif drill.garbage:
            yield Blurt(GARBAGE)
            yield BreakOff()
        else:
            yield from steps_of(self._answer(head, body, drill), drill)

    def _answer(self, head: RequestHead, body: bytes, drill: Drill) -> Answer:
        if drill.status is not None:
            return simulated_error(drill, drill.status, common_headers(head, body), self._wall_clock())
        if drill.context_length:
            return too_long(_CONTEXT + 1, _CONTEXT, "messages").as_answer(common_headers(head, body))
        if drill.content_filter:
            return filtered().as_answer(common_headers(head, body))
        return answer(head, body, drill)
