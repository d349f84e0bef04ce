"""Providers that fail and one that does not, through a real gateway: every client has its whole answer or an error."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.whole.clients import Client, ask, request
from tests.whole.documents import documents, provider, route, rule, simulated
from tests.whole.misbehaving import AT_ONCE, Departure
from tests.whole.providers import Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import Gateway, wait_until

HELLO = b'{"messages": [{"role": "user", "content": "Hello"}]}'
STREAM = b'{"stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
SAID = '{"id": "c", "model": "small", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}'

TIMERS = {"connect": "1s", "headers": "1s", "firstContent": "1s", "idle": "1s"}


def rescued(*more: str, **fields: Any) -> dict[str, Any]:
    """A rule with two providers, the second a fallback."""
    fallback = [{"providerHost": host} for host in ("sound.test", *more)]
    return route("asked.test", rule("all", "faulty.test", fallback=fallback, timeouts=TIMERS, **fields))


@pytest.fixture(scope="module")
def whole(gateway: Gateway) -> dict[bytes, bytes]:
    """The whole answers, plain and streamed, of the provider that does not fail."""
    gateway.apply(
        {"a.yaml": documents(simulated("sound.test"), route("asked.test", rule("all", "sound.test")))}
    )
    return {body: ask(gateway.address, body, host="asked.test").body for body in (HELLO, STREAM)}


FAULTS = {
    "status=500": (2, 1),
    "status=429&retry-after=60": (1, 1),
    "status=401": (1, 1),
    "close": (2, 1),
    "stall": (1, 1),
    "garbage": (2, 1),
    "context-length": (1, 1),
    "cut-after=0": (2, 1),
    "stall-after=0": (1, 1),
}
"""What a provider does, and how often it and the other one are asked then."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_before_content_is_never_seen(
    fault: str, gateway: Gateway, whole: dict[bytes, bytes]
) -> None:
    misbehaves(gateway, fault)
    for number, body in enumerate(whole):
        name = fault.translate({ord("="): "-", ord("&"): "-"}) + f".{number}"
        began = time.monotonic()
        reply = ask(gateway.address, body, host="asked.test", x_request_id=name)
        assert (reply.status, reply.whole) == (200, True)
        assert reply.body == whole[body]
        assert time.monotonic() - began < 3
        exchange = gateway.exchange(name)
        tried = [each["provider"] for each in exchange["tried"]]
        assert (tried.count("faulty-test"), tried.count("sound-test")) == FAULTS[fault]
        assert reply.headers["x-llmgateway-backend"] == "sound-test"
        assert reply.headers["x-llmgateway-attempts"] == str(exchange["attempts"])


