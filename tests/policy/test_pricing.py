"""Tokens times prices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages import TokenUsage
from gateway.policy.pricing import Price, Pricing, cost_of, price_of

PLAIN = Price(input=2.5, output=10.0)
CACHED = Price(input=2.5, output=10.0, cached_input=1.25)
LONG = Price(1.25, 10.0, 0.125, above=((200_001, Price(2.5, 15.0, 0.25)), (1_000_001, Price(5.0, 30.0))))


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (TokenUsage(1_000_000, 0), PLAIN, 2.5),
        (TokenUsage(0, 1_000_000), PLAIN, 10.0),
        (TokenUsage(1000, 100), PLAIN, 0.0035),
        # Parts are not added to what they are parts of.
        (TokenUsage(1000, 100, cached_input=800, reasoning=90), PLAIN, 0.0035),
        (TokenUsage(1000, 100, cached_input=800, reasoning=90), CACHED, 0.0025),
        (TokenUsage(1000, 0, cached_input=5000), CACHED, 0.00125),
        (TokenUsage(200_000, 1000), LONG, 0.26),
        (TokenUsage(200_001, 1000, cached_input=1), LONG, 0.51500025),
        (TokenUsage(2_000_000, 0, cached_input=1_000_000), LONG, 10.0),
        (TokenUsage(0, 0), PLAIN, 0.0),
    ],
)
def test_what_it_costs(usage: TokenUsage, price: Price, cost: float) -> None:
    assert cost_of(usage, price) == pytest.approx(cost)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_nothing_has_a_negative_price(read: int, made: int, cached: int) -> None:
    assert (
        0
        <= cost_of(TokenUsage(read, made, cached_input=cached), CACHED)
        <= cost_of(TokenUsage(read, made), PLAIN)
    )


def test_by_name_then_by_the_longest_beginning() -> None:
    exact, family, every = Price(1, 1), Price(2, 2), Price(3, 3)
    pricing = Pricing(models={"gpt-4o": exact}, families=(("gpt-4", family), ("", every)))
    assert price_of(pricing, "gpt-4o") is exact
    assert price_of(pricing, "gpt-4o-mini") is family
    assert price_of(pricing, "qwen") is every
    assert price_of(Pricing(models={"gpt-4o": exact}), "qwen") is None
