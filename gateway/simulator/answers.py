"""What the simulated provider answers: a request in, OpenAI's bytes out, the same ones every time.

An operation is known by the ending of its path, so any prefix that an operator configures works.  Any model
name is answered for, under that name: which models there are is the gateway's business, not the simulator's.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import TypeAlias, TypeVar
from urllib.parse import unquote

import msgspec
from attrs import frozen

from gateway.messages import Headers, RequestHead
from gateway.simulator import openai
from gateway.simulator.drills import Drill
from gateway.simulator.openai import ChatRequest, CompletionRequest, EmbeddingRequest, Json, event
from gateway.simulator.speech import Speech, count_tokens, speak
from gateway.simulator.vectors import DEFAULT_DIMENSIONS, as_base64, as_floats, embedding

LARGEST_WHOLE_BODY = 16 * 1024 * 1024
"""Bytes of speech in an answer that is not streamed: it is in memory as a whole."""


@frozen
class Whole:
    """An answer with one body."""

    status: int
    headers: Headers
    body: bytes


@frozen
class Streamed:
    """An answer of server-sent events, 200 always."""

    headers: Headers
    opening: bytes
    """Events before the first content."""
    content: Iterator[bytes]
    """One event each."""
    closing: bytes
    """The finish reason, and the usage if it was asked for."""


Answer: TypeAlias = Whole | Streamed

_JSON = (b"content-type", b"application/json")


def answer(head: RequestHead, body: bytes, drill: Drill) -> Answer:
    """Answer this request.  Of the drill only the length of the speech matters here."""
    path = head.path.rstrip(b"/")
    headers = _common_headers(head, body)
    identity = _identity(path, body)
    try:
        if path.endswith(b"/chat/completions"):
            _require(head, b"POST")
            return _chat(_decode(body, ChatRequest), identity, headers, drill)
        if path.endswith(b"/completions"):
            _require(head, b"POST")
            return _completion(_decode(body, CompletionRequest), identity, headers, drill)
        if path.endswith(b"/embeddings"):
            _require(head, b"POST")
            return _json(headers, _embeddings(_decode(body, EmbeddingRequest)))
        if path.endswith(b"/models"):
            _require(head, b"GET")
            return _json(headers, openai.model_list([openai.DEFAULT_MODEL]))
        _, slash, model = path.rpartition(b"/models/")
        if slash:
            _require(head, b"GET")
            return _json(headers, openai.model_entry(unquote(model)))
        raise _RequestError(404, f"Unknown request URL: {_asked(head)}.", code="unknown_url")
    except _RequestError as refused:
        return refused.as_answer(headers)


def simulated_error(head: RequestHead, body: bytes, drill: Drill, status: int) -> Whole:
    """The error answer that a drill asked for."""
    otherwise = ("server_error" if status >= 500 else "invalid_request_error", None)
    kind, code = _USUAL_ERRORS.get(status, otherwise)
    headers = [_JSON, *_common_headers(head, body)]
    if drill.retry_after is not None:
        headers.append((b"retry-after", b"%d" % drill.retry_after))
    return Whole(status, headers, openai.error_body(f"Simulated: {status}.", kind, code=drill.code or code))


def bad_drill(head: RequestHead, body: bytes, message: str) -> Whole:
    """The refusal of an `x-simulate` header that cannot be obeyed."""
    return _RequestError(400, message, code="bad_drill").as_answer(_common_headers(head, body))


_USUAL_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
"""What OpenAI says with a status: `error.type`, `error.code`."""


class _RequestError(Exception):
    """The request is at fault: what the client is told."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = openai.error_body(message, "invalid_request_error", param=param, code=code)

    def as_answer(self, headers: Headers) -> Whole:
        return Whole(self.status, [_JSON, *headers], self.body)


def _chat(request: ChatRequest, identity: str, headers: Headers, drill: Drill) -> Answer:
    texts = [message.text for message in request.messages]
    said = next((m.text for m in reversed(request.messages) if m.role == "user"), texts[-1])
    most_tokens = request.max_completion_tokens or request.max_tokens
    speech = speak(_reply(request.model, said), words=drill.words, most_tokens=most_tokens)
    usage = openai.usage(_tokens_of(texts), speech.tokens)
    finish_reason = "length" if speech.is_cut_short else "stop"
    identity = f"chatcmpl-{identity}"
    if not request.stream:
        top = openai.head_fields(identity, "chat.completion", request.model)
        choice = openai.chat_choice(_whole(speech), finish_reason)
        return _json(headers, {**top, "choices": [choice], "usage": usage})
    top = openai.head_fields(identity, "chat.completion.chunk", request.model)
    wants_usage = request.stream_options is not None and request.stream_options.include_usage
    return _stream(
        headers,
        top,
        opening=[openai.chat_delta({"role": "assistant", "content": ""})],
        content=(openai.chat_delta({"content": piece}) for piece in speech.pieces(drill.chunks)),
        closing=openai.chat_delta({}, finish_reason),
        usage=usage if wants_usage else None,
    )


