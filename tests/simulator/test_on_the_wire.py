"""The simulator as its clients see it: HTTP in, HTTP out."""

from __future__ import annotations

from typing import Any

import httptools
import msgspec
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from gateway.simulator.server import BURST_BYTES, simulator_factory
from gateway.simulator.tampering import GARBAGE, WRONG_BY
from gateway.wire.downstream import DownstreamConnection
from gateway.wire.sweep import Sweep
from tests.simulator.requests import CHAT, HELLO, json

PLAIN = json(messages=HELLO)
STREAM = json(messages=HELLO, stream=True)


class Answer:
    """What a client makes of the bytes."""

    def __init__(self, received: bytes) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.whole = False
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(received)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole = True

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def contents(self) -> int:
        return self.body.count(b'"delta":{"content":"')


class WireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = simulator_factory(self.clock, Sweep(self.clock, self.clock.seconds))
        self.connect()

    def connect(self) -> None:
        connection = self.factory.buildProtocol(None)
        assert isinstance(connection, DownstreamConnection)
        self.connection = connection
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = connection
        connection.makeConnection(self.transport)

    def ask(self, body: bytes, *lines: str, path: str = CHAT) -> None:
        head = "\r\n".join(
            [f"POST {path} HTTP/1.1", "Host: simulator", f"Content-Length: {len(body)}", *lines, "", ""]
        )
        self.connection.dataReceived(head.encode() + body)

    def answer(self) -> Answer:
        return Answer(self.transport.value())

    def test_a_plain_answer(self) -> None:
        self.ask(PLAIN)
        answer = self.answer()
        assert (answer.status, answer.whole) == (200, True)
        assert answer.headers[b"content-type"] == b"application/json"
        assert answer.headers[b"x-simulator-authorization"] == b"absent"
        assert answer.json["choices"][0]["message"]["content"] == "I am simulator-1. You said: Hello there"

    def test_a_key_is_seen_and_not_shown(self) -> None:
        self.ask(PLAIN, "Authorization: Bearer sk-secret")
        assert self.answer().headers[b"x-simulator-authorization"] == b"present"
        assert b"sk-secret" not in self.transport.value()

    def test_a_streamed_answer(self) -> None:
        self.ask(STREAM)
        answer = self.answer()
        assert answer.whole
        assert answer.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        assert answer.headers[b"transfer-encoding"] == b"chunked"
        assert answer.contents == 7
        assert answer.body.endswith(b"\n\ndata: [DONE]\n\n")

    def test_the_connection_serves_again(self) -> None:
        self.ask(PLAIN)
        first = self.transport.value()
        self.transport.clear()
        self.ask(PLAIN)
        self.clock.advance(0)
        assert self.transport.value() == first
        assert self.transport.connected

    def test_a_head_request_has_no_body(self) -> None:
        self.connection.dataReceived(b"HEAD /v1/models HTTP/1.1\r\nHost: simulator\r\n\r\n")
        assert self.transport.value().startswith(b"HTTP/1.1 200 OK\r\n")
        assert self.transport.value().endswith(b"\r\n\r\n")

    def test_a_client_that_waits_to_send_its_body_may(self) -> None:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: {len(PLAIN)}\r\n\r\n"
        )
        self.connection.dataReceived(head.encode())
        assert self.transport.value() == b"HTTP/1.1 100 Continue\r\n\r\n"
        self.transport.clear()
        self.connection.dataReceived(PLAIN)
        assert self.answer().status == 200

    def test_what_is_no_http_is_refused_in_openais_shape(self) -> None:
        self.connection.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        answer = self.answer()
        assert answer.status == 400
        assert answer.json["error"]["code"] == "malformed_request"

    def test_an_unknown_drill_is_refused(self) -> None:
        self.ask(PLAIN, "X-Simulate: delay=1s", "X-Simulate: explode")
        assert self.answer().status == 400
        assert "'explode' is unknown" in self.answer().json["error"]["message"]

    def test_an_error_status(self) -> None:
        self.ask(PLAIN, "X-Simulate: status=529, retry-after=3")
        answer = self.answer()
        assert (answer.status, answer.whole) == (529, True)
        assert answer.headers[b"retry-after"] == b"3"

    def test_close_sends_nothing_and_closes(self) -> None:
        self.ask(PLAIN, "X-Simulate: close")
        assert self.transport.value() == b""
        assert not self.transport.connected

    def test_reset_sends_nothing_and_aborts(self) -> None:
        self.ask(PLAIN, "X-Simulate: reset")
        assert self.transport.value() == b""
        assert not self.transport.connected

    def test_garbage_is_no_http(self) -> None:
        self.ask(PLAIN, "X-Simulate: garbage")
        assert self.transport.value() == GARBAGE
        assert not self.transport.connected

    def test_a_length_that_is_too_long_is_waited_for(self) -> None:
        self.ask(PLAIN, "X-Simulate: content-length=longer")
        answer = self.answer()
        assert int(answer.headers[b"content-length"]) == len(answer.body) + WRONG_BY
        assert not answer.whole
        assert self.transport.connected

    def test_behind_a_length_that_is_too_short_there_is_more(self) -> None:
        self.ask(STREAM, "X-Simulate: content-length=shorter")
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        assert b"content-length: %d" % (len(body) - WRONG_BY) in head
        assert b"chunked" not in head
        assert body.endswith(b"[DONE]\n\n")
        assert self.transport.connected

    def test_a_cut_stream_has_no_last_chunk(self) -> None:
        self.ask(STREAM, "X-Simulate: cut-after=2")
        answer = self.answer()
        assert answer.contents == 2
        assert not answer.whole
        assert not self.transport.connected

    def test_a_cut_body_is_shorter_than_it_said(self) -> None:
        self.ask(PLAIN, "X-Simulate: cut-after=10")
        answer = self.answer()
        assert len(answer.body) == 10
        assert int(answer.headers[b"content-length"]) > 10
        assert not answer.whole
        assert not self.transport.connected

    def test_a_stalled_stream_stays_open(self) -> None:
        self.ask(STREAM, "X-Simulate: stall-after=2")
        self.clock.advance(3600)
        assert self.answer().contents == 2
        assert self.transport.connected

    def test_a_paced_stream_comes_event_by_event(self) -> None:
        self.ask(STREAM, "X-Simulate: first-content-delay=2s, chunk-delay=1s")
        seen = []
        for _ in range(9):
            seen.append(self.answer().contents)
            self.clock.advance(1)
        assert seen == [0, 0, 1, 2, 3, 4, 5, 6, 7]
        assert self.answer().whole

    def test_a_client_that_leaves_ends_everything(self) -> None:
        self.ask(STREAM, "X-Simulate: chunk-delay=1s")
        self.connection.connectionLost(connectionDone)
        assert self.clock.getDelayedCalls() == []

    def test_a_slow_client_is_waited_for(self) -> None:
        self.ask(STREAM, "X-Simulate: words=1000000000")
        socket = self.transport.producer
        assert IPushProducer.providedBy(socket)
        socket.pauseProducing()
        self.clock.advance(0)
        full = len(self.transport.value())
        assert full < 3 * BURST_BYTES
        self.clock.advance(10)
        assert len(self.transport.value()) == full
        self.connection.connectionLost(connectionDone)
