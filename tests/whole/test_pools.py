"""Limits of what a provider is sent at once, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Semaphore

import pytest

from tests.whole.clients import Client, ask, request
from tests.whole.documents import documents, provider, route, rule, simulated
from tests.whole.providers import Conversation, Provider, answer
from tests.whole.running import PATIENCE, Gateway, wait_until


class Crowd:
    """A provider behind limits, which answers when it is told to, and clients who ask all at once."""

    def __init__(self, gateway: Gateway, running: Provider, answers: Semaphore, room: ExitStack) -> None:
        self.gateway = gateway
        self.running = running
        self._answers = answers
        self._room = room

    def limit(self, **limits: int | str) -> None:
        self.gateway.apply(
            {"a.yaml": documents(provider("a.test", self.running.port, connectionPool=limits))}
        )

    def asks(self) -> Client:
        """One more request, which has come to where it waits."""
        before = self.standing
        client = self._room.enter_context(Client(self.gateway.address))
        client.send(request(host="a.test"))
        wait_until(lambda: self.standing == before + 1)
        return client

    def lets(self, number: int) -> None:
        """So many requests are answered."""
        self._answers.release(number)

    @property
    def standing(self) -> float:
        """How many requests are at the provider, or wait for a connection to it."""
        return self.number("active") + self.number("pending")

    def number(self, state: str) -> float:
        return self.gateway.count(
            "llmgateway_upstream_connections", tenant="default", provider="a-test", state=state
        )


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    answers = Semaphore(0)

    def in_time(conversation: Conversation) -> None:
        assert answers.acquire(timeout=PATIENCE)
        conversation.send(answer('{"id": "c"}'))

    with Provider(in_time) as running, Gateway(tmp_path, {}) as gateway, ExitStack() as room:
        yield Crowd(gateway, running, answers, room)
        answers.release(100)


def test_so_many_at_once_so_many_wait_and_one_more_is_refused(crowd: Crowd) -> None:
    crowd.limit(maxConnections=2, maxPending=1, pendingTimeout="20s")
    clients = [crowd.asks() for _ in range(3)]
    assert (crowd.number("active"), crowd.number("pending")) == (2, 1)
    refused = ask(crowd.gateway.address, host="a.test")
    assert (refused.status, refused.error) == (503, "provider_pool_full")
    assert refused.headers["retry-after"] == "1"
    crowd.lets(3)
    assert [client.reply().status for client in clients] == [200] * 3
    assert crowd.running.connections == 2


def test_who_finds_it_full_or_has_waited_for_too_long_goes_to_the_next(crowd: Crowd) -> None:
    """And the provider is not blamed, nor is time that a client stands in the queue counted against it."""
    limits = {"maxConnections": 1, "maxPending": 1, "pendingTimeout": "600ms"}
    first = provider(
        "a.test", crowd.running.port, connectionPool=limits, outlierDetection={"consecutiveErrors": 1}
    )
    patience = {"perTryTimeout": "200ms", "attempts": 1}
    both = rule("all", "a.test", fallback=[{"providerHost": "b.test"}])
    hurried = rule("hurried", "a.test", matches=[{"headers": {"x-hurry": {}}}], retries=patience)
    crowd.gateway.apply(
        {
            "a.yaml": documents(
                first, simulated("b.test"), route("asked.test", hurried, both), route("a.test", both)
            )
        }
    )
    running = crowd.asks()
    with Client(crowd.gateway.address) as queued:
        queued.send(request(host="asked.test", x_hurry="yes"))
        wait_until(lambda: crowd.number("pending") == 1)
        began = time.monotonic()
        full = ask(crowd.gateway.address, host="asked.test")
        assert time.monotonic() - began < 0.3
        assert full.headers["x-llmgateway-backend"] == "b-test"
        assert queued.reply().error == "provider_pool_full"
    waits = ask(crowd.gateway.address, host="asked.test")
    assert waits.headers["x-llmgateway-backend"] == "b-test"
    assert crowd.gateway.count("llmgateway_breaker_state", provider="a-test") == 0
    crowd.lets(1)
    assert running.reply().status == 200


def test_nobody_waits_longer_than_is_written(crowd: Crowd) -> None:
    crowd.limit(maxConnections=1, pendingTimeout="500ms")
    first, second = crowd.asks(), crowd.asks()
    assert second.reply().error == "provider_pool_full"
    crowd.lets(1)
    assert first.reply().status == 200


def test_a_reload_lets_more_through_while_they_wait(crowd: Crowd) -> None:
    crowd.limit(maxConnections=1, pendingTimeout="20s")
    clients = [crowd.asks() for _ in range(3)]
    assert (crowd.number("active"), crowd.number("pending")) == (1, 2)
    crowd.limit(maxConnections=3)
    wait_until(lambda: crowd.number("active") == 3)
    crowd.lets(3)
    assert [client.reply().status for client in clients] == [200] * 3


def test_a_reload_closes_what_is_too_many_and_an_idle_connection_in_time(crowd: Crowd) -> None:
    crowd.limit(maxConnections=3)
    clients = [crowd.asks() for _ in range(3)]
    crowd.limit(maxConnections=1, idleTimeout="1s")
    crowd.lets(3)
    assert [client.reply().status for client in clients] == [200] * 3
    wait_until(lambda: crowd.number("idle") == 1)
    assert crowd.number("active") == 0
    wait_until(lambda: crowd.number("idle") == 0)
