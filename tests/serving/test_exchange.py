"""Conversations with the whole gateway in memory: a client on one side, a provider on the other."""

from __future__ import annotations

import json

from gateway.errors import GatewayError
from gateway.serving import provider_answer
from gateway.wire.limits import DownstreamLimits
from tests.fakes.client import Client
from tests.fakes.conf import KEYED, provider, route, route_to
from tests.fakes.house import (
    ANSWER,
    CHAT,
    HELLO,
    KEY,
    LAST_CHUNK,
    STREAM,
    USAGE,
    ConversationTestCase,
    House,
    answer,
    error,
    event,
    parts,
    post,
    words,
)


class PlainTests(ConversationTestCase):
    def test_a_request_and_its_answer(self) -> None:
        house, client = self.open()
        self.assertEqual(client.sends(post(HELLO)), b"")
        self.assertEqual(house.metrics.in_flight, 1)
        first, headers, body = parts(house.provider.received())
        self.assertEqual(first, b"POST /v1/chat/completions HTTP/1.1")
        self.assertEqual(headers[b"host"], b"a.example")
        self.assertEqual(headers[b"authorization"], b"Bearer " + KEY)
        self.assertEqual(headers[b"content-type"], b"application/json")
        self.assertEqual(headers[b"accept-encoding"], b"identity")
        self.assertEqual(json.loads(body), {**HELLO, "model": "plain"})
        self.assertEqual(int(headers[b"content-length"]), len(body))
        house.provider.answers(ANSWER)
        status, headers, body = parts(client.received())
        self.assertEqual(status, b"HTTP/1.1 200 OK")
        self.assertEqual(headers[b"content-type"], b"application/json")
        self.assertEqual(json.loads(body), CHAT)
        self.assertNotIn(b"x-llmgateway-error-source", headers)

    def test_what_is_counted_and_logged(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "model": "asked"}, b"X-Request-Id: mine"))
        house.clock.advance(0.5)
        house.provider.answers(answer(json.dumps(CHAT).encode(), b"X-Request-Id: theirs"))
        labels = {"tenant": "default", "route": "demo", "rule": "all", "provider": "a", "model": "plain"}
        self.assertEqual(
            house.number("llmgateway_requests_total", code="200", outcome="ok", client="", **labels), 1
        )
        self.assertEqual(house.number("llmgateway_tokens_total", type="input", **labels), 5)
        self.assertEqual(house.number("llmgateway_tokens_total", type="output", **labels), 2)
        self.assertEqual(house.number("llmgateway_request_duration_seconds_sum", **labels), 0.5)
        names, record = house.names, house.record
        self.assertEqual(
            (names.tenant, names.route, names.rule, names.provider, names.provider_host),
            ("default", "demo", "all", "a", "a.example"),
        )
        self.assertEqual((names.method, names.path, names.host), ("POST", "/v1/chat/completions", "demo"))
        self.assertEqual((record.code, record.outcome, record.error), (200, "ok", ""))
        self.assertEqual(
            (record.asked_model, record.sent_model, record.answered_model), ("asked", "plain", "answered-1")
        )
        self.assertEqual((record.request_prompt_tokens, record.request_completion_tokens), (5, 2))
        self.assertEqual((record.request_id, record.provider_request_id), ("mine", "theirs"))
        self.assertEqual((record.duration_ms, record.time_to_head_ms), (500, 500))
        self.assertEqual(record.bytes_in, len(json.dumps({**HELLO, "model": "asked"})))
        self.assertEqual(record.bytes_out, len(json.dumps(CHAT)))
        self.assertEqual((record.attempts, record.stream), (1, False))

    def test_what_repeats_is_named_once(self) -> None:
        house, client = self.open()
        for body, path in (({"model": "one"}, b"/"), ({"model": "two"}, b"/"), ({}, b"/other")):
            client.sends(post({**HELLO, **body}, path=path))
            house.provider.answers(ANSWER)
        first, second, third = house.access_log.names
        self.assertIs(first, second)
        self.assertIsNot(first, third)

    def test_both_connections_are_kept(self) -> None:
        house, client = self.open()
        for _ in range(3):
            client.sends(post(HELLO))
            house.provider.answers(ANSWER)
            self.assertTrue(client.received().startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(len(house.network.providers), 1)

    def test_chat_at_any_path(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO, b"Content-Type: application/x-www-form-urlencoded", path=b"/"))
        first, headers, _ = parts(house.provider.received())
        self.assertEqual(first, b"POST /v1/chat/completions HTTP/1.1")
        self.assertEqual(headers[b"content-type"], b"application/json")
        house.provider.answers(ANSWER)

    def test_an_answer_in_pieces_is_held_until_it_is_whole(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        house.provider.answers(ANSWER[:-10])
        self.assertEqual(client.received(), b"")
        house.provider.answers(ANSWER[-10:])
        self.assertEqual(json.loads(parts(client.received())[2]), CHAT)

    def test_a_long_one_is_relayed_as_it_comes(self) -> None:
        self.patch(provider_answer, "HELD_BYTES", 20)
        house, client = self.open()
        client.sends(post(HELLO))
        house.provider.answers(ANSWER[:-10])
        first = client.received()
        self.assertIn(b"content-length", first)
        house.provider.answers(ANSWER[-10:])
        self.assertEqual(json.loads(parts(first + client.received())[2]), CHAT)

    def test_turns_are_taken_by_weight(self) -> None:
        shared = "rules: [{backendRefs: [{providerHost: a.example, weight: 1}, {providerHost: b.example, weight: 1}]}]"
        house, client = self.open(provider("a") + provider("b") + route("demo", shared))
        hosts = []
        for _ in range(4):
            client.sends(post(HELLO))
            for each in house.network.providers:
                if sent := each.received():
                    hosts.append(parts(sent)[1][b"host"])
                    each.answers(ANSWER)
        self.assertEqual(hosts, [b"a.example", b"b.example"] * 2)

    def test_a_request_keeps_the_configuration_that_it_began_with(self) -> None:
        house, client = self.open()
        request = post(HELLO)
        client.sends(request[:-5])
        house.reads(provider("b") + route_to("b"))
        client.sends(request[-5:])
        self.assertEqual(parts(house.provider.received())[1][b"host"], b"a.example")
        house.provider.answers(ANSWER)
        client.sends(request)
        self.assertEqual(parts(house.provider.received())[1][b"host"], b"b.example")
        house.provider.answers(ANSWER)


class ClientLeavesTests(ConversationTestCase):
    """Whoever leaves ends the provider's request at once."""

    def assert_left(self, house: House) -> None:
        self.assertEqual(house.counted, {("499", "client_left"): 1})
        self.assertEqual((house.record.code, house.record.outcome), (499, "client_left"))
        self.assertEqual(house.metrics.in_flight, 0)

    def test_while_it_sends(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO)[:-1])
        client.leaves()
        self.assert_left(house)
        self.assertEqual(house.network.providers, [])

    def test_while_it_waits_for_a_connection(self) -> None:
        house, client = self.open()
        house.network.hangs = True
        client.sends(post(HELLO))
        client.leaves()
        self.assert_left(house)
        self.assertEqual(house.network.cancelled, 1)

    def test_before_the_head(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        client.leaves()
        self.assert_left(house)
        self.assertEqual(house.provider.end, "aborted")

    def test_in_the_middle_of_a_stream(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")))
        client.leaves()
        self.assert_left(house)
        self.assertEqual(house.provider.end, "aborted")
        self.assertEqual(house.record.answered_model, "answered-1")

    def test_after_done_it_has_not_left_early(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")) + event(USAGE) + event(b"[DONE]"))
        client.leaves()
        self.assertEqual(house.counted, {("200", "ok"): 1})
        self.assertEqual(house.record.request_prompt_tokens, 7)
        self.assertEqual(house.provider.end, "", "the last chunk may still come")
        house.provider.answers(LAST_CHUNK)
        other = house.client()
        other.sends(post(HELLO))
        self.assertEqual(len(house.network.providers), 1, "the connection was kept")
        house.provider.answers(ANSWER)

    def test_after_done_while_the_provider_was_paused_for_it(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "stream": True}))
        assert client.transport.producer is not None
        client.transport.producer.pauseProducing()
        house.provider.answers(STREAM + event(words("x")))
        self.assertEqual(house.provider.transport.producerState, "paused")
        house.provider.answers(event(b"[DONE]"))
        self.assertEqual(house.provider.transport.producerState, "producing")
        client.leaves()
        house.provider.answers(LAST_CHUNK)

    def test_after_done_when_the_provider_says_no_more(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(b"[DONE]"))
        client.leaves()
        house.waits(121)
        self.assertEqual(house.provider.end, "aborted")
        self.assertEqual(house.counted, {("200", "ok"): 1})


class TimeoutTests(ConversationTestCase):
    def slow(self, timeouts: str) -> tuple[House, Client]:
        return self.open(provider("a", f"{KEYED}\ntimeouts: {timeouts}") + route_to("a"))

    def test_no_head_in_time(self) -> None:
        house, client = self.slow("{headers: 2s}")
        client.sends(post(HELLO))
        house.waits(3)
        received = client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 504 "))
        self.assertEqual(error(received)["code"], "provider_headers_timeout")
        self.assertEqual(house.counted, {("504", "provider_failed"): 1})

    def test_the_exchange_as_a_whole_before_the_head(self) -> None:
        house, client = self.slow("{request: 2s}")
        client.sends(post(HELLO))
        house.waits(3)
        self.assertEqual(error(client.received())["code"], "provider_request_timeout")
        self.assertEqual(house.provider.end, "aborted")

    def test_and_while_it_waits_for_a_connection(self) -> None:
        house, client = self.slow("{request: 2s}")
        house.network.hangs = True
        client.sends(post(HELLO))
        house.waits(3)
        self.assertEqual(error(client.received())["code"], "provider_request_timeout")
        self.assertEqual(house.network.cancelled, 1)

    def test_and_in_a_stream_that_never_stalls(self) -> None:
        house, client = self.slow("{request: 2s, idle: 1s}")
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM)
        for _ in range(5):
            house.provider.answers(event(words("x")))
            house.waits(0.5)
        self.assertIn(b"provider_request_timeout", client.received())
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})
        self.assertEqual(house.provider.end, "aborted")

    def test_one_that_was_met_is_forgotten(self) -> None:
        house, client = self.slow("{request: 2s}")
        client.sends(post(HELLO))
        house.provider.answers(ANSWER)
        house.waits(5)
        self.assertEqual(house.counted, {("200", "ok"): 1})

    def test_a_connection_that_fails_at_once_leaves_no_deadline_behind(self) -> None:
        house, client = self.slow("{request: 2s}")
        house.network.fails_with = GatewayError("provider_connect_failed", "It is down.")
        client.sends(post(HELLO))
        house.waits(5)
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})

    def test_a_stream_that_stalls(self) -> None:
        house, client = self.slow("{idle: 2s}")
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")))
        house.waits(3)
        self.assertIn(b"provider_idle_timeout", client.received())

    def test_a_body_that_is_too_slow(self) -> None:
        house, client = self.open(limits=DownstreamLimits(body_seconds=2.0))
        client.sends(post(HELLO)[:-1])
        received = client.waits(3)
        self.assertTrue(received.startswith(b"HTTP/1.1 408 "))
        self.assertEqual(error(received)["code"], "request_timeout")
        self.assertEqual(house.counted, {("408", "client_error"): 1})
        self.assertEqual((house.names.route, house.names.provider), ("demo", ""))


class SlowClientTests(ConversationTestCase):
    def test_it_pauses_the_provider_and_lets_it_go_on(self) -> None:
        house, client = self.open(provider("a", f"{KEYED}\ntimeouts: {{idle: 5s}}") + route_to("a"))
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")))
        assert client.transport.producer is not None
        client.transport.producer.pauseProducing()
        house.provider.answers(event(words("y")))
        self.assertEqual(house.provider.transport.producerState, "paused")
        house.waits(20)
        self.assertEqual(house.counted, {}, "the provider's silence is ours")
        client.transport.producer.resumeProducing()
        self.assertEqual(house.provider.transport.producerState, "producing")
        house.provider.answers(event(b"[DONE]") + LAST_CHUNK)
        self.assertTrue(client.received().endswith(LAST_CHUNK))
