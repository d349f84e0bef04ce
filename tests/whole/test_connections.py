"""What becomes of a provider's connection: what comes on it unasked, and when it dies."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from itertools import count

import pytest

from tests.whole.clients import STREAM, Client, ask, request
from tests.whole.documents import documents, provider
from tests.whole.misbehaving import AT_ONCE, COMPLETION, EVENT, SHORT, Departure, cut, raw, serving
from tests.whole.providers import Conversation, Provider, answer, chunk, stream_head
from tests.whole.running import Gateway

# -- more than an answer --------------------------------------------------------------------------------

SMUGGLED = answer('{"id": "smuggled"}')


@pytest.mark.parametrize("pause", [0, 0.1], ids=["in one piece", "later"])
@pytest.mark.parametrize("extra", [SMUGGLED, b"x", b"0\r\n\r\n"])
def test_bytes_behind_an_answer_reach_nobody(
    extra: bytes, pause: float, gateway: Gateway, liar: Provider
) -> None:
    said = answer(COMPLETION)

    def converse(conversation: Conversation) -> None:
        if pause:
            conversation.send(said)
            time.sleep(pause)
            conversation.send(extra)
        else:
            conversation.send(said + extra)
        left.append(conversation.wait_until_left())

    left: list[bool] = []
    liar.answering = converse
    with Client(gateway.address) as client:
        for number in (1, 2):
            client.send(request(host="liar.test"))
            assert client.reply().body == COMPLETION.encode()
            liar.wait_until(lambda: len(left) == number)  # noqa: B023 - called at once
    assert left == [True, True]


def test_bytes_behind_a_stream_reach_nobody(gateway: Gateway, liar: Provider) -> None:
    said = chunk(EVENT + b"data: [DONE]\n\n") + chunk(b"")
    liar.answering = raw(stream_head() + said + stream_head() + chunk(b"smuggled") + chunk(b""))
    reply = ask(gateway.address, STREAM, host="liar.test")
    assert (reply.body, reply.whole) == (EVENT + b"data: [DONE]\n\n", True)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_body_that_must_not_be_there_reaches_nobody(status: str, gateway: Gateway, liar: Provider) -> None:
    liar.answering = raw(answer('{"id": "smuggled"}', status))
    with Client(gateway.address) as client:
        client.send(request(host="liar.test", Connection="close"))
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}".encode())
    assert body == b""


# -- a connection that dies when it is used again -------------------------------------------------------


class DiesAtReuse:
    """Answers the first request of a connection and ends the connection at the second."""

    def __init__(self, end: Callable[[Conversation], None]) -> None:
        self._end = end
        self._numbers = count()

    def __call__(self, conversation: Conversation) -> None:
        if next(self._numbers) == 1:
            self._end(conversation)
        else:
            conversation.send(answer(COMPLETION))


@pytest.mark.parametrize("end", [Conversation.hang_up, Conversation.reset], ids=["FIN", "RST"])
def test_a_kept_connection_that_dies_is_replaced_once(
    end: Callable[[Conversation], None], gateway: Gateway
) -> None:
    with serving(gateway, DiesAtReuse(end)) as running:
        assert ask(gateway.address).status == 200
        reply = ask(gateway.address, x_request_id=f"again-{running.port}")
        assert (reply.status, reply.body) == (200, COMPLETION.encode())
        assert gateway.exchange(f"again-{running.port}")["attempts"] == 2
    assert (running.connections, len(running.requests)) == (2, 3)
    assert running.requests[1].body == running.requests[2].body


@pytest.mark.parametrize("end", [Conversation.hang_up, Conversation.reset], ids=["FIN", "RST"])
def test_a_fresh_connection_that_dies_is_tried_once_more_and_then_a_502(
    end: Callable[[Conversation], None], gateway: Gateway
) -> None:
    with serving(gateway, end) as running:
        reply = ask(gateway.address)
    assert (reply.status, reply.error) == (502, "provider_reset")
    assert len(running.requests) == 2


def test_an_answer_that_is_cut_on_a_kept_connection_is_asked_for_again(gateway: Gateway) -> None:
    def begin_and_end(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 2")
        conversation.hang_up()

    with serving(gateway, DiesAtReuse(begin_and_end)) as running:
        assert ask(gateway.address).status == 200
        assert ask(gateway.address).status == 200
    assert len(running.requests) == 3


def test_a_timeout_is_not_tried_again(gateway: Gateway) -> None:
    with serving(gateway, DiesAtReuse(Departure()), SHORT) as running:
        assert ask(gateway.address).status == 200
        assert ask(gateway.address).error == "provider_headers_timeout"
    assert len(running.requests) == 2


def test_a_connection_that_was_closed_while_idle_is_not_used(gateway: Gateway) -> None:
    with serving(gateway, cut(answer(COMPLETION))) as running:
        for _ in range(3):
            assert ask(gateway.address).status == 200
            time.sleep(0.02)
    assert (running.connections, len(running.requests)) == (3, 3)


def test_an_answer_before_the_whole_request_is_handed_on_and_its_connection_ends(gateway: Gateway) -> None:
    """A file that is streamed through, refused at its beginning."""
    refused = answer('{"error": {"message": "too large"}}', "413 Content Too Large")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gateway.apply({"a.yaml": documents(provider("provider.test", listening.getsockname()[1]))})
        with Client(gateway.address) as client:
            client.send(
                b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: provider.test\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n--x"
            )
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.recv(65536).startswith(b"POST /v1/audio/transcriptions HTTP/1.1\r\n")
                accepted.sendall(refused)
                reply = client.reply()
                assert (reply.status, reply.headers["connection"]) == (413, "close")
                assert client.is_closed()
                accepted.settimeout(AT_ONCE)
                try:
                    while accepted.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
