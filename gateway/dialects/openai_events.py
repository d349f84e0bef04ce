"""What one event of a stream in OpenAI's dialect says: chat, completions, Responses, speech, images, transcriptions.

Decided by values that are not empty, never by which members there are: look-alikes send `"tool_calls": []` beside
text, `"content": null`, `"finish_reason": ""` or, on DashScope, the string "null" while they go on.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.dialects.dialect import ProviderError, StreamEvent
from gateway.dialects.loose_json import NOT_JSON, read_json
from gateway.dialects.openai_errors import error_in
from gateway.dialects.openai_usage import usage_in
from gateway.dialects.sse import event_data
from gateway.messages import TokenUsage

_BROKEN = ("error", "abort")
"""Reasons to finish that mean the opposite: Mistral, OpenRouter, vLLM."""

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
"""The types of a Responses stream's last event; it has no `[DONE]`."""

_NO_ERROR = ("", "0", "200", "ok", "success")
"""Codes with which some tell that all is well."""

_ERROR_EVENT = re.compile(rb"^event: ?error\r?$", re.MULTILINE)

_HTTP_STATUS = re.compile(rb"^:\s?HTTP_STATUS/([45]\d\d)\r?$", re.MULTILINE)
"""DashScope's comment beside an event."""

# The leaves are not typed: what a look-alike puts there in place of what is meant is passed over, not refused.


