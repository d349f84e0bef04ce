"""Conversations with a client's connection, in memory and on a clock of their own."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.wire.downstream import DownstreamConnection
from gateway.wire.limits import (
    LAST_REQUEST_SECONDS,
    LINGER_SECONDS,
    PIPELINED_BYTES,
    SWALLOWED_BYTES,
    WRITE_STALL_SECONDS,
    DownstreamLimits,
)
from gateway.wire.listening import DownstreamFactory
from gateway.wire.sweep import Sweep
from tests.fakes.client import Client, ClientTransport, SocketTransport
from tests.fakes.serving import RecordingExchange, RecordingStarter, answer_echo, stay_silent

DATE = b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
HOST = b"Host: api.example.com\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"


def ok(body: bytes, *, close: bool = False) -> bytes:
    end = b"connection: close\r\n" if close else b""
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n%b\r\n%b" % (DATE, len(body), end, body)


def post(body: bytes, *lines: bytes, length: int | None = None, path: bytes = b"/p") -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    size = len(body) if length is None else length
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, HOST, head, size, body)


def chunked(body: bytes) -> bytes:
    return b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body


class RequestTests(SynchronousTestCase):
    """Requests in, answers out."""

    def test_keep_alive(self) -> None:
        client = Client(RecordingStarter(answer_echo))
        self.assertEqual(client.sends(GET), ok(b"GET /a "))
        self.assertEqual(client.sends(post(b"hello")), ok(b"POST /p hello"))
        self.assertEqual(client.sends(chunked(b"5\r\nhello\r\n0\r\n\r\n")), ok(b"POST /c hello"))
        self.assertFalse(client.is_closed)

    def test_every_valid_request_split_at_each_byte_gets_the_same_answer(self) -> None:
        requests = (
            GET,
            post(b"hello"),
            chunked(b"5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n"),
            post(b"hello", b"Connection: Upgrade", b"Upgrade: h2c"),
            GET.replace(b"/a", b"http://api.example.com/a?b=c"),
            GET.replace(b"1.1", b"1.0"),
            GET + post(b"x") + GET,
        )
        for request in requests:
            whole = Client(RecordingStarter(answer_echo)).sends(request)
            self.assertIn(b"200 OK", whole)
            for at in range(1, len(request)):
                client = Client(RecordingStarter(answer_echo))
                self.assertEqual(client.sends(request[:at], request[at:]), whole, request[:at])

    def test_body_events_follow_the_start_in_order(self) -> None:
        starter = RecordingStarter()
        client = Client(starter)
        client.sends(post(b"", length=10), b"hello")
        self.assertEqual(starter.last.events, ["body"])
        client.sends(b"world")
        self.assertEqual(starter.last.events, ["body", "body", "ended"])
        self.assertEqual(starter.last.body, b"helloworld")

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        """Trap 10: the second is not even looked at before the first has its answer."""
        starter = RecordingStarter()
        client = Client(starter)
        client.sends(GET + post(b"2", path=b"/second") + b"\x16 and then nonsense")
        self.assertEqual(len(starter.exchanges), 1)
        self.assertEqual(starter.refusals, [])
        answer_echo(starter.last)
        self.assertEqual(len(starter.exchanges), 1, "the next one starts in a turn of its own")
        self.assertEqual(client.sends(), ok(b"GET /a "))
        self.assertEqual(starter.last.head.path, b"/second")
        answer_echo(starter.last)
        self.assertEqual(client.received(), ok(b"POST /second 2"))
        client.clock.advance(0)
        self.assertEqual([error.code for error in starter.refusals], ["malformed_request"])
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 Bad Request\r\n"))

    def test_a_thousand_pipelined_requests_do_not_recurse(self) -> None:
        for on_request in (answer_echo, stay_silent):
            starter = RecordingStarter(on_request)
            client = Client(starter)
            answers = client.sends(GET * 1000)
            while len(starter.exchanges) < 1000:
                answer_echo(starter.last)
                client.clock.advance(0)
            if on_request is stay_silent:
                answer_echo(starter.last)
            self.assertEqual(answers + client.received(), ok(b"GET /a ") * 1000)

    def test_who_pipelines_too_much_is_not_read_until_its_turn_has_come(self) -> None:
        starter = RecordingStarter()
        client = Client(starter)
        client.sends(GET + b"x" * 1000)
        self.assertTrue(client.is_read, "a client that leaves is noticed by reading")
        client.sends(b"x" * PIPELINED_BYTES)
        self.assertFalse(client.is_read)
        answer_echo(starter.last)
        client.clock.advance(0)
        self.assertTrue(client.received().startswith(ok(b"GET /a ") + b"HTTP/1.1 400"))

    def test_reading_goes_on_after_a_pause(self) -> None:
        starter = RecordingStarter()
        client = Client(starter)
        big = post(b"x" * PIPELINED_BYTES, path=b"/big")
        client.sends(GET + big)
        self.assertFalse(client.is_read)
        answer_echo(starter.last)
        client.clock.advance(0)
        self.assertTrue(client.is_read)
        self.assertEqual(starter.last.body, b"x" * PIPELINED_BYTES)
        self.assertEqual(starter.last.events[-1], "ended")

    def test_an_upgrade_offer_is_served_as_if_it_had_not_been_made(self) -> None:
        """Trap 3."""
        client = Client(RecordingStarter(answer_echo))
        offer = post(
            b"hello", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"
        )
        self.assertEqual(client.sends(offer + GET), ok(b"POST /p hello") + ok(b"GET /a "))

    def test_http_1_0_is_served_and_closed(self) -> None:
        client = Client(RecordingStarter(answer_echo))
        answer = client.sends(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET)
        self.assertEqual(answer, ok(b"GET /a ", close=True))
        self.assertTrue(client.is_closed)

    def test_connection_close_is_honoured(self) -> None:
        client = Client(RecordingStarter(answer_echo))
        answer = client.sends(b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: x\r\nConnection: Close\r\n\r\n")
        self.assertEqual(answer, ok(b"GET /a ", close=True))
        self.assertTrue(client.transport.disconnecting)
        self.assertFalse(client.transport.half_closed, "nothing more was coming")

    def test_limits_are_read_for_every_head(self) -> None:
        client = Client(RecordingStarter(answer_echo))
        self.assertEqual(client.sends(post(b"hello")), ok(b"POST /p hello"))
        client.limits = DownstreamLimits(body_bytes=4)
        self.assertTrue(client.sends(post(b"hello")).startswith(b"HTTP/1.1 413 "))

    def test_peers_and_listener(self) -> None:
        for address, name in (
            (IPv4Address("TCP", "127.0.0.1", 5555), "127.0.0.1:5555"),
            (IPv6Address("TCP", "::1", 5555), "[::1]:5555"),
            (UNIXAddress("/run/x"), "unix"),
        ):
            client = Client(RecordingStarter(), transport=ClientTransport(address))
            self.assertEqual(client.connection.peer, name)
            self.assertEqual(client.transport.no_delay, name != "unix")
        sweep = Sweep(client.clock, client.clock.seconds)
        factory = DownstreamFactory(RecordingStarter(), sweep, DownstreamLimits, "internal")
        self.assertEqual(factory.buildProtocol(None).listener, "internal")


class ExpectTests(SynchronousTestCase):
    """Expect: 100-continue (RFC 9110 §10.1.1)."""

    REQUEST = post(b"", b"Expect: 100-continue", length=5)
    CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

    def test_100_comes_only_when_the_body_is_wanted_and_once(self) -> None:
        starter = RecordingStarter(answer_echo)
        client = Client(starter)
        self.assertEqual(client.sends(self.REQUEST), b"")
        self.assertEqual(client.waits(DownstreamLimits().body_seconds * 2), b"", "we are the ones who dally")
        client.connection.accept_body()
        client.connection.accept_body()
        self.assertEqual(client.received(), self.CONTINUE)
        self.assertEqual(client.sends(b"hello" + GET), ok(b"POST /p hello") + ok(b"GET /a "))

    def test_the_body_that_was_asked_for_has_a_deadline(self) -> None:
        client = Client(RecordingStarter(on_start=lambda exchange: exchange.connection.accept_body()))
        self.assertEqual(client.sends(self.REQUEST), self.CONTINUE)
        self.assertTrue(client.waits(DownstreamLimits().body_seconds + 1).startswith(b"HTTP/1.1 408 "))

    def test_who_has_begun_to_send_is_not_told_to(self) -> None:
        starter = RecordingStarter(answer_echo, on_start=lambda exchange: exchange.connection.accept_body())
        self.assertEqual(Client(starter).sends(self.REQUEST + b"hello"), ok(b"POST /p hello"))
        late = RecordingStarter()
        client = Client(late)
        client.sends(self.REQUEST, b"he")
        client.connection.accept_body()
        self.assertEqual(client.received(), b"")

    def test_who_does_not_wait_is_told_nothing(self) -> None:
        starter = RecordingStarter(answer_echo, on_start=lambda exchange: exchange.connection.accept_body())
        self.assertEqual(Client(starter).sends(post(b"", length=5), b"hello"), ok(b"POST /p hello"))

    def test_an_answer_instead_of_100_closes_the_connection(self) -> None:
        """Nobody can tell whether the body still comes."""
        starter = RecordingStarter(on_start=lambda exchange: exchange.connection.respond(401, [], b"no"))
        client = Client(starter)
        answer = client.sends(self.REQUEST)
        self.assertTrue(answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n"))
        self.assertIn(b"connection: close\r\n", answer)
        self.assertNotIn(b"100 Continue", answer)
        self.assertTrue(client.transport.half_closed)
        client.connection.accept_body()
        self.assertEqual(client.sends(b"hello", GET), b"")
        self.assertEqual(starter.last.events, [])

    def test_too_large_is_said_before_100(self) -> None:
        starter = RecordingStarter()
        client = Client(starter, DownstreamLimits(body_bytes=4))
        self.assertTrue(client.sends(self.REQUEST).startswith(b"HTTP/1.1 413 "))
        self.assertEqual(starter.exchanges, [])

    def test_other_expectations_fail(self) -> None:
        client = Client(RecordingStarter())
        self.assertTrue(client.sends(post(b"x", b"Expect: 200-ok")).startswith(b"HTTP/1.1 417 "))
        self.assertTrue(client.is_closed)


class RefusalTests(SynchronousTestCase):
    """What is refused is answered, closed, and never handed on."""

    def refused(self, client: Client, starter: RecordingStarter, status: int, answer: bytes) -> None:
        self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer)
        self.assertIn(b"connection: close\r\n", answer)
        self.assertEqual(starter.exchanges, [])
        self.assertEqual([error.status for error in starter.refusals], [status])
        self.assertTrue(client.is_closed)
        self.assertEqual(client.sends(GET), b"", "nothing behind it is a request")
        self.assertEqual(starter.exchanges, [])

    def test_refusals_close_and_forward_nothing(self) -> None:
        for status, request in (
            (400, b"GET /a HTTP/1.1\r\n\r\n"),
            (400, post(b"x", b"Transfer-Encoding: chunked")),
            (400, b"\x16\x03\x01"),
            (400, b"GET / HTTP/1.1\nHost: h\n\n"),
            (405, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
            (501, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
            (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ):
            starter = RecordingStarter()
            client = Client(starter)
            self.refused(client, starter, status, client.sends(request + GET))

    def test_connect_is_refused_with_a_sentence(self) -> None:
        answer = Client(RecordingStarter()).sends(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")
        self.assertIn(b"what is already encrypted cannot be routed", answer)

    def test_heads_without_end(self) -> None:
        """Trap 6: llhttp has no limit."""
        for status, start in ((431, b"GET / HTTP/1.1\r\nA: "), (414, b"GET /"), (431, b"GET / HTTP/1.1\r\n")):
            starter = RecordingStarter()
            client = Client(starter, DownstreamLimits(head_bytes=2000))
            client.sends(start)
            for _ in range(100):
                more = client.sends(b"A: bcdefgh\r\n" * 5 if start.endswith(b"\n") else b"x" * 60)
                if more:
                    break
            self.refused(client, starter, status, more)

    def test_the_refusal_of_a_head_request_has_no_body(self) -> None:
        answer = Client(RecordingStarter()).sends(b"HEAD / HTTP/1.1\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "))
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    def test_a_chunked_body_that_grows_too_large(self) -> None:
        starter = RecordingStarter()
        client = Client(starter, DownstreamLimits(body_bytes=8))
        self.assertEqual(client.sends(chunked(b"5\r\nhello\r\n")), b"")
        answer = client.sends(b"5\r\nworld\r\n0\r\n\r\n" + GET)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "))
        self.assertIn(b"connection: close\r\n", answer)
        self.assertEqual(starter.last.events, ["body", "body_too_large"])
        self.assertEqual(len(starter.exchanges), 1)
        self.assertTrue(client.transport.half_closed)

    def test_a_broken_chunk(self) -> None:
        starter = RecordingStarter()
        client = Client(starter)
        answer = client.sends(chunked(b"5\r\nhello\r\n0x5\r\n") + GET)
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "))
        self.assertNotIn("ended", starter.last.events)
        self.assertEqual(len(starter.exchanges), 1)
        self.assertTrue(client.is_closed)

    def test_a_broken_body_ends_an_answer_that_has_begun(self) -> None:
        class Streaming(RecordingExchange):
            def request_failed(self, error: GatewayError) -> None:
                self.events.append(error.code)
                self.connection.break_off()

        starter = RecordingStarter()

        def begin(exchange: RecordingExchange) -> None:
            exchange.connection.begin(200, [], None)
            exchange.connection.write(b"so far")
            exchange.__class__ = Streaming

        starter.on_start = begin
        client = Client(starter)
        answer = client.sends(chunked(b"zz\r\n"))
        self.assertTrue(answer.endswith(b"\r\n\r\n6\r\nso far\r\n"))
        self.assertTrue(client.is_closed)

    def test_trailers_are_dropped_never_merged(self) -> None:
        starter = RecordingStarter(answer_echo)
        client = Client(starter)
        client.sends(chunked(b"2\r\nhi\r\n0\r\nAuthorization: x\r\nHost: other\r\n\r\n") + GET)
        self.assertEqual(
            [exchange.head.header(b"authorization") for exchange in starter.exchanges], [None, None]
        )
        self.assertEqual([exchange.head.host for exchange in starter.exchanges], ["api.example.com"] * 2)

    def test_the_corpus(self) -> None:
        """llhttp's own cases; most lack a Host, so each is also tried with one."""
        cases = json.loads((Path(__file__).parent / "data" / "llhttp_requests.json").read_text())["cases"]
        self.assertGreater(len(cases), 100)
        valid_before_the_fault = ("No restart when keep-alive is off", "CRLF between requests, implicit")
        for case in cases:
            raw = base64.b64decode(case["raw_b64"])
            variants = [raw] if b"\nhost:" in raw.lower() else [raw, raw.replace(b"\r\n", b"\r\n" + HOST, 1)]
            for variant in variants:
                starter = RecordingStarter(answer_echo)
                client = Client(starter)
                client.sends(variant)
                whole = [exchange for exchange in starter.exchanges if "ended" in exchange.events]
                if case["expect"] == "error":
                    served = 1 if any(name in case["name"] for name in valid_before_the_fault) else 0
                    self.assertLessEqual(len(whole), served, (case["name"], variant))
                    self.assertTrue(client.is_closed, (case["name"], variant))
                elif case["expect"] == "ok":
                    self.assertTrue(starter.exchanges or starter.refusals, (case["name"], variant))

    def test_the_rest_of_what_a_refused_client_sends_is_swallowed_and_bounded(self) -> None:
        """Trap 13: closing with unread input resets the connection and eats the answer."""
        client = Client(RecordingStarter())
        client.sends(b"POST / HTTP/1.1\r\n\r\n" + b"x" * 1000)
        self.assertTrue(client.transport.half_closed)
        self.assertFalse(client.transport.disconnecting)
        self.assertTrue(client.is_read)
        for _ in range(100):
            client.sends(b"x" * 60000)
        client.waits(LINGER_SECONDS - 0.5)
        self.assertFalse(client.transport.aborted)
        client.waits(1)
        self.assertTrue(client.transport.aborted)

    def test_one_connection_too_many(self) -> None:
        starter = RecordingStarter(answer_echo)
        first = Client(starter, DownstreamLimits(connections=1))
        second = Client(starter, factory=first.factory, clock=first.clock)
        third = Client(starter, factory=first.factory, clock=first.clock)
        answer = second.sends(GET)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"))
        self.assertIn(b"connection: close\r\n", answer)
        self.assertEqual([error.code for error in starter.refusals], ["overloaded"])
        self.assertEqual(first.sends(GET), ok(b"GET /a "))
        third.waits(LINGER_SECONDS + 0.5)
        self.assertTrue(third.is_closed, "who says nothing takes no place for long")
        first.leaves()
        fourth = Client(starter, factory=first.factory, clock=first.clock)
        self.assertEqual(fourth.sends(GET), ok(b"GET /a "), "those who were turned away take no place")


