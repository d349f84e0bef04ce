"""Costs by the operator's prices and by the real catalog."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from genai_prices import Usage, calc_price

from gateway.messages import TokenUsage
from gateway.policy.pricing import Price, Pricing
from gateway.telemetry.costs import Costs

OPENAI = Pricing(catalog="api.openai.com")
NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def costs(*, catalog: bool = True) -> Costs:
    found = Costs(lambda: NOW)
    if catalog:
        found.load_catalog()
    return found


def test_the_first_name_that_has_a_price() -> None:
    pricing = Pricing(models={"sent": Price(1, 0)}, otherwise=Price(5, 0))
    usage = TokenUsage(1_000_000, 0)
    assert costs().cost(pricing, usage, ["answered", "sent"]) == 1.0
    assert costs().cost(pricing, usage, [None, "", "sent"]) == 1.0
    assert costs().cost(pricing, usage, ["answered"]) == 5.0
    assert costs().cost(Pricing(), usage, ["answered"]) is None


@pytest.mark.parametrize(
    ("host", "model", "tokens"),
    [
        ("api.openai.com", "gpt-4o", 1000),
        ("api.openai.com", "gpt-4o-2024-08-06", 1000),
        ("api.deepseek.com", "deepseek-chat", 1000),
        ("generativelanguage.googleapis.com", "gemini-2.5-pro", 200_000),
        ("generativelanguage.googleapis.com", "gemini-2.5-pro", 200_001),
        ("api.anthropic.com", "claude-sonnet-4-5", 300_000),
        ("my.own.proxy", "gpt-4o", 1000),
    ],
)
def test_the_catalog_says_what_the_package_says(host: str, model: str, tokens: int) -> None:
    pricing = Pricing(catalog=host)
    usage = TokenUsage(tokens, 500, cached_input=100)
    told = costs().cost(pricing, usage, [model])
    counted = Usage(input_tokens=tokens, cache_read_tokens=100, output_tokens=500)
    when = datetime.fromtimestamp(NOW, UTC)
    itself = calc_price(counted, model, genai_request_timestamp=when)
    assert told == pytest.approx(float(itself.total_price))


def test_what_the_catalog_does_not_know() -> None:
    found = costs()
    assert found.cost(OPENAI, TokenUsage(1, 1), ["no-such-model-anywhere"]) is None
    assert found.cost(OPENAI, TokenUsage(1, 1), []) is None


def test_the_operator_s_price_comes_first() -> None:
    pricing = Pricing(models={"gpt-4o": Price(1, 1)}, catalog="api.openai.com")
    assert costs().cost(pricing, TokenUsage(1_000_000, 0), ["gpt-4o"]) == 1.0


def test_a_catalog_that_is_not_loaded_knows_nothing() -> None:
    assert costs(catalog=False).cost(OPENAI, TokenUsage(1000, 0), ["gpt-4o"]) is None


def test_invented_names_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.telemetry.costs._MOST", 3)
    found = costs()
    for number in range(10):
        found.cost(OPENAI, TokenUsage(1, 1), [f"invented-{number}"])
    assert len(found._known) <= 3
