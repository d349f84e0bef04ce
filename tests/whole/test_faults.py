"""Providers that do not answer, or not with what HTTP calls an answer, or not to the end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.whole.clients import STREAM, Client, ask, request
from tests.whole.documents import documents, provider
from tests.whole.misbehaving import COMPLETION, EVENT, SHORT, Departure, cut, raw, serving
from tests.whole.providers import Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import Gateway

# -- no answer ------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def test_a_provider_that_refuses_the_connection_is_a_502(gateway: Gateway) -> None:
    gateway.apply({"a.yaml": documents(provider("provider.test", free_port()))})
    reply = ask(gateway.address, x_request_id="refused")
    assert (reply.status, reply.error) == (502, "provider_connect_failed")
    exchange = gateway.exchange("refused")
    assert (exchange["code"], exchange["outcome"], exchange["attempts"]) == (502, "provider_failed", 1)
    assert "127.0.0.1" in exchange["detail"]
    assert "127.0.0.1" not in reply.body.decode()


def test_a_provider_that_never_answers_is_a_504_and_is_left(gateway: Gateway) -> None:
    departure = Departure()
    with serving(gateway, departure, SHORT) as running:
        reply = ask(gateway.address)
        running.wait_until(lambda: departure.at > 0)
    assert (reply.status, reply.error) == (504, "provider_headers_timeout")


def test_a_head_that_drips_is_a_504(gateway: Gateway) -> None:
    def drip(conversation: Conversation) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
            conversation.send(bytes([byte]))
            time.sleep(0.05)

    with serving(gateway, drip, SHORT):
        reply = ask(gateway.address)
    assert (reply.status, reply.error) == (504, "provider_headers_timeout")


def test_a_provider_that_never_shakes_hands_is_a_504(gateway: Gateway) -> None:
    """Within `request` here; by itself a handshake may last 5 s."""
    with Provider(saying(answer("{}"))) as plain:
        documented = provider(
            "provider.test", plain.port, tls={"mode": "SIMPLE"}, timeouts={"request": "300ms"}
        )
        gateway.apply({"a.yaml": documents(documented)})
        reply = ask(gateway.address)
    assert (reply.status, reply.error) == (504, "provider_request_timeout")
    assert plain.connections == 1


def test_a_slow_provider_holds_nobody_else_up(gateway: Gateway) -> None:
    with Provider(Departure()) as silent, Provider(saying(answer(COMPLETION))) as quick:
        gateway.apply(
            {
                "a.yaml": documents(
                    provider("provider.test", silent.port, timeouts={"headers": "700ms"}),
                    provider("quick.test", quick.port),
                )
            }
        )
        waiting = [Client(gateway.address) for _ in range(25)]
        for client in waiting:
            client.send(request())
        began = time.monotonic()
        assert ask(gateway.address, host="quick.test").status == 200
        assert time.monotonic() - began < 0.5
        for client in waiting:
            with client:
                assert client.reply().status == 504


# -- answers that are none ------------------------------------------------------------------------------

BAD_ANSWERS = {
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "endless length": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    "coding twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "status 0": b"HTTP/1.1 0 OK\r\nContent-Length: 0\r\n\r\n",
    "status 99999": b"HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n",
    "status 2_00": b"HTTP/1.1 2_00 OK\r\nContent-Length: 0\r\n\r\n",
    "status in words": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "other protocol": b"SPDY/3.7 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2 settings": b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0\0\5\0\xff\xff\xff",
    "TLS alert": b"\x15\3\3\0\2\2\x50",
    "no HTTP at all": b"220 mail.example ESMTP\r\n",
    "bare CR in the phrase": b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0\r\n\r\n",
    "10,000 headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"Content-Length: 0\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000,
    "1,000 hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000,
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
}


@pytest.mark.parametrize("said", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_what_is_no_valid_answer_is_a_502_and_the_connection_ends(
    said: bytes, gateway: Gateway, liar: Provider
) -> None:
    departure = Departure(said)
    liar.answering = departure
    with Client(gateway.address) as client:
        client.send(request(host="liar.test"))
        reply = client.reply()
        liar.wait_until(lambda: departure.at > 0)
        assert (reply.status, reply.error) == (502, "provider_malformed_answer")
        liar.answering = saying(answer(COMPLETION))
        client.send(request(host="liar.test"))
        assert client.reply().json()["id"] == "c"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + answer(COMPLETION),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + answer(COMPLETION),
    ],
)
def test_hints_before_the_answer_are_passed_over(said: bytes, gateway: Gateway, liar: Provider) -> None:
    liar.answering = raw(said)
    for _ in range(2):
        reply = ask(gateway.address, host="liar.test")
        assert (reply.status, reply.json()["id"]) == (200, "c")
        assert "link" not in reply.headers


def test_an_answer_of_http_1_0_ends_with_its_connection(gateway: Gateway) -> None:
    body = COMPLETION.encode()
    with serving(
        gateway, cut(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
    ) as running:
        for _ in range(2):
            reply = ask(gateway.address)
            assert (reply.status, reply.body, reply.whole) == (200, body, True)
    assert running.connections == 2


@pytest.mark.parametrize("connection", ["close", "Close", "foo, close"])
def test_a_provider_that_says_close_is_not_asked_again_on_that_connection(
    connection: str, gateway: Gateway, liar: Provider
) -> None:
    liar.answering = saying(answer(COMPLETION, Connection=connection))
    before = liar.connections
    for _ in range(3):
        assert ask(gateway.address, host="liar.test").status == 200
    assert liar.connections >= before + 2


# -- answers that break ---------------------------------------------------------------------------------


def test_a_stream_that_stalls_ends_in_an_error_event_and_no_last_chunk(gateway: Gateway) -> None:
    departure = Departure(stream_head() + chunk(EVENT))
    with serving(gateway, departure, SHORT) as running:
        reply = ask(gateway.address, STREAM, x_request_id="stalled")
        running.wait_until(lambda: departure.at > 0)
    assert (reply.status, reply.whole) == (200, False)
    assert reply.body.startswith(EVENT + b"data: ")
    assert b'"code":"provider_idle_timeout"' in reply.body.removeprefix(EVENT)
    assert b"[DONE]" not in reply.body
    exchange = gateway.exchange("stalled")
    assert (exchange["code"], exchange["outcome"]) == (200, "answer_cut")
    assert exchange["error"] == "provider_idle_timeout"


def test_comments_keep_a_stream_alive(gateway: Gateway) -> None:
    def beat(conversation: Conversation) -> None:
        conversation.send(stream_head())
        for _ in range(6):
            conversation.send(chunk(b": still thinking\n\n"))
            time.sleep(0.15)
        conversation.send(chunk(EVENT + b"data: [DONE]\n\n") + chunk(b""))

    with serving(gateway, beat, SHORT):
        reply = ask(gateway.address, STREAM)
    assert reply.whole
    assert reply.body == b": still thinking\n\n" * 6 + EVENT + b"data: [DONE]\n\n"


JSON_IN_CHUNKS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

CUT = {
    "shorter than its length": answer(COMPLETION)[:-10],
    "without its last chunk": JSON_IN_CHUNKS + chunk(b'{"id": '),
    "in the middle of a chunk": JSON_IN_CHUNKS + b'ff\r\n{"id": ',
    "a chunk that is none": JSON_IN_CHUNKS + chunk(b'{"id": ') + b"xyz\r\n",
}


@pytest.mark.parametrize("end", [Conversation.hang_up, Conversation.reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("said", CUT.values(), ids=CUT.keys())
def test_a_body_that_is_cut_is_an_error_and_no_part_of_it_is_shown(
    said: bytes, end: Callable[[Conversation], None], gateway: Gateway, liar: Provider
) -> None:
    def converse(conversation: Conversation) -> None:
        conversation.send(said)
        time.sleep(0.05)  # an RST overtakes what has not been read
        end(conversation)

    liar.answering = converse
    reply = ask(gateway.address, host="liar.test")
    assert (reply.status, reply.whole) == (502, True)
    assert reply.error in ("provider_answer_cut", "provider_malformed_answer")


def test_a_stream_that_is_cut_ends_in_an_error_event(gateway: Gateway, liar: Provider) -> None:
    liar.answering = cut(stream_head() + chunk(EVENT) + chunk(b'data: {"choi'))
    reply = ask(gateway.address, STREAM, host="liar.test")
    assert (reply.status, reply.whole) == (200, False)
    error = reply.body.removeprefix(EVENT)
    assert b'"code":"provider_answer_cut"' in error
    assert b"choi" not in error


def test_a_stream_that_was_finished_may_lack_its_last_chunk(gateway: Gateway, liar: Provider) -> None:
    liar.answering = cut(stream_head() + chunk(EVENT) + chunk(b"data: [DONE]\n\n"))
    reply = ask(gateway.address, STREAM, host="liar.test")
    assert (reply.body, reply.whole) == (EVENT + b"data: [DONE]\n\n", True)


def test_a_client_of_http_1_0_sees_a_cut_as_a_reset(gateway: Gateway, liar: Provider) -> None:
    """It has no other way to tell: a FIN is the regular end of its answer."""
    liar.answering = cut(stream_head() + chunk(EVENT))
    with Client(gateway.address) as client:
        client.send(request(STREAM, host="liar.test").replace(b"HTTP/1.1", b"HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            client.rest()
