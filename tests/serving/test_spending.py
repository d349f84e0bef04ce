"""Each attempt's tokens and cost are booked to the backend that made them, and what no client got by itself."""

from __future__ import annotations

import json

import msgspec

from gateway.errors import GatewayError
from gateway.telemetry.exchange_record import Used
from tests.fakes.client import Client
from tests.fakes.conf import key_hash, provider, route, tenant
from tests.fakes.house import ANSWER, HELLO, LAST_CHUNK, STREAM, House, event, post
from tests.serving.pursuing import DONE, MODELS, STREAMED, PursuitTestCase, error_answer, said, stopped

PROMPT = 10
"""A fourth of the bytes of HELLO's messages."""

BEGUN = STREAM + said("The quick ") + said("brown fox ")
"""Five tokens that nobody has counted."""

USAGE = {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 20}
REST = (
    STREAM
    + b"".join(said(text, model="other") for text in ("The quick ", "brown fox ", "jumps."))
    + stopped(model="other")
    + event({"id": "second", "choices": [], "usage": USAGE})
    + DONE
)
"""All of it, from the start, and counted."""

IN_DOLLARS = "pricing: {default: {input: 1000, output: 2000}}"
IN_EUROS = "pricing: {currency: EUR, default: {input: 3000, output: 4000}}"
DEARER = "pricing: {default: {input: 3000, output: 4000}}"


def two(first: str, second: str, rule: str = "", third: str | None = None) -> str:
    """A route to provider `a`, then `b`, each with these fields."""
    fields = {"a": first, "b": second, **({} if third is None else {"c": third})}
    documents = [provider(name, f"{MODELS[name]}\n{more}") for name, more in fields.items()]
    fallback = ", ".join(f"{{providerHost: {name}.example}}" for name in fields if name != "a")
    rules = f"[{{name: all, {rule}fallback: [{fallback}], backendRefs: [{{providerHost: a.example}}]}}]"
    return "".join(documents) + route("demo", f"rules: {rules}")


class SpendingTestCase(PursuitTestCase):
    def tokens(self, house: House, provider: str) -> tuple[float, float, float, float]:
        """Input and output of answers at this provider, and how much of each is estimated."""
        found = []
        for name in ("tokens", "tokens_estimated"):
            for kind in ("input", "output"):
                found.append(house.number(f"llmgateway_{name}_total", provider=provider, type=kind))
        return found[0], found[1], found[2], found[3]

    def discarded(self, house: House, provider: str, reason: str, *, estimated: bool) -> tuple[float, float]:
        """Input and output that this provider has made for nobody; there is nothing else of the kind."""
        labels = {"provider": provider, "reason": reason, "estimated": "true" if estimated else "false"}
        name = "llmgateway_discarded_tokens_total"
        counted = [house.number(name, type=kind, **labels) for kind in ("input", "output")]
        self.assertEqual(sum(counted), house.number(name))
        return counted[0], counted[1]

    def cost(self, house: House, name: str = "cost", **labels: str) -> float:
        return round(house.number(f"llmgateway_{name}_total", **labels), 10)

    def said_of(self, house: House) -> list[tuple[str, str, Used | msgspec.UnsetType]]:
        """Provider, outcome and usage of every attempt in the log's line."""
        return [(each.provider, each.outcome, each.usage) for each in house.record.tried]


