"""Numbers, times and strangers' texts as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

NOTHING = "–"
"""Stands for what is not known."""

DAY = 86400.0
"""Seconds."""


def number(value: float) -> str:
    """A count: `7`, `1,234`, `56.7 k`, `8.9 M`."""
    if value < 10_000:
        return f"{value:,.0f}"
    unit = next(each for each in (1e3, 1e6, 1e9) if value < 1000 * each or each == 1e9)
    scaled = value / unit
    return f"{scaled:.1f} {_UNITS[unit]}" if scaled < 100 else f"{scaled:,.0f} {_UNITS[unit]}"


_UNITS = {1e3: "k", 1e6: "M", 1e9: "G"}


def rate(per_second: float) -> str:
    """How often in a second: `0`, `0.25`, `3.1`, `120`."""
    if per_second == 0:
        return "0"
    if per_second < 0.1:
        return f"{per_second:.2f}" if per_second >= 0.01 else "<0.01"
    return f"{per_second:.1f}" if per_second < 10 else number(per_second)


def percent(share: float) -> str:
    """A share of 0 to 1; only nothing is 0 %, only all is 100 %."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"


def seconds(value: float | None) -> str:
    """A duration: `840 µs`, `12 ms`, `1.2 s`, `3 min`, `5 h`, `2 d`."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0 s"
    if value < 0.000_999_5:
        return f"{value * 1e6:.0f} µs"
    if value < 0.9995:
        return f"{value * 1e3:.3g} ms"
    if value < 99.5:
        return f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s"
    for size, unit in ((60, "min"), (3600, "h")):
        if value / size < 99.5:
            return f"{value / size:.0f} {unit}"
    return f"{value / DAY:.0f} d"


def money(amounts: Iterable[tuple[str, float]]) -> str:
    """What something costs: `0.0042 USD`; several currencies stand beside one another."""
    shown = [f"{_amount(amount)} {currency}" for currency, amount in sorted(amounts) if amount]
    return ", ".join(shown) or NOTHING


def _amount(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}" if amount >= 0.0001 else "<0.0001"


def clock(unix: float, now: float) -> str:
    """The time of day in UTC: `14:03:22`, and `21 Nov 14:03:22` if that is another day than now."""
    form = "%H:%M:%S" if unix // DAY == now // DAY else "%-d %b %H:%M:%S"
    return datetime.fromtimestamp(unix, UTC).strftime(form)


def moment(unix: float) -> str:
    """Date and time of day in UTC, as ISO 8601 has it."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(several: Iterable[str]) -> str:
    """Some things in one line."""
    return ", ".join(several)


def faults_told(faults: Mapping[str, float]) -> str:
    """What went wrong with attempts, the most frequent first: `17 × status 401, 2 × cut`."""
    ordered = sorted(faults.items(), key=lambda each: (-each[1], each[0]))
    return listed(f"{number(times)} × {fault}" for fault, times in ordered)


_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
"""What is not seen, turns the direction of the text around it, or is no character at all."""


def stranger(text: str) -> str:
    """What a client, a provider or a file says, with what would not be seen in it made visible."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
