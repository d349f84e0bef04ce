"""Tokens are counted whether or not the provider tells them, and what was estimated says so."""

from __future__ import annotations

import json

from prometheus_client import generate_latest

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
    def assert_counted(
        self, house: House, given: int, made: int, *, estimated: bool, told: tuple[int, int] = (0, 0)
    ) -> None:
        """Both are counted; of an estimated one as many are not estimated as the provider has told."""
        for kind, number, counted in (("input", given, told[0]), ("output", made, told[1])):
            self.assertEqual(house.number("llmgateway_tokens_total", type=kind), number, kind)
            guessed = house.number("llmgateway_tokens_estimated_total", type=kind)
            self.assertEqual(guessed, number - counted if estimated else 0, kind)
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

    def test_a_count_before_the_last_words_is_not_of_them(self) -> None:
        for counted in (1, 0):
            house, client = self.open()
            client.sends(post(ASKED))
            first = {**words("x"), "usage": {"prompt_tokens": 7, "completion_tokens": counted}}
            house.provider.answers(STREAM + event(first) + event(words("hello world " * 20)))
            client.leaves()
            self.assert_counted(house, 7, 61, estimated=True, told=(7, counted))

    def test_a_count_beside_the_last_words_is_of_them(self) -> None:
        house, client = self.open()
        client.sends(post(ASKED))
        counted = {**words("hello world"), "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
        house.provider.answers(STREAM + event(counted))
        client.leaves()
        self.assert_counted(house, 7, 2, estimated=False)

    def test_half_of_it(self) -> None:
        for told, given, made, counted in (
            ({"prompt_tokens": 7}, 7, 100, (7, 0)),
            ({"completion_tokens": 3}, PROMPT, 3, (0, 3)),
            ({"prompt_tokens": 0, "completion_tokens": 0}, PROMPT, 100, (0, 0)),
            ({"prompt_tokens": 7, "completion_tokens": 10**30}, 7, 100, (7, 0)),
        ):
            house, client = self.open()
            client.sends(post(HELLO))
            said = {"choices": [{"message": {"content": "x" * 400}, "finish_reason": "stop"}], "usage": told}
            house.provider.answers(answer(json.dumps(said).encode()))
            self.assert_counted(house, given, made, estimated=True, told=counted)

    def test_numbers_that_cannot_be_held(self) -> None:
        """Whoever tells them, the answer passes, is counted, and all metrics can be read."""
        for number in ("1" + "0" * 400, "1" + "0" * 5000, "1e400", "NaN", "-1", "1" + "0" * 30):
            house, client = self.open()
            client.sends(post(HELLO))
            body = (
                b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}],'
                b'"usage":{"prompt_tokens":%b,"completion_tokens":3}}' % (b"x" * 400, number.encode())
            )
            house.provider.answers(answer(body))
            self.assertIn(body, client.received())
            self.assert_counted(house, PROMPT, 3, estimated=True, told=(0, 3))
            self.assertIn(b"llmgateway_tokens_total{", generate_latest(house.registry))

            house, client = self.open()
            client.sends(post(ASKED))
            usage = b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":%b}}' % number.encode()
            house.provider.answers(
                STREAM + event(words("x" * 400)) + event(usage) + event(b"[DONE]") + LAST_CHUNK
            )
            self.assert_counted(house, 7, 100, estimated=True, told=(7, 0))

    def test_an_answer_with_a_number_that_json_does_not_know(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        body = (
            b'{"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"logprob":NaN}]}}],'
            b'"usage":{"prompt_tokens":7,"completion_tokens":3}}'
        )
        house.provider.answers(answer(body))
        self.assertIn(body, client.received())
        self.assert_counted(house, 7, 3, estimated=False)

    def test_an_answer_that_is_too_long_to_be_read(self) -> None:
        for usage, given, is_estimated in ((b',"usage":{"prompt_tokens":777}', 777, False), (b"", 10, True)):
            house, client = self.open()
            client.sends(post({"input": "x" * 38, "model": "m"}, path=b"/v1/embeddings"))
            body = b'{"object":"list","model":"m-1","data":[%b]%b}' % (b"0.25," * 1_900_000, usage)
            whole = answer(body)
            for at in range(0, len(whole), 1_000_000):
                house.provider.answers(whole[at : at + 1_000_000])
            self.assert_counted(house, given, 0, estimated=is_estimated)
            self.assertEqual(house.record.answered_model, "m-1")

    def test_a_long_answer_that_does_not_tell(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        body = b'{"choices":[{"message":{"content":"%b"}}]}' % (b"word " * 1_800_000)
        house.provider.answers(answer(body))
        self.assert_counted(house, PROMPT, -(-len(body) // 4), estimated=True)

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
