"""What `usage` says in OpenAI's dialect, in each of its spellings.

Chat's prompt and completion are everyone else's input and output.  Each number is read by itself: one that cannot be
meant has not been told, and takes none of the others with it.
"""

from __future__ import annotations

from typing import Any

from gateway.messages import MOST_TOKENS, TokenUsage

_LONGEST = 20
"""Digits of a number that stands in quotes."""


def usage_in(said: Any, *, makes_none: bool = False) -> TokenUsage | None:
    """What was counted; a number of 0 was not told.  None where it counts no tokens, as transcriptions may not.

    :param makes_none: the answer has no tokens of its own, so that the total is what was asked: embeddings.
    """
    if not said or type(said) is not dict:
        return None
    get = said.get
    given, made, total = get("prompt_tokens"), get("completion_tokens"), get("total_tokens")
    if given is None:
        given = get("input_tokens")
    if made is None:
        made = get("output_tokens")
    # Nearly all are what they should be, and a call for each would cost as much as all the rest.
    if type(given) is not int or not 0 <= given <= MOST_TOKENS:
        given = _tokens(given)
    if type(made) is not int or not 0 <= made <= MOST_TOKENS:
        made = _tokens(made)
    if type(total) is not int or not 0 <= total <= MOST_TOKENS:
        total = _tokens(total)
    if given is None and made is None and (total is None or not makes_none):
        return None
    given, made, total = given or 0, made or 0, total or 0
    if not given and total > made and (made or makes_none):
        given = total - made
    elif not made and total > given > 0 and not makes_none:
        made = total - given
    cached = reasoning = 0
    details = get("prompt_tokens_details") or get("input_tokens_details")
    if details:
        cached = _part(details, "cached_tokens")
    if not cached:
        # DeepSeek's place for it (api-docs.deepseek.com, Context Caching), and Moonshot's.
        other = get("prompt_cache_hit_tokens") or get("cached_tokens")
        if other:
            cached = _tokens(other) or 0
    details = get("completion_tokens_details") or get("output_tokens_details")
    if details:
        reasoning = _part(details, "reasoning_tokens")
        if reasoning and total == given + made + reasoning:
            made += reasoning  # xAI counts reasoning beside the completion, everyone else as a part of it
    if not (cached or reasoning):
        return TokenUsage(given, made)
    return TokenUsage(
        given, made, cached if cached < given else given, reasoning if reasoning < made else made
    )


def _part(details: Any, name: str) -> int:
    return (_tokens(details.get(name)) or 0) if isinstance(details, dict) else 0


def _tokens(value: Any) -> int | None:
    """How many tokens a number means, 0 if it cannot be one of tokens; None for what is no number.

    Proxies in JavaScript and Lua write 10 as 10.0, 1e1 or "10".
    """
    if type(value) is str and len(value) <= _LONGEST and value.isascii() and value.isdecimal():
        value = int(value)
    if type(value) is int:
        return value if 0 <= value <= MOST_TOKENS else 0
    if type(value) is float:
        return int(value) if 0 <= value <= MOST_TOKENS and value.is_integer() else 0
    return None