class _Delta(msgspec.Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None
    images: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: Any = 0
    delta: _Delta | None = None
    text: Any = None
    """Of completions."""
    finish_reason: Any = None
    usage: Any = None
    """Moonshot's place for it in streams."""


class Answer(msgspec.Struct, gc=False):
    """What is read of one event, and of a whole answer (`openai_answers.py`); they differ in nothing that matters
    here."""

    id: Any = None
    created: Any = None
    object: Any = None
    type: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    response: Any = None
    """What the first and last events of a Responses stream carry."""
    delta: Any = None
    """A Responses stream's piece of whatever `type` says."""
    audio: Any = None
    """A piece of speech."""
    x_groq: Any = None
    """Where Groq tells the usage of a stream, asked or not."""
    error: Any = None
    code: Any = None
    message: Any = None

    def usage_said(self) -> TokenUsage | None:
        if isinstance(self.response, dict):
            return usage_in(self.response.get("usage"))
        if self.usage is None:
            return usage_in(self.choices[-1].usage) if self.choices else None
        return usage_in(self.usage, makes_none=self.makes_none)

    @property
    def makes_none(self) -> bool:
        """It is a list, of embeddings, and has no tokens of its own."""
        return self.choices is None and self.object == "list"

    def model_said(self) -> str | None:
        model = self.response.get("model") if isinstance(self.response, dict) else self.model
        return model if isinstance(model, str) and model else None

    def error_said(self) -> Any:
        """What of it `error_in` can read, or None where it is no error."""
        if self.error:
            return {"error": self.error, "code": self.code, "type": self.type}
        if (
            self.object == "error"
            or self.type == "error"
            # DashScope's own, if its `event: error` was lost on the way.
            or (
                isinstance(self.code, str)
                and self.code.lower() not in _NO_ERROR
                and isinstance(self.message, str)
                and self.choices is None
            )
        ):
            kind = None if self.type == "error" else self.type
            return {"code": self.code, "message": self.message, "type": kind}
        if self.type == "response.failed":
            said = self.response.get("error") if isinstance(self.response, dict) else None
            return {"error": said or "The provider says that the answer failed."}
        return None


class _WithoutChoices(msgspec.Struct, gc=False):
    """What is left to read where `choices` is nothing that the API knows."""

    model: Any = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(Answer).decode


def open_answer(text: bytes) -> Answer:
    """Read a JSON object, tolerantly.

    :raise msgspec.ValidationError: it is none.
    :raise: as in `NOT_JSON`.
    """
    try:
        return _decode(text)
    except msgspec.DecodeError:
        said = read_json(text)
    try:
        return msgspec.convert(said, Answer)
    except msgspec.ValidationError:
        rest = msgspec.convert(said, _WithoutChoices)
        return Answer(model=rest.model, usage=rest.usage, error=rest.error)


def read_event(event: bytes) -> StreamEvent:
    """What a whole event says."""
    return read_event_data(event, event_data(event))


def read_event_data(event: bytes, data: bytes | None) -> StreamEvent:
    """The same for one whose data is known already."""
    if data is None:
        return _NOTHING
    if data.startswith(b"[DONE]"):
        return _DONE
    try:
        if not data.isascii():
            data.decode()  # the decoder skips over values without looking at their UTF-8
        answer = open_answer(data)
    except NOT_JSON:
        return _MALFORMED
    if answer.choices is None or answer.error or not event.startswith(b"data:"):
        error = _error(event, answer)
        if error is not None:
            return StreamEvent(
                id=text_of(answer.id),
                model=answer.model_said(),
                usage=answer.usage_said(),
                error=error,
                done=answer.type in _TERMINAL,
            )
    return _read_choices(answer, answer.choices) if answer.choices is not None else _read_typed(answer)


def _read_choices(answer: Answer, choices: list[_Choice]) -> StreamEvent:
    content, size, finish_reason, error = "", 0, None, None
    speaking: tuple[int, ...] = ()
    ended: tuple[int, ...] = ()
    tool_call = other = False
    for choice in choices:
        index = choice.index if type(choice.index) is int else 0
        said = _said(choice)
        if said is not None:
            text, calls, more, length = said
            size += length
            speaking += (index,)
            tool_call = tool_call or calls
            other = other or more or index != 0
            if index == 0:
                content += text
        reason = choice.finish_reason
        if reason and reason != "null" and type(reason) is str:
            if reason in _BROKEN:
                error = error_in({"code": reason, "message": "The provider broke its answer off."}, None)
            ended += (index,)
            if index == 0:
                finish_reason = reason
    usage, within = answer.usage, False
    if usage is None and choices:
        usage = choices[-1].usage
        within = usage is not None
    if usage is None and type(answer.x_groq) is dict:
        usage = answer.x_groq.get("usage")
    return StreamEvent(
        id=text_of(answer.id),
        created=answer.created if type(answer.created) is int else None,
        model=answer.model_said(),
        size=size,
        content=content,
        is_content=speaking != (),
        tool_call=tool_call,
        other=other,
        speaking=speaking,
        ended=ended,
        finish_reason=finish_reason,
        usage=usage_in(usage) if usage else None,
        within_choice=within,
        choices=len(choices),
        error=error,
    )


def _said(choice: _Choice) -> tuple[str, bool, bool, int] | None:
    """What of a choice a user waits for: its text, whether it is part of a tool call, whether it is anything else
    than text and reasoning, and how long all of it is in UTF-8 bytes.  None if it says nothing."""
    delta = choice.delta
    if delta is None:
        text = choice.text
        return (text, False, False, length_of(text)) if isinstance(text, str) and text else None
    text, thought, other = delta.content, delta.reasoning_content or delta.reasoning, False
    reasoning, size = bool(thought), length_of(thought) + length_of(text)
    if text is None:
        text = ""
    elif type(text) is not str:
        text, reasoned, other = _text_of_parts(text)
        reasoning = reasoning or reasoned
    called = delta.tool_calls or delta.function_call
    if called:
        size += length_of(called)
    audio = delta.audio
    other = other or bool(
        delta.refusal
        or delta.images
        or (isinstance(audio, dict) and (audio.get("data") or audio.get("transcript")))
    )
    return (text, bool(called), other, size) if text or reasoning or called or other else None


_FIXED = ("id", "type", "role", "status", "finish_reason", "logprobs")
"""Members that have no word of the model's, or have each once more."""


def length_of(said: Any) -> int:
    """How long all texts in it are that have no fixed meaning, in UTF-8 bytes."""
    if type(said) is str:
        return len(said) if said.isascii() else len(said.encode(errors="replace"))
    if not said:
        return 0
    size, left = 0, [said]
    while left:  # it may be nested as deep as Python can go
        value = left.pop()
        if type(value) is str:
            size += len(value) if value.isascii() else len(value.encode(errors="replace"))
        elif isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += [each for name, each in value.items() if name not in _FIXED]
    return size


def _text_of_parts(parts: Any) -> tuple[str, bool, bool]:
    """Mistral's content in parts: its text, whether it has reasoning, whether it has anything else."""
    text, reasoning, other = "", False, False
    for part in parts if isinstance(parts, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            text += text_of(part.get("text")) or ""
        elif kind == "thinking":
            reasoning = reasoning or bool(part.get("thinking"))
        else:
            other = True
    return text, reasoning, other


def _read_typed(answer: Answer) -> StreamEvent:
    """An event of a stream that names its events: only what it is, for none of these is ever continued."""
    kind = text_of(answer.type) or ""
    is_content = (kind.endswith(".delta") and bool(answer.delta or answer.audio)) or "partial_image" in kind
    done = kind in _TERMINAL or (not kind.startswith("response.") and kind.endswith((".done", ".completed")))
    return StreamEvent(
        id=text_of(answer.id),
        model=answer.model_said(),
        is_content=is_content,
        size=length_of(answer.delta) if is_content else 0,
        other=is_content,
        usage=answer.usage_said(),
        done=done,
    )


def _error(event: bytes, answer: Answer) -> ProviderError | None:
    said = answer.error_said()
    if said is None and b"error" in event and _ERROR_EVENT.search(event):
        said = {"code": answer.code, "message": answer.message}
    if said is None:
        return None
    status = _HTTP_STATUS.search(event)
    return error_in(said, int(status[1]) if status is not None else None)


def text_of(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


_NOTHING = StreamEvent()
_DONE = StreamEvent(done=True)
_MALFORMED = StreamEvent(malformed=True)