class AnswerTests(SynchronousTestCase):
    """Framing, and answers that do not keep their word."""

    def start(self, request: bytes = GET) -> tuple[Client, DownstreamConnection]:
        client = Client(RecordingStarter())
        client.sends(request)
        return client, client.connection

    def test_chunks_leave_with_each_flush_and_the_head_with_the_first(self) -> None:
        client, connection = self.start()
        connection.begin(200, [(b"content-type", b"text/event-stream")], None)
        self.assertTrue(connection.begun)
        connection.write(b"data: 1\n\n")
        connection.write(b"data: 2\n\n")
        self.assertEqual(client.received(), b"")
        connection.flush()
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            + DATE
            + b"transfer-encoding: chunked\r\n\r\n"
        )
        self.assertEqual(client.received(), head + b"12\r\ndata: 1\n\ndata: 2\n\n\r\n")
        connection.write(b"")
        connection.flush()
        self.assertEqual(client.received(), b"", "an empty chunk would be the last one")
        connection.write(b"x")
        connection.end()
        self.assertEqual(client.received(), b"1\r\nx\r\n0\r\n\r\n")
        self.assertTrue(client.sends(GET) == b"" and not client.is_closed)

    def test_a_head_alone_can_be_flushed(self) -> None:
        client, connection = self.start()
        connection.begin(200, [], None)
        connection.flush()
        self.assertTrue(client.received().endswith(b"chunked\r\n\r\n"))
        connection.end()
        self.assertEqual(client.received(), b"0\r\n\r\n")

    def test_a_declared_length(self) -> None:
        client, connection = self.start()
        connection.begin(200, [], 4)
        connection.write(b"ab")
        connection.flush()
        connection.write(b"cd")
        connection.end()
        self.assertEqual(client.received(), ok(b"abcd"))
        self.assertFalse(client.is_closed)

    def test_head_204_and_304_have_no_body(self) -> None:
        head = b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n"
        for request, status, line in (
            (head, 200, b"content-length: 5\r\n"),
            (GET, 204, b""),
            (GET, 304, b""),
        ):
            for whole in (True, False):
                client, connection = self.start(request)
                if whole:
                    connection.respond(status, [], b"hello")
                else:
                    connection.begin(status, [], 5)
                    connection.write(b"hello")
                    connection.end()
                answer = client.received()
                self.assertTrue(answer.endswith(DATE + line + b"\r\n"), answer)
                self.assertFalse(client.is_closed)
        client, connection = self.start(head)
        connection.begin(200, [], None)
        connection.end()
        self.assertTrue(client.received().endswith(b"\r\n\r\n"))

    def test_http_1_0_knows_no_chunks(self) -> None:
        client, connection = self.start(GET.replace(b"1.1", b"1.0"))
        connection.begin(200, [], None)
        connection.write(b"hello")
        connection.end()
        self.assertEqual(client.received(), b"HTTP/1.1 200 OK\r\n" + DATE + b"connection: close\r\n\r\nhello")
        self.assertTrue(client.is_closed)

    def test_an_answer_longer_than_it_said_is_broken_off(self) -> None:
        client, connection = self.start()
        connection.begin(200, [], 4)
        connection.write(b"abcd")
        connection.write(b"HTTP/1.1 200 OK\r\n")
        self.assertTrue(client.received().endswith(b"\r\n\r\nabcd"))
        self.assertTrue(client.is_closed)
        self.assertEqual(client.sends(GET), b"")

    def test_an_answer_shorter_than_it_said_is_broken_off(self) -> None:
        client, connection = self.start()
        connection.begin(200, [], 4)
        connection.write(b"abc")
        connection.end()
        self.assertTrue(client.received().endswith(b"\r\n\r\nabc"))
        self.assertTrue(client.is_closed)

    def test_a_broken_off_stream_has_no_last_chunk(self) -> None:
        client, connection = self.start()
        connection.begin(200, [], None)
        connection.write(b"so far")
        connection.break_off()
        self.assertTrue(client.received().endswith(b"\r\n\r\n6\r\nso far\r\n"))
        self.assertTrue(client.is_closed)
        connection.write(b"more")
        connection.end()
        self.assertEqual(client.received(), b"")

    def test_a_broken_off_answer_that_ends_with_the_connection_is_reset(self) -> None:
        """A clean close would make it look whole."""
        client, connection = self.start(GET.replace(b"1.1", b"1.0"))
        connection.begin(200, [], None)
        connection.write(b"so far")
        connection.break_off()
        self.assertTrue(client.received().endswith(b"so far"))
        self.assertTrue(client.transport.aborted)

    def test_an_answer_is_begun_once(self) -> None:
        client, connection = self.start()
        connection.begin(200, [], None)
        connection.respond(500, [], b"")
        self.assertNotIn(b"500", client.received())
        self.assertTrue(client.is_closed)

    def test_what_comes_after_the_end_does_nothing(self) -> None:
        client, connection = self.start()
        connection.respond(200, [], b"")
        client.received()
        connection.write(b"x")
        connection.flush()
        connection.end()
        connection.respond(200, [], b"")
        connection.begin(200, [], None)
        connection.break_off()
        connection.pause_body()
        connection.resume_body()
        self.assertEqual(client.received(), b"")
        self.assertFalse(client.is_closed)

    def test_headers_with_line_breaks_are_dropped(self) -> None:
        client, connection = self.start()
        connection.respond(200, [(b"x-a", b"1\r\nset-cookie: x"), (b"x-b", b"2")], b"")
        answer = client.received()
        self.assertNotIn(b"cookie", answer)
        self.assertIn(b"x-b: 2\r\n", answer)

    def test_an_answer_before_the_body_is_whole(self) -> None:
        """The rest is swallowed where that is cheap; the exchange hears no more of it."""
        starter = RecordingStarter(on_start=lambda exchange: exchange.connection.respond(429, [], b"later"))
        client = Client(starter)
        answer = client.sends(post(b"", length=10))
        self.assertTrue(answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\n"))
        self.assertNotIn(b"close", answer)
        starter.on_start = stay_silent
        client.sends(b"hello", b"world" + GET)
        self.assertEqual(starter.exchanges[0].events, [])
        self.assertEqual(starter.last.head.path, b"/a")
        self.assertFalse(client.is_closed)

    def test_the_rest_of_a_body_has_its_deadline_too(self) -> None:
        starter = RecordingStarter(on_start=lambda exchange: exchange.connection.respond(429, [], b"later"))
        client = Client(starter)
        client.sends(post(b"", length=10))
        self.assertEqual(client.waits(DownstreamLimits().body_seconds + 1), b"")
        self.assertTrue(client.is_closed)
        self.assertEqual(starter.refusals, [])

    def test_an_answer_long_before_the_end_of_the_body_closes(self) -> None:
        for request in (post(b"", length=SWALLOWED_BYTES + 1), chunked(b"")):
            starter = RecordingStarter(
                on_start=lambda exchange: exchange.connection.respond(429, [], b"later")
            )
            client = Client(starter)
            self.assertIn(b"connection: close\r\n", client.sends(request))
            self.assertTrue(client.transport.half_closed)
            self.assertEqual(client.sends(b"x" * 100), b"")
            self.assertEqual(starter.last.events, [])

    def test_an_upload_can_be_paused(self) -> None:
        starter = RecordingStarter(on_body=lambda exchange: exchange.connection.pause_body())
        client = Client(starter, DownstreamLimits(body_seconds=10))
        client.sends(post(b"", length=10), b"hello")
        self.assertFalse(client.is_read)
        self.assertEqual(client.waits(100), b"", "the deadline stands still")
        client.sends(b"wor")
        self.assertEqual(starter.last.events, ["body"])
        client.connection.resume_body()
        self.assertEqual(starter.last.events, ["body"], "not from within the call")
        client.clock.advance(0)
        self.assertEqual(starter.last.body, b"hellowor")
        client.connection.resume_body()
        client.clock.advance(0)
        self.assertTrue(client.is_read)
        self.assertTrue(client.waits(12).startswith(b"HTTP/1.1 408 "))

    def test_an_upload_paused_from_its_start_has_its_deadline_afterwards(self) -> None:
        for request in (post(b"", length=10), post(b"", b"Expect: 100-continue", length=10)):
            starter = RecordingStarter(on_start=lambda exchange: exchange.connection.pause_body())
            client = Client(starter, DownstreamLimits(body_seconds=10))
            client.sends(request)
            client.connection.accept_body()
            client.received()
            self.assertEqual(client.waits(100), b"")
            client.connection.resume_body()
            self.assertEqual(client.waits(9), b"")
            self.assertTrue(client.waits(2).startswith(b"HTTP/1.1 408 "))

    def test_a_paused_upload_that_is_whole_ends_after_the_pause(self) -> None:
        starter = RecordingStarter(answer_echo, on_body=lambda exchange: exchange.connection.pause_body())
        client = Client(starter)
        self.assertEqual(client.sends(post(b"hello")), b"")
        client.connection.resume_body()
        client.clock.advance(0)
        self.assertEqual(client.received(), ok(b"POST /p hello"))
        self.assertTrue(client.is_read)
        self.assertEqual(client.sends(GET), ok(b"GET /a "))

    def test_an_answer_ends_the_pause_of_an_upload(self) -> None:
        starter = RecordingStarter(on_body=lambda exchange: exchange.connection.pause_body())
        client = Client(starter)
        client.sends(post(b"", length=10), b"hello")
        client.connection.respond(200, [], b"")
        client.received()
        client.clock.advance(0)
        self.assertTrue(client.is_read)
        starter.on_body = stay_silent
        client.sends(b"world" + GET)
        self.assertEqual(starter.last.head.path, b"/a")


class PacingTests(SynchronousTestCase):
    """Clients that take their time."""

    def test_a_slow_client_is_told_about_once(self) -> None:
        starter = RecordingStarter()
        client = Client(starter)
        client.sends(GET)
        connection = client.connection
        connection.begin(200, [], None)
        client.takes_nothing()
        connection.write(b"a")
        connection.flush()
        connection.write(b"b")
        connection.flush()
        self.assertEqual(starter.last.events, ["ended", "full"])
        client.takes_again()
        self.assertEqual(starter.last.events, ["ended", "full", "drained"])
        client.takes_again()
        self.assertEqual(starter.last.events, ["ended", "full", "drained"])

    def test_who_takes_no_answers_gets_no_more_of_them(self) -> None:
        starter = RecordingStarter(answer_echo)
        client = Client(starter)
        client.sends(GET)
        client.takes_nothing()
        client.received()
        self.assertEqual(client.sends(GET * 3), b"")
        self.assertFalse(client.is_read)
        client.takes_again()
        client.clock.advance(0)
        self.assertEqual(client.received(), ok(b"GET /a ") * 3)
        self.assertTrue(client.is_read)

    def test_a_client_that_takes_nothing_is_cut_off(self) -> None:
        starter = RecordingStarter()
        client = Client(starter)
        client.sends(GET)
        client.connection.begin(200, [], None)
        client.takes_nothing()
        client.connection.flush()
        client.waits(WRITE_STALL_SECONDS - 1)
        self.assertFalse(client.transport.aborted)
        client.waits(2)
        self.assertTrue(client.is_cut_off())
        self.assertEqual(starter.last.events[-1], "left")

    def test_a_stall_is_counted_from_its_own_beginning(self) -> None:
        client = Client(RecordingStarter())
        client.sends(GET)
        for _ in range(3):
            client.takes_nothing()
            client.waits(WRITE_STALL_SECONDS - 2)
            client.takes_again()
            client.waits(1)
        self.assertFalse(client.transport.aborted)

    def test_the_last_bytes_to_a_slow_client_are_not_cut(self) -> None:
        client = Client(RecordingStarter())
        client.sends(GET.replace(b"1.1", b"1.0"))
        client.takes_nothing()
        client.connection.respond(200, [], b"x" * 100000)
        self.assertFalse(client.is_closed)
        client.waits(WRITE_STALL_SECONDS - 1)
        self.assertFalse(client.transport.aborted)
        client.takes_again()
        self.assertTrue(client.is_closed)

    def test_a_close_that_does_not_happen_is_forced(self) -> None:
        """`loseConnection` on TLS waits for a close_notify that may never come."""
        client = Client(RecordingStarter(answer_echo))
        client.sends(GET.replace(b"1.1", b"1.0"))
        self.assertTrue(client.transport.disconnecting)
        client.waits(LINGER_SECONDS + 1)
        self.assertTrue(client.transport.aborted)


class DeadlineTests(SynchronousTestCase):
    """Clients that never end what they began."""

    limits = DownstreamLimits(head_seconds=10, body_seconds=20, keep_alive_seconds=30)

    def test_a_slow_head(self) -> None:
        starter = RecordingStarter()
        client = Client(starter, self.limits)
        client.waits(20)
        client.sends(b"G")
        for _ in range(9):
            client.sends(b"E")
            self.assertEqual(client.waits(1), b"")
            break
        self.assertEqual(client.waits(8), b"", "a byte now and then buys no time")
        self.assertTrue(client.waits(2).startswith(b"HTTP/1.1 408 Request Timeout\r\n"))
        self.assertEqual([error.code for error in starter.refusals], ["request_timeout"])
        self.assertTrue(client.is_closed)

    def test_a_head_that_came_in_time_leaves_no_deadline_behind(self) -> None:
        client = Client(RecordingStarter(answer_echo), self.limits)
        client.sends(GET[:5])
        client.waits(8)
        client.sends(GET[5:])
        self.assertEqual(client.waits(29), b"")
        self.assertFalse(client.is_closed)
        self.assertEqual(client.waits(2), b"", "idle, not slow")
        client = Client(RecordingStarter(answer_echo), self.limits)
        client.sends(GET[:5])
        client.waits(8)
        client.sends(GET[5:] + GET[:5])
        self.assertEqual(client.waits(8), b"", "the next head has its own time")
        self.assertTrue(client.waits(3).startswith(b"HTTP/1.1 408 "))

    def test_a_slow_head_behind_another_request(self) -> None:
        starter = RecordingStarter()
        client = Client(starter, self.limits)
        client.sends(GET + b"GET /b HT")
        self.assertEqual(client.waits(100), b"", "its time has not begun")
        answer_echo(starter.last)
        client.clock.advance(0)
        client.received()
        self.assertEqual(client.waits(9), b"")
        self.assertTrue(client.waits(2).startswith(b"HTTP/1.1 408 "))

    def test_a_slow_body(self) -> None:
        starter = RecordingStarter()
        client = Client(starter, self.limits)
        client.sends(post(b"", length=100))
        for _ in range(19):
            client.sends(b"x")
            self.assertEqual(client.waits(1), b"")
        answer = client.waits(2)
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "))
        self.assertIn(b"connection: close\r\n", answer)
        self.assertEqual(starter.last.events[-1], "request_timeout")
        self.assertTrue(client.is_closed)

    def test_idle_connections_are_closed_without_a_word(self) -> None:
        client = Client(RecordingStarter(answer_echo), self.limits)
        self.assertEqual(client.waits(31), b"")
        self.assertTrue(client.is_closed)
        client = Client(RecordingStarter(answer_echo), self.limits)
        client.waits(20)
        client.sends(GET)
        client.sends(b"\r\n")
        self.assertEqual(client.waits(29), b"")
        self.assertFalse(client.is_closed)
        self.assertEqual(client.waits(2), b"")
        self.assertTrue(client.is_closed)

    def test_an_exchange_may_take_as_long_as_it_likes(self) -> None:
        starter = RecordingStarter()
        client = Client(starter, self.limits)
        client.sends(post(b"hello"))
        client.waits(10000)
        answer_echo(starter.last)
        self.assertEqual(client.received(), ok(b"POST /p hello"))

    def test_a_closed_connection_is_no_longer_swept(self) -> None:
        client = Client(RecordingStarter(), self.limits)
        client.leaves()
        client.waits(100)
        self.assertFalse(client.is_closed)
        self.assertEqual(client.factory.connections, set())


class LeavingTests(SynchronousTestCase):
    """Clients that leave, in every phase."""

    def test_while_the_body_comes_while_waiting_and_mid_stream(self) -> None:
        for request, begun in ((post(b"he", length=5), False), (GET, False), (GET, True)):
            starter = RecordingStarter()
            client = Client(starter)
            client.sends(request)
            if begun:
                client.connection.begin(200, [], None)
                client.connection.write(b"x")
                client.connection.flush()
            client.leaves()
            self.assertEqual(starter.last.events.count("left"), 1)
            self.assertEqual(starter.last.events[-1], "left")
            events = list(starter.last.events)
            client.received()
            client.connection.write(b"y")
            client.connection.end()
            client.connection.respond(500, [], b"")
            client.connection.break_off()
            client.connection.resume_body()
            client.waits(200)
            self.assertEqual(client.received(), b"")
            self.assertEqual(starter.last.events, events)

    def test_nobody_has_left_early_after_the_answers_end(self) -> None:
        starter = RecordingStarter(answer_echo)
        client = Client(starter)
        client.sends(GET)
        client.leaves()
        self.assertEqual(starter.last.events, ["ended"])

    def test_while_a_body_is_paused(self) -> None:
        starter = RecordingStarter(on_body=lambda exchange: exchange.connection.pause_body())
        client = Client(starter)
        client.sends(post(b"", length=10), b"hello")
        client.leaves()
        self.assertEqual(starter.last.events, ["body", "left"])

    def test_while_nothing_is_read(self) -> None:
        """Trap 2: a paused transport has left epoll, and neither FIN nor RST is reported."""
        for half in (True, False):
            ours, theirs = socket.socketpair()
            transport = SocketTransport(ours)
            starter = RecordingStarter()
            client = Client(starter, transport=transport)
            client.sends(GET + b"x" * (PIPELINED_BYTES + 1))
            self.assertFalse(client.is_read)
            client.waits(1)
            self.assertFalse(transport.aborted)
            theirs.shutdown(socket.SHUT_WR) if half else theirs.close()
            client.waits(0.5)
            self.assertTrue(client.is_cut_off())
            self.assertEqual(starter.last.events[-1], "left")
            theirs.close()
            ours.close()


class FaultTests(SynchronousTestCase):
    """What the floor above raises reaches neither llhttp nor any other connection (trap 11)."""

    def test_an_exchange_that_raises_is_answered_500(self) -> None:
        def fail(exchange: RecordingExchange) -> None:
            raise ZeroDivisionError

        for starter in (
            RecordingStarter(on_start=fail),
            RecordingStarter(on_body=fail),
            RecordingStarter(fail),
        ):
            client = Client(starter)
            answer = client.sends(post(b"hello") + GET)
            self.assertTrue(answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n"), answer)
            self.assertEqual([error.code for error in starter.refusals], ["internal_error"])
            self.assertEqual(len(starter.exchanges), 1)
            self.assertTrue(client.is_closed)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_an_exchange_that_raises_a_gateway_error_is_no_malformed_request(self) -> None:
        def fail(exchange: RecordingExchange) -> None:
            raise GatewayError("malformed_request", "Not what it seems.")

        starter = RecordingStarter(fail)
        self.assertTrue(Client(starter).sends(GET).startswith(b"HTTP/1.1 500 "))
        self.assertEqual(len(self.flushLoggedErrors(GatewayError)), 1)

    def test_one_that_raises_in_mid_answer_is_broken_off(self) -> None:
        def fail(exchange: RecordingExchange) -> None:
            exchange.connection.begin(200, [], None)
            exchange.connection.write(b"so far")
            raise ZeroDivisionError

        starter = RecordingStarter(fail)
        client = Client(starter)
        self.assertTrue(client.sends(GET).endswith(b"6\r\nso far\r\n"))
        self.assertTrue(client.is_closed)
        self.assertEqual(starter.refusals, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_one_that_raises_after_its_answer(self) -> None:
        def fail(exchange: RecordingExchange) -> None:
            answer_echo(exchange)
            raise ZeroDivisionError

        starter = RecordingStarter(fail)
        client = Client(starter)
        self.assertEqual(client.sends(GET), ok(b"GET /a "))
        self.assertEqual(starter.refusals, [])
        self.assertEqual(starter.last.events, ["ended", "break_down"], "it may not have released everything")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_an_answer_that_goes_on_without_the_body_has_no_deadline(self) -> None:
        class Patient(RecordingExchange):
            def request_failed(self, error: GatewayError) -> None:
                self.events.append(error.code)

        class Starter(RecordingStarter):
            def exchange_started(
                self, head: RequestHead, connection: DownstreamConnection
            ) -> RecordingExchange:
                self.exchanges.append(Patient(head, connection, self))
                return self.last

        starter = Starter()
        client = Client(starter)
        client.sends(post(b"he", length=5))
        client.connection.pause_body()
        client.connection.begin(200, [], None)
        client.connection.cut(GatewayError("draining", "The gateway is stopping."))
        self.assertEqual(starter.last.events, ["body", "draining"])
        client.connection.resume_body()
        client.waits(100)
        self.assertFalse(client.is_closed)
        client.connection.write(b"whole")
        client.connection.end()
        self.assertTrue(client.received().endswith(b"5\r\nwhole\r\n0\r\n\r\n"))
        self.assertTrue(client.is_closed)

    def test_a_status_that_is_none(self) -> None:
        starter = RecordingStarter(lambda exchange: exchange.connection.respond(101, [], b""))
        client = Client(starter)
        self.assertTrue(client.sends(GET).startswith(b"HTTP/1.1 500 "))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_one_that_raises_when_its_client_leaves_or_fails(self) -> None:
        class Raising(RecordingExchange):
            def client_left(self) -> None:
                raise ZeroDivisionError

            def request_failed(self, error: GatewayError) -> None:
                raise ZeroDivisionError

            def client_drained(self) -> None:
                raise ZeroDivisionError

        class Starter(RecordingStarter):
            def exchange_started(
                self, head: RequestHead, connection: DownstreamConnection
            ) -> RecordingExchange:
                return Raising(head, connection, self)

        client = Client(Starter())
        client.sends(GET)
        client.leaves()
        self.assertEqual(client.factory.connections, set())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        client = Client(Starter())
        self.assertTrue(client.sends(chunked(b"zz\r\n")).startswith(b"HTTP/1.1 500 "))
        self.assertTrue(client.is_closed)
        client = Client(Starter())
        client.sends(post(b"", length=5))
        self.assertTrue(client.waits(100).startswith(b"HTTP/1.1 500 "))
        client = Client(Starter())
        client.sends(GET)
        client.connection.begin(200, [], None)
        client.takes_nothing()
        client.connection.flush()
        client.takes_again()
        self.assertTrue(client.is_closed)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_a_failed_request_that_is_not_answered_is_closed(self) -> None:
        class Silent(RecordingExchange):
            def request_failed(self, error: GatewayError) -> None:
                self.events.append(error.code)

        starter = RecordingStarter(on_start=lambda exchange: setattr(exchange, "__class__", Silent))
        client = Client(starter)
        self.assertEqual(client.sends(chunked(b"zz\r\n")), b"")
        self.assertTrue(client.is_closed)

    def test_a_starter_that_cannot_even_refuse(self) -> None:
        class Broken(RecordingStarter):
            def request_refused(self, error: GatewayError, connection: DownstreamConnection) -> None:
                raise ZeroDivisionError

        other = Client(RecordingStarter(answer_echo))
        client = Client(Broken())
        self.assertEqual(client.sends(b"\x16"), b"")
        self.assertTrue(client.is_closed)
        self.assertEqual(other.sends(GET), ok(b"GET /a "))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DrainTests(SynchronousTestCase):
    """The end of a whole listener."""

    def setUp(self) -> None:
        self.starter = RecordingStarter()
        self.first = Client(self.starter)
        self.factory = self.first.factory

    def another(self) -> Client:
        return Client(self.starter, factory=self.factory, clock=self.first.clock)

    def test_nobody_there(self) -> None:
        self.first.leaves()
        self.successResultOf(self.factory.drain())

    def test_idle_ones_close_and_busy_ones_behind_their_answers(self) -> None:
        idle, busy = self.first, self.another()
        idle.waits(LAST_REQUEST_SECONDS)
        streaming, half = self.another(), self.another()
        busy.sends(GET)
        waiting = self.starter.last
        streaming.sends(GET)
        stream = self.starter.last
        stream.connection.begin(200, [], None)
        half.sends(b"GET /half HT")
        drained = self.factory.drain()
        self.assertTrue(idle.is_closed)
        self.assertFalse(busy.is_closed or streaming.is_closed or half.is_closed)
        answer_echo(waiting)
        self.assertEqual(busy.received(), ok(b"GET /a ", close=True))
        self.assertTrue(busy.is_closed)
        stream.connection.end()
        self.assertFalse(streaming.is_closed, "its client was not told, and may ask again")
        streaming.waits(LAST_REQUEST_SECONDS)
        self.assertTrue(streaming.is_closed)
        half.sends(b"TP/1.1\r\n" + HOST + b"\r\n")
        answer_echo(self.starter.last)
        self.assertIn(b"connection: close", half.received())
        self.assertTrue(half.is_closed)
        for client in (idle, busy, streaming, half):
            self.assertNoResult(drained)
            client.leaves()
        self.successResultOf(drained)

    def test_who_connects_meanwhile_is_served_once(self) -> None:
        self.factory.drain()
        asks, silent = self.another(), self.another()
        self.assertEqual(asks.sends(GET), b"")
        answer_echo(self.starter.last)
        self.assertEqual(asks.received(), ok(b"GET /a ", close=True))
        silent.waits(LINGER_SECONDS + 0.5)
        self.assertTrue(silent.is_closed)

    def test_who_was_served_a_moment_ago_asks_once_more(self) -> None:
        client = Client(RecordingStarter(answer_echo))
        client.sends(GET)
        client.waits(LAST_REQUEST_SECONDS - 0.5)
        client.factory.drain()
        client.waits(0.25)
        self.assertEqual(client.sends(GET), ok(b"GET /a ", close=True))
        self.assertTrue(client.is_closed)

    def test_and_is_not_waited_for_longer(self) -> None:
        self.first.factory.drain()
        self.first.waits(LAST_REQUEST_SECONDS)
        self.assertTrue(self.first.is_closed)

    def test_what_lies_unread_is_answered(self) -> None:
        """An idle connection, closed while a request is in the kernel, would be reset."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        client = Client(RecordingStarter(answer_echo), transport=SocketTransport(ours))
        client.waits(LAST_REQUEST_SECONDS + 1)
        theirs.send(GET)
        client.factory.drain()
        self.assertFalse(client.is_closed)
        self.assertEqual(client.sends(ours.recv(1000)), ok(b"GET /a ", close=True))

    def test_while_winding_down_everybody_is_served_and_told(self) -> None:
        client = Client(RecordingStarter(answer_echo))
        client.factory.wind_down()
        late = Client(RecordingStarter(answer_echo), factory=client.factory, clock=client.clock)
        client.waits(LAST_REQUEST_SECONDS + 1)
        for each in (client, late):
            self.assertEqual(each.sends(GET), ok(b"GET /a ", close=True))

    def test_requests_that_are_here_already_are_answered_in_turn(self) -> None:
        client = Client(RecordingStarter(answer_echo))
        client.factory.wind_down()
        self.assertEqual(client.sends(GET + GET), ok(b"GET /a ") + ok(b"GET /a ", close=True))
        self.assertTrue(client.is_closed)

    def test_one_that_was_sent_ahead_during_a_stream_is_answered_behind_it(self) -> None:
        self.first.sends(GET)
        stream = self.starter.last
        stream.connection.begin(200, [], None)
        self.factory.drain()
        self.first.sends(GET)
        stream.connection.end()
        self.first.sends()
        answer_echo(self.starter.last)
        self.assertTrue(self.first.received().endswith(ok(b"GET /a ", close=True)))

    def test_the_last_answer_is_not_reset_by_what_comes_behind_it(self) -> None:
        """RFC 9112 §9.6: only our side is closed; who has said himself that he closes needs no such care."""
        polite = Client(RecordingStarter(answer_echo))
        other = Client(RecordingStarter(answer_echo), factory=polite.factory, clock=polite.clock)
        polite.factory.drain()
        polite.sends(GET)
        self.assertTrue(polite.transport.half_closed)
        self.assertFalse(polite.transport.disconnecting)
        self.assertEqual(polite.sends(GET), b"")
        other.sends(b"GET /a HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        self.assertTrue(other.transport.disconnecting)

    def test_who_is_cut_within_a_head_is_told(self) -> None:
        self.first.sends(b"GET /half HT")
        self.factory.cut_all(GatewayError("draining", "The gateway is stopping."))
        self.assertEqual([error.code for error in self.starter.refusals], ["draining"])
        self.assertTrue(self.first.is_closed)
        self.factory.cut_all(GatewayError("draining", "The gateway is stopping."))
        self.assertEqual(len(self.starter.refusals), 1)

    def test_abort_all(self) -> None:
        self.first.sends(GET)
        other = self.another()
        self.factory.abort_all()
        self.assertTrue(self.first.is_cut_off())
        self.assertTrue(other.is_cut_off())
        self.assertEqual(self.starter.last.events, ["ended", "left"])
        self.assertEqual(self.factory.connections, set())
