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

_BLOCK = 2048
"""Bytes that are looked at together."""

_FILE_BYTES = 2 * _BLOCK
"""A word within JSON that is as long as this is a file, such as a picture; its length says nothing about its tokens."""

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
"""Base64 as RFC 4648 has it, in both alphabets."""

_ESCAPED = re.compile(rb"\\u[0-9A-Fa-f]{4}")

_SAMPLE = 64 * 1024
"""Bytes of a text that are looked at for how much of it is escaped."""


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
    if not is_estimated:
        return usage
    return TokenUsage(
        given,
        made,
        usage.cached_input,
        usage.reasoning,
        estimated=True,
        counted_input=usage.input,
        counted_output=usage.output,
    )


_NOTHING = TokenUsage(0, 0)


def _tokens_asked(text: bytes) -> int:
    files, bytes_of_files = _files(text)
    # An escaped character has six bytes here and three in UTF-8, as far as it is of those that are often escaped.
    sample = text[:_SAMPLE]
    escapes = sample.count(b"\\u") and len(_ESCAPED.findall(sample)) * len(text) // len(sample)
    return _tokens(max(0, len(text) - bytes_of_files - 3 * escapes)) + files * _PICTURE_TOKENS


def _files(text: bytes) -> tuple[int, int]:
    """How many files there are within JSON, and how many bytes they have with their quotes."""
    number = size = at = 0
    while at + _BLOCK <= len(text):
        block = text[at : at + _BLOCK]
        if b" " in block or b'"' in block or b"\\" in block or block.translate(None, _LETTERS):
            at += _BLOCK
            continue
        begin, end = text.rfind(b'"', 0, at), text.find(b'"', at)
        if end < 0:
            break
        if begin >= 0 and _is_file(text[begin + 1 : end]):
            number += 1
            size += end + 1 - begin
        at = end + 1
    return number, size


def _is_file(word: bytes) -> bool:
    if len(word) < _FILE_BYTES:
        return False
    return word.startswith(b"data:") or not word.translate(None, _LETTERS)


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)
