"""How a client's stream goes on that broke after its first content: whom to ask for what, and when.

Each backend that is left is asked with the words so far where it says that it goes on with them, else, or if it refuses
them or answers something else, from the start.  The client's stream keeps its id, and gets no word twice.  What to ask
for is decided by `policy/continuing.py`, and whether the same backend again by `policy/retrying.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec
from attrs import frozen

from gateway.dialects.dialect import ErrorKind, StreamSplice, StreamWatcher
from gateway.dialects.operations import Operation
from gateway.messages import TokenUsage
from gateway.policy.continuing import (
    Disagreeing,
    FromStart,
    Prefill,
    Said,
    continuation,
    end,
    overlap_with,
    prefill_of,
    read,
    whole_letters,
    without_half,
)
from gateway.policy.retrying import Again, Decision, Failure, Fault, HandOn, spacing
from gateway.serving.attempts import Attempts
from gateway.serving.outgoing import Original
from gateway.serving.provider_answer import ProviderAnswer
from gateway.snapshot.backends import Backend

_ABOUT_THE_REQUEST = (400, 404, 405, 415, 422, 501)
"""Statuses with which providers refuse a prefill, whatever their words."""


@frozen
class Step:
    """What to ask next, and how its answer becomes part of the client's stream."""

    backend: Backend
    original: Original
    splice: StreamSplice
    way: str
    """As the metrics call it: `prefill` or `from_start`."""
    wait: float
    """Seconds before that."""


class _Rest:
    """Implements `Remainder`, and remembers what the client gets."""

    __slots__ = ("_began", "_half", "_overlap", "_told", "gave")

    def __init__(self, told: list[str], *, prefilled: bool) -> None:
        self._told = told
        self._began = ""
        """The first half of a letter, as the answer at hand says it."""
        text, self._half = whole_letters("".join(told))
        """The first half of a letter that the client has."""
        self._overlap = overlap_with(text, prefilled=prefilled)
        self.gave = False
        """The client has something of this answer."""

    def read(self, piece: str) -> str | None:
        whole, self._began = whole_letters(self._began + piece)
        self._overlap, new = read(self._overlap, whole)
        return self._given(new)

    def end(self) -> str | None:
        self._overlap, new = end(self._overlap)
        told = self._given(new)
        return None if self._half else told

    def _given(self, new: str) -> str | None:
        if new and self._half:
            completed = without_half(new, self._half)
            if completed is None:
                self._overlap = Disagreeing()
            else:
                new, self._half = completed, ""
        if isinstance(self._overlap, Disagreeing):
            return None
        if new:
            self.gave = True
            self._told.append(new)
        return new


class Sequel:
    """A stream that broke, and whom to ask for its rest."""

    def __init__(
        self,
        first: ProviderAnswer,
        original: Original,
        attempts: Attempts,
        others: Iterable[Backend],
        decision: Decision,
        *,
        goes_on: bool,
    ) -> None:
        """Begin with the first answer, which broke.

        :param attempts: all that were made.
        :param others: whom to ask, in order.
        :param decision: what the failure calls for.  Where it may pass, whoever broke it off is asked, too, last.
        :param goes_on: `onStreamBreak` of the rule.
        """
        assert first.watcher is not None
        self._original = original
        self._attempts = attempts
        self._goes_on = goes_on and not isinstance(decision, HandOn)
        self._first: StreamWatcher = first.watcher
        self._left = deque(others)
        if isinstance(decision, Again):
            self._left.append(first.backend)
        self._told: list[str] = []
        self._tool_calls = False
        self._other = False
        self._rest: _Rest | None = None
        """Of the answer at hand; None while the first one is."""
        self._prefilled = False
        """It was asked for with a prefill."""
        self._from_start = False
        """The backend whose turn it is does not go on with the words so far."""
        self.broken: list[ProviderAnswer] = []
        """Every answer of which the client has words and which broke."""
        self._wait: float | None = None
        """Seconds before whoever was asked last is asked for the same again; None where that is not to be."""
        self._remember(first)

    def broke_off(self, answer: ProviderAnswer, decision: Decision) -> bool:
        """What was asked for last ends here, though the client's answer is not whole.  Tell whether it has any of it.

        :param decision: what the failure calls for, whoever may be left.
        """
        told = self._remember(answer)
        if answer.disagrees:
            self._disagreed()
        elif isinstance(decision, HandOn):
            self._goes_on = False
        else:
            self._follow(decision)
        return told

    def failed(self, failure: Failure, decision: Decision) -> None:
        """What was asked for last brought nothing."""
        about_prefill = failure.code == ErrorKind.PREFILL or failure.status in _ABOUT_THE_REQUEST
        if self._prefilled and failure.fault is Fault.STATUS and about_prefill:
            self._disagreed()
        else:
            self._follow(decision)

    def passed_over(self) -> None:
        """The backend of the last step cannot be asked."""
        self._next()

    @property
    def has_others(self) -> bool:
        """Somebody is left beside the backend of the last step."""
        return len(self._left) > 1

    def _remember(self, answer: ProviderAnswer) -> bool:
        """Keep in mind what the client has of this answer, the first or the one asked for last, if anything."""
        watcher = answer.watcher
        assert watcher is not None
        splice = answer.splice
        if splice is None or self._rest is None:
            text = watcher.text
            self._told.append(text or "")
            self._tool_calls = watcher.tool_calls
            self._other = text is None or watcher.other or watcher.choices > 1
        elif self._rest.gave or splice.gave_tool_call:
            self._tool_calls = self._tool_calls or splice.gave_tool_call
            self._other = self._other or splice.gave_other
        else:
            return False
        self.broken.append(answer)
        return True

    def _disagreed(self) -> None:
        """Nobody who was given the words goes on with them: perhaps they are said again."""
        if self._prefilled:
            self._wait, self._from_start = None, True
        else:
            self._next()

    def _follow(self, decision: Decision) -> None:
        if isinstance(decision, Again):
            self._wait = decision.wait
        else:
            self._next()

    def _next(self) -> None:
        self._left.popleft()
        self._wait, self._from_start = None, False

    def _usage(self) -> tuple[TokenUsage | None, ...]:
        """Of every answer that broke, as far as its provider has told it."""
        return tuple(answer.watcher.usage for answer in self.broken if answer.watcher is not None)

    def step(self) -> Step | None:
        """Whom to ask next, and for what; None if the client's stream has to end here."""
        if not self._left:
            return None
        backend, (text, _) = self._left[0], whole_letters("".join(self._told))
        way = continuation(
            Said(text, tool_calls=self._tool_calls, other=self._other),
            on_break="continue" if self._goes_on else "error",
            can_prefill=backend.prefill and self._original.operation is Operation.CHAT,
            prefill_refused=self._from_start,
        )
        if not isinstance(way, Prefill | FromStart):
            return None
        original, self._prefilled = self._original, isinstance(way, Prefill)
        if self._prefilled:
            assert original.envelope is not None
            envelope = backend.dialect.prefilled(original.envelope, prefill_of(text), backend.prefill_field)
            original = msgspec.structs.replace(original, envelope=envelope)
        self._rest = _Rest(self._told, prefilled=self._prefilled)
        splice = backend.dialect.stream_splice(self._first, self._rest, self._usage())
        wait = spacing(self._attempts.at(backend)) if self._wait is None else self._wait
        return Step(backend, original, splice, "prefill" if self._prefilled else "from_start", wait)
