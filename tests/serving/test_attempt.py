"""A provider that dies, and the one thing that is tried again."""

from __future__ import annotations

import json

from gateway.errors import GatewayError
from gateway.serving import provider_answer
from tests.fakes.client import Client
from tests.fakes.conf import KEYED, provider, route_to
from tests.fakes.house import (
    ANSWER,
    HELLO,
    LAST_CHUNK,
    ONCE,
    STREAM,
    ConversationTestCase,
    House,
    error,
    event,
    parts,
    post,
    unchunked,
    words,
)


class ProviderDiesTests(ConversationTestCase):
    def kept(self, conf: str = ONCE) -> tuple[House, Client]:
        """A house that keeps a connection to its provider."""
        house, client = self.open(conf)
        client.sends(post(HELLO))
        house.provider.answers(ANSWER)
        house.provider.received()
        client.received()
        return house, client

    def test_a_kept_connection_that_dies_is_tried_once_more(self) -> None:
        house, client = self.kept()
        client.sends(post(HELLO))
        old = house.provider
        old.resets()
        self.assertEqual(len(house.network.providers), 2)
        self.assertEqual(house.provider.received(), old.received())
        house.provider.answers(ANSWER)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(house.record.attempts, 2)
        self.assertEqual(house.counted, {("200", "ok"): 2})

    def test_but_not_twice(self) -> None:
        house, client = self.kept()
        client.sends(post(HELLO))
        house.provider.closes()
        house.provider.closes()
        received = client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 502 Bad Gateway"))
        self.assertEqual(error(received)["code"], "provider_reset")
        self.assertEqual(len(house.network.providers), 2)

    def test_nor_after_a_byte_of_the_answer(self) -> None:
        house, client = self.kept()
        client.sends(post(HELLO))
        house.provider.answers(b"HTTP/1.1 200")
        house.provider.resets()
        self.assertEqual(error(client.received())["code"], "provider_answer_cut")
        self.assertEqual(len(house.network.providers), 1)

    def test_a_fresh_one_that_dies(self) -> None:
        house, client = self.open(ONCE)
        client.sends(post(HELLO))
        house.provider.resets()
        status, headers, body = parts(client.received())
        self.assertEqual(status, b"HTTP/1.1 502 Bad Gateway")
        self.assertEqual(headers[b"x-llmgateway-error-source"], b"gateway")
        self.assertEqual(headers[b"content-type"], b"application/json")
        self.assertEqual(
            json.loads(body)["error"],
            {
                "message": "The provider closed the connection before it answered.",
                "type": "upstream_error",
                "code": "provider_reset",
                "param": None,
            },
        )
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})
        self.assertEqual((house.record.error, house.names.provider), ("provider_reset", "a"))
        self.assertFalse(client.is_closed)

    def test_no_connection_can_be_made(self) -> None:
        house, client = self.open(ONCE)
        house.network.fails_with = GatewayError("provider_connect_failed", "It is down.", detail="errno 111")
        received = client.sends(post(HELLO))
        self.assertEqual(error(received)["message"], "It is down.")
        self.assertNotIn(b"errno", received)
        self.assertEqual((house.record.detail, house.record.attempts), ("errno 111", 1))
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})

    def test_a_stream_that_breaks_ends_in_an_error_and_without_a_last_chunk(self) -> None:
        house, client = self.open(ONCE)
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")) + event(words("half"))[:-9])
        client.received()
        house.provider.resets()
        seen = client.received()
        self.assertFalse(seen.endswith(LAST_CHUNK))
        told = unchunked(seen)
        self.assertNotIn(b"half", told)
        self.assertTrue(told.startswith(b"data: {"))
        self.assertEqual(json.loads(told.removeprefix(b"data: "))["error"]["code"], "provider_answer_cut")
        self.assertTrue(client.is_closed)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})
        self.assertEqual(house.record.error, "provider_answer_cut")

    def test_a_whole_answer_that_breaks_was_never_shown(self) -> None:
        house, client = self.open(ONCE)
        client.sends(post(HELLO))
        house.provider.answers(ANSWER[:-10])
        self.assertEqual(client.received(), b"")
        house.provider.closes()
        self.assertEqual(error(client.received())["code"], "provider_answer_cut")
        self.assertFalse(client.is_closed)
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})

    def test_one_that_is_too_long_to_be_held_is_cut_off(self) -> None:
        self.patch(provider_answer, "HELD_BYTES", 20)
        house, client = self.open(ONCE)
        client.sends(post(HELLO))
        house.provider.answers(ANSWER[:-10])
        house.provider.closes()
        _, headers, body = parts(client.received())
        self.assertLess(len(body), int(headers[b"content-length"]))
        self.assertTrue(client.is_closed)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})

    def test_a_stream_that_has_said_done_is_whole(self) -> None:
        house, client = self.open(ONCE)
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")) + event(b"[DONE]"))
        house.provider.resets()
        self.assertTrue(client.received().endswith(LAST_CHUNK))
        self.assertEqual(house.counted, {("200", "ok"): 1})

    def test_what_is_not_http(self) -> None:
        house, client = self.open(ONCE)
        client.sends(post(HELLO))
        house.provider.answers(b"SSH-2.0-OpenSSH\r\n")
        self.assertEqual(error(client.received())["code"], "provider_malformed_answer")
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})

    def test_no_connection_becomes_free(self) -> None:
        limits = "connectionPool: {maxConnections: 1, pendingTimeout: 2s}"
        house, client = self.open(provider("a", f"{KEYED}\n{limits}") + route_to("a"))
        client.sends(post(HELLO))
        other = house.client()
        other.sends(post(HELLO))
        house.waits(2)
        received = other.received()
        self.assertEqual(error(received)["code"], "provider_pool_full")
        self.assertEqual(parts(received)[1][b"retry-after"], b"1")
        self.assertEqual(house.counted, {("503", "gateway_error"): 1})
        house.provider.answers(ANSWER)
        self.assertEqual(len(house.network.providers), 1)
