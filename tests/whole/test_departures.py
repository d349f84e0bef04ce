"""Clients that leave: the provider's request ends at once, in whatever phase it is."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.whole.clients import STREAM, Client, request
from tests.whole.documents import documents, provider
from tests.whole.misbehaving import AT_ONCE, EVENT, Departure
from tests.whole.providers import Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import Gateway


@pytest.mark.parametrize(
    "leave", [Client.close, Client.reset, Client.stop_sending], ids=["close", "RST", "FIN"]
)
@pytest.mark.parametrize("said", [b"", stream_head() + chunk(EVENT)], ids=["before the head", "mid-stream"])
def test_a_client_that_leaves_ends_the_provider_s_request_at_once(
    said: bytes, leave: Callable[[Client], None], gateway: Gateway, liar: Provider
) -> None:
    departure = Departure(said)
    liar.answering = departure
    asked, left = (
        len(liar.requests),
        gateway.count("llmgateway_requests_total", code="499", provider="liar-test"),
    )
    with Client(gateway.address) as client:
        client.send(request(STREAM, host="liar.test"))
        liar.wait_until(lambda: len(liar.requests) == asked + 1 and liar.requests[-1].complete)
        if said:
            client.head()
            assert client.chunk() == EVENT
        began = time.monotonic()
        leave(client)
        liar.wait_until(lambda: departure.at > 0)
    assert departure.at - began < AT_ONCE
    assert gateway.count("llmgateway_requests_total", code="499", provider="liar-test") == left + 1
    assert gateway.count("llmgateway_requests_in_flight") == 0


def test_a_client_that_leaves_while_it_is_paused_is_noticed(gateway: Gateway, liar: Provider) -> None:
    """It reads nothing of an endless stream, so the gateway no longer reads the provider; then it goes."""
    gone: list[float] = []

    def pour(conversation: Conversation) -> None:
        conversation.send(stream_head())
        try:
            while True:
                conversation.send(chunk(EVENT * 1000))
        except OSError:
            gone.append(time.monotonic())

    liar.answering = pour
    with Client(gateway.address) as client:
        client.send(request(STREAM, host="liar.test"))
        client.head()
        time.sleep(0.5)
        began = time.monotonic()
        client.reset()
        liar.wait_until(lambda: bool(gone))
    assert gone[0] - began < AT_ONCE


def test_pipelined_bytes_behind_a_stream_do_not_hide_that_the_client_left(
    gateway: Gateway, liar: Provider
) -> None:
    departure = Departure(stream_head() + chunk(EVENT))
    liar.answering = departure
    with Client(gateway.address) as client:
        client.send(request(STREAM, host="liar.test"))
        client.head()
        client.send(request(b'{"messages": ["' + b"x" * 100_000 + b'"]}', host="liar.test"))
        time.sleep(0.2)
        began = time.monotonic()
    liar.wait_until(lambda: departure.at > 0)
    assert departure.at - began < AT_ONCE


def test_a_client_that_leaves_before_there_is_a_connection_ends_the_connecting(gateway: Gateway) -> None:
    with Provider(saying(answer("{}"))) as never_shakes_hands:
        gateway.apply(
            {
                "a.yaml": documents(
                    provider("provider.test", never_shakes_hands.port, tls={"mode": "SIMPLE"}),
                )
            }
        )
        before = gateway.count("llmgateway_requests_total", code="499", provider="provider-test")
        with Client(gateway.address) as client:
            client.send(request())
            never_shakes_hands.wait_until(lambda: never_shakes_hands.connections == 1)
        gateway.wait_for_log(r'"code":499,"outcome":"client_left"[^\n]*"attempts":1')
        assert gateway.count("llmgateway_requests_total", code="499", provider="provider-test") == before + 1
        assert gateway.count("llmgateway_upstream_connections", state="pending") == 0
