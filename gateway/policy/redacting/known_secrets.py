"""What the configuration holds and nobody is to read, wherever somebody repeats it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

import re2
from attrs import field, frozen

from gateway.policy.redacting.patterns import Span
from gateway.policy.redacting.secret_names import SECRET

_TOGETHER = 64
"""Secrets that one expression looks for: to compile it takes 0.6 ms, in which no other thread runs."""


@frozen(eq=False, slots=False)
class KnownSecrets:
    """Texts that are found wherever they stand, within longer words, too."""

    texts: tuple[bytes, ...] = field(default=(), repr=False)

    @cached_property
    def searches(self) -> tuple[re2._Regexp, ...]:
        """What finds them, one after the other.  Made when it is wanted first, in a thread that may take its time."""
        # The longest first, so that none is left half by another that it contains.
        ordered = sorted(set(self.texts), key=lambda text: (-len(text), text))
        groups = (ordered[first : first + _TOGETHER] for first in range(0, len(ordered), _TOGETHER))
        return tuple(re2.compile(b"|".join(map(re2.escape, group)), _OPTIONS) for group in groups)


def spans_of(search: re2._Regexp | re.Pattern[bytes], text: bytes) -> Iterator[Span]:
    """Where a search for secrets finds some."""
    for found in search.finditer(text):
        yield found.start(), found.end(), SECRET


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True

# -- secrets of others ---------------------------------------------------------------------------------------

_SHORTEST_WORD, _LONGEST_WORD = 16, 512
_WORD = re.compile(rb"[A-Za-z0-9_-]{%d,}" % _SHORTEST_WORD)
_LETTER_AND_DIGIT = re.compile(rb"(?=.*[A-Za-z]).*[0-9]")

_SOME_WORD = re2.compile(_WORD.pattern, _OPTIONS)
_ONLY_WORDS = bytes(byte if re.match(rb"[A-Za-z0-9_-]", bytes((byte,))) else ord(" ") for byte in range(256))

_PIECE_BYTES = 8 * 1024
"""Whose words are looked up at a time; in most there are none that are long enough."""


def credential_words(secrets: Iterable[bytes]) -> Iterator[bytes]:
    """The words in these secrets that nobody says by chance, and nobody guesses: long ones of letters and digits.

    By them the secrets of other tenants are known.  Who sees one of those taken out learns that whoever wrote it knew a
    secret.  Were all secrets of others taken out, he could find out what they have configured by writing `region-one`,
    and they could blot out what he says by configuring it.
    """
    for secret in secrets:
        for word in _WORD.findall(secret):
            if len(word) <= _LONGEST_WORD and _LETTER_AND_DIGIT.match(word):
                yield word


def repeated_words(text: bytes, words: frozenset[bytes]) -> re.Pattern[bytes] | None:
    """What finds those of the words that stand in a text, each by itself; None where none does."""
    if not words:
        return None
    repeated: set[bytes] = set()
    for at in range(0, len(text), _PIECE_BYTES):
        # A word that goes on in the next piece is whole in this one, or begins in the next.
        piece = text[at : at + _PIECE_BYTES + _LONGEST_WORD]
        if _SOME_WORD.search(piece) is not None:
            repeated |= words.intersection(piece.translate(_ONLY_WORDS).split())
    if not repeated:
        return None
    alternatives = b"|".join(map(re.escape, sorted(repeated)))
    return re.compile(rb"(?<![A-Za-z0-9_-])(?:%b)(?![A-Za-z0-9_-])" % alternatives)
