"""OpenAI's dialect: chat completions, completions, embeddings, responses, images, audio, moderations.

Facts are from OpenAI's API reference and the types of its Python SDK 3.54, and from what look-alikes
(DashScope, Moonshot, vLLM, llama.cpp, DeepSeek, Groq) send instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

import msgspec
from msgspec import Raw

from gateway.dialects.dialect import (
    ANSWER_BYTES,
    ANSWER_END_BYTES,
    AnswerFacts,
    ProviderError,
    Remainder,
    StreamWatcher,
)
from gateway.dialects.envelope import Envelope
from gateway.dialects.openai_answers import read_answer, read_answer_ends
from gateway.dialects.openai_continuing import OpenAIStreamSplice, prefilled
from gateway.dialects.openai_errors import error_of
from gateway.dialects.openai_joining import OpenAIJoinedStream
from gateway.dialects.openai_watching import OpenAIStreamWatcher
from gateway.dialects.operations import Operation, model_of_path
from gateway.dialects.retry_after import retry_after
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

_encode = msgspec.json.Encoder().encode
_decode_number = msgspec.json.Decoder(int).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


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

    def choices_asked(self, envelope: Envelope, parameters: Sequence[tuple[str, bytes]]) -> int:
        """`n` for each prompt; completions may have several."""
        number: bytes | None = envelope.fields.get("n")
        prompts = envelope.fields.get("prompt")
        if number is None and parameters:
            number = dict(parameters).get("n")
        return 1 if number is None and prompts is None else _number(number) * _number_of(prompts)

    def read_answer(self, body: bytes) -> AnswerFacts:
        if len(body) > ANSWER_BYTES:
            return read_answer_ends(body[:ANSWER_END_BYTES], body[-ANSWER_END_BYTES:], len(body))
        return read_answer(body)

    def read_answer_ends(self, beginning: bytes, end: bytes, size: int) -> AnswerFacts:
        return read_answer_ends(beginning, end, size)

    def stream_watcher(
        self,
        keep_usage_chunk: bool,
        *,
        keep_text: bool = False,
        withhold_error: bool = False,
        choices: int = 1,
    ) -> OpenAIStreamWatcher:
        return OpenAIStreamWatcher(keep_usage_chunk, keep_text, withhold_error, choices)

    def read_error(self, status: int, body: bytes) -> ProviderError:
        return error_of(status, body)

    def retry_after(self, headers: Headers, now: float) -> float | None:
        return retry_after(headers, now)

    def prefilled(self, envelope: Envelope, said: str, mark: str | None) -> Envelope:
        return prefilled(envelope, said, mark)

    def stream_splice(
        self,
        first: StreamWatcher,
        remainder: Remainder,
        earlier_usage: Sequence[TokenUsage | None],
    ) -> OpenAIStreamSplice:
        return OpenAIStreamSplice(first.id, first.created, remainder, earlier_usage)

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

    def joined_stream(self, letters: int) -> OpenAIJoinedStream:
        return OpenAIJoinedStream(letters)


def _number(written: bytes | None) -> int:
    """What `n` says; 1 for what is no number, which the provider will say."""
    try:
        return 1 if written is None else max(1, _decode_number(written))
    except msgspec.ValidationError:
        return 1


def _number_of(prompts: bytes | None) -> int:
    """How many prompts a completion has: a string and a list of tokens are one."""
    if prompts is None or not bytes(prompts).startswith(b"["):
        return 1
    several = _decode_list(prompts)
    return len(several) if several and bytes(several[0])[:1] in (b'"', b"[") else 1


def _base(path: bytes) -> bytes:
    """What stands before the ending of a provider's path."""
    for ending in _ENDINGS.values():
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path.rpartition(b"/")[0]


def _model(name: str, owned_by: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owned_by}