def misbehaves(gateway: Gateway, fault: str, **more: Any) -> None:
    """From now on the first provider does this.

    :param more: further fields of the second one.
    """
    faulty = simulated("faulty.test")
    faulty["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["misbehave"] = fault
    gateway.apply({"a.yaml": documents(faulty, simulated("sound.test", **more), rescued())})


@pytest.mark.parametrize("prefill", [False, True], ids=["from the start", "prefill"])
@pytest.mark.parametrize("fault", ["cut-after=3", "cut-after=3&cut=reset", "stall-after=3", "error-after=3"])
def test_a_stream_that_breaks_is_continued(
    fault: str, prefill: bool, gateway: Gateway, whole: dict[bytes, bytes]
) -> None:
    misbehaves(gateway, fault, **({"prefill": True} if prefill else {}))
    reply = ask(gateway.address, STREAM, host="asked.test")
    assert reply.whole
    assert text(reply.body) == text(whole[STREAM])
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a_stream_whose_end_nobody_confirms_ends_as_its_provider_says(
    gateway: Gateway, whole: dict[bytes, bytes]
) -> None:
    misbehaves(gateway, "no-finish", model="large")
    reply = ask(gateway.address, STREAM, host="asked.test", x_request_id="unconfirmed")
    assert reply.whole
    assert text(reply.body) == text(whole[STREAM])
    assert reply.body.endswith(b"data: [DONE]\n\n")
    outcomes = [(each["provider"], each["outcome"]) for each in gateway.exchange("unconfirmed")["tried"]]
    assert outcomes == [("faulty-test", "cut"), ("sound-test", "cancelled"), ("faulty-test", "ok")]


def text(stream: bytes) -> str:
    """The text that a client puts together."""
    events = [each.removeprefix(b"data: ") for each in stream.split(b"\n\n") if each.startswith(b"data: {")]
    choices = [choice for each in events for choice in json.loads(each)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_a_provider_that_is_down_is_left_alone_and_found_again(gateway: Gateway) -> None:
    with ExitStack() as stack:
        primary = stack.enter_context(Provider(saying(answer("{}", "503 Down"))))
        other = stack.enter_context(Provider(saying(answer(SAID))))
        detection = {"consecutiveErrors": 2, "baseEjectionTime": "1s"}
        gateway.apply(
            {
                "a.yaml": documents(
                    provider("faulty.test", primary.port, outlierDetection=detection),
                    provider("sound.test", other.port),
                    rescued(),
                )
            }
        )
        for _ in range(10):
            assert ask(gateway.address, HELLO, host="asked.test").status == 200
        assert len(primary.requests) == 2
        assert gateway.count("llmgateway_breaker_state", provider="faulty-test") == 2
        primary.answering = saying(answer(SAID))

        def is_back() -> bool:
            return (
                ask(gateway.address, HELLO, host="asked.test").headers["x-llmgateway-backend"]
                == "faulty-test"
            )

        wait_until(is_back, within=3)
        assert gateway.count("llmgateway_breaker_state", provider="faulty-test") == 0


def test_a_hedge_ends_the_wait_and_the_slow_one(gateway: Gateway) -> None:
    departure = Departure()
    with Provider(departure) as slow, Provider(saying(answer(SAID))) as quick:
        gateway.apply(
            {
                "a.yaml": documents(
                    provider("faulty.test", slow.port),
                    provider("sound.test", quick.port),
                    rescued(hedge={"after": "300ms"}),
                )
            }
        )
        began = time.monotonic()
        assert ask(gateway.address, HELLO, host="asked.test").headers["x-llmgateway-backend"] == "sound-test"
        answered = time.monotonic()
        assert answered - began < 0.9
        slow.wait_until(lambda: slow.finished == 1)
        assert departure.at - answered < AT_ONCE


def test_a_client_that_leaves_ends_a_hedge_and_what_it_was_made_beside(gateway: Gateway) -> None:
    departures = Departure(), Departure()
    with Provider(departures[0]) as first, Provider(departures[1]) as second:
        gateway.apply(
            {
                "a.yaml": documents(
                    provider("faulty.test", first.port),
                    provider("sound.test", second.port),
                    rescued(hedge={"after": "100ms"}),
                )
            }
        )
        lost = gateway.count("llmgateway_hedges_total", result="lost")
        with Client(gateway.address) as client:
            client.send(request(STREAM, host="asked.test"))
            second.wait_until(lambda: bool(second.requests))
            left = time.monotonic()
        wait_until(lambda: all(departure.at for departure in departures))
        assert max(departure.at for departure in departures) - left < AT_ONCE
        assert gateway.count("llmgateway_hedges_total", result="lost") == lost + 1
        assert gateway.count("llmgateway_upstream_connections", state="active") == 0


def test_retries_have_a_budget(gateway: Gateway) -> None:
    """Of a hundred in ten seconds, and a fifth of what is asked first; all others move on at once."""
    with Provider(saying(answer("{}", "503 Down"))) as down, Provider(saying(answer(SAID))) as other:
        gateway.apply(
            {
                "a.yaml": documents(
                    provider("faulty.test", down.port),
                    provider("sound.test", other.port),
                    rescued(),
                )
            }
        )
        with ThreadPoolExecutor(60) as crowd:
            replies = crowd.map(lambda _: ask(gateway.address, HELLO, host="asked.test"), range(200))
            assert {reply.headers["x-llmgateway-backend"] for reply in replies} == {"sound-test"}
        assert 280 <= len(down.requests) <= 380


def test_an_answer_is_drained_for_its_usage(gateway: Gateway) -> None:
    def slowly(conversation: Conversation) -> None:
        event = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
        conversation.send(stream_head() + chunk(event))
        time.sleep(0.5)
        end = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
        usage = b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 8}}\n\n'
        conversation.send(chunk(end + usage + b"data: [DONE]\n\n") + chunk(b""))

    with Provider(slowly) as running:
        drained = route("asked.test", rule("all", "faulty.test", onClientDisconnect="drain"))
        gateway.apply({"a.yaml": documents(provider("faulty.test", running.port), drained)})
        with Client(gateway.address) as client:
            client.send(request(STREAM, host="asked.test", x_request_id="drained"))
            client.head()
            client.chunk()
        exchange = gateway.exchange("drained")
        assert (exchange["code"], exchange["request_completion_tokens"]) == (499, 8)


def test_all_providers_are_left_alone(gateway: Gateway) -> None:
    with Provider(saying(answer("{}", "500 Down"))) as down:
        broken: dict[str, Any] = {"outlierDetection": {"consecutiveErrors": 1}}
        gateway.apply(
            {
                "a.yaml": documents(
                    provider("faulty.test", down.port, **broken),
                    provider("sound.test", down.port, **broken),
                    rescued(retries={"attempts": 1}),
                )
            }
        )
        assert ask(gateway.address, HELLO, host="asked.test").status == 500
        reply = ask(gateway.address, HELLO, host="asked.test")
        assert (reply.status, reply.error) == (503, "no_backend_available")
        assert 1 <= int(reply.headers["retry-after"]) <= 5
        assert len(down.requests) == 2
