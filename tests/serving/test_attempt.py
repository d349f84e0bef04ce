"""A provider that dies, and the one thing that is tried again."""

from __future__ import annotations

import json

from gateway.errors import GatewayError
from gateway.wire import pools
from gateway.wire.limits import UPSTREAM_PENDING_SECONDS
from tests.fakes.client import Client
from tests.fakes.house import (
    ANSWER,
    CONF,
    HELLO,
    LAST_CHUNK,
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
    def kept(self, conf: str = CONF) -> tuple[House, Client]:
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
        house, client = self.open()
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
        self.assertEqual((house.record.error, house.record.provider), ("provider_reset", "a"))
        self.assertFalse(client.is_closed)

    def test_no_connection_can_be_made(self) -> None:
        house, client = self.open()
        house.network.fails_with = GatewayError("provider_connect_failed", "It is down.", detail="errno 111")
        received = client.sends(post(HELLO))
        self.assertEqual(error(received)["message"], "It is down.")
        self.assertNotIn(b"errno", received)
        self.assertEqual((house.record.detail, house.record.attempts), ("errno 111", 0))
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})

    def test_a_stream_that_breaks_ends_in_an_error_and_without_a_last_chunk(self) -> None:
        house, client = self.open()
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

    def test_a_whole_answer_that_breaks_is_cut_off(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        house.provider.answers(ANSWER[:-10])
        house.provider.closes()
        _, headers, body = parts(client.received())
        self.assertLess(len(body), int(headers[b"content-length"]))
        self.assertTrue(client.is_closed)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})

    def test_a_stream_that_has_said_done_is_whole(self) -> None:
        house, client = self.open()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("x")) + event(b"[DONE]"))
        house.provider.resets()
        self.assertTrue(client.received().endswith(LAST_CHUNK))
        self.assertEqual(house.counted, {("200", "ok"): 1})

    def test_what_is_not_http(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO))
        house.provider.answers(b"SSH-2.0-OpenSSH\r\n")
        self.assertEqual(error(client.received())["code"], "provider_malformed_answer")
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})

    def test_no_connection_becomes_free(self) -> None:
        house, client = self.open()
        house.network.hangs = True
        self.patch(pools, "UPSTREAM_CONNECTIONS", 0)
        client.sends(post(HELLO))
        house.waits(UPSTREAM_PENDING_SECONDS + 1)
        received = client.received()
        self.assertEqual(error(received)["code"], "overloaded")
        self.assertEqual(parts(received)[1][b"retry-after"], b"1")
        self.assertEqual(house.counted, {("503", "gateway_error"): 1})
