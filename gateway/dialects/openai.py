"""OpenAI's dialect: chat completions, completions, embeddings, responses, images, audio, moderations.

Facts are from OpenAI's API reference and the types of its Python SDK 3.54, and from what look-alikes
(DashScope, Moonshot, vLLM, llama.cpp, DeepSeek, Groq) send instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw

from gateway.dialects.dialect import ANSWER_BYTES, AnswerFacts
from gateway.dialects.envelope import Envelope
from gateway.dialects.operations import Operation, model_of_path
from gateway.dialects.sse import EventFilter
from gateway.errors import GatewayError
from gateway.messages import Headers, Secret, TokenUsage

_ENDINGS: Mapping[Operation, bytes] = MappingProxyType(
    {
        Operation.CHAT: b"/chat/completions",  # before /completions, which it ends in too
        Operation.COMPLETIONS: b"/completions",
        Operation.EMBEDDINGS: b"/embeddings",
        Operation.RESPONSES: b"/responses",
        Operation.MODERATIONS: b"/moderations",
        Operation.IMAGE_GENERATIONS: b"/images/generations",
        Operation.IMAGE_EDITS: b"/images/edits",
        Operation.IMAGE_VARIATIONS: b"/images/variations",
        Operation.SPEECH: b"/audio/speech",
        Operation.TRANSCRIPTIONS: b"/audio/transcriptions",
        Operation.TRANSLATIONS: b"/audio/translations",
        Operation.MODELS: b"/models",
        Operation.MODEL: b"/models",
    }
)

_WRITES_TEXT = (Operation.CHAT, Operation.COMPLETIONS, Operation.RESPONSES)
"""The operations that know `stream` and sampling parameters; embeddings refuse both as unknown."""

_REPORTS_USAGE_WHEN_ASKED = (Operation.CHAT, Operation.COMPLETIONS)
"""Responses report it unasked and refuse `include_usage`."""

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
"""The types of a Responses stream's last event; it has no `[DONE]`."""

_Count = Annotated[int, Meta(ge=0)]


class _Usage(msgspec.Struct, gc=False):
    """Two spellings of one thing: chat's prompt and completion, everyone else's input and output."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None

    def counted(self) -> TokenUsage | None:
        given = self.input_tokens if self.prompt_tokens is None else self.prompt_tokens
        made = self.output_tokens if self.completion_tokens is None else self.completion_tokens
        # Embeddings make no tokens and say nothing of them; transcriptions may be counted in seconds only.
        return None if given is None and made is None else TokenUsage(given or 0, made or 0)


class _Choice(msgspec.Struct, gc=False):
    usage: _Usage | None = None
    """Moonshot's place for it in streams."""


class _Response(msgspec.Struct, gc=False):
    """What the first and last events of a Responses stream carry."""

    model: str | None = None
    usage: _Usage | None = None


class _Answer(msgspec.Struct, gc=False):
    """What is read of a whole answer and of one event; they differ in nothing that matters here."""

    type: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    response: _Response | None = None

    def facts(self) -> AnswerFacts:
        usage, model = self.usage, self.model
        if self.response is not None:
            usage, model = self.response.usage, self.response.model
        elif usage is None and self.choices:
            usage = self.choices[-1].usage
        return AnswerFacts(None if usage is None else usage.counted(), model or None)


_decode_answer = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode

