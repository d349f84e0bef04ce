"""What the simulated provider answers: a request in, OpenAI's bytes out, the same ones every time.

An operation is known by the ending of its path, so any prefix that an operator configures works.  Any model
name is answered for, under that name: which models there are is the gateway's business, not the simulator's.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from gateway.messages import Headers, RequestHead, TokenUsage
from gateway.resources.drills import Drill
from gateway.simulator import openai
from gateway.simulator.bodies import counted_answer, json_answer, reply_to, stream, tokens_of, whole_text
from gateway.simulator.chat import chat
from gateway.simulator.errors import RequestError, require_room
from gateway.simulator.openai import ChatRequest, CompletionRequest, EmbeddingRequest, Json
from gateway.simulator.replies import Answer
from gateway.simulator.speech import speak
from gateway.simulator.telling import StreamedUsage, told_whole
from gateway.simulator.vectors import DEFAULT_DIMENSIONS, as_base64, as_floats, embedding


def answer(head: RequestHead, body: bytes, drill: Drill) -> Answer:
    """Answer this request, as far as the drill leaves it to the model."""
    path = head.path.rstrip(b"/")
    headers = common_headers(head, body)
    identity = _identity(path, body)
    try:
        if path.endswith(b"/chat/completions"):
            _require(head, b"POST")
            return chat(_decode(body, ChatRequest), identity, headers, drill)
        if path.endswith(b"/completions"):
            _require(head, b"POST")
            return _completion(_decode(body, CompletionRequest), identity, headers, drill)
        if path.endswith(b"/embeddings"):
            _require(head, b"POST")
            return _embeddings(_decode(body, EmbeddingRequest), headers, drill)
        if path.endswith(b"/models"):
            _require(head, b"GET")
            return json_answer(headers, openai.model_list([openai.DEFAULT_MODEL]))
        _, slash, model = path.rpartition(b"/models/")
        if slash:
            _require(head, b"GET")
            return json_answer(headers, openai.model_entry(unquote(model)))
        raise RequestError(404, f"Unknown request URL: {_asked(head)}.", code="unknown_url")
    except RequestError as refused:
        return refused.as_answer(headers)


def common_headers(head: RequestHead, body: bytes) -> Headers:
    """What every answer to this request says beside what it is."""
    authorization = b"absent" if head.header(b"authorization") is None else b"present"
    return [
        (b"x-request-id", b"req_" + _identity(head.path, body).encode()),
        (b"x-simulator-authorization", authorization),
    ]


def _completion(request: CompletionRequest, identity: str, headers: Headers, drill: Drill) -> Answer:
    said = request.prompt if isinstance(request.prompt, str) else request.prompt[0]
    prompt_tokens = tokens_of([said])
    require_room(prompt_tokens, drill, "prompt")
    model = openai.model_in(request.model)
    speech = speak(reply_to(model, said, drill), words=drill.words, most_tokens=request.max_tokens)
    counted = TokenUsage(prompt_tokens, speech.tokens, min(drill.cached, prompt_tokens))
    finish_reason = "length" if speech.is_cut_short else "stop"
    top = openai.head_fields(f"cmpl-{identity}", "text_completion", model)
    if not request.stream:
        choice = openai.completion_choice(whole_text(speech), finish_reason)
        told = told_whole(counted, drill.usage)
        return counted_answer(headers, {**top, "choices": [choice]}, prompt_tokens, speech.size, told)
    nothing = openai.completion_choice("", None)
    return stream(
        headers,
        top,
        opening=[],
        content=(
            (openai.completion_choice(piece, None), len(piece.encode()))
            for piece in speech.pieces(drill.chunks)
        ),
        finish=openai.completion_choice("", finish_reason),
        asked=prompt_tokens,
        usage=StreamedUsage(counted, drill.usage, is_asked=openai.tells_usage(request)),
        empty=nothing,
        role=nothing,
    )


def _embeddings(request: EmbeddingRequest, headers: Headers, drill: Drill) -> Answer:
    dimensions = request.dimensions or DEFAULT_DIMENSIONS
    shown = as_base64 if request.encoding_format == "base64" else as_floats
    inputs = _inputs(request.input)
    tokens = sum(tokens for _, tokens in inputs)
    require_room(tokens, drill, "input")
    data = [
        {"object": "embedding", "index": index, "embedding": shown(embedding(text, dimensions))}
        for index, (text, _) in enumerate(inputs)
    ]
    made: Json = {"object": "list", "data": data, "model": openai.model_in(request.model)}
    return counted_answer(
        headers, made, tokens, 0, told_whole(TokenUsage(tokens, 0), drill.usage, _asked_alone)
    )


def _asked_alone(counted: TokenUsage) -> Json:
    return {"prompt_tokens": counted.input, "total_tokens": counted.input}


def _inputs(given: str | list[str | int | list[int]]) -> list[tuple[str, int]]:
    """What is embedded, one vector each: a text (tokens stand for themselves) and how many tokens it is."""
    several = [given] if isinstance(given, str) else given
    texts = [(one, tokens_of([one])) for one in several if isinstance(one, str)]
    tokens = [one for one in several if isinstance(one, int)]
    lists = [(str(one), len(one)) for one in several if isinstance(one, list)]
    kinds = [kind for kind in (texts, [(str(tokens), len(tokens))] if tokens else [], lists) if kind]
    if len(kinds) > 1:
        raise RequestError(400, "Texts and tokens are mixed.", param="input")
    return kinds[0]


_Request = TypeVar("_Request")


def _decode(body: bytes, kind: type[_Request]) -> _Request:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise RequestError(400, f"{error}.", param=_field_of(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"The body is not JSON: {error}.") from None


def _field_of(sentence: str) -> str | None:
    """The field that a sentence of msgspec's is about: `stream` in "Expected `bool` … - at `$.stream`"."""
    _, missing, name = sentence.partition("missing required field `")
    if missing:
        return name.partition("`")[0]
    _, place, name = sentence.partition("at `$.")
    return name.partition("`")[0] if place else None


def _require(head: RequestHead, method: bytes) -> None:
    if head.method != method and not (method == b"GET" and head.method == b"HEAD"):
        raise RequestError(405, f"Not allowed to {_asked(head)}.", code="method_not_supported")


def _asked(head: RequestHead) -> str:
    return f"{head.method.decode('latin-1')} {head.path.decode('latin-1')}"


def _identity(path: bytes, body: bytes) -> str:
    return sha256(path + b"\n" + body).hexdigest()[:24]
