"""What a client's key is: random, shown once, and known here by its SHA-256 alone.

A plain SHA-256, without salt and without stretching, is enough because keys are random: nobody goes through 2**256
of them.  So a key that a person has thought up is refused where it is short.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from string import ascii_letters, digits

_PREFIX = "llmgw-"
"""By which people and secret scanners tell such a key from others."""

_LETTERS = digits + ascii_letters
_LENGTH = 43
"""Of so many letters 62**43 are just more than 2**256."""

SHORTEST = 16
"""Characters.  What is shorter can be found by trying."""

_KEY = re.compile(r"[!-~]+")


def new_key(choose: Callable[[str], str] = secrets.choice) -> str:
    """A new key of 256 random bits.

    :param choose: picks one of these letters, unpredictably.
    """
    return _PREFIX + "".join(choose(_LETTERS) for _ in range(_LENGTH))


def digest_of(key: bytes) -> bytes:
    """By which a key is known: 32 bytes."""
    return sha256(key).digest()


def hash_line(key: str) -> str:
    """The line of a Tenant document that lets this key in.

    :raises ValueError: with a sentence that does not repeat it, where it is no key to be used.
    """
    if not _KEY.fullmatch(key):
        raise ValueError("a key is one line of ASCII without blanks, as a header can carry it")
    if len(key) < SHORTEST:
        raise ValueError(
            f"a key of fewer than {SHORTEST} characters can be found by trying: `llmgateway new-key` makes one"
        )
    return f'apiKeyHash: "sha256:{digest_of(key.encode()).hex()}"'
