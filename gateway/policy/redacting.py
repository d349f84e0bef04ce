"""Redaction: what is taken out of a text before anybody keeps it.

Patterns are RE2's, so whatever text a client thinks up takes time in proportion to its length.  All are looked for in
one pass.  What is found is replaced by a word that says what it was: `[key]`, `[email]`.

Redaction finds what looks like something.  A name, an address or a story that tells who somebody is looks like nothing.
"""

from __future__ import annotations

import re2
from attrs import field, frozen

MOST_FOUND = 500
"""In one text; what stands behind the last of them is dropped, for each costs time."""

_OWN = "redacted"
"""What an operator's own pattern finds."""

_BUILT_IN = {
    "private_key": r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\z)",
    "bearer": r"(?i:\bbearer[ \t]+)[A-Za-z0-9._~+/=-]{8,}",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    "key": (
        r"\b(?:(?:sk|pk|rk|llmgw|xai|gsk|hf|ghp|gho|ghs|ghu|github_pat|glpat|npm|pypi|xox[abeprs]|dop_v1|ya29)[-_.]"
        r"[A-Za-z0-9_-]{12,}|AIza[A-Za-z0-9_-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}\b)"
    ),
    "secret": (
        r"(?i:\b(?:api[-_ ]?key|access[-_ ]?key|secret|client[-_ ]secret|token|password|passwd|pwd|authorization))"
        r"[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?[^\s\"',;]{6,}"
    ),
    "email": r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}",
    "phone": r"\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}\b",
    "card": r"\b[0-9](?:[ -]?[0-9]){12,18}\b",
}
"""Credentials as they are written down; e-mail addresses; telephone numbers in international form; numbers of payment
cards, as far as their last digit is right (ISO/IEC 7812-1, annex B)."""


@frozen
class Redaction:
    """What is looked for."""

    own: tuple[str, ...] = ()
    """The operator's patterns, RE2's and without named groups, beside the built-in ones."""
    _search: re2._Regexp = field(init=False, repr=False, eq=False)

    @_search.default
    def _compiled(self) -> re2._Regexp:
        named = [f"(?P<{name}>{pattern})" for name, pattern in _BUILT_IN.items()]
        alternatives = [*(f"(?P<{_OWN}{number}>{each})" for number, each in enumerate(self.own)), *named]
        return re2.compile("|".join(alternatives).encode(), _OPTIONS)

    def redacted(self, text: bytes) -> bytes:
        """The text without what was found in it.

        :param text: UTF-8.
        """
        pieces: list[bytes] = []
        kept = 0
        for number, match in enumerate(self._search.finditer(text), 1):
            kind = (match.lastgroup or b"").decode()
            if kind != "card" or _has_card(match[0]):
                pieces += text[kept : match.start()], _REPLACED.get(kind, _REPLACED[_OWN])
                kept = match.end()
            if number == MOST_FOUND:
                return b"".join([*pieces, text[kept : match.end()]])
        return b"".join([*pieces, text[kept:]]) if pieces else text


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 32 << 20

_REPLACED = {name: f"[{name}]".encode() for name in (*_BUILT_IN, _OWN)}


def _has_card(written: bytes) -> bool:
    """Tell whether some of these groups of digits, read on end, are a card's number."""
    groups = written.replace(b"-", b" ").split()
    runs = (b"".join(groups[first:last]) for last in range(len(groups) + 1) for first in range(last))
    return any(13 <= len(run) <= 19 and _is_card(run) for run in runs)


def _is_card(number: bytes) -> bool:
    """Tell whether the last digit is the one that the others ask for."""
    digits = [byte - ord("0") for byte in number]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
