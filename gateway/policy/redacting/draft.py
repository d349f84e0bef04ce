"""A content while things are taken out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.policy.redacting.allowance import Allowance
from gateway.policy.redacting.opened_json import EDGE
from gateway.policy.redacting.patterns import Kind, Search, Span

_IN_EDGE = EDGE[1:2]


class Draft:
    """Several texts with edges between them, of which each is looked at by itself; or one."""

    __slots__ = ("_allowance", "_is_json", "text")

    def __init__(self, text: bytes, allowance: Allowance, *, is_json: bool) -> None:
        """Begin.

        :param text: UTF-8; of JSON as `opened_json.opened` has it.
        :param allowance: where it is spent, the text ends before the next find.
        """
        self.text = text
        self._allowance = allowance
        self._is_json = is_json

    def take_out(self, spans: Iterable[Span]) -> None:
        """Take these out, of which none holds part of an edge, or none more than all of it."""
        if self._is_json:
            spans = _marked_as_text(self.text, spans)
        self.text = self._without(self.text, spans)

    def search(self, search: Search) -> None:
        """Take out of each of the texts what is found in it."""
        pieces: list[bytes] = []
        at = 0
        is_within = not self._is_json
        while (first := search.first(self.text, at)) is not None:
            begin, end = _text_at(self.text, at, first)
            if self._allowance.spent:
                self.text = self.text[:begin]
                break
            self._allowance.spend()  # maybe for nothing, where what was found goes on across an edge
            is_within ^= self._is_json and self.text.count(_IN_EDGE, at, begin) % 2 == 1
            pieces += self.text[at:begin], self._searched(self.text[begin:end], search.kinds, is_within)
            at = end
        self.text = b"".join([*pieces, self.text[at:]])

    def _searched(self, text: bytes, kinds: Iterable[Kind], is_within: bool) -> bytes:
        for kind in kinds:
            spans = kind.spans(text)
            text = self._without(text, spans if is_within else map(_as_text, spans))
        return text

    def _without(self, text: bytes, spans: Iterable[Span]) -> bytes:
        pieces: list[bytes] = []
        at = 0
        for begin, end, mark in spans:
            if self._allowance.spent:
                text = text[:begin]
                break
            self._allowance.spend()
            pieces += text[at:begin], mark
            at = end
        return b"".join([*pieces, text[at:]]) if pieces else text


def _marked_as_text(text: bytes, spans: Iterable[Span]) -> Iterator[Span]:
    """The same, and what stands outside of JSON's texts, a number, becomes a text."""
    is_within = False
    counted = 0
    for span in spans:
        is_within ^= text.count(_IN_EDGE, counted, span[0]) % 2 == 1
        counted = span[0]
        yield span if is_within or span[2].endswith(EDGE) else _as_text(span)


def _as_text(span: Span) -> Span:
    begin, end, mark = span
    return begin, end, EDGE + mark + EDGE if mark else b""


def _text_at(texts: bytes, at: int, first: int) -> tuple[int, int]:
    """Begin and end of the text that a find from `at` on has begun in; of the next, if it has begun on an edge."""
    edge = texts.find(_IN_EDGE, max(first - 1, 0), first + 2)
    if edge < 0:
        edge = texts.rfind(_IN_EDGE, at, first)
    begin = edge + 2 if edge >= 0 else at
    end = texts.find(_IN_EDGE, begin)
    return begin, end - 1 if end >= 0 else len(texts)
