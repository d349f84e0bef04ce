"""`pricing` of a provider: what it becomes, and every way to get it wrong."""

from __future__ import annotations

import pytest

from gateway.resources.pricing import ModelPrice, Pricing, Tier
from tests.resources.written import provider, spec_problems

WHOLE = """
pricing:
  currency: CNY
  models:
    qwen-turbo: {input: 0.3, cachedInput: 0.12, output: 0.6}
    qwen-long*:
      input: 1
      output: 2.50
      tiers: [{fromInputTokens: 128001, input: 2, output: 5, cachedInput: 0.5}]
  default: {input: 0, output: 0.0004}
"""


def test_everything() -> None:
    assert provider(WHOLE).pricing == Pricing(
        currency="CNY",
        models={
            "qwen-turbo": ModelPrice(0.3, 0.6, 0.12, ()),
            "qwen-long*": ModelPrice(1.0, 2.5, None, (Tier(128001, 2.0, 5.0, 0.5),)),
        },
        otherwise=ModelPrice(0.0, 0.0004, None, ()),
        asks_catalog=False,
    )


def test_the_catalog() -> None:
    pricing = provider("pricing: {catalog: genai-prices}").pricing
    assert pricing == Pricing(currency="USD", models={}, otherwise=None, asks_catalog=True)
    assert provider("").pricing is None


@pytest.mark.parametrize("currency", ["元", "€", "'1'", "credits/1000", "sixteen-letters-"])
def test_a_currency_is_what_one_calls_it(currency: str) -> None:
    pricing = provider(f"pricing: {{currency: {currency}, default: {{input: 1, output: 1}}}}").pricing
    assert pricing is not None
    assert pricing.currency == currency.strip("'")


@pytest.mark.parametrize(
    ("pricing", "problem"),
    [
        ("{currency: CNY}", "pricing: says no price: write models, default or catalog"),
        ("{default: {input: 1}}", "pricing.default.output: is missing"),
        (
            "{default: {input: -1, output: 1}}",
            'pricing.default.input: must be a decimal number such as 0.35, not "-1"',
        ),
        (
            "{default: {input: 1e3, output: 1}}",
            'pricing.default.input: must be a decimal number such as 0.35, not "1e3"',
        ),
        (
            '{default: {input: "1", output: 1}}',
            "pricing.default.input: must be a number, without quotes",
        ),
        (
            "{default: {input: 1000000001, output: 1}}",
            "pricing.default.input: must be 0 to 1000000000, not 1000000001",
        ),
        (
            "{default: {input: 1, output: 1, tiers: [{fromInputTokens: 5, input: 1, output: 1},"
            " {fromInputTokens: 5, input: 1, output: 1}]}}",
            "pricing.default.tiers[1].fromInputTokens: must be more than that of the tier before",
        ),
        (
            "{currency: CNY, catalog: genai-prices}",
            "pricing.currency: must be USD beside catalog: genai-prices has its prices in it",
        ),
        (
            '{currency: "my own currency", default: {input: 1, output: 1}}',
            "pricing.currency: must be the name of a currency without blanks, such as USD or 元, "
            'at most 16 characters, not "my own currency"',
        ),
        (
            "{currency: seventeen-letters, default: {input: 1, output: 1}}",
            "pricing.currency: must be the name of a currency without blanks, such as USD or 元, "
            'at most 16 characters, not "seventeen-letters"',
        ),
        ("{catalog: litellm}", 'pricing.catalog: must be genai-prices, not "litellm"'),
    ],
)
def test_what_is_wrong(pricing: str, problem: str) -> None:
    (told,) = spec_problems("LLMProvider", f"host: p.example\npricing: {pricing}")
    assert told.partition(": ")[2] == problem


def test_a_catalog_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.resources.pricing.find_spec", lambda name: None)
    (told,) = spec_problems("LLMProvider", "host: p.example\npricing: {catalog: genai-prices}")
    assert told.endswith("is not installed: pip install '.[prices]' where llmgateway's source is")
