"""A streamed answer in OpenAI's dialect, joined: all that it said, much as a whole answer has it.

For people who read it later.  What is not understood is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.dialects.loose_json import NOT_JSON, read_json
from gateway.dialects.sse import event_data, events_of

_WORDS = ("content", "reasoning_content", "reasoning", "refusal")
"""Members of a chunk's delta that are text."""

_OF_RESPONSES = {
    "response.output_text.delta": "content",
    "response.reasoning_text.delta": "reasoning_content",
    "response.reasoning_summary_text.delta": "reasoning_content",
    "response.refusal.delta": "refusal",
}
"""Events of a Responses stream, by their type, whose delta is text."""

_PLACE_LETTERS = 64
"""What a choice or a tool call counts for by being there."""

_Place = tuple[int, int | None, str]
"""Choice; tool call, or None for what the choice itself says; member."""


class OpenAIJoinedStream:
    """Implements `JoinedStream`."""

    __slots__ = ("_error", "_finish_reasons", "_pieces", "_room", "cut")

    def __init__(self, letters: int) -> None:
        self._room = letters
        self._pieces: dict[_Place, list[str]] = {}
        self._finish_reasons: dict[int, str] = {}
        self._error: object = None
        self.cut = False

    def feed(self, events: bytes) -> None:
        if self.cut:
            return
        for event in events_of(events):
            data = event_data(event)
            try:
                said = read_json(data) if data else None
            except NOT_JSON:
                continue
            if isinstance(said, dict):
                self._take(said)

    def whole(self) -> Mapping[str, object]:
        choices: dict[int, dict[str, Any]] = {}
        for (index, call, member), pieces in self._pieces.items():
            choice = choices.setdefault(index, {"index": index})
            if call is not None:
                calls = choice.setdefault("message", {}).setdefault("tool_calls", {})
                calls.setdefault(call, {})[member] = "".join(pieces)
            elif member == "text":
                choice["text"] = "".join(pieces)
            else:
                choice.setdefault("message", {})[member] = "".join(pieces)
        for index, reason in self._finish_reasons.items():
            choices.setdefault(index, {"index": index})["finish_reason"] = reason
        for choice in choices.values():
            message = choice.get("message", {})
            if "tool_calls" in message:
                message["tool_calls"] = [{"function": each} for each in message["tool_calls"].values()]
        whole: dict[str, object] = {"choices": list(choices.values())}
        if self._error is not None:
            whole["error"] = self._error
        return whole

    def _take(self, said: dict[str, Any]) -> None:
        if said.get("error"):
            self._error = said["error"]
        member = _OF_RESPONSES.get(str(said.get("type")))
        if member is not None:
            self._add((0, None, member), said.get("delta"))
        choices = said.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        index = _number(choice.get("index"))
        self._add((index, None, "text"), choice.get("text"))
        delta = choice.get("delta")
        if isinstance(delta, dict):
            for member in _WORDS:
                self._add((index, None, member), delta.get(member))
            calls = delta.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                function = call.get("function") if isinstance(call, dict) else None
                if isinstance(function, dict):
                    number = _number(call.get("index"))
                    self._add((index, number, "name"), function.get("name"))
                    self._add((index, number, "arguments"), function.get("arguments"))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason and len(self._finish_reasons) < _PLACE_LETTERS:
            self._finish_reasons[index] = reason[:_PLACE_LETTERS]

    def _add(self, place: _Place, piece: object) -> None:
        if not isinstance(piece, str) or not piece or self.cut:
            return
        pieces = self._pieces.get(place)
        if pieces is None:
            pieces = self._pieces[place] = []
            self._room -= _PLACE_LETTERS
        pieces.append(piece[: max(0, self._room)])
        self._room -= len(piece)
        self.cut = self._room < 0


def _number(index: object) -> int:
    return index if isinstance(index, int) else 0
