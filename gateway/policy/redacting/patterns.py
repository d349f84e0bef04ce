"""What looks like something that nobody should keep: keys, addresses, numbers, and what an operator looks for.

Patterns are RE2's, so whatever text a client thinks up takes time in proportion to its length.  What is found is
replaced by a word that says what it was: `[key]`, `[email]`.

A name, an address or a story that tells who somebody is looks like nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

import re2
from attrs import field, frozen

Span = tuple[int, int, bytes]
"""What is taken out: begin, end, and what to put there.  One that is empty, with nothing to put there, was looked at
and let stand."""

_Part = Callable[[bytes, int, int, int], Iterable[tuple[int, int]]]
"""What is meant of that which a pattern has found: of a text, up to where it is used up, and begin and end of what was
found, the begins and ends of that which is to be taken out, in order; an empty one where it has cost time, and is
nothing."""


def _all_of_it(_text: bytes, _at: int, begin: int, end: int) -> Iterable[tuple[int, int]]:
    return ((begin, end),)


@frozen
class Kind:
    """One kind of thing."""

    name: str
    """What it is replaced by, in brackets."""
    pattern: str
    """RE2's."""
    sign: bytes = b""
    """Stands in every one of them."""
    part: _Part = _all_of_it
    _search: re2._Regexp = field(init=False, repr=False, eq=False)

    @_search.default
    def _compiled(self) -> re2._Regexp:
        return re2.compile(self.pattern.encode(), _OPTIONS)

    def spans(self, text: bytes) -> Iterator[Span]:
        """Where it is in a text.

        :param text: UTF-8.
        """
        if self.sign not in text:
            return
        mark = f"[{self.name}]".encode()
        at = 0
        for found in self._search.finditer(text):
            begin, end = found.span()
            for start, stop in self.part(text, at, begin, end):
                yield start, stop, mark if start < stop else b""
            at = end


@frozen
class Search:
    """Kinds that are looked for together; where something is found, one after the other."""

    kinds: tuple[Kind, ...]
    _anywhere: re2._Regexp = field(init=False, repr=False, eq=False)

    @_anywhere.default
    def _compiled(self) -> re2._Regexp:
        return re2.compile("|".join(f"(?m:{kind.pattern})" for kind in self.kinds).encode(), _OPTIONS)

    def first(self, texts: bytes, at: int) -> int | None:
        """Where, from there on, something may be found in one of several texts, of which each is a line or several."""
        found = self._anywhere.search(texts, at)
        return found.start() if found is not None else None


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 32 << 20
_OPTIONS.never_capture = True  # four times as fast

# -- credentials ---------------------------------------------------------------------------------------------

_BEFORE_VALUE = re.compile(rb"[^:=]*[:=][ \t]*(?:\\*[\"'])?")


def _value(text: bytes, _at: int, begin: int, end: int) -> Iterable[tuple[int, int]]:
    """Of a name and its value."""
    before = _BEFORE_VALUE.match(text, begin, end)
    return ((before.end() if before is not None else begin, end),)


_BEFORE_PASSWORD = re.compile(rb"://[^:]*:")


def _password(text: bytes, _at: int, begin: int, end: int) -> Iterable[tuple[int, int]]:
    """Of a URL's beginning."""
    before = _BEFORE_PASSWORD.match(text, begin, end)
    return ((before.end() if before is not None else begin, end - 1),)


