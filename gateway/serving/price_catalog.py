"""A catalog of public prices: the package genai-prices (https://github.com/pydantic/genai-prices).

It is an optional dependency, takes half a second to import and up to a millisecond to ask: both belong in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway.policy.pricing import Price


class PriceCatalog:
    """Tells what models cost."""

    def __init__(self) -> None:
        self._calculate: Callable[..., Any] | None = None

    def load(self) -> None:
        """Be ready to be asked."""
        if self._calculate is None:
            self._calculate = _loaded()

    def price(self, host: str, model: str, now: float) -> Price | None:
        """What a model costs where it is offered, else wherever it is known; None where nowhere.

        :param host: the provider's.
        :param now: seconds of Unix time: some prices begin at a date.
        """
        self.load()
        assert self._calculate is not None
        when = datetime.fromtimestamp(now, UTC)
        for where in ({"provider_api_url": f"https://{host}"}, {}):
            try:
                found = self._calculate(model, genai_request_timestamp=when, **where)
            except (LookupError, ValueError):
                continue
            return _price_of(found)
        return None


def _loaded() -> Callable[..., Any]:
    try:
        from genai_prices import Usage, calc_price
    except ImportError:  # which was told where the file asks for it
        return _knows_nothing
    nothing = Usage(input_tokens=0, output_tokens=0)
    return lambda model, **where: calc_price(nothing, model, **where).model_price


def _knows_nothing(model: str, **_where: object) -> Any:
    raise LookupError(model)


def _price_of(found: Any) -> Price | None:
    """The catalog's price, in our words: numbers, or numbers that change from a number of input tokens on."""
    parts = {name: getattr(found, f"{name}_mtok", None) for name in ("input", "cache_read", "output")}
    if parts["input"] is None:
        return None
    starts = {tier.start for part in parts.values() for tier in getattr(part, "tiers", ())}
    base, *higher = ((start, _at(parts, start)) for start in (0, *sorted(starts)))
    price = base[1]
    return Price(
        price.input, price.output, price.cached_input, tuple((start + 1, each) for start, each in higher)
    )


def _at(parts: dict[str, Any], start: int) -> Price:
    """The prices of a request whose input is beyond this."""
    values = {name: _value(part, start) for name, part in parts.items()}
    return Price(values["input"] or 0.0, values["output"] or 0.0, values["cache_read"])


def _value(part: Any, start: int) -> float | None:
    if part is None or isinstance(part, Decimal | int | float):
        return float(part) if part is not None else None
    value = part.base
    for tier in part.tiers:
        if tier.start <= start:
            value = tier.price
    return float(value)
