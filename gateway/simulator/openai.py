"""OpenAI's shapes: what its requests hold and what its answers look like.

Source: the types of the openai Python SDK 3.54.  Only the fields that change an answer are read; all others
are accepted, as a provider does that knows more than we do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec

from gateway.messages import TokenUsage

DEFAULT_MODEL = "simulator-1"

CREATED = 1767225600
"""Every `created`: the first second of 2026.  A clock's time would make equal requests' answers differ."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Json: TypeAlias = dict[str, object]


class Part(msgspec.Struct, frozen=True):
    """One part of a message's content."""

    type: str
    text: str = ""
    """Empty in parts that are no text: pictures, sounds and files are accepted, and say nothing."""


class Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None
    partial: bool = False
    """Go on with this message: DashScope's and Moonshot's word."""
    prefix: bool = False
    """Likewise: Mistral's and DeepSeek's."""

    @property
    def text(self) -> str:
        match self.content:
            case None:
                return ""
            case str(text):
                return text
            case parts:
                return "\n".join(part.text for part in parts if part.text)


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class Function(msgspec.Struct, frozen=True):
    name: str


class Tool(msgspec.Struct, frozen=True):
    function: Function | None = None
    """None for a tool of another kind."""


class ChatRequest(msgspec.Struct, frozen=True):
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    model: str = DEFAULT_MODEL
    tools: list[Tool] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None


class CompletionRequest(msgspec.Struct, frozen=True):
    prompt: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=1)]
    """One prompt, as it is or in a list: an answer here has one choice."""
    model: str = DEFAULT_MODEL
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None


class EmbeddingRequest(msgspec.Struct, frozen=True):
    input: str | Annotated[list[str | int | list[int]], msgspec.Meta(min_length=1)]
    """A text, several, the tokens of one, or the tokens of several."""
    model: str = DEFAULT_MODEL
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None


def tells_usage(request: ChatRequest | CompletionRequest) -> bool:
    """The client wants a stream to tell its usage."""
    return request.stream_options is not None and request.stream_options.include_usage


def model_in(name: str) -> str:
    """The model's own name: what stands before directives, `simulator-1` in `simulator-1+cut-after=3`."""
    own, _, directives = name.partition("+")
    return own if directives else name


def directives_in(name: str) -> list[str]:
    """The groups of directives in a model's name; a plus sign at its end (`command-r+`) begins none."""
    _, _, directives = name.partition("+")
    return [group for group in directives.split("+") if group]


def usage(counted: TokenUsage) -> Json:
    told: Json = {
        "prompt_tokens": counted.input,
        "completion_tokens": counted.output,
        "total_tokens": counted.input + counted.output,
    }
    if counted.cached_input:
        told["prompt_tokens_details"] = {"cached_tokens": counted.cached_input}
    if counted.reasoning:
        told["completion_tokens_details"] = {"reasoning_tokens": counted.reasoning}
    return told


def head_fields(identity: str, kind: str, model: str) -> Json:
    """What every answer and every chunk of a stream begins with."""
    return {"id": identity, "object": kind, "created": CREATED, "model": model}


def chat_choice(message: Json, finish_reason: str) -> Json:
    """A whole answer's choice.

    :param message: what the message holds beside its role.
    """
    said = {"role": "assistant", "content": None, "refusal": None, **message}
    return {"index": 0, "message": said, "logprobs": None, "finish_reason": finish_reason}


def chat_delta(delta: Json, finish_reason: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def completion_choice(text: str, finish_reason: str | None) -> Json:
    """The same in a stream as in a whole answer."""
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


def model_entry(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "simulator"}


def model_list(names: Sequence[str]) -> Json:
    return {"object": "list", "data": [model_entry(name) for name in names]}


def error(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> Json:
    """What stands under `error`; `kind` is OpenAI's `error.type`."""
    return {"message": message, "type": kind, "param": param, "code": code}


def error_body(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> bytes:
    """A whole error body."""
    return msgspec.json.encode({"error": error(message, kind, param=param, code=code)})


def compact(content: Json) -> str:
    """JSON within JSON, such as a tool call's arguments."""
    return msgspec.json.encode(content).decode()


def event(content: Json) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(content) + b"\n\n"


DONE = b"data: [DONE]\n\n"