class ContinuedTests(SpendingTestCase):
    """Streams that broke and went on elsewhere."""

    def continued(self, conf: str) -> tuple[House, Client]:
        house, client = self.client_of(conf, STREAMED)
        house.provider.answers(BEGUN)
        house.provider.resets()
        self.at(house, "b").answers(REST)
        self.assertEqual((house.names.provider, house.counted), ("b", {("200", "ok"): 1}))
        self.assertEqual(house.number("llmgateway_requests_total", provider="a"), 0)
        self.assertEqual(self.tokens(house, "a"), (PROMPT, 5, PROMPT, 5))
        self.assertEqual(self.tokens(house, "b"), (11, 9, 0, 0))
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)
        record = house.record
        self.assertEqual((record.request_prompt_tokens, record.request_completion_tokens), (21, 14))
        self.assertTrue(record.usage_estimated)
        self.assertEqual(record.answered_model, "other")
        return house, client

    def test_each_at_its_price_and_in_its_currency(self) -> None:
        house, _ = self.continued(two(IN_DOLLARS, IN_EUROS))
        self.assertEqual(self.cost(house, provider="a", currency="USD"), 0.02)
        self.assertEqual(self.cost(house, provider="b", currency="EUR"), 0.069)
        self.assertEqual(self.cost(house), 0.089)
        self.assertEqual((house.record.cost, house.record.currency), (None, ""))
        self.assertEqual(
            self.said_of(house),
            [
                ("a", "cut", Used(PROMPT, 5, 0, 0, True, 0.02, "USD", "")),
                ("b", "ok", Used(11, 9, 0, 0, False, 0.069, "EUR", "")),
            ],
        )

    def test_in_one_currency_the_line_has_the_sum(self) -> None:
        house, _ = self.continued(two(IN_DOLLARS, DEARER))
        self.assertEqual((house.record.cost, house.record.currency), (0.089, "USD"))
        self.assertEqual(self.cost(house, provider="a"), 0.02)

    def test_what_has_no_price_makes_no_sum(self) -> None:
        house, _ = self.continued(two("", IN_EUROS))
        self.assertEqual((house.record.cost, house.record.currency), (None, ""))
        self.assertEqual(self.cost(house), 0.069)
        self.assertEqual([each.usage.cost for each in house.record.tried if each.usage], [None, 0.069])

    def test_the_line_says_it_of_each(self) -> None:
        house, _ = self.continued(two(IN_DOLLARS, ""))
        first = json.loads(msgspec.json.encode(house.record))["tried"][0]
        self.assertEqual(
            first["usage"],
            {
                **{"input_tokens": 10, "output_tokens": 5, "cached_input_tokens": 0, "reasoning_tokens": 0},
                **{"estimated": True, "cost": 0.02, "currency": "USD", "discarded": ""},
            },
        )

    def test_in_opentelemetrys_metrics_too(self) -> None:
        house, client = self.open(two("", ""))
        house.metrics.gen_ai.adopt(["v1.41"])
        client.sends(post(STREAMED))
        house.provider.answers(BEGUN)
        house.provider.resets()
        self.at(house, "b").answers(REST)
        name = "gen_ai_client_token_usage_sum"
        for model, given, made in (("a-1", PROMPT, 5), ("b-1", 11, 9)):
            labels = {"gen_ai_request_model": model}
            self.assertEqual(house.number(name, gen_ai_token_type="input", **labels), given)
            self.assertEqual(house.number(name, gen_ai_token_type="output", **labels), made)
        self.assertEqual(house.number("gen_ai_client_operation_duration_seconds_count"), 1)

    def test_three_of_which_the_second_breaks_as_well(self) -> None:
        house, _ = self.client_of(two(IN_DOLLARS, IN_EUROS, "retries: {attempts: 1}, ", DEARER), STREAMED)
        house.provider.answers(BEGUN)
        house.provider.resets()
        self.at(house, "b").answers(STREAM + said("The quick brown fox ") + said("jumps"))
        self.at(house, "b").resets()
        self.at(house, "c").answers(REST)
        self.assertEqual(self.tokens(house, "a"), (PROMPT, 5, PROMPT, 5))
        self.assertEqual(self.tokens(house, "b"), (PROMPT, 7, PROMPT, 7))
        self.assertEqual(self.tokens(house, "c"), (11, 9, 0, 0))
        self.assertEqual(house.record.request_completion_tokens, 21)

    def test_a_client_that_leaves_the_rest(self) -> None:
        house, client = self.client_of(two(IN_DOLLARS, IN_EUROS), STREAMED)
        house.provider.answers(BEGUN)
        house.provider.resets()
        self.at(house, "b").answers(STREAM + said("The quick brown fox ") + said("jumps"))
        client.leaves()
        self.assertEqual(self.tokens(house, "a"), (PROMPT, 5, PROMPT, 5))
        self.assertEqual(self.tokens(house, "b"), (PROMPT, 7, PROMPT, 7))
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)

    def test_an_answer_that_disagrees_is_nobodys(self) -> None:
        house, _ = self.client_of(two(IN_DOLLARS, IN_EUROS, "retries: {attempts: 1}, "), STREAMED)
        house.provider.answers(BEGUN)
        house.provider.resets()
        other = stopped() + event({"id": "second", "choices": [], "usage": USAGE}) + DONE
        self.at(house, "b").answers(STREAM + said("Something else.") + other)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})
        self.assertEqual(self.tokens(house, "a"), (PROMPT, 5, PROMPT, 5))
        self.assertEqual(self.tokens(house, "b"), (0, 0, 0, 0))
        self.assertEqual(self.discarded(house, "b", "continuation", estimated=False), (11, 9))
        self.assertEqual(self.cost(house, "discarded_cost", currency="EUR"), 0.069)
        self.assertEqual((house.record.cost, house.record.currency), (0.02, "USD"))
        self.assertEqual(house.record.request_completion_tokens, 5)


