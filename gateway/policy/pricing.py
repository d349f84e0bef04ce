"""What an answer costs: its tokens at the prices of its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from attrs import field, frozen

from gateway.messages import TokenUsage

_MILLION = 1_000_000


@frozen
class Price:
    """What a million tokens cost, in the currency of the `Pricing` that it is part of."""

    input: float
    output: float
    cached_input: float | None = None
    """Of the input that the provider had read before; None where it costs as much as the rest."""
    above: tuple[tuple[int, Price], ...] = ()
    """From so many input tokens on the whole request costs this instead; the smallest number first."""


@frozen
class Pricing:
    """The prices of one provider's models."""

    currency: str = "USD"
    """ISO 4217's code, or whatever the operator counts in."""
    models: Mapping[str, Price] = MappingProxyType({})
    families: tuple[tuple[str, Price], ...] = field(default=())
    """By the beginning of a model's name, the longest first."""
    otherwise: Price | None = None
    catalog: str | None = None
    """The provider's host, by which a catalog of prices knows it; None where none is asked."""


def price_of(pricing: Pricing, model: str) -> Price | None:
    """The price that the operator has written for this model, by its name or its family; None where there is none."""
    price = pricing.models.get(model)
    if price is None:
        for beginning, family in pricing.families:
            if model.startswith(beginning):
                return family
    return price


class CatalogName(NamedTuple):
    """By which a catalog knows a model."""

    host: str
    """The provider's."""
    model: str


def best_price(
    pricing: Pricing, names: Sequence[str], catalog: Callable[[CatalogName], Price | None]
) -> Price | None:
    """The price of a model: what the operator has written, else what a catalog says, else the default.

    :param names: what the model may be called, the best first.
    :param catalog: asked only where the pricing says so.
    """
    for name in names:
        price = price_of(pricing, name)
        if price is not None:
            return price
    if pricing.catalog is not None:
        for name in names:
            price = catalog(CatalogName(pricing.catalog, name))
            if price is not None:
                return price
    return pricing.otherwise


def cost_of(usage: TokenUsage, price: Price) -> float:
    """What these tokens cost.  Cached input is part of the input, and has its own price."""
    for least, higher in price.above:
        if usage.input >= least:
            price = higher
    cached = min(usage.cached_input, usage.input)
    cached_price = price.input if price.cached_input is None else price.cached_input
    fresh = usage.input - cached
    return (fresh * price.input + cached * cached_price + usage.output * price.output) / _MILLION
