"""What the simulated model says, and how many tokens that is.

A token is four bytes of UTF-8, the last one begun counting as whole: near enough to what real models
count, and easy to work out by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, cycle, islice

from attrs import evolve, frozen

TOKEN_BYTES = 4

_WORD = re.compile(r"\S+\s*")


def count_tokens(size: int) -> int:
    """The tokens in this many bytes of UTF-8."""
    return -(-size // TOKEN_BYTES)


@frozen
class Speech:
    """Words said one after the other, made while they are sent: a speech may be larger than memory."""

    words: tuple[str, ...]
    """Each with the blanks that follow it."""
    count: int
    """How many words are said: fewer than there are, or the same ones again and again."""
    limit: int | None
    """Bytes after which the model is cut short, or None."""
    opening: str | None = None
    """Said in place of the first word: what is left of one that was begun, for example."""

    @property
    def is_cut_short(self) -> bool:
        """The limit ends the speech before its last word does."""
        return self.limit is not None and self._whole_size() > self.limit

    @property
    def size(self) -> int:
        """Bytes of UTF-8.  A speech cut short inside a character is up to three bytes shorter."""
        return self._whole_size() if self.limit is None else min(self._whole_size(), self.limit)

    @property
    def tokens(self) -> int:
        return count_tokens(self.size)

    def pieces(self, number: int | None) -> Iterator[str]:
        """Say it in this many pieces of about as many words each, at most one a word; None is one a word."""
        number = self.count if number is None else min(number, self.count)
        words: Iterator[str] = islice(cycle(self.words), self.count)
        if self.opening is not None and self.count:
            words = chain([self.opening], islice(words, 1, None))
        left = self.size
        for index in range(number):
            size = (index + 1) * self.count // number - index * self.count // number
            piece = "".join(islice(words, size)).encode()
            yield piece[:left].decode(errors="ignore")
            left -= len(piece)
            if left <= 0:
                return

    def _whole_size(self) -> int:
        sizes = [len(word.encode()) for word in self.words]
        rounds, rest = divmod(self.count, len(sizes))
        size = rounds * sum(sizes) + sum(sizes[:rest])
        if self.opening is None or not self.count:
            return size
        return size - sizes[0] + len(self.opening.encode())

    def after(self, said: str) -> Speech:
        """The rest of it for somebody who has heard this much.

        Where these are words of another speech it goes on with as many words of its own left out as were said.
        """
        place = 0
        for index, word in enumerate(islice(cycle(self.words), self.count)):
            heard = said[place:]
            if not heard.startswith(word):
                if word.startswith(heard):
                    return self._from(index, word[len(heard) :])
                return self._after_others(said)
            place += len(word)
        return self._from(self.count, None) if place == len(said) else self._after_others(said)

    def again_after(self, said: str) -> Speech:
        """Likewise, but what was said is said once more."""
        rest = self.after(said)
        if not rest.count:
            return evolve(rest, count=1, opening=said)
        return evolve(rest, opening=said + (rest.words[0] if rest.opening is None else rest.opening))

    def _after_others(self, said: str) -> Speech:
        skipped = min(len(said.split()), self.count)
        blank = "" if said[-1:].isspace() else " "
        return self._from(skipped, blank + self.words[skipped % len(self.words)])

    def _from(self, index: int, opening: str | None) -> Speech:
        """Without the first words, as many as this."""
        turn = index % len(self.words)
        words = (*self.words[turn:], *self.words[:turn])
        return evolve(self, words=words, count=self.count - index, opening=opening)


def speak(text: str, *, words: int | None, most_tokens: int | None) -> Speech:
    """Make the speech for this text.

    :param text: begins with a word.
    :param words: say so many words of it, beginning again where it ends; None says it once.
    :param most_tokens: the client's `max_tokens`, or None.
    """
    limit = None if most_tokens is None else most_tokens * TOKEN_BYTES
    spoken = tuple(_WORD.findall(text))
    if words is None:
        return Speech(spoken, len(spoken), limit)
    if words > len(spoken):
        spoken = (*spoken[:-1], f"{spoken[-1].rstrip()} ")
    return Speech(spoken, words, limit)