class DiscardedTests(SpendingTestCase):
    """Attempts of which no client got anything."""

    def test_a_client_that_leaves_before_the_first_word(self) -> None:
        for body in (HELLO, STREAMED):
            house, client = self.client_of(two(IN_DOLLARS, ""), body)
            client.leaves()
            self.assertEqual(self.discarded(house, "a", "left", estimated=True), (PROMPT, 0))
            self.assertEqual(self.cost(house, "discarded_cost", provider="a", currency="USD"), 0.01)
            self.assertEqual(self.tokens(house, "a"), (0, 0, 0, 0))
            record = house.record
            self.assertEqual(
                (record.request_prompt_tokens, record.cost, record.usage_estimated), (None,) * 2 + (False,)
            )
            used = Used(PROMPT, 0, 0, 0, True, 0.01, "USD", "left")
            self.assertEqual(self.said_of(house), [("a", "cancelled", used)])

    def test_who_refuses_within_a_stream_is_paid_nothing(self) -> None:
        alone = "rules: [{name: all, backendRefs: [{providerHost: a.example}]}]"
        conf = provider("a", f"{MODELS['a']}\n{IN_DOLLARS}") + route("demo", alone)
        house, client = self.client_of(conf, STREAMED)
        refusal = {"error": {"message": "Too long.", "code": "context_length_exceeded"}}
        house.provider.answers(STREAM + event(refusal) + LAST_CHUNK)
        self.assertIn(b"HTTP/1.1 400", client.received())
        record = house.record
        self.assertEqual(
            (record.outcome, record.request_prompt_tokens, record.cost), ("provider_error", None, None)
        )
        self.assertEqual(self.tokens(house, "a"), (0, 0, 0, 0))

    def test_one_that_leaves_later_has_what_there_is(self) -> None:
        house, client = self.client_of(two(IN_DOLLARS, ""), STREAMED)
        house.provider.answers(BEGUN)
        client.leaves()
        self.assertEqual([each.status for each in house.record.tried], [200])
        self.assertEqual(self.tokens(house, "a"), (PROMPT, 5, PROMPT, 5))
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)
        self.assertEqual((house.record.cost, house.record.currency), (0.02, "USD"))
        self.assertEqual(self.said_of(house), [("a", "cancelled", msgspec.UNSET)])

    def test_an_answer_that_comes_too_late(self) -> None:
        for limit, begun in (("headers", b""), ("firstContent", b""), ("firstContent", STREAM + said(""))):
            house, _ = self.client_of(two(f"{IN_DOLLARS}\ntimeouts: {{{limit}: 2s}}", ""), STREAMED)
            house.provider.answers(begun)
            house.waits(2.5)
            self.at(house, "b").answers(REST)
            self.assertEqual(self.discarded(house, "a", "failed", estimated=True), (PROMPT, 0))
            self.assertEqual(self.tokens(house, "b"), (11, 9, 0, 0))
            self.assertEqual(house.record.request_prompt_tokens, 11)
            self.assertFalse(house.record.usage_estimated)

    def test_one_that_ends_before_its_first_word(self) -> None:
        for begun in (b"", STREAM + said("")):
            house, _ = self.client_of(two("", "", "retries: {attempts: 1}, "), STREAMED)
            house.provider.answers(begun)
            house.provider.resets()
            self.at(house, "b").answers(REST)
            self.assertEqual(self.discarded(house, "a", "failed", estimated=True), (PROMPT, 0))

    def test_the_slower_of_two(self) -> None:
        house, _ = self.client_of(two(IN_DOLLARS, IN_EUROS, "hedge: {after: 2s}, "))
        house.waits(2.5)
        self.at(house, "b").answers(ANSWER)
        self.assertEqual(self.discarded(house, "a", "hedge", estimated=True), (PROMPT, 0))
        self.assertEqual(self.tokens(house, "b"), (5, 2, 0, 0))
        self.assertEqual(self.cost(house, "discarded_cost"), 0.01)
        self.assertEqual((house.record.cost, house.record.currency), (0.023, "EUR"))
        outcomes = [(name, outcome, used and used.discarded) for name, outcome, used in self.said_of(house)]
        self.assertEqual(outcomes, [("a", "cancelled", "hedge"), ("b", "ok", "")])

    def test_both_if_the_client_leaves(self) -> None:
        house, client = self.client_of(two("", "", "hedge: {after: 2s}, "))
        house.waits(2.5)
        client.leaves()
        name = "llmgateway_discarded_tokens_total"
        for each in "ab":
            self.assertEqual(house.number(name, provider=each, reason="left", type="input"), PROMPT)
        self.assertEqual(house.number(name), 2 * PROMPT)

    def test_an_error_costs_nothing(self) -> None:
        refusals = [error_answer(status) for status in (400, 429, 500)]
        refusals.append(STREAM + event({"error": {"message": "Overloaded.", "type": "server_error"}}) + DONE)
        for refusal in refusals:
            house, _ = self.client_of(two("", "", "retries: {attempts: 1}, "), STREAMED)
            house.provider.answers(refusal)
            if b"400" not in refusal:
                self.at(house, "b").answers(REST)
            self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)

    def test_nor_does_what_nobody_was_sent(self) -> None:
        house, client = self.open(two("", ""))
        house.network.fails_with = GatewayError("provider_connect_failed", "No.")
        client.sends(post(HELLO))
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)
        house, client = self.open(two("", ""))
        house.network.hangs = True
        client.sends(post(HELLO))
        client.leaves()
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)

    def test_nor_what_it_did_not_take(self) -> None:
        house, client = self.client_of(two("", ""))
        house.provider.answers(ANSWER)
        client.received()
        house.provider.takes_no_more()
        client.sends(post(HELLO))
        client.leaves()
        self.assertEqual(house.record.outcome, "client_left")
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)

    def test_be_it_that_it_took_too_long_for_that(self) -> None:
        house, client = self.client_of(two("timeouts: {headers: 2s}", ""))
        house.provider.answers(ANSWER)
        client.received()
        house.provider.takes_no_more()
        client.sends(post(HELLO))
        house.waits(2.5)
        self.at(house, "b").answers(ANSWER)
        self.assertEqual(self.tried(house), [("a", "silent"), ("b", "ok")])
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)

    def test_a_kept_connection_that_was_dead_is_one_attempt(self) -> None:
        house, client = self.client_of(two("", ""))
        house.provider.answers(ANSWER)
        client.received()
        client.sends(post(HELLO))
        house.network.fails_with = GatewayError("provider_connect_failed", "No.")
        house.network.providers[0].resets()
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)

    def test_by_the_client_that_asked(self) -> None:
        key = "sk-of-a-client-of-ours"
        clients = f"clients: [{{name: ci, apiKeyHash: '{key_hash(key)}'}}]"
        house, client = self.open({"acme/t.yaml": tenant("acme", clients), "acme/a.yaml": two("", "")})
        client.sends(post(HELLO, b"Authorization: Bearer " + key.encode()))
        client.leaves()
        labels = {"tenant": "acme", "client": "ci", "rule": "all", "type": "input"}
        self.assertEqual(house.number("llmgateway_discarded_tokens_total", **labels), PROMPT)


