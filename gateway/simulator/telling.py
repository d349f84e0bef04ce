"""How an answer tells its usage: as OpenAI does, or in one of the other ways that providers have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gateway.messages import TokenUsage
from gateway.resources.drills import Telling
from gateway.simulator import openai
from gateway.simulator.openai import Json
from gateway.simulator.speech import count_tokens

Told: TypeAlias = tuple[Json, TokenUsage | None]
"""Fields of an answer or a chunk, and what they tell that was not told before."""

_UNTOLD: Told = ({}, None)
_NONE = TokenUsage(0, 0)

_BESIDE_WORDS = ("growing", "each", "halves")


def told_whole(
    counted: TokenUsage, way: Telling | None, written: Callable[[TokenUsage], Json] = openai.usage
) -> Told:
    """What an answer that is no stream tells of this usage."""
    if way == "never":
        return _UNTOLD
    return ({"usage": written(_NONE)}, None) if way == "zero" else ({"usage": written(counted)}, counted)


class StreamedUsage:
    """Tells the usage of one stream, chunk by chunk."""

    def __init__(self, counted: TokenUsage, way: Telling | None, *, is_asked: bool) -> None:
        """Begin.

        :param counted: the usage of all of it.
        :param is_asked: the client wants to know; who counts beside words tells whoever asks or not.
        """
        self._counted = counted
        self._way = way
        self._is_asked = is_asked
        self._null: Json = {"usage": None} if is_asked and (way is None or way == "zero") else {}
        """Where usage was asked for OpenAI's chunks all name it."""
        self._spoken = 0
        """Bytes of UTF-8."""
        self._made = 0
        """Tokens that were told."""
        self._asked_told = False

    def before(self) -> Json:
        """What a chunk without content tells."""
        return self._null

    def beside(self, size: int) -> Told:
        """What a chunk tells in which the model says so many bytes of UTF-8."""
        self._spoken += size
        return self._told(min(count_tokens(self._spoken), self._counted.output), reasoning=0)

    def finish(self) -> Told:
        """What the chunk with the finish reason tells."""
        if self._way == "halves":
            return _UNTOLD
        return self._told(self._counted.output, self._counted.reasoning if self._way == "growing" else 0)

    def last(self) -> Told:
        """What the chunk without a choice tells; no fields where there is none."""
        counted = self._counted
        if self._way == "halves":
            half = TokenUsage(0, counted.output, reasoning=counted.reasoning)
            return {"usage": openai.usage(half)}, half
        if not self._is_asked or self._way in _BESIDE_WORDS:
            return _UNTOLD
        return told_whole(counted, self._way)

    def _told(self, made: int, reasoning: int) -> Told:
        """Tell that the model has made so many tokens so far."""
        if self._way not in _BESIDE_WORDS:
            return self._null, None
        is_first = not self._asked_told
        self._asked_told = True
        if self._way == "halves":
            half = TokenUsage(self._counted.input, 0, self._counted.cached_input)
            return ({"usage": openai.usage(half)}, half) if is_first else _UNTOLD
        more, self._made = made - self._made, made
        input_tokens, cached = self._counted.input, self._counted.cached_input
        told = TokenUsage(input_tokens, made if self._way == "growing" else more, cached, reasoning)
        news = TokenUsage(input_tokens if is_first else 0, more, cached if is_first else 0, reasoning)
        return {"usage": openai.usage(told)}, news
