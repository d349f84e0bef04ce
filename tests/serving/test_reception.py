"""Request ids, and what never became an exchange."""

from __future__ import annotations

from tests.fakes.house import (
    HELLO,
    ConversationTestCase,
    answer,
    get,
    parts,
    post,
)


class RequestIdTests(ConversationTestCase):
    def ids(self, *lines: bytes) -> tuple[bytes, bytes]:
        """The request id that provider and client get."""
        house, client = self.open()
        client.sends(post(HELLO, *lines))
        sent = parts(house.provider.received())[1][b"x-request-id"]
        house.provider.answers(answer(b"{}", b"X-Request-Id: of-the-provider"))
        told = parts(client.received())[1][b"x-request-id"]
        self.assertEqual(house.record.request_id.encode(), told)
        self.assertEqual(house.record.provider_request_id, "of-the-provider")
        return sent, told

    def test_the_clients_own(self) -> None:
        for own in (b"a", b"A-z_0.9", b"x" * 128):
            self.assertEqual(self.ids(b"X-Request-Id: " + own), (own, own))

    def test_one_of_ours_instead(self) -> None:
        for other in (b"x" * 129, b"a b", b"a/b", b"\xc3\xa9", b'"quoted"'):
            sent, told = self.ids(b"X-Request-Id: " + other)
            self.assertEqual(sent, told)
            self.assertRegex(told, rb"\A[0-9a-f]{16}-[0-9a-f]+\Z")

    def test_every_one_of_ours_is_another(self) -> None:
        house, client = self.open()
        ids = {parts(client.sends(get(b"/v1/models")))[1][b"x-request-id"] for _ in range(10)}
        self.assertEqual(len(ids), 10)
        self.assertEqual(house.counted, {("200", "ok"): 10})


class PathTests(ConversationTestCase):
    def test_neither_query_nor_parameters_are_told(self) -> None:
        house, client = self.open()
        for written in ("?key=sk-1", ";key=sk-1", "%3Fkey=sk-1", "%3bkey=sk-1/more"):
            client.sends(get(b"/v1/models" + written.encode()))
            self.assertEqual((house.names.method, house.names.path), ("GET", "/v1/models"))


class RefusedTests(ConversationTestCase):
    def refused(self, sent: bytes) -> tuple[str, str, str]:
        house, client = self.open()
        client.sends(sent)
        return house.names.method, house.names.path, house.names.host

    def test_what_can_be_read_of_it_is_told(self) -> None:
        for sent, told in (
            (b"GET /v1/models?key=sk-1 HTTP/1.1\r\nHost: a_b..c\r\n\r\n", ("GET", "/v1/models", "a_b..c")),
            (b"GET //v1/models HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "//v1/models", "a")),
            (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", ("TRACE", "/", "a")),
            (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", ("GET", "/", "a")),
            (b"GET /%b HTTP/1.1\r\n" % (b"x" * 100_000), ("GET", "/" + "x" * 100_000, "")),
            (b"\x16\x03\x01", ("", "", "")),
        ):
            self.assertEqual(self.refused(sent), told)

    def test_what_never_became_an_exchange_is_counted_with_the_bytes_of_its_answer(self) -> None:
        house, client = self.open()
        body = parts(client.sends(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"))[2]
        self.assertEqual(house.record.bytes_out, len(body))
        self.assertEqual(house.number("llmgateway_response_bytes_total"), len(body))
