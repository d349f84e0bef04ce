"""Which operation a client means: the closed set of what the gateway passes on.

A client's path is never sent to a provider: it only names an operation, and each dialect knows where that
operation lives (`Dialect.upstream_path`).  So with the operator's key nobody reaches a provider's files,
stored conversations or administration, whatever path he thinks of.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from gateway.errors import GatewayError


class Operation(Enum):
    """What a client wants done.  The values are the words of the log."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MODERATIONS = "moderations"
    IMAGE_GENERATIONS = "image_generations"
    IMAGE_EDITS = "image_edits"
    IMAGE_VARIATIONS = "image_variations"
    SPEECH = "speech"
    TRANSCRIPTIONS = "transcriptions"
    TRANSLATIONS = "translations"
    MODELS = "models"
    """The list of models."""
    MODEL = "model"
    """One model by its name: `model_of_path` reads it."""
    MESSAGES = "messages"
    """Anthropic's Messages: known, so that it is not taken for chat because it has `messages` too."""


_BY_LAST_TWO: Mapping[tuple[bytes, bytes], Operation] = MappingProxyType(
    {
        (b"chat", b"completions"): Operation.CHAT,
        (b"images", b"generations"): Operation.IMAGE_GENERATIONS,
        (b"images", b"edits"): Operation.IMAGE_EDITS,
        (b"images", b"variations"): Operation.IMAGE_VARIATIONS,
        (b"audio", b"speech"): Operation.SPEECH,
        (b"audio", b"transcriptions"): Operation.TRANSCRIPTIONS,
        (b"audio", b"translations"): Operation.TRANSLATIONS,
    }
)

_BY_LAST: Mapping[bytes, Operation] = MappingProxyType(
    {
        b"completions": Operation.COMPLETIONS,
        b"embeddings": Operation.EMBEDDINGS,
        b"responses": Operation.RESPONSES,
        b"moderations": Operation.MODERATIONS,
        b"models": Operation.MODELS,
        b"messages": Operation.MESSAGES,
    }
)

_MODEL = b"/models/"


def operation_of(method: bytes, path: bytes) -> Operation | None:
    """The operation that the ending of a client's path names, or None where it names none.

    A POST for which this is None means `Operation.CHAT` if its body is JSON with `messages`
    (`Envelope.has_messages`), as clients of a service mesh post to `/`; anything else is not served.

    :raise GatewayError: `method_not_allowed`, when the path is known and the method is not the operation's:
        GET on chat completions, say, would list what other tenants have stored under the same key.
    """
    before, _, last = path.rstrip(b"/").rpartition(b"/")
    operation = _BY_LAST_TWO.get((before.rpartition(b"/")[2], last)) or _BY_LAST.get(last)
    if operation is None:
        # Only for reading: a POST to /models/{model}:generateContent is Gemini's, a DELETE deletes a model.
        return Operation.MODEL if _MODEL in path and method in (b"GET", b"HEAD") else None
    if last == b"models":
        if method not in (b"GET", b"HEAD"):
            raise GatewayError("method_not_allowed", "The list of models is read with GET.")
    elif method != b"POST":
        raise GatewayError("method_not_allowed", "This operation is asked for with POST.")
    return operation


def model_of_path(path: bytes) -> str:
    """The name of the model in a path of `Operation.MODEL`; it may hold slashes, as in `Qwen/Qwen3-8B`.

    :raise GatewayError: `malformed_request`, for a name that is not text or that would climb out of its
        folder as a path.
    """
    try:
        name = unquote_to_bytes(path.partition(_MODEL)[2].rstrip(b"/")).decode()
    except UnicodeDecodeError:
        raise GatewayError("malformed_request", "The model's name in the path is not UTF-8.") from None
    if not name.isprintable() or any(segment in ("", ".", "..") for segment in name.split("/")):
        raise GatewayError("malformed_request", "The path does not end in a model's name.")
    return name
