"""How many tokens there are where nobody has counted: as nearly as bytes tell.

A tokenizer would have to run on the reactor, and be the right one.  In UTF-8 a token of the usual vocabularies has
about four bytes: a short English word with its blank, or one or two Chinese characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.messages import TokenUsage

BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb (help.openai.com, "What are tokens and how to count them?")."""

_PICTURE_TOKENS = 1000
"""What one picture or sound costs, about: from 85 at OpenAI's low detail to some 1,600 at Anthropic's largest."""

_ENCODED = re.compile(rb'"(?:data:[a-z]+/[^"\\]*|[A-Za-z0-9+/=_-]{4096,})"')
"""A file within JSON; its length says nothing about its tokens."""

_ESCAPED = re.compile(rb"\\u[0-9A-Fa-f]{4}")


def completed(
    told: TokenUsage | None, asked: Iterable[bytes], answered: int, *, uncounted: bool = False
) -> TokenUsage:
    """The usage of an exchange: what its provider has counted, and the rest made from bytes.

    :param told: what the provider has counted; a number of 0 counts nothing.
    :param asked: what was asked, as JSON; looked at only if that was not counted.
    :param answered: how long the answer is that came, in UTF-8 bytes.
    :param uncounted: more of it came behind the last count, which then is the least that it can be.
    """
    usage = _NOTHING if told is None else told
    given, made = usage.input, usage.output
    if given and made and not uncounted:
        return usage
    if not given:
        given = sum(map(_tokens_asked, asked))
    if uncounted or not made:
        made = max(made, _tokens(answered))
    is_estimated = told is None or uncounted or given != usage.input or made != usage.output
    return TokenUsage(given, made, usage.cached_input, usage.reasoning, is_estimated)


_NOTHING = TokenUsage(0, 0)


def _tokens_asked(text: bytes) -> int:
    bare, files = _ENCODED.subn(b"", text)
    # An escaped character has six bytes here and three in UTF-8, as far as it is of those that are often escaped.
    escapes = bare.count(b"\\u") and len(_ESCAPED.findall(bare))
    return _tokens(len(bare) - 3 * escapes) + files * _PICTURE_TOKENS


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)