_CREDENTIALS = (
    Kind(
        "private_key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
        b"-----BEGIN ",
    ),
    Kind(
        "secret",
        r"(?i:api[-_ ]?key|access[-_ ]?key|secret[-_ ]?key|secret|token|passw(?:or)?d|passphrase|pwd|authorization)"
        r"\\*[\"']?[ \t]*[:=][ \t]*(?:\\*\"[^\"\\]+|'[^'\n]+|"
        r"(?i:(?:basic|bearer|digest|negotiate|token|apikey)[ \t]+)?[^\s\"',;]{6,})",
        part=_value,
    ),
    # In a URL (RFC 3986 §3.2.1).
    Kind("secret", r"://[^\s/:@\"'?#]{0,256}:[^\s/@\"'?#]{1,256}@", b"://", _password),
    Kind("bearer", r"(?i:\bbearer[ \t]+)[A-Za-z0-9._~+/=-]{8,}"),
    Kind("jwt", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", b"eyJ"),
    Kind(
        "key",
        r"\b(?:(?:sk|pk|rk|llmgw|xai|gsk|hf|ghp|gho|ghs|ghu|github_pat|glpat|npm|pypi|xox[abeprs]|dop_v1|ya29)[-_.]"
        r"[A-Za-z0-9_-]{12,}|AIza[A-Za-z0-9_-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}\b)",
    ),
)
"""As they are written down."""

# -- e-mail --------------------------------------------------------------------------------------------------

_LETTERS = (
    r"A-Za-z0-9\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Hebrew}\p{Arabic}\p{Devanagari}\p{M}"
)
_LABEL = rf"(?:[{_LETTERS}-]+|[\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}\p{{Thai}}ー]+)"
"""A part of a domain's name (RFC 5890), of letters of one kind: in some scripts no blank ends it."""

_SIGNS = "\u0e00-\u0e7f\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_LOCAL_PART = re.compile(rf"[{_SIGNS}]+|(?:(?![{_SIGNS}])[\w.%+'-])+")
"""What stands before the `@` (RFC 5322 §3.4.1, RFC 6531 §3.3), likewise, backwards."""

_LOCAL_PART_BYTES = 256
"""Four times what there may be (RFC 5321 §4.5.3.1.1), for letters of several bytes."""


def _address(text: bytes, at: int, begin: int, end: int) -> Iterable[tuple[int, int]]:
    """With all of its local part, of which a pattern finds only the last letter: it would look for the `@` behind
    every letter of a text that has none, and again behind each thing that it finds there."""
    sign = text.index(b"@", begin, end)
    before = text[max(at, sign - _LOCAL_PART_BYTES) : sign].decode(errors="ignore")
    local = _LOCAL_PART.match(before[::-1])
    return ((sign - len(local[0].encode()) if local is not None else begin, end),)


_EMAIL = Kind("email", rf"[^\s\"<>()\[\]:;,@]@{_LABEL}(?:\.{_LABEL})+", b"@", _address)

# -- numbers -------------------------------------------------------------------------------------------------

_PHONE = Kind("phone", r"\+[1-9](?:[ ().\x{A0}\x{202F}/-]{0,2}[0-9]){7,14}\b", b"+")
"""In international form (ITU-T E.164)."""

_BETWEEN = r"[ .\x{A0}\x{2007}\x{2009}\x{202F}\x{2010}-\x{2015}-]"
"""Stands between the groups of a card's number."""

_FOURS = rf"[0-9]{{4}}(?:{_BETWEEN}[0-9]{{4}}){{2,}}(?:{_BETWEEN}[0-9]{{1,3}})?"
"""Groups of four digits, perhaps more of them than one number has: a year may stand before it."""

_AT_ONCE = 64
"""Groups of digits that are looked at before it is counted."""

_GROUP = re.compile(rb"[0-9]+")
_NO_DIGITS = bytes(byte for byte in range(256) if byte not in b"0123456789")


def _cards(text: bytes, _at: int, begin: int, end: int) -> Iterable[tuple[int, int]]:
    """Of groups of digits those which, read on end, are a card's number."""
    groups = [found.span() for found in _GROUP.finditer(text, begin, end)]
    digits = text[begin:end].translate(None, _NO_DIGITS)
    places = list(accumulate((stop - start for start, stop in groups), initial=0))
    first = 0
    while first < len(groups):
        behind = _behind_card(digits, places, first)
        if behind:
            yield groups[first][0], groups[behind - 1][1]
        elif first % _AT_ONCE == 0:
            yield groups[first][0], groups[first][0]
        first = behind or first + 1


def _behind_card(digits: bytes, places: list[int], first: int) -> int:
    """Which group follows the card's number that begins with this one; 0 where none does.

    :param places: where each group begins, and the last ends.
    """
    begin = places[first]
    lengths = _LENGTHS.get(digits[begin])
    if lengths is not None:
        for behind in range(first + 1, min(first + _MOST_GROUPS + 1, len(places))):
            end = places[behind]
            if end - begin in lengths and _is_card(digits[begin:end]):
                return behind
    return 0


_MOST_GROUPS = 5

_LENGTHS = dict.fromkeys(b"256789", range(16, 20)) | {
    ord("3"): range(14, 20),
    ord("4"): (13, *range(16, 20)),
}
"""Of cards' numbers, by their first digit.  With 1 begin those of airlines, and times in thousandths of a second."""

_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
"""The sum of the digits of twice a digit."""


def _is_card(number: bytes) -> bool:
    """Tell whether the last digit is the one that the others ask for (ISO/IEC 7812-1, annex B)."""
    total = sum(number[-1::-2]) + sum(number[-2::-2].translate(_DOUBLED))
    return (total - len(number) * ord("0")) % 10 == 0


_CARD = Kind(
    "card",
    r"(?:\A|[^0-9A-Za-z_.])(?:4[0-9]{12}|3[0-9]{13,14}|[2-9][0-9]{15,18}"
    rf"|{_FOURS}|3[0-9]{{3}}{_BETWEEN}[0-9]{{6}}{_BETWEEN}[0-9]{{4,5}})\b",
    part=_cards,
)
"""In one piece, or in groups as they stand on cards."""

# -- all of it -----------------------------------------------------------------------------------------------

# Numbers by themselves: credentials begin with words that go on for as long as they like, and whoever looks for both
# goes to the end of such a word anew behind each number in it.
_BUILT_IN = (Search((*_CREDENTIALS, _EMAIL)), Search((_PHONE, _CARD)))


@frozen
class Redaction:
    """Everything that is looked for."""

    own: tuple[str, ...] = ()
    """The operator's patterns, beside the built-in ones."""
    searches: tuple[Search, ...] = field(init=False, repr=False, eq=False)

    @searches.default
    def _searches(self) -> tuple[Search, ...]:
        if not self.own:
            return _BUILT_IN
        own = Kind("redacted", "|".join(f"(?:{each})" for each in self.own))
        return (Search((own,)), *_BUILT_IN)
