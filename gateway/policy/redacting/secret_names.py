"""Members of JSON whose names say that their values are secret, whatever these look like."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from gateway.policy.redacting.opened_json import EDGE

SECRET = b"[secret]"

_ENDS = (
    r"(?:api|access|secret|private|signing|encryption|subscription|account|master|shared|storage)[-_ .]?keys?",
    r"passw(?:or)?ds?|passphrases?|passcodes?|pwd|(?:^|[-_ .])pass",
    r"secrets?|credentials?|authorization|auth|bearer|cookies?",
    r"(?:^|[-_ .])(?:pin|otp|cvc2?|cvv2?)",
)
"""How such names end; before that they say whose it is: `openai_api_key`, `clientSecret`, `Proxy-Authorization`."""

_TEXT = r"\n\x03\n[^\x03]+(?:\n\x03\n|\z)"
_NUMBER = r"-?[0-9][-0-9.eE+]*"
_VALUE = rf"(?:{_TEXT}|{_NUMBER}|\[ *(?:(?:{_TEXT}|{_NUMBER})[ ,]*)+)"
"""A text, a number, or a list of them; an object has names of its own."""


def _members(*ends: str) -> re2._Regexp:
    options = re2.Options()
    options.never_capture = True
    pattern = rf"\n\x03\n[^\x03]*(?im:{'|'.join(ends)})\n\x03\n *: *{_VALUE}"
    return re2.compile(pattern.encode(), options)


_MEMBERS = _members(*_ENDS, "token")
_MEMBERS_BESIDE_LOGPROBS = _members(*_ENDS, r"[^\x03\n]token")
"""Where a member that is named `token` is a piece of a word, with its probability beside it."""


def secret_values(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Where such values stand in an opened JSON text: begin, end, and what to put there."""
    members = _MEMBERS_BESIDE_LOGPROBS if b"logprob" in text else _MEMBERS
    for found in members.finditer(text):
        member = found[0]
        value = member.index(b":", member.index(EDGE, len(EDGE))) + 1
        is_list = member[value:].lstrip(b" ").startswith(b"[")
        yield found.start() + value, found.end(), (b"[" if is_list else b"") + EDGE + SECRET + EDGE
