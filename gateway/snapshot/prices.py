"""A provider's `pricing` -> what `policy/pricing.py` counts with."""

from __future__ import annotations

from types import MappingProxyType

from gateway.policy.pricing import Price, Pricing
from gateway.resources.pricing import ModelPrice
from gateway.resources.provider import LLMProvider


def pricing_of(provider: LLMProvider) -> Pricing | None:
    """The prices of a provider's models; None where nobody has said any."""
    written = provider.pricing
    if written is None:
        return None
    prices = {name: _price_of(price) for name, price in written.models.items()}
    families = [(name[:-1], price) for name, price in prices.items() if name.endswith("*")]
    return Pricing(
        currency=written.currency,
        models=MappingProxyType({name: price for name, price in prices.items() if not name.endswith("*")}),
        families=tuple(sorted(families, key=lambda family: -len(family[0]))),
        otherwise=_price_of(written.otherwise) if written.otherwise is not None else None,
        catalog=provider.host if written.asks_catalog else None,
    )


def _price_of(price: ModelPrice) -> Price:
    return Price(
        input=price.input,
        output=price.output,
        cached_input=price.cached_input,
        above=tuple(
            (tier.from_input_tokens, Price(tier.input, tier.output, tier.cached_input))
            for tier in price.tiers
        ),
    )