class MirroredTests(SpendingTestCase):
    def copied(self, *answers: bytes) -> House:
        """A request of which `b` gets a copy, and answers it so."""
        fields = "mirror: {providerHost: b.example}, backendRefs: [{providerHost: a.example}]"
        documents = provider("a", f"{MODELS['a']}\n{IN_DOLLARS}") + provider(
            "b", f"{MODELS['b']}\n{IN_EUROS}"
        )
        house, _ = self.client_of(documents + route("demo", f"rules: [{{name: all, {fields}}}]"))
        for each in answers:
            self.at(house, "b").answers(each)
        self.at(house, "a").answers(ANSWER)
        self.assertEqual(self.tokens(house, "a"), (5, 2, 0, 0))
        self.assertEqual(self.tokens(house, "b"), (0, 0, 0, 0))
        return house

    def test_what_a_copy_has_used(self) -> None:
        house = self.copied(ANSWER)
        self.assertEqual(self.discarded(house, "b", "mirror", estimated=False), (5, 2))
        self.assertEqual(self.cost(house, "discarded_cost", provider="b", currency="EUR"), 0.023)
        self.assertEqual(self.cost(house), 0.009)

    def test_one_that_is_not_answered(self) -> None:
        house = self.copied()
        self.at(house, "b").resets()
        self.assertEqual(self.discarded(house, "b", "mirror", estimated=True), (PROMPT, 0))

    def test_one_that_is_refused(self) -> None:
        house = self.copied(error_answer(429))
        self.assertEqual(house.number("llmgateway_discarded_tokens_total"), 0)
