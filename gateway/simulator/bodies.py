"""From what is said to the bytes of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from gateway.messages import Headers
from gateway.resources.drills import Drill
from gateway.simulator.errors import RequestError
from gateway.simulator.openai import Json, event
from gateway.simulator.replies import EVENTS, JSON, Streamed, Whole
from gateway.simulator.speech import Speech, count_tokens
from gateway.simulator.steps import Say
from gateway.simulator.telling import StreamedUsage, Told

Spoken: TypeAlias = tuple[Json, int]
"""A choice of a stream, and how many bytes of UTF-8 the model says in it."""

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
    """An answer of no model."""
    return Whole(200, [JSON, *headers], msgspec.json.encode(content))


def counted_answer(headers: Headers, content: Json, asked: int, spoken: int, told: Told) -> Whole:
    """An answer of a model.

    :param asked: how many tokens the prompt has.
    :param spoken: how many bytes of UTF-8 the model says.
    """
    fields, usage = told
    return Whole(200, [JSON, *headers], msgspec.json.encode({**content, **fields}), asked, spoken, usage)


def stream(
    headers: Headers,
    top: Json,
    *,
    opening: list[Json],
    content: Iterator[Spoken],
    finish: Json,
    asked: int,
    usage: StreamedUsage,
    empty: Json,
    role: Json,
) -> Streamed:
    """The events of these choices.

    :param asked: how many tokens the prompt has.
    :param empty, role: choices that bring nothing new.
    """

    def chunk(choice: Json) -> bytes:
        return event({**top, "choices": [choice], **usage.before()})

    def telling(choices: list[Json], told: Told, size: int = 0) -> Say:
        fields, counted = told
        return Say(event({**top, "choices": choices, **fields}), size, counted)

    last = usage.last()
    return Streamed(
        [*EVENTS, *headers],
        b"".join(map(chunk, opening)),
        (telling([choice], usage.beside(size), size) for choice, size in content),
        lambda: telling([finish], usage.finish()),
        telling([], last) if last[0] else Say(b""),
        {
            "comment": b": still here\n\n",
            "ping": b'event: ping\ndata: {"type":"ping"}\n\n',
            "empty": chunk(empty),
            "role": chunk(role),
        },
        asked,
    )
