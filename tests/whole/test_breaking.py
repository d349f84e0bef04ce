"""Providers that are left alone after failures: three of them under one rule."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.whole.clients import CHAT, Client, Reply, ask, request
from tests.whole.documents import documents, owned, provider, route, rule
from tests.whole.misbehaving import COMPLETION, Departure
from tests.whole.providers import Conversation, Provider, answer, saying
from tests.whole.running import Gateway, wait_until

DOWN = saying(answer("{}", "503 Down"))
UP = saying(answer(COMPLETION))
COOL_DOWN = 0.5
NAMES = ("one", "two", "three")


def late(conversation: Conversation) -> None:
    time.sleep(0.4)
    conversation.send(answer(COMPLETION))


class Row:
    """Three providers, asked in this order."""

    def __init__(self, gateway: Gateway, stack: ExitStack) -> None:
        self.gateway = gateway
        self.providers = {name: stack.enter_context(Provider(UP)) for name in NAMES}

    def configure(self, **more: Any) -> None:
        """Each is left alone after two failures in a row.

        :param more: further fields of the rule.
        """
        detection = {"consecutiveErrors": 2, "baseEjectionTime": f"{COOL_DOWN * 1000:g}ms"}
        each = [
            provider(f"{name}.test", one.port, key=f"sk-{one.port}", outlierDetection=detection)
            for name, one in self.providers.items()
        ]
        others = [{"providerHost": f"{name}.test"} for name in NAMES[1:]]
        only = rule("all", "one.test", fallback=others, retries={"attempts": 1}, **more)
        self.gateway.apply({"a.yaml": documents(*each, route("asked.test", only))})

    def answers(self, **answering: Any) -> None:
        for name, how in answering.items():
            self.providers[name].answering = how

    def all_down(self) -> None:
        """And everybody is left alone."""
        self.answers(one=DOWN, two=DOWN, three=DOWN)
        for _ in range(2):
            assert self.ask().status == 503
        assert self.states() == [2, 2, 2]

    def ask(self) -> Reply:
        return ask(self.gateway.address, CHAT, host="asked.test")

    def asked(self) -> list[int]:
        """How often each was."""
        return [len(one.requests) for one in self.providers.values()]

    def states(self) -> list[float]:
        return [self.gateway.count("llmgateway_breaker_state", provider=f"{name}-test") for name in NAMES]


@pytest.fixture
def row(gateway: Gateway) -> Iterator[Row]:
    with ExitStack() as stack:
        yield Row(gateway, stack)


def test_two_that_are_down_are_passed_over(row: Row) -> None:
    row.configure()
    row.answers(one=DOWN, two=DOWN)
    for _ in range(6):
        assert row.ask().headers["x-llmgateway-backend"] == "three-test"
    assert row.asked() == [2, 2, 6]
    assert row.states() == [2, 2, 0]


def test_with_all_down_nobody_is_asked_until_one_may_be(row: Row) -> None:
    row.configure()
    row.all_down()
    reply = row.ask()
    assert (reply.status, reply.error, reply.headers["retry-after"]) == (503, "no_backend_available", "1")
    assert row.asked() == [2, 2, 2]
    time.sleep(COOL_DOWN)
    row.answers(one=late, two=late, three=late)
    with ThreadPoolExecutor(12) as crowd:
        replies = list(crowd.map(lambda _: row.ask(), range(12)))
    # One request is let through to each; the others do not wait for what comes of it.
    assert Counter(reply.status for reply in replies) == {200: 3, 503: 9}
    assert row.asked() == [3, 3, 3]
    assert row.states() == [0, 0, 0]


def test_the_least_bad_is_asked_where_the_rule_wants_it(row: Row) -> None:
    row.configure(onAllOpen="leastBad")
    row.all_down()
    row.answers(one=UP, two=UP, three=UP)
    assert row.ask().headers["x-llmgateway-backend"] == "one-test"
    assert row.asked() == [3, 2, 2]


def test_a_probe_whose_client_leaves_lets_the_next_one_probe(row: Row) -> None:
    row.configure()
    row.all_down()
    time.sleep(COOL_DOWN)
    departure = Departure()
    row.answers(one=departure, two=DOWN, three=DOWN)
    with Client(row.gateway.address) as client:
        client.send(request(CHAT, host="asked.test"))
        row.providers["one"].wait_until(lambda: row.asked()[0] == 3)
        assert row.states()[0] == 1
    row.providers["one"].wait_until(lambda: departure.at > 0)
    row.answers(one=UP)
    assert row.ask().headers["x-llmgateway-backend"] == "one-test"
    assert row.states()[0] == 0


def test_one_tenant_s_impatience_takes_a_shared_provider_from_nobody_else(gateway: Gateway) -> None:
    with Provider(late) as running:
        shared = provider(
            "shared.test", running.port, exportTo=["*"], outlierDetection={"consecutiveErrors": 1}
        )
        hasty = route("hasty.test", rule("all", "shared.test", timeouts={"request": "50ms"}))
        calm = route("calm.test", rule("all", "shared.test"))
        every = (*owned("istio-system", shared), *owned("hasty", hasty), *owned("calm", calm))
        gateway.apply({"a.yaml": documents(*every)})
        assert ask(gateway.address, CHAT, host="hasty.test").error == "provider_request_timeout"
        wait_until(lambda: ask(gateway.address, CHAT, host="hasty.test").error == "no_backend_available")
        assert ask(gateway.address, CHAT, host="calm.test").status == 200
