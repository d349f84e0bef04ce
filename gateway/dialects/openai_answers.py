"""What a whole answer in OpenAI's dialect says of itself: all of it, or what its ends say where it cannot be read."""

from __future__ import annotations

import re
from contextlib import suppress

import msgspec

from gateway.dialects.dialect import ANSWER_END_BYTES, AnswerFacts
from gateway.dialects.loose_json import NOT_JSON, loose_value_at, read_json
from gateway.dialects.openai_errors import error_in
from gateway.dialects.openai_events import length_of, open_answer, text_of
from gateway.dialects.openai_usage import usage_in


def read_answer(body: bytes) -> AnswerFacts:
    """What a whole answer says of itself."""
    try:
        answer = open_answer(body)
    except msgspec.ValidationError:
        return AnswerFacts(size=len(body))  # JSON, and no object
    except NOT_JSON:
        ends = read_answer_ends(body[:ANSWER_END_BYTES], body[-ANSWER_END_BYTES:], len(body))
        return msgspec.structs.replace(ends, cut=True)
    said = answer.error_said()
    error = None if said is None else error_in(said, None)
    reason = text_of(answer.choices[0].finish_reason) if answer.choices else None
    usage, size = answer.usage_said(), 0
    if (usage is None or not usage.output) and error is None and not answer.makes_none:
        size = _answer_length(body)
    return AnswerFacts(
        usage, answer.model_said(), error=error, id=text_of(answer.id), finish_reason=reason, size=size
    )


def _answer_length(body: bytes) -> int:
    """Of what a whole answer says, in UTF-8 bytes; looked at only where nobody has counted its tokens."""
    try:
        answer = read_json(body)
    except NOT_JSON:
        return len(body)  # what was passed over so far is no text
    return length_of(answer.get("choices") or answer.get("output"))


_CANDIDATES = 4
"""Places that look like the usage of an answer.  Its own is the last, but for what else it may have there."""

_MODEL = re.compile(rb'"model"\s*+:\s*+("(?:[^"\\]|\\.)*+")')

_USAGE = re.compile(r'"usage"\s*+:\s*+(?=\{)')


def read_answer_ends(beginning: bytes, end: bytes, size: int) -> AnswerFacts:
    """What the ends of an answer say that cannot be read whole: its model, and its usage, which comes last.

    :param size: how long the answer is, in bytes.
    """
    text, usage = end.decode(errors="replace"), None
    for found in list(_USAGE.finditer(text))[-_CANDIDATES:]:
        with suppress(*NOT_JSON):
            usage = usage_in(loose_value_at(text, found.end())) or usage
    # Embeddings come before their model.
    named, model = _MODEL.search(beginning) or _MODEL.search(end), None
    if named is not None:
        with suppress(*NOT_JSON):
            model = text_of(read_json(named[1]))
    return AnswerFacts(usage, model, size=size)
