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


def estimated(asked: Iterable[bytes], answered: int) -> TokenUsage:
    """The usage of an exchange whose provider did not say.

    :param asked: what was asked, as JSON.
    :param answered: how long the answer is that came, in UTF-8 bytes.
    """
    return TokenUsage(sum(map(_tokens_asked, asked)), _tokens(answered), estimated=True)


def _tokens_asked(text: bytes) -> int:
    bare, files = _ENCODED.subn(b"", text)
    # An escaped character has six bytes here and three in UTF-8, as far as it is of those that are often escaped.
    escapes = bare.count(b"\\u") and len(_ESCAPED.findall(bare))
    return _tokens(len(bare) - 3 * escapes) + files * _PICTURE_TOKENS


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)
