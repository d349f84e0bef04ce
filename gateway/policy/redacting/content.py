"""A content with all of that taken out which nobody should keep, and cut."""

from __future__ import annotations

import re

from attrs import field, frozen

from gateway.policy.redacting.allowance import Allowance
from gateway.policy.redacting.draft import Draft
from gateway.policy.redacting.known_secrets import KnownSecrets, repeated_words, spans_of
from gateway.policy.redacting.opened_json import EDGE, closed, opened
from gateway.policy.redacting.patterns import Redaction
from gateway.policy.redacting.secret_names import secret_values

MARGIN_BYTES = 4096
"""What is read beyond what is kept, and dropped again where there was still more: the half of something that would
have been found."""


@frozen(eq=False)
class LookedFor:
    """What is to be taken out."""

    redaction: Redaction = field(factory=Redaction)
    known: KnownSecrets = field(factory=KnownSecrets)
    """Secrets of the tenant itself, and of what it uses."""
    shown: bytes = field(default=b"", repr=False)
    """The key that the client has shown; empty without one."""
    words: frozenset[bytes] = field(default=frozenset(), repr=False)
    """Of the secrets of all tenants, as `credential_words` has them."""


@frozen(eq=False)
class Content:
    """As much of a content as is read."""

    data: bytes = field(repr=False)
    size: int
    """Of all that there is, in bytes."""
    texts_cut: bool = False
    """It is JSON, and there was more of its texts."""


def beginning_of(content: bytes, most: int) -> Content:
    """What is read of a content of which so many bytes are kept."""
    return Content(content[: most + MARGIN_BYTES], len(content))


def kept(content: Content, most: int, looked_for: LookedFor, allowance: Allowance) -> tuple[str, bool]:
    """What is kept of a content, and whether there was more.

    It takes some milliseconds, and holds no other thread up for longer than some tenths of one: call it in a thread.

    :param most: bytes that are kept, when all is done.
    :param allowance: of the exchange; what has not been looked through when it ends is dropped.
    """
    data, is_all = content.data, len(content.data) == content.size
    if b"\0" in data:
        return f"[{content.size} bytes that are no text]", True
    is_json = data.lstrip()[:1] in _JSON_BEGINS
    draft = Draft(opened(data) if is_json else _plain(data), allowance, is_json=is_json)
    _take_out(draft, looked_for, is_json)
    text = draft.text
    if content.texts_cut:
        text = _without_margins(text)
    if not is_all:
        text = text[: max(0, len(text) - MARGIN_BYTES)]
    if is_json:
        text = closed(text)
    cut = not is_all or content.texts_cut or allowance.spent or len(text) > most
    return text[:most].decode(errors="ignore"), cut


_JSON_BEGINS = (b"{", b"[", b'"')

_BLANKED = bytes(b" "[0] if byte < 0x20 and byte not in b"\n\r\t" else byte for byte in range(256))


def _plain(data: bytes) -> bytes:
    return data.decode(errors="ignore").encode().translate(_BLANKED)


def _take_out(draft: Draft, looked_for: LookedFor, is_json: bool) -> None:
    if is_json:
        draft.take_out(secret_values(draft.text))
    if looked_for.shown:
        draft.take_out(spans_of(re.compile(re.escape(looked_for.shown)), draft.text))
    for secrets in looked_for.known.searches:
        draft.take_out(spans_of(secrets, draft.text))
    words = repeated_words(draft.text, looked_for.words)
    if words is not None:
        draft.take_out(spans_of(words, draft.text))
    for search in looked_for.redaction.searches:
        draft.search(search)


def _without_margins(texts: bytes) -> bytes:
    """An opened JSON text without the ends of its texts; names have none."""
    parts = texts.split(EDGE)
    for number in range(1, len(parts) - 1, 2):
        if not parts[number + 1].lstrip(b" ").startswith(b":"):
            parts[number] = parts[number][: max(0, len(parts[number]) - MARGIN_BYTES)]
    return EDGE.join(parts)
