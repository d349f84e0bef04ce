"""Several keys of one provider: they take turns, and one that is refused or at its limit is left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.whole.clients import CHAT, ask
from tests.whole.documents import documents, owned, provider, route, rule
from tests.whole.misbehaving import COMPLETION
from tests.whole.providers import Conversation, Provider, answer
from tests.whole.running import Gateway

LIMITED = answer('{"error": {"message": "Too many."}}', "429 Limit", Retry_After="1")
UNKNOWN = answer('{"error": {"message": "Who is that?"}}', "401 Unauthorized")


class Guard:
    """A provider that answers each key as a test says, and counts with which it was asked."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.asked: Counter[str] = Counter()
        self.refused: dict[str, bytes] = {}
        """By the key: what it gets."""

    def __call__(self, conversation: Conversation) -> None:
        key = str(conversation.request.header("Authorization")).removeprefix("Bearer ")
        self.asked[key] += 1
        conversation.send(self.refused.get(key, answer(COMPLETION)))

    def asks(self, number: int, host: str = "asked.test") -> Counter[str]:
        """So many requests, all answered; with which keys they came here."""
        self.asked.clear()
        for _ in range(number):
            assert ask(self.gateway.address, CHAT, host=host).status == 200
        return self.asked

    def usable(self, key: str) -> float:
        return self.gateway.count("llmgateway_key_usable", provider="guarded-test", key=key)


def pool(port: int, **keys: str) -> dict[str, Any]:
    """The provider, with two keys of which the first has three turns of four."""
    named = [{"name": name, "key": key, "weight": 3 if name == "one" else 1} for name, key in keys.items()]
    guarded = provider("guarded.test", port, key=None)
    guarded["spec"]["configs"]["defaultConfig"]["openAIConfig"]["apiKeys"] = named
    return guarded


@contextmanager
def guarded(gateway: Gateway, **keys: str) -> Iterator[tuple[Guard, int]]:
    guard = Guard(gateway)
    with Provider(guard) as running:
        asked = route("asked.test", rule("all", "guarded.test"))
        gateway.apply({"a.yaml": documents(pool(running.port, **keys), asked)})
        yield guard, running.port
    for key in keys.values():
        assert key not in gateway.log
        assert key not in gateway.admin("/config") + gateway.admin("/metrics")


def test_keys_take_turns_by_weight(gateway: Gateway) -> None:
    with guarded(gateway, one="sk-turn-1", two="sk-turn-2") as (guard, _):
        assert guard.asks(8) == {"sk-turn-1": 6, "sk-turn-2": 2}


def test_a_key_at_its_limit_rests_for_as_long_as_it_is_told_to(gateway: Gateway) -> None:
    with guarded(gateway, one="sk-rest-1", two="sk-rest-2") as (guard, _):
        guard.refused["sk-rest-1"] = LIMITED
        began = time.monotonic()
        assert guard.asks(6) == {"sk-rest-1": 1, "sk-rest-2": 6}
        assert time.monotonic() - began < 0.9  # the other key has nothing to wait for
        assert (guard.usable("one"), guard.usable("two")) == (0, 1)
        guard.refused.clear()
        time.sleep(1.05)
        assert guard.asks(4)["sk-rest-1"] == 3
        assert guard.usable("one") == 1


def test_a_key_that_is_refused_is_not_used_again_until_it_is_another(gateway: Gateway) -> None:
    with guarded(gateway, one="sk-dead-1", two="sk-dead-2") as (guard, port):
        guard.refused["sk-dead-1"] = UNKNOWN
        assert guard.asks(6) == {"sk-dead-1": 1, "sk-dead-2": 6}
        assert (guard.usable("one"), guard.usable("two")) == (0, 1)
        guard.refused.clear()
        assert guard.asks(4) == {"sk-dead-2": 4}
        gateway.apply(
            {
                "a.yaml": documents(
                    pool(port, one="sk-new-1", two="sk-dead-2"),
                    route("asked.test", rule("all", "guarded.test")),
                )
            }
        )
        assert guard.asks(4)["sk-new-1"] == 3
        assert guard.usable("one") == 1


def test_one_tenant_s_refusal_takes_a_shared_key_from_nobody_else(gateway: Gateway) -> None:
    guard = Guard(gateway)

    def forbids(conversation: Conversation) -> None:
        if conversation.request.header("x-forbidden"):
            conversation.send(answer("{}", "403 Forbidden"))
        else:
            guard(conversation)

    with Provider(forbids) as running:
        shared = pool(running.port, one="sk-shared-1")
        shared["spec"]["exportTo"] = ["*"]
        tenants = [
            document
            for name in ("alpha", "beta")
            for document in owned(name, route(f"{name}.test", rule("all", "guarded.test")))
        ]
        gateway.apply({"a.yaml": documents(*owned("istio-system", shared), *tenants)})
        assert ask(gateway.address, CHAT, host="alpha.test", x_forbidden="yes").status == 403
        assert guard.usable("one") == 0
        assert guard.asks(2, host="beta.test") == {"sk-shared-1": 2}
        reply = ask(gateway.address, CHAT, host="beta.test", x_request_id="beta")
        assert [each["outcome"] for each in gateway.exchange("beta")["tried"]] == ["ok"]
        assert reply.status == 200
