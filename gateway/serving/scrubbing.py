"""Keeps our secrets out of what a provider says: some echo the key they refused in the error they answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.messages import Headers


class Scrubber:
    """Overwrites secrets in a body that comes in pieces, without changing its length.

    It holds back at most one byte less than the longest secret has.
    """

    __slots__ = ("_clean", "_raw", "_secrets")

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = [secret for secret in secrets if secret]
        self._raw = b""
        """What is held back, as it came."""
        self._clean = bytearray()
        """The same with all secrets overwritten that were found so far."""

    def feed(self, data: bytes) -> bytes:
        """What can be sent now of all that has been fed."""
        raw = self._raw + data
        clean = self._clean + data
        for secret in self._secrets:
            at = raw.find(secret)
            while at >= 0:
                clean[at : at + len(secret)] = b"*" * len(secret)
                at = raw.find(secret, at + 1)
        sent = len(raw) - self._begun(raw)
        self._raw = raw[sent:]
        self._clean = clean[sent:]
        return bytes(clean[:sent])

    def flush(self) -> bytes:
        """What was held back, at the end of the body."""
        held = bytes(self._clean)
        self._raw = b""
        self._clean.clear()
        return held

    def _begun(self, raw: bytes) -> int:
        """How many bytes at the end may be the beginning of a secret that goes on in the next piece."""
        longest = max((len(secret) for secret in self._secrets), default=1) - 1
        for length in range(min(longest, len(raw)), 0, -1):
            if any(secret.startswith(raw[-length:]) for secret in self._secrets):
                return length
        return 0


def scrubbed(text: bytes, secrets: Sequence[bytes]) -> bytes:
    """A whole text with its secrets overwritten."""
    scrubber = Scrubber(secrets)
    return scrubber.feed(text) + scrubber.flush()


def repeats_secret(text: str, secrets: Sequence[bytes]) -> bool:
    """Tell whether a provider's word contains a secret; it may hold halves of letters."""
    return holds_secret([(b"", text.encode(errors="replace"))], secrets)


_PLAIN_WORD = re.compile(r"[\w.:/-]{1,64}", re.ASCII)


def shown_code(code: str, secrets: Sequence[bytes]) -> str:
    """A provider's error code, as far as it can be shown: empty for what is no plain word, or repeats a secret."""
    return code if _PLAIN_WORD.fullmatch(code) and not repeats_secret(code, secrets) else ""


def holds_secret(headers: Headers, secrets: Sequence[bytes]) -> bool:
    """Tell whether some header's value contains a secret."""
    if not secrets:
        return False
    values = b"\n".join([value for _, value in headers])
    for secret in secrets:
        if secret in values:
            return True
    return False
