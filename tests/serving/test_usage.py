"""Tokens are counted whether or not the provider tells them, and what was estimated says so."""

from __future__ import annotations

import json

from tests.fakes.conf import provider, route_to
from tests.fakes.house import (
    HELLO,
    LAST_CHUNK,
    STREAM,
    USAGE,
    ConversationTestCase,
    House,
    answer,
    event,
    post,
    words,
)

ASKED = {**HELLO, "stream": True}
PROMPT = 10
"""A fourth of the bytes of HELLO's messages."""


class UsageTests(ConversationTestCase):
    def assert_counted(self, house: House, given: int, made: int, *, estimated: bool) -> None:
        for kind, number in (("input", given), ("output", made)):
            self.assertEqual(house.number("llmgateway_tokens_total", type=kind), number, kind)
            told = house.number("llmgateway_tokens_estimated_total", type=kind)
            self.assertEqual(told, number if estimated else 0, kind)
        self.assertEqual(house.record.request_prompt_tokens, given)
        self.assertEqual(house.record.request_completion_tokens, made)
        self.assertEqual(house.record.usage_estimated, estimated)

    def test_what_the_provider_tells_counts(self) -> None:
        house, client = self.open()
        client.sends(post(ASKED))
        house.provider.answers(STREAM + event(words("word")) + event(USAGE) + event(b"[DONE]") + LAST_CHUNK)
        self.assert_counted(house, 7, 3, estimated=False)

    def test_a_stream_that_does_not_tell(self) -> None:
        house, client = self.open()
        client.sends(post(ASKED))
        pieces = b"".join(event(words(f"word {number:02} ")) for number in range(40))
        house.provider.answers(STREAM + pieces + event(b"[DONE]") + LAST_CHUNK)
        self.assert_counted(house, PROMPT, 80, estimated=True)

    def test_a_client_that_leaves(self) -> None:
        house, client = self.open()
        client.sends(post(ASKED))
        house.provider.answers(STREAM + event(words("four")) + event(words(" more")))
        client.leaves()
        self.assertEqual(house.record.outcome, "client_left")
        self.assert_counted(house, PROMPT, 3, estimated=True)

    def test_a_whole_answer_that_does_not_tell(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        message = {"role": "assistant", "content": "x" * 400}
        said = {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        house.provider.answers(answer(json.dumps(said).encode()))
        self.assert_counted(house, PROMPT, 100, estimated=True)

    def test_embeddings_make_no_tokens(self) -> None:
        house, client = self.open()
        client.sends(post({"input": "x" * 38, "model": "m"}, path=b"/v1/embeddings"))
        house.provider.answers(answer(b'{"data":[{"embedding":[0.5,0.25]}]}'))
        self.assert_counted(house, 10, 0, estimated=True)

    def test_pictures_are_not_counted_by_their_bytes(self) -> None:
        house, client = self.open()
        client.sends(post({"prompt": "a cat"}, path=b"/v1/images/generations"))
        house.provider.answers(answer(b'{"data":[{"b64_json":"%b"}]}' % (b"x" * 5000)))
        self.assertEqual(house.number("llmgateway_tokens_total"), 0)
        self.assertIsNone(house.record.request_prompt_tokens)

    def test_an_error_costs_nothing(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        house.provider.answers(answer(b'{"error":{"message":"no"}}', status=b"400 Bad Request"))
        self.assertEqual(house.number("llmgateway_tokens_total"), 0)


PRICED = """
configs: {defaultConfig: {openAIConfig: {model: sent-1, apiKey: sk-a}}}
pricing:
  currency: CNY
  models:
    answered-1: {input: 1000, output: 2000, cachedInput: 100}
    sent-1: {input: 1, output: 1}
"""


class CostTests(ConversationTestCase):
    def asks(self, spec: str, said: dict[str, object]) -> House:
        house, client = self.open(provider("a", spec) + route_to("a"))
        client.sends(post(HELLO))
        usage = {
            **{"prompt_tokens": 100, "completion_tokens": 10},
            "prompt_tokens_details": {"cached_tokens": 50},
        }
        house.provider.answers(answer(json.dumps({"choices": [], "usage": usage, **said}).encode()))
        return house

    def test_by_the_model_that_answered(self) -> None:
        house = self.asks(PRICED, {"model": "answered-1"})
        self.assertAlmostEqual(house.number("llmgateway_cost_total", currency="CNY"), 0.075)
        assert house.record.cost is not None
        self.assertAlmostEqual(house.record.cost, 0.075)
        self.assertEqual(house.record.currency, "CNY")

    def test_else_by_the_one_that_was_asked_for(self) -> None:
        house = self.asks(PRICED, {})
        self.assertAlmostEqual(house.number("llmgateway_cost_total", currency="CNY"), 0.00011)

    def test_without_a_price(self) -> None:
        house = self.asks("", {"model": "answered-1"})
        self.assertEqual(house.number("llmgateway_cost_total"), 0)
        self.assertIsNone(house.record.cost)
        self.assertEqual(house.record.currency, "")
