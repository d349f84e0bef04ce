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

# -- secrets of others ---------------------------------------------------------------------------------------------

_MOST_WORD_BYTES = 512
_WORD = re.compile(rb"[A-Za-z0-9_-]{16,%d}" % _MOST_WORD_BYTES)
_LETTER_AND_DIGIT = re.compile(rb"(?=.*[A-Za-z]).*[0-9]")

_ONLY_WORDS = bytes(byte if re.match(rb"[A-Za-z0-9_-]", bytes((byte,))) else ord(" ") for byte in range(256))

_PIECE_BYTES = 32 * 1024
"""Whose words are looked up at a time, in a tenth of a millisecond, in which no other thread runs."""


def credential_words(secrets: Iterable[bytes]) -> Iterator[bytes]:
    """The words in these secrets that nobody uses by chance, and nobody guesses: long ones of letters and digits.

    Other secrets than one's own are known by them.  Who has one of those taken out of what he kept learns of it no
    more than that somebody knew it; whoever was sure to find `region-one` taken out would know what another tenant has
    configured, and a tenant that configures what others often say would blot it out for them.
    """
    for secret in secrets:
        for word in _WORD.findall(secret):
            if _LETTER_AND_DIGIT.match(word):
                yield word


def repeated_words(text: bytes, words: frozenset[bytes]) -> re.Pattern[bytes] | None:
    """What finds those of the words that stand in a text, each by itself; None where none does."""
    if not words:
        return None
    repeated: set[bytes] = set()
    for at in range(0, len(text), _PIECE_BYTES):
        # A word that goes on in the next piece is whole in this one, or begins in the next.
        piece = text[at : at + _PIECE_BYTES + _MOST_WORD_BYTES]
        repeated |= words.intersection(piece.translate(_ONLY_WORDS).split())
    if not repeated:
        return None
    alternatives = b"|".join(map(re.escape, sorted(repeated)))
    return re.compile(rb"(?<![A-Za-z0-9_-])(?:%b)(?![A-Za-z0-9_-])" % alternatives)
