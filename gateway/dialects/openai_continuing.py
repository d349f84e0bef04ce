"""Going on with an answer that broke off: the request that asks for the rest, and the rest as part of one stream.

Whatever is not changed keeps its bytes; blanks between the members of an object that is changed are not kept.

Usage is summed over the attempts, as it is what the provider charges for, and flagged beside it, not within:

    "usage": {"prompt_tokens": 18, …}, "llmgateway": {"attempts": 2, "without_usage": 1}

`without_usage` counts the attempts that broke off before they said what they had used.  The details within `usage`
are those of the last attempt.  SDKs keep members of a chunk that they do not know, or pass over them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from gateway.dialects.dialect import Remainder, StreamEvent
from gateway.dialects.envelope import Envelope, Fields
from gateway.dialects.loose_json import read_json, strictly
from gateway.dialects.openai_events import read_event
from gateway.dialects.openai_logprobs import logprobs_of_rest
from gateway.dialects.sse import event_data, events_of, with_data
from gateway.messages import TokenUsage

_OF_BEGINNINGS = ("role", "reasoning_content", "reasoning", "reasoning_details")
"""Members of a delta that an answer has before its text.  SDKs append the role of each delta to the one they have."""

_OF_ALL_EVENTS = ("id", "object", "created", "model")

_UNREADABLE = re.compile(rb"\\u[dD]|NaN|Infinity")
"""Is in every event that has some of it."""

_open = msgspec.json.Decoder(Fields).decode
_open_all = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


def prefilled(envelope: Envelope, said: str, mark: str | None) -> Envelope:
    """The request with the words so far as the beginning of the assistant's answer.

    Where the client has begun that answer itself, they go on with its last message.

    :param mark: a member to set to true in that message, for providers that want one.
    """
    if not said:
        return envelope
    messages = _open_all(envelope.fields["messages"])
    begun = _begun_by_client(messages)
    message: dict[str, Any] = {"role": "assistant", "content": said}
    if begun is not None:
        messages.pop()
        message = {**begun, "content": _longer(begun["content"], said)}
    if mark is not None:
        message[mark] = True
    changes = {"messages": Raw(_encode([*messages, message]))}
    return msgspec.structs.replace(
        envelope, body=envelope.rewrite(changes), fields={**envelope.fields, **changes}
    )


def _begun_by_client(messages: Sequence[Raw]) -> Fields | None:
    """The last message, if it is the assistant's and has words to go on with."""
    try:
        last = _open(messages[-1]) if messages else {}
    except msgspec.ValidationError:
        return None
    is_assistant = "role" in last and msgspec.json.decode(last["role"]) == "assistant"
    return last if is_assistant and bytes(last.get("content", b""))[:1] in (b'"', b"[") else None


def _longer(content: Raw, said: str) -> object:
    if bytes(content).startswith(b'"'):
        return msgspec.json.decode(content, type=str) + said
    return [*_open_all(content), {"type": "text", "text": said}]


class OpenAIStreamSplice:
    """Implements `StreamSplice` for chat and completions."""

    __slots__ = (
        "_created",
        "_earlier",
        "_ended",
        "_id",
        "_last",
        "_remainder",
        "disagreed",
        "gave_other",
        "gave_tool_call",
    )

    def __init__(
        self,
        id: str | None,  # noqa: A002 -- the API's word
        created: int | None,
        remainder: Remainder,
        earlier_usage: Sequence[TokenUsage | None],
    ) -> None:
        """Make it.

        :param id: what the first answer calls itself; None leaves the further ones' own.
        :param created: when it says that it began; None likewise.
        """
        self._id = id
        self._created = created
        self._remainder = remainder
        self._earlier = earlier_usage
        self._ended = False
        """The remainder has been told of the answer's end."""
        self._last: bytes | None = None
        """The last event with a choice, before its text was changed."""
        self.disagreed = False
        self.gave_tool_call = False
        self.gave_other = False

    def feed(self, events: bytes) -> bytes:
        given = []
        for event in events_of(events):
            spliced = self._spliced(event)
            if self.disagreed:
                break
            given.append(spliced)
        return b"".join(given)

    def _spliced(self, event: bytes) -> bytes:
        said = read_event(event)
        if said.done:
            return self._rest() + event
        if said.malformed:
            # A watcher drops those that are whole: it is a piece of one too large to be held, whatever that says.
            self.disagreed = True
            return b""
        data = event_data(event)
        if data is None or said.choices is None:
            return event
        strict = readable(event)
        stands = said.content if strict is event else ""
        event = with_id(strict, self._id, self._created)
        if said.usage is not None:
            event = with_usage_of_all(event, self._earlier)
        if not said.choices:
            # Usage may come before the end is said in so many words, and the text must not come behind it.
            return self._rest() + event if said.usage is not None else event
        content = self._new_text(said)
        if content is None:
            return b""
        self._last = event
        if not _is_wanted(said, content):
            return b""
        self.gave_tool_call = self.gave_tool_call or said.tool_call
        self.gave_other = self.gave_other or said.other
        return with_content(event, stands, content)

    def _new_text(self, said: StreamEvent) -> str | None:
        content = self._remainder.read(said.content) if said.content else ""
        if content is not None and said.finish_reason is not None and not self._ended:
            self._ended = True
            rest = self._remainder.end()
            content = None if rest is None else content + rest
        self.disagreed = content is None
        return content

    def _rest(self) -> bytes:
        """An event with the text that was still due where the stream ends without having said why."""
        if self._ended:
            return b""
        self._ended = True
        rest = self._remainder.end()
        self.disagreed = rest is None
        return _only_text(self._last, rest) if rest and self._last is not None else b""


