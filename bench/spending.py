"""What attempts have used and should have cost, as the access log tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Record: TypeAlias = Mapping[str, Any]
"""A line of the access log, or of the simulator's books."""

PRICES = {
    ("red", "primary"): ("USD", 2.5, 1.25, 10.0),
    ("red", "fallback"): ("USD", 1.0, 0.1, 3.0),
    ("red", "mirror"): ("EUR", 0.1, 0.05, 0.2),
    ("blue", "primary"): ("EUR", 0.3, 0.03, 1.2),
    ("blue", "fallback"): ("USD", 0.5, 0.5, 1.5),
    ("blue", "mirror"): ("EUR", 0.2, 0.1, 0.4),
}
"""Currency, and what a million input, cached input and output tokens cost, by tenant and the first word of the
provider's name."""

TOKENS = {
    "input": ("request_prompt_tokens", "input_tokens"),
    "output": ("request_completion_tokens", "output_tokens"),
    "cached_input": ("cached_input_tokens", "cached_input_tokens"),
    "reasoning": ("reasoning_tokens", "reasoning_tokens"),
}
"""The log's field for an exchange and for one attempt, by the metrics' type."""


def parts_of(records: Iterable[Record]) -> list[Record]:
    """What each attempt has used, beside the fields of its exchange: the only one that a client got has all of it."""
    parts: list[Record] = []
    for record in records:
        used = [{**record, **tried, **tried["usage"]} for tried in record["tried"] if "usage" in tried]
        if record["request_prompt_tokens"] is not None and all(part["discarded"] for part in used):
            tokens = {name: record[field] or 0 for field, name in TOKENS.values()}
            used.append({**record, **tokens, "estimated": record["usage_estimated"], "discarded": ""})
        parts += [
            {**part, "reason": part["discarded"], "estimated": "true" if part["estimated"] else "false"}
            for part in used
        ]
    return parts


def heard(parts: Iterable[Record]) -> list[Record]:
    """Those that clients have something of."""
    return [part for part in parts if not part["reason"]]


def lost(parts: Iterable[Record]) -> list[Record]:
    """Those that no client has anything of."""
    return [part for part in parts if part["reason"]]


def price_of(part: Record) -> tuple[str, float]:
    """The currency and the cost of its tokens."""
    currency, *prices = PRICES[part["tenant"], part["provider"].partition(".")[0]]
    cached = part["cached_input_tokens"]
    tokens = part["input_tokens"] - cached, cached, part["output_tokens"]
    return currency, sum(number * price for number, price in zip(tokens, prices, strict=True)) / 1_000_000