def _completion(request: CompletionRequest, identity: str, headers: Headers, drill: Drill) -> Answer:
    said = request.prompt if isinstance(request.prompt, str) else request.prompt[0]
    speech = speak(_reply(request.model, said), words=drill.words, most_tokens=request.max_tokens)
    usage = openai.usage(_tokens_of([said]), speech.tokens)
    finish_reason = "length" if speech.is_cut_short else "stop"
    top = openai.head_fields(f"cmpl-{identity}", "text_completion", request.model)
    if not request.stream:
        choice = openai.completion_choice(_whole(speech), finish_reason)
        return _json(headers, {**top, "choices": [choice], "usage": usage})
    wants_usage = request.stream_options is not None and request.stream_options.include_usage
    return _stream(
        headers,
        top,
        opening=[],
        content=(openai.completion_choice(piece, None) for piece in speech.pieces(drill.chunks)),
        closing=openai.completion_choice("", finish_reason),
        usage=usage if wants_usage else None,
    )


def _embeddings(request: EmbeddingRequest) -> Json:
    dimensions = request.dimensions or DEFAULT_DIMENSIONS
    shown = as_base64 if request.encoding_format == "base64" else as_floats
    inputs = _inputs(request.input)
    data = [
        {"object": "embedding", "index": index, "embedding": shown(embedding(text, dimensions))}
        for index, (text, _) in enumerate(inputs)
    ]
    tokens = sum(tokens for _, tokens in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def _inputs(given: str | list[str | int | list[int]]) -> list[tuple[str, int]]:
    """What is embedded, one vector each: a text (tokens stand for themselves) and how many tokens it is."""
    several = [given] if isinstance(given, str) else given
    texts = [(one, _tokens_of([one])) for one in several if isinstance(one, str)]
    tokens = [one for one in several if isinstance(one, int)]
    lists = [(str(one), len(one)) for one in several if isinstance(one, list)]
    kinds = [kind for kind in (texts, [(str(tokens), len(tokens))] if tokens else [], lists) if kind]
    if len(kinds) > 1:
        raise _RequestError(400, "Texts and tokens are mixed.", param="input")
    return kinds[0]


def _reply(model: str, said: str) -> str:
    return f"I am {model}. You said: {said}"


def _tokens_of(texts: list[str]) -> int:
    return count_tokens(sum(len(text.encode()) for text in texts))


def _whole(speech: Speech) -> str:
    if speech.size > LARGEST_WHOLE_BODY:
        raise _RequestError(
            400, f"{speech.size} bytes are too many for one body; stream them.", param="stream"
        )
    return "".join(speech.pieces(1))


def _stream(
    headers: Headers,
    top: Json,
    *,
    opening: list[Json],
    content: Iterator[Json],
    closing: Json,
    usage: Json | None,
) -> Streamed:
    """The events of these choices.  Where usage was asked for every chunk names it, null until the last."""
    rest: Json = {} if usage is None else {"usage": None}

    def chunk(choice: Json) -> bytes:
        return event({**top, "choices": [choice], **rest})

    last = b"" if usage is None else event({**top, "choices": [], "usage": usage})
    return Streamed(
        [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"), *headers],
        b"".join(map(chunk, opening)),
        map(chunk, content),
        chunk(closing) + last,
    )


def _json(headers: Headers, content: Json) -> Whole:
    return Whole(200, [_JSON, *headers], msgspec.json.encode(content))


_Request = TypeVar("_Request")


def _decode(body: bytes, kind: type[_Request]) -> _Request:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _RequestError(400, f"{error}.", param=_field_of(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _RequestError(400, f"The body is not JSON: {error}.") from None


def _field_of(sentence: str) -> str | None:
    """The field that a sentence of msgspec's is about: `stream` in "Expected `bool` … - at `$.stream`"."""
    _, missing, name = sentence.partition("missing required field `")
    if missing:
        return name.partition("`")[0]
    _, place, name = sentence.partition("at `$.")
    return name.partition("`")[0] if place else None


def _require(head: RequestHead, method: bytes) -> None:
    if head.method != method and not (method == b"GET" and head.method == b"HEAD"):
        raise _RequestError(405, f"Not allowed to {_asked(head)}.", code="method_not_supported")


def _asked(head: RequestHead) -> str:
    return f"{head.method.decode('latin-1')} {head.path.decode('latin-1')}"


def _identity(path: bytes, body: bytes) -> str:
    return sha256(path + b"\n" + body).hexdigest()[:24]


def _common_headers(head: RequestHead, body: bytes) -> Headers:
    authorization = b"absent" if head.header(b"authorization") is None else b"present"
    return [
        (b"x-request-id", b"req_" + _identity(head.path, body).encode()),
        (b"x-simulator-authorization", authorization),
    ]
