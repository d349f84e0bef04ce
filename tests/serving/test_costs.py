"""What answers cost, by the operator's prices and by those of the real catalog."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from genai_prices import Usage, calc_price
from twisted.internet.defer import fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.messages import TokenUsage
from gateway.policy.pricing import CatalogName, Price, Pricing
from gateway.serving import costs
from gateway.serving.costs import ASK_SECONDS, LONGEST_NAME, MOST_ASKED, MOST_WANTED, Costs
from gateway.serving.price_catalog import PriceCatalog
from tests.fakes.threads import Thread

HOST = "api.openai.com"
ASKING = Pricing(catalog=HOST)
MILLION = TokenUsage(1_000_000, 0)
NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
DAY = 86400.0


class ToldPrices(PriceCatalog):
    """A catalog that knows what a test says, and who asked."""

    def __init__(self, **prices: float) -> None:
        self.prices = prices
        self.asked: list[str] = []
        self.loaded = 0

    def load(self) -> None:
        self.loaded += 1

    def price(self, host: str, model: str, now: float) -> Price | None:
        assert host == HOST
        self.asked.append(model)
        return Price(self.prices[model], 0) if model in self.prices else None


def no_pace() -> None:
    """Nobody has to wait."""


class CostsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wall = NOW
        self.thread = Thread()
        self.catalog = ToldPrices(one=1, two=2)
        self.costs = Costs(self.thread.run, lambda: self.wall, self.clock.seconds, self.catalog)

    def cost(self, *names: str | None, pricing: Pricing = ASKING) -> float | None:
        return self.costs.cost(pricing, MILLION, names)


class WrittenPriceTests(CostsTestCase):
    def test_the_first_name_that_has_one(self) -> None:
        pricing = Pricing(models={"sent": Price(1, 0)}, otherwise=Price(5, 0))
        self.assertEqual(self.cost("answered", "sent", pricing=pricing), 1.0)
        self.assertEqual(self.cost(None, "", "sent", pricing=pricing), 1.0)
        self.assertEqual(self.cost("answered", pricing=pricing), 5.0)
        self.assertIsNone(self.cost("answered", pricing=Pricing()))
        self.assertEqual(self.thread.given, [])

    def test_it_comes_before_the_catalog(self) -> None:
        self.assertEqual(self.cost("one", pricing=Pricing(models={"one": Price(7, 7)}, catalog=HOST)), 7.0)
        self.assertEqual(self.thread.given, [])

    def test_another_pricing_is_another_price(self) -> None:
        for number in range(3):
            self.assertEqual(self.cost("m", pricing=Pricing(models={"m": Price(number, 0)})), float(number))


class CatalogTests(CostsTestCase):
    def test_models_that_are_configured_are_known_from_the_beginning(self) -> None:
        self.costs.learn({CatalogName(HOST, "one"), CatalogName(HOST, "never-heard-of")}, no_pace)
        self.assertEqual(self.cost("one"), 1.0)
        self.assertIsNone(self.cost("never-heard-of"))
        self.assertEqual((self.thread.given, len(self.catalog.asked)), ([], 2))

    def test_they_are_asked_for_once(self) -> None:
        for _ in range(3):
            self.costs.learn({CatalogName(HOST, "one")}, no_pace)
        self.assertEqual(self.catalog.asked, ["one"])

    def test_without_a_catalog_it_is_never_loaded(self) -> None:
        self.costs.learn(set(), no_pace)
        self.assertEqual(self.catalog.loaded, 0)

    def test_other_names_are_asked_for_in_a_thread(self) -> None:
        self.assertIsNone(self.cost("two"))
        self.assertEqual(self.catalog.asked, [])
        self.thread.works()
        self.assertEqual(self.cost("two"), 2.0)

    def test_until_then_the_next_best_name_counts(self) -> None:
        self.costs.learn({CatalogName(HOST, "one")}, no_pace)
        self.assertEqual(self.cost("two", "one"), 1.0)
        self.thread.works()
        self.assertEqual(self.cost("two", "one"), 2.0)

    def test_what_is_expected_is_known_when_it_has_come(self) -> None:
        self.costs.expect(HOST, "two")
        self.costs.expect(HOST, None)
        self.thread.works()
        self.assertEqual(self.cost("two"), 2.0)
        self.assertEqual(self.catalog.asked, ["two"])

    def test_misses_are_remembered(self) -> None:
        for _ in range(3):
            self.assertIsNone(self.cost("made-up"))
            self.clock.advance(ASK_SECONDS)
            if self.thread.given:
                self.thread.works()
        self.assertEqual(self.catalog.asked, ["made-up"])

    def test_a_day_later_it_is_asked_again_and_meanwhile_the_old_price_counts(self) -> None:
        self.costs.learn({CatalogName(HOST, "one")}, no_pace)
        self.costs.expect(HOST, "two")
        self.thread.works()
        self.assertEqual((self.cost("one"), self.cost("two")), (1.0, 2.0))
        self.wall += DAY
        self.clock.advance(ASK_SECONDS)
        self.catalog.prices = {"one": 10, "two": 20}
        self.assertEqual((self.cost("one"), self.cost("two")), (1.0, 2.0))
        self.thread.works()
        self.assertEqual((self.cost("one"), self.cost("two")), (10.0, 2.0))
        self.clock.advance(ASK_SECONDS)
        self.cost("two")
        self.thread.works()
        self.assertEqual((self.cost("one"), self.cost("two")), (10.0, 20.0))

    def test_it_cannot_be_asked(self) -> None:
        unable = Costs(lambda _: fail(ZeroDivisionError()), lambda: NOW, self.clock.seconds, self.catalog)
        self.assertIsNone(unable.cost(ASKING, MILLION, ("two",)))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.catalog, "price", lambda *_: 1 / 0)
        self.costs.learn({CatalogName(HOST, "one")}, no_pace)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class BoundsTests(CostsTestCase):
    def test_so_many_are_asked_for_at_once_and_then_not_for_a_second(self) -> None:
        for number in range(MOST_ASKED + 5):
            self.cost(f"made-up-{number}")
        self.thread.works()
        self.assertEqual(len(self.catalog.asked), 1)  # the others came while it was asked
        self.cost("one-more")
        self.assertEqual(self.thread.given, [])
        self.clock.advance(ASK_SECONDS)
        self.cost("one-more")
        self.thread.works()
        self.assertEqual(len(self.catalog.asked), 1 + MOST_ASKED)

    def test_so_many_wait(self) -> None:
        self.cost("first")
        for number in range(MOST_WANTED + 50):
            self.cost(f"made-up-{number}")
        self.assertEqual(len(self.costs._wanted), MOST_WANTED)

    def test_what_is_wanted_often_comes_first(self) -> None:
        self.cost("first")
        self.thread.works()
        for number in range(MOST_WANTED * 2):
            self.cost(f"made-up-{number}")
            if number % 100 == 0:
                self.cost("two")
        self.clock.advance(ASK_SECONDS)
        self.cost("one-more")
        self.thread.works()
        self.assertEqual(self.cost("two"), 2.0)

    def test_names_that_nobody_has_are_not_remembered(self) -> None:
        long = "x" * (LONGEST_NAME + 1)
        self.assertIsNone(self.cost(long))
        self.costs.expect(HOST, long)
        self.assertEqual((self.thread.given, self.costs._decided), ([], {}))

    def test_one_goes_for_one_that_comes(self) -> None:
        self.patch(costs, "MOST_REMEMBERED", 3)
        real = Costs(lambda function: maybeDeferred(function), lambda: NOW, self.clock.seconds, self.catalog)
        for number in range(20):
            self.clock.advance(ASK_SECONDS)
            real.cost(ASKING, MILLION, (f"made-up-{number}", "one"))
            self.clock.advance(ASK_SECONDS)
            real.expect(HOST, "one")
            self.assertLessEqual(max(len(real._met), len(real._decided)), 3)
        self.assertEqual(self.catalog.asked.count("one"), 1)


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
    found = Costs(wall_clock=lambda: NOW)
    found.learn({CatalogName(host, model)}, no_pace)
    usage = TokenUsage(tokens, 500, cached_input=100)
    told = found.cost(Pricing(catalog=host), usage, (model,))
    counted = Usage(input_tokens=tokens, cache_read_tokens=100, output_tokens=500)
    when = datetime.fromtimestamp(NOW, UTC)
    itself = calc_price(counted, model, genai_request_timestamp=when)
    assert told == pytest.approx(float(itself.total_price))


def test_what_the_catalog_does_not_know() -> None:
    assert PriceCatalog().price(HOST, "no-such-model-anywhere", NOW) is None


def test_a_catalog_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "genai_prices", None)
    assert PriceCatalog().price(HOST, "gpt-4o", NOW) is None
