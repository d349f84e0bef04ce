"""From what is said to the bytes of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gateway.messages import Headers
from gateway.resources.drills import Drill
from gateway.simulator.errors import RequestError
from gateway.simulator.openai import Json, event
from gateway.simulator.replies import EVENTS, JSON, Streamed, Whole
from gateway.simulator.speech import Speech, count_tokens

LARGEST_WHOLE_BODY = 16 * 1024 * 1024
"""Bytes of speech in an answer that is not streamed: it is in memory as a whole."""


def reply_to(model: str, said: str, drill: Drill) -> str:
    """What a model has to say."""
    if drill.other_words:
        return f"In other words: {said} is what {model} was told."
    return f"I am {model}. You said: {said}"


def tokens_of(texts: Iterable[str]) -> int:
    return count_tokens(sum(len(text.encode()) for text in texts))


def whole_text(speech: Speech) -> str:
    """A speech that is said at once.

    :raises RequestError: where it is too long for that.
    """
    if speech.size > LARGEST_WHOLE_BODY:
        raise RequestError(
            400, f"{speech.size} bytes are too many for one body; stream them.", param="stream"
        )
    return "".join(speech.pieces(1))


def json_answer(headers: Headers, content: Json) -> Whole:
    return Whole(200, [JSON, *headers], msgspec.json.encode(content))


def stream(
    headers: Headers,
    top: Json,
    *,
    opening: list[Json],
    content: Iterator[Json],
    finish: Json,
    usage: Json | None,
    empty: Json,
    role: Json,
) -> Streamed:
    """The events of these choices.  Where usage was asked for every chunk names it, null until the last.

    :param empty, role: choices that bring nothing new.
    """
    rest: Json = {} if usage is None else {"usage": None}

    def chunk(choice: Json) -> bytes:
        return event({**top, "choices": [choice], **rest})

    return Streamed(
        [*EVENTS, *headers],
        b"".join(map(chunk, opening)),
        map(chunk, content),
        chunk(finish),
        b"" if usage is None else event({**top, "choices": [], "usage": usage}),
        {
            "comment": b": still here\n\n",
            "ping": b'event: ping\ndata: {"type":"ping"}\n\n',
            "empty": chunk(empty),
            "role": chunk(role),
        },
    )