def _is_wanted(said: StreamEvent, content: str) -> bool:
    """Neither an opening, nor words that the client has, nor reasoning about what was answered already."""
    return bool(content or said.tool_call or said.other or said.ended or said.usage)


def readable(event: bytes) -> bytes:
    """The event without what strict decoders do not read: halves of letters, NaN, Infinity; else the very event."""
    data = event_data(event)
    if data is None or _UNREADABLE.search(data) is None:
        return event
    try:
        _open(data)
    except msgspec.DecodeError:
        return with_data(event, strictly(data))
    return event


def with_id(event: bytes, id: str | None, created: int | None) -> bytes:  # noqa: A002 -- the API's word
    """The event as one of the answer with this id, which began at that time; None leaves what it says."""
    changes: dict[str, object] = {}
    if id is not None:
        changes["id"] = id
    if created is not None:
        changes["created"] = created
    return _changed(event, changes)


def with_content(event: bytes, said: str, text: str) -> bytes:
    """The event with this text of choice 0, and without the role and the reasoning that only a beginning has.

    :param said: the text that it has; where that is the same, its bytes stay.
    """
    choices = [_open(choice) for choice in _open_all(_fields(event)["choices"])]
    for choice in choices:
        if _index(choice) == 0:
            _change_choice(choice, said, text)
    return _changed(event, {"choices": choices})


def _change_choice(choice: Fields, said: str, text: str) -> None:
    if text != said and "logprobs" in choice:
        choice["logprobs"] = logprobs_of_rest(choice["logprobs"], said, text)
    if "delta" not in choice or bytes(choice["delta"]) == b"null":
        if text != said:
            choice["text"] = _json(text)
        return
    delta = {name: raw for name, raw in _open(choice["delta"]).items() if name not in _OF_BEGINNINGS}
    if text != said:
        delta["content"] = _json(text)
    choice["delta"] = Raw(_encode(delta))


def _only_text(event: bytes, text: str) -> bytes:
    """An event of the same answer with nothing but text of choice 0."""
    fields = _fields(event)
    choice = _open(_open_all(fields["choices"])[0])
    said = {"delta": {"content": _json(text)}} if "delta" in choice else {"text": _json(text)}
    kept = {name: fields[name] for name in _OF_ALL_EVENTS if name in fields}
    return with_data(event, _encode({**kept, "choices": [{"index": 0, **said, "finish_reason": None}]}))


def with_usage_of_all(event: bytes, earlier: Sequence[TokenUsage | None]) -> bytes:
    """The event with usage summed over its own attempt and the earlier ones, and flagged."""
    fields = _fields(event)
    if bytes(fields.get("usage", b"null")) == b"null":
        return event  # it stands within a choice, where only one provider has it
    told = [usage for usage in earlier if usage is not None]
    given, made = sum(usage.input for usage in told), sum(usage.output for usage in told)
    counts = read_json(bytes(fields["usage"]))
    for name, more in (
        ("prompt_tokens", given),
        ("completion_tokens", made),
        ("input_tokens", given),
        ("output_tokens", made),
        ("total_tokens", given + made),
    ):
        if isinstance(counts.get(name), int | float):
            counts[name] += more
    flag = {"attempts": len(earlier) + 1, "without_usage": len(earlier) - len(told)}
    return _changed(event, {"usage": counts, "llmgateway": flag})


def _fields(event: bytes) -> Fields:
    return _open(event_data(event) or b"{}")


def _changed(event: bytes, changes: dict[str, object]) -> bytes:
    return with_data(event, _encode({**_fields(event), **changes})) if changes else event


def _index(choice: Fields) -> object:
    return msgspec.json.decode(choice["index"]) if "index" in choice else 0


def _json(text: str) -> Raw:
    """The text as JSON, half a surrogate pair included."""
    try:
        return Raw(_encode(text))
    except UnicodeEncodeError:
        return Raw(json.dumps(text).encode())
