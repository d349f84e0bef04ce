"""What becomes of an exchange in which the gateway itself fails."""

from __future__ import annotations

import json

from twisted.python.reflect import namedAny

from tests.fakes.conf import provider, route, route_to
from tests.fakes.house import (
    ANSWER,
    CHAT,
    HELLO,
    LAST_CHUNK,
    STREAM,
    ConversationTestCase,
    House,
    error,
    event,
    get,
    parts,
    post,
    words,
)
from tests.serving.pursuing import failing


class FaultTests(ConversationTestCase):
    """A fault of our own ends the exchange that it happens in, and nothing else."""

    def breaks(self, owner: str, name: str) -> None:
        """Let this method or function of ours raise."""

        def broken(*arguments: object, **options: object) -> None:
            raise ZeroDivisionError("a fault of our own")

        self.patch(namedAny(owner), name, broken)

    def assert_500(self, house: House, received: bytes) -> None:
        self.assertTrue(received.startswith(b"HTTP/1.1 500 "), received)
        self.assertEqual(error(received)["code"], "internal_error")
        self.assertNotIn(b"fault of our own", received)
        self.assertEqual(house.counted, {("500", "gateway_error"): 1})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(house.metrics.in_flight, 0)

    def test_at_the_head(self) -> None:
        house, client = self.open()
        self.breaks("gateway.serving.exchange", "route_of")
        self.assert_500(house, client.sends(post(HELLO)))

    def test_at_the_body(self) -> None:
        house, client = self.open()
        self.breaks("gateway.serving.exchange", "open_body")
        self.assert_500(house, client.sends(post(HELLO)))

    def test_at_the_connection(self) -> None:
        house, client = self.open()
        self.breaks("gateway.serving.outgoing.OutgoingRequest", "wire_bytes")
        self.assert_500(house, client.sends(post(HELLO)))

    def test_at_a_connection_that_came_later(self) -> None:
        house, client = self.open()
        house.network.hangs = True
        self.breaks("gateway.serving.outgoing.OutgoingRequest", "wire_bytes")
        client.sends(post(HELLO))
        house.network.goes_on()
        self.assert_500(house, client.received())
        self.assertEqual(house.provider.end, "aborted")

    def test_at_the_providers_head(self) -> None:
        house, client = self.open()
        self.breaks("gateway.serving.answer.Answer", "tell")
        client.sends(post(HELLO))
        house.provider.answers(ANSWER)
        received = client.received()
        self.assert_500(house, received)
        self.assertEqual(parts(received)[1][b"x-llmgateway-attempts"], b"1")
        self.assertEqual(house.provider.end, "aborted")

    def test_in_the_middle_of_a_stream(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")))
        client.received()
        self.breaks("gateway.dialects.openai.OpenAIStreamWatcher", "feed")
        house.provider.answers(event(words("y")))
        self.assertIn(b"internal_error", client.received())
        self.assertTrue(client.is_closed)
        self.assertEqual(house.provider.end, "aborted")
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_at_the_end(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")))
        self.breaks("gateway.dialects.openai.OpenAIStreamWatcher", "flush")
        house.provider.answers(LAST_CHUNK)
        self.assertFalse(client.received().endswith(LAST_CHUNK))
        self.assertTrue(client.is_closed)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_at_the_settling_the_client_has_its_answer_and_nothing_is_left(self) -> None:
        house, client = self.open()
        self.breaks("gateway.serving.settling", "_count")
        client.sends(post(HELLO))
        house.provider.answers(ANSWER)
        self.assertTrue(client.received().endswith(json.dumps(CHAT).encode()))
        self.assertEqual(house.metrics.in_flight, 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_at_what_it_has_cost_it_is_counted_once_and_logged(self) -> None:
        priced = "pricing: {default: {input: 1, output: 2}}"
        for conf in (provider("a", priced) + route_to("a"), failing(more=priced)):
            house, client = self.open(conf)
            self.breaks("gateway.serving.costs.Costs", "cost")
            client.sends(post({**HELLO, "stream": True}))
            house.provider.answers(STREAM + event(words("x")))
            client.leaves()
            self.assertEqual(house.counted, {("499", "client_left"): 1})
            self.assertEqual((house.record.outcome, house.record.cost), ("client_left", None))
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_so_is_a_copy(self) -> None:
        mirror = "rules: [{name: all, backendRefs: [{providerHost: a.example}], mirror: {providerHost: b.example}}]"
        priced = provider("b", "pricing: {default: {input: 1, output: 2}}")
        house, client = self.open(provider("a") + priced + route("demo", mirror))
        self.breaks("gateway.serving.costs.Costs", "cost")
        client.sends(post(HELLO))
        for each in house.network.providers:
            each.answers(ANSWER)
        self.assertEqual(house.number("llmgateway_mirrored_requests_total"), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_next_exchange_knows_nothing_of_it(self) -> None:
        house, client = self.open()
        self.breaks("gateway.serving.exchange", "open_body")
        client.sends(post(HELLO))
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertTrue(house.client().sends(get(b"/v1/models")).startswith(b"HTTP/1.1 200 OK"))

    def test_a_connection_that_fails_with_what_is_no_error_of_ours(self) -> None:
        house, client = self.open()
        house.network.hangs = True
        client.sends(post(HELLO))
        _, waiting = house.network.waiting.pop()
        waiting.errback(ZeroDivisionError())
        self.assertEqual(error(client.received())["code"], "internal_error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
