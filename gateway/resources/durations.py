"""Durations as Istio writes them: `5s`, `1h30m`, `250ms`, `1.5s`."""

from __future__ import annotations

import re

SYNTAX = r"([0-9]{1,9}(\.[0-9]{1,9})?(h|ms|m|s))+"
"""Go's duration syntax without signs and without units below a millisecond, as Istio's API wants it."""

MEANING = "a duration with its unit, such as 5s, 250ms or 1h30m"

SHORTEST = 0.001
"""In seconds."""

LONGEST = 365 * 24 * 3600.0
"""In seconds."""

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9.]+)(h|ms|m|s)")


def parse_duration(text: str, shortest: float = SHORTEST) -> float:
    """The seconds that a duration stands for: at most a year.

    :param shortest: in seconds, at least a millisecond.
    :raises ValueError: with a sentence that follows the field's name.
    """
    if len(text) > 64 or not re.fullmatch(SYNTAX, text):
        raise ValueError(f"must be {MEANING}")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds < shortest:
        raise ValueError(
            f"must be at least {f'{shortest:g}s' if shortest >= 1 else f'{shortest * 1000:g}ms'}"
        )
    if seconds > LONGEST:
        raise ValueError("must be a year at most (8760h)")
    return seconds
