"""What answers cost, by the operator's prices or by a catalog of public ones.

The catalog is the package genai-prices (https://github.com/pydantic/genai-prices), an optional dependency.  It takes
half a second to import and some tenths of a millisecond to ask, so it is loaded ahead of need, beside the reactor, and
asked once for each model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gateway.messages import TokenUsage
from gateway.policy.pricing import Price, Pricing, cost_of, price_of

_MOST = 4096
"""Models whose prices are remembered; clients may make up their names."""

_DAY = 86400.0
"""Seconds after which the catalog is asked anew: it knows prices that begin at a date."""


class Costs:
    """Tells what an answer has cost."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        """Make one that knows no catalog yet.

        :param wall_clock: seconds of Unix time.
        """
        self._wall_clock = wall_clock
        self._known: dict[tuple[str, str], Price | None] = {}
        """What the catalog says, by host and model."""
        self._known_until = 0.0
        self._catalog: Callable[..., Any] | None = None

    def load_catalog(self) -> None:
        """Make the catalog ready to be asked, once.  Takes its time; may be called in any thread."""
        if self._catalog is None:
            self._catalog = _load_catalog()

    def cost(self, pricing: Pricing, usage: TokenUsage, models: Iterable[str | None]) -> float | None:
        """What an answer with this usage costs, in the pricing's currency; None where nobody knows.

        :param models: what the model may be called, the best name first.
        """
        price = self._price(pricing, [model for model in models if model])
        return cost_of(usage, price) if price is not None else None

    def _price(self, pricing: Pricing, models: list[str]) -> Price | None:
        for model in models:
            price = price_of(pricing, model)
            if price is not None:
                return price
        if pricing.catalog is not None:
            for model in models:
                price = self._catalog_price(pricing.catalog, model)
                if price is not None:
                    return price
        return pricing.otherwise

    def _catalog_price(self, host: str, model: str) -> Price | None:
        if self._catalog is None:
            return None
        now = self._wall_clock()
        if now >= self._known_until or len(self._known) >= _MOST:
            self._known.clear()
            self._known_until = now + _DAY
        name = (host, model)
        if name not in self._known:
            self._known[name] = _price_in(self._catalog, host, model, now)
        return self._known[name]


def _load_catalog() -> Callable[..., Any] | None:
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None  # which was told where the file asks for it
    nothing = Usage(input_tokens=0, output_tokens=0)
    return lambda model, **where: calc_price(nothing, model, **where).model_price


def _price_in(catalog: Callable[..., Any], host: str, model: str, now: float) -> Price | None:
    """Look a model up where it is offered, else wherever it is known."""
    when = datetime.fromtimestamp(now, UTC)
    for where in ({"provider_api_url": f"https://{host}"}, {}):
        try:
            found = catalog(model, genai_request_timestamp=when, **where)
        except (LookupError, ValueError):
            continue
        return _price_of(found)
    return None


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
