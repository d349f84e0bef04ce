"""Moments as RFC 3339 writes them: `2027-01-31T00:00:00Z`, `2027-01-31T08:00:00+08:00`."""

from __future__ import annotations

import re
from datetime import datetime

SYNTAX = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""`date-time` of RFC 3339 §5.6."""

MEANING = "a date and time with its offset from UTC (RFC 3339), such as 2027-01-31T00:00:00Z"


def parse_instant(text: str) -> float:
    """The moment in seconds of Unix time.

    :raises ValueError: with a sentence that follows the field's name.
    """
    if not re.fullmatch(SYNTAX, text):
        raise ValueError(f"must be {MEANING}")
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except ValueError:
        raise ValueError("must be a date and time that exists") from None
