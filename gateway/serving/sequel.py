"""How a client's stream goes on that broke after its first content; `policy/continuing.py` decides, this carries out.

Each backend that is left is asked once: with the words so far where it says that it goes on with them, else, or if it
refuses them or answers something else, from the start.  The client's stream keeps its id, and gets no word twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec
from attrs import frozen

from gateway.dialects.dialect import StreamSplice, StreamWatcher
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
)
from gateway.policy.retrying import Failure, Fault
from gateway.serving.outgoing import Original
from gateway.serving.provider_answer import ProviderAnswer
from gateway.snapshot.tables import Backend

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


class _Rest:
    """Implements `Remainder`, and remembers what the client gets."""

    __slots__ = ("_overlap", "_told", "gave")

    def __init__(self, told: list[str], *, prefilled: bool) -> None:
        self._told = told
        self._overlap = overlap_with("".join(told), prefilled=prefilled)
        self.gave = False
        """The client has something of this answer."""

    def read(self, piece: str) -> str | None:
        self._overlap, new = read(self._overlap, piece)
        return self._given(new)

    def end(self) -> str | None:
        self._overlap, new = end(self._overlap)
        return self._given(new)

    def _given(self, new: str) -> str | None:
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
        *,
        continues: bool,
        others: Iterable[Backend],
        again: bool,
    ) -> None:
        """Begin with the first answer that broke.

        :param continues: `onStreamBreak` of the rule.
        :param others: whom to ask, in order.
        :param again: and last of all, once, whoever broke it off.
        """
        assert first.watcher is not None
        self._original = original
        self._continues = continues
        self._first: StreamWatcher = first.watcher
        self._left = deque(others)
        self._once = first.backend if again else None
        if again:
            self._left.append(first.backend)
        self._told: list[str] = []
        self._tool_calls = False
        self._other = False
        self._rest: _Rest | None = None
        """Of the answer at hand; None while the first one is."""
        self._prefilled = False
        """It was asked for with a prefill."""
        self._prefill_refused = False
        """By the backend whose turn it is."""
        self.usage: list[TokenUsage | None] = []
        """Of every answer of which the client has words and which broke."""

    def broke_off(self, answer: ProviderAnswer) -> None:
        """This answer, the first or the one asked for last, ends here, though the client's is not whole."""
        watcher = answer.watcher
        assert watcher is not None
        if self._rest is None:
            text = watcher.text
            self._told.append(text or "")
            self._other = text is None
        if self._rest is None or self._rest.gave or watcher.tool_calls:
            self.usage.append(watcher.usage)
            self._tool_calls = self._tool_calls or watcher.tool_calls
            self._other = self._other or watcher.other
        if self._rest is not None:
            self._done(refused=answer.splice is not None and answer.splice.disagreed)

    def failed(self, failure: Failure) -> None:
        """What was asked for last brought nothing."""
        refused = failure.fault is Fault.STATUS and (
            failure.code == "prefill_refused" or failure.status in _ABOUT_THE_REQUEST
        )
        self._done(refused=refused)

    def passed_over(self) -> None:
        """The backend of the last step cannot be asked."""
        self._done(refused=False)

    def _done(self, *, refused: bool) -> None:
        if refused and self._prefilled and self._left[0] is not self._once:
            self._prefill_refused = True
        else:
            self._left.popleft()
            self._prefill_refused = False

    def step(self) -> Step | None:
        """Whom to ask next, and for what; None if the client's stream has to end here."""
        if not self._left:
            return None
        backend, text = self._left[0], "".join(self._told)
        way = continuation(
            Said(text, tool_calls=self._tool_calls, other=self._other),
            on_break="continue" if self._continues else "error",
            can_prefill=backend.prefill and self._original.operation is Operation.CHAT,
            prefill_refused=self._prefill_refused,
        )
        if not isinstance(way, Prefill | FromStart):
            return None
        original, self._prefilled = self._original, isinstance(way, Prefill)
        if self._prefilled:
            assert original.envelope is not None
            envelope = backend.dialect.prefilled(original.envelope, prefill_of(text), backend.prefill_field)
            original = msgspec.structs.replace(original, envelope=envelope)
        self._rest = _Rest(self._told, prefilled=self._prefilled)
        splice = backend.dialect.stream_splice(self._first, self._rest, tuple(self.usage))
        return Step(backend, original, splice, "prefill" if self._prefilled else "from_start")