_NOT_AN_ANSWER = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class OpenAI:
    """Implements `Dialect`."""

    name = "openai"

    def authentication(self, key: Secret) -> Headers:
        return [(b"authorization", b"Bearer " + key.reveal().encode())]

    def upstream_path(self, provider_path: bytes, operation: Operation, client_path: bytes) -> bytes:
        """Where the provider serves an operation.

        Chat goes to the provider's path as it stands.  For the others its ending is replaced: one that names
        an operation as a whole, else the last segment (`/api/chat` has its embeddings at `/api/embeddings`).
        A query that belongs to the provider's path, as Azure's `?api-version=`, stays.
        """
        if operation is Operation.CHAT:
            return provider_path
        ending = _ENDINGS.get(operation)
        if ending is None:
            raise GatewayError(
                "no_route", f"The provider of this route has no operation `{operation.value}`."
            )
        if operation is Operation.MODEL:
            ending += b"/" + quote(model_of_path(client_path), safe="/:@").encode()
        path, mark, query = provider_path.partition(b"?")
        return _base(path.rstrip(b"/")) + ending + mark + query

    def upstream_body(
        self,
        envelope: Envelope,
        operation: Operation,
        *,
        model: str | None,
        overrides_model: bool,
        stream: bool | None,
        parameters: Sequence[tuple[str, bytes]],
    ) -> bytes:
        """The client's body with what the backend sets.

        The model is set for every operation, or a model could be had by naming it elsewhere; `stream` and
        the parameters only for operations that write text.  Streams are asked for their usage.
        """
        changes: dict[str, object] = {}
        sent_model = envelope.model_to_send(model, overrides_model)
        if sent_model != envelope.model:
            changes["model"] = sent_model
        if operation in _WRITES_TEXT:
            streams = envelope.stream
            if streams is None and stream is not None:
                changes["stream"] = streams = stream
            for name, value in parameters:
                if name not in envelope.fields:
                    changes.setdefault(name, Raw(value))
            if streams and not envelope.include_usage and operation in _REPORTS_USAGE_WHEN_ASKED:
                changes["stream_options"] = {**(envelope.stream_options or {}), "include_usage": True}
        return envelope.rewrite(changes)

    def read_answer(self, body: bytes) -> AnswerFacts:
        if len(body) > ANSWER_BYTES:
            return AnswerFacts()
        try:
            return _decode_answer(body).facts()
        except _NOT_AN_ANSWER:
            return AnswerFacts()

    def stream_watcher(self, keep_usage_chunk: bool) -> OpenAIStreamWatcher:
        return OpenAIStreamWatcher(keep_usage_chunk)

    def error_body(self, message: str, type: str, code: str | None, param: str | None) -> bytes:  # noqa: A002 -- the API's word
        return _encode({"error": {"message": message, "type": type, "param": param, "code": code}})

    def error_event(self, error: GatewayError) -> bytes:
        """The SDKs raise for an event whose data has `error`, in streams of every kind."""
        body = self.error_body(error.message, error.row.type, error.code, error.param)
        return b"data: " + body + b"\n\n"

    def models_body(self, models: Sequence[str], owned_by: str) -> bytes:
        return _encode({"object": "list", "data": [_model(name, owned_by) for name in models]})

    def model_body(self, model: str, owned_by: str) -> bytes:
        return _encode(_model(model, owned_by))


class OpenAIStreamWatcher(EventFilter):
    """Implements `StreamWatcher` for chat, completions and Responses."""

    __slots__ = ("_keep_usage_chunk", "_last_event_mark", "answered_model", "finished", "usage")

    def __init__(self, keep_usage_chunk: bool) -> None:
        super().__init__()
        self._keep_usage_chunk = keep_usage_chunk
        self._last_event_mark = b"[DONE]"
        """Stands in the last event of this kind of stream, and in few others."""
        self.usage: TokenUsage | None = None
        self.answered_model: str | None = None
        self.finished = False

    def may_matter(self, events: bytes) -> bool:
        """Until the model is known every event is opened, then those that may end the stream or count tokens.

        A stream that was asked for usage has `"usage": null` in every chunk, but not the names of the counts.
        """
        return self.answered_model is None or b'_tokens"' in events or self._last_event_mark in events

    def keeps(self, data: bytes) -> bool:
        if data.startswith(b"[DONE]"):
            self.finished = True
            return True
        try:
            event = _decode_answer(data)
        except _NOT_AN_ANSWER:
            return True
        facts = event.facts()
        self.answered_model = self.answered_model or facts.answered_model
        if event.response is not None:
            self._last_event_mark = b'"response"'
        if event.type in _TERMINAL:
            self.finished = True
        if facts.usage is None:
            return True
        self.usage = facts.usage
        # The extra chunk is the one without choices; look-alikes report usage beside the last words.
        return self._keep_usage_chunk or event.choices != []


def _base(path: bytes) -> bytes:
    """What stands before the ending of a provider's path."""
    for ending in _ENDINGS.values():
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path.rpartition(b"/")[0]


def _model(name: str, owned_by: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owned_by}
