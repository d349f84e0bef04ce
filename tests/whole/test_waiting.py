"""How long a client is kept waiting, and what it is told meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from openai import APIError, OpenAI

from tests.whole.clients import CHAT, STREAM, Reply, ask
from tests.whole.documents import documents, provider, route, rule
from tests.whole.misbehaving import COMPLETION, EVENT, Departure
from tests.whole.providers import Answering, Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import Gateway

STOPPED = b'data: {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
COMMENT = b": waiting\n\n"

_KEYS = count()


def configured(
    gateway: Gateway,
    first: Provider,
    second: Provider | None = None,
    *,
    timeouts: Mapping[str, str],
    **more: Any,
) -> None:
    """One provider, or two of which the second is a fallback, under one rule.

    Their keys are new, so that nothing is held against them.
    """
    key = f"sk-{next(_KEYS)}"
    others = [provider("second.test", second.port, key=key)] if second is not None else []
    if second is not None:
        more["fallback"] = [{"providerHost": "second.test"}]
    only = rule("all", "first.test", timeouts=timeouts, **more)
    gateway.apply(
        {"a.yaml": documents(provider("first.test", first.port, key=key), *others, route("asked.test", only))}
    )


def timed(gateway: Gateway, body: bytes) -> tuple[Reply, float]:
    began = time.monotonic()
    reply = ask(gateway.address, body, host="asked.test")
    return reply, time.monotonic() - began


def stream(*gaps: float) -> Answering:
    """A whole stream, with so many seconds before each content."""

    def converse(conversation: Conversation) -> None:
        conversation.send(stream_head())
        for seconds in gaps:
            time.sleep(seconds)
            conversation.send(chunk(EVENT))
        conversation.send(chunk(STOPPED + DONE) + chunk(b""))

    return converse


# -- timers -----------------------------------------------------------------------------------------------

HEARTBEATS = {
    "comment": b": still here\n\n",
    "ping": b"event: ping\ndata: {}\n\n",
    "empty delta": b'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": ""}}]}\n\n',
    "role": b'data: {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n\n',
    "usage": b'data: {"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}\n\n',
}


@pytest.mark.parametrize("heartbeat", HEARTBEATS.values(), ids=HEARTBEATS.keys())
@pytest.mark.parametrize("timer", ["firstContent", "idle"])
def test_what_nobody_waits_for_resets_no_timer_of_contents(
    timer: str, heartbeat: bytes, gateway: Gateway
) -> None:
    def beat(conversation: Conversation) -> None:
        conversation.send(stream_head() + (chunk(EVENT) if timer == "idle" else b""))
        while True:
            conversation.send(chunk(heartbeat))
            time.sleep(0.1)

    with Provider(beat) as running:
        configured(gateway, running, timeouts={timer: "500ms"})
        reply, seconds = timed(gateway, STREAM)
    assert 0.45 < seconds < 1.4
    if timer == "firstContent":
        assert (reply.status, reply.error) == (504, "provider_content_timeout")
    else:
        assert not reply.whole
        assert b"provider_idle_timeout" in reply.body


def test_content_that_goes_on_is_stopped_by_request_alone(gateway: Gateway) -> None:
    with Provider(stream(*[0.1] * 12)) as running:
        configured(gateway, running, timeouts={"firstContent": "300ms", "idle": "300ms"})
        assert timed(gateway, STREAM)[0].whole
        configured(gateway, running, timeouts={"request": "500ms"})
        reply, seconds = timed(gateway, STREAM)
    assert not reply.whole
    assert b"provider_request_timeout" in reply.body
    assert seconds < 1.1


def test_request_counts_all_tries_together(gateway: Gateway) -> None:
    with Provider(saying(answer("{}", "503 Down", Retry_After="1"))) as running:
        configured(
            gateway,
            running,
            timeouts={"request": "1500ms"},
            retries={"attempts": 5, "backoff": {"base": "1ms"}},
        )
        reply, seconds = timed(gateway, CHAT)
        assert (reply.status, len(running.requests)) == (503, 2)
    assert 1 <= seconds < 1.7


RETRY_AFTER: dict[str, tuple[dict[str, str], float]] = {
    "seconds": ({"Retry_After": "1"}, 1.0),
    "a fraction": ({"Retry_After": "0.5"}, 0.5),
    "milliseconds go first": ({"retry_after_ms": "400", "Retry_After": "60"}, 0.4),
    "x-ratelimit-reset": (
        {"x_ratelimit_reset_requests": "600ms", "x_ratelimit_remaining_requests": "0"},
        0.6,
    ),
    "what can be had still": (
        {"x_ratelimit_reset_requests": "9s", "x_ratelimit_remaining_requests": "5"},
        0.0,
    ),
    "a date that is past": ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    "nonsense": ({"Retry_After": "soon"}, 0.0),
    "less than nothing": ({"Retry_After": "-5"}, 0.0),
}
"""What a provider asks for, and for how many seconds it is left alone then, beside a back-off."""


@pytest.mark.parametrize(("headers", "least"), RETRY_AFTER.values(), ids=RETRY_AFTER.keys())
def test_a_wait_that_a_provider_asks_for_is_kept(
    headers: dict[str, str], least: float, gateway: Gateway
) -> None:
    def limited_once(conversation: Conversation) -> None:
        limited = len(running.requests) == 1
        conversation.send(answer("{}", "429 Limit", **headers) if limited else answer(COMPLETION))

    with Provider(limited_once) as running:
        configured(gateway, running, timeouts={})
        reply, seconds = timed(gateway, CHAT)
        assert (reply.status, len(running.requests)) == (200, 2)
    assert least <= seconds < least + 0.8


def test_a_longer_one_goes_to_the_next(gateway: Gateway) -> None:
    limit = saying(answer("{}", "429 Limit", Retry_After="6"))
    with Provider(limit) as first, Provider(saying(answer(COMPLETION))) as second:
        configured(gateway, first, second, timeouts={})
        reply, seconds = timed(gateway, CHAT)
    assert (reply.status, reply.headers["x-llmgateway-backend"]) == (200, "second-test")
    assert seconds < 0.5


# -- comments -----------------------------------------------------------------------------------------------


def test_comments_come_and_the_next_may_still_be_asked(gateway: Gateway) -> None:
    with Provider(Departure()) as silent, Provider(stream(0, 0)) as second:
        configured(gateway, silent, second, timeouts={"firstContent": "1500ms"}, keepAlive="1s")
        reply, _ = timed(gateway, STREAM)
    assert reply.whole
    assert reply.body == COMMENT + EVENT * 2 + STOPPED + DONE
    assert reply.headers["content-type"] == "text/event-stream"


def test_comments_come_between_contents_too(gateway: Gateway) -> None:
    with Provider(stream(0, 1.5)) as running:
        configured(gateway, running, timeouts={}, keepAlive="1s")
        reply, _ = timed(gateway, STREAM)
    assert reply.whole
    assert reply.body == EVENT + COMMENT + EVENT + STOPPED + DONE


def test_a_final_failure_after_a_comment_is_an_error_that_sdks_raise(gateway: Gateway) -> None:
    down = saying(answer('{"error": {"message": "Overloaded.", "code": "overloaded"}}', "503 Down"))
    with Provider(Departure()) as silent, Provider(down) as second:
        configured(gateway, silent, second, timeouts={"firstContent": "1200ms"}, keepAlive="1s")
        sdk = OpenAI(
            base_url=f"{gateway.url}/v1", api_key="any", default_headers={"host": "asked.test"}, max_retries=0
        )
        with sdk, pytest.raises(APIError, match="Overloaded"):
            list(
                sdk.chat.completions.create(
                    model="any", messages=[{"role": "user", "content": "Hello"}], stream=True
                )
            )


def test_who_waits_for_no_stream_gets_no_comments(gateway: Gateway) -> None:
    def late(conversation: Conversation) -> None:
        time.sleep(1.3)
        conversation.send(answer(COMPLETION))

    with Provider(late) as running:
        configured(gateway, running, timeouts={}, keepAlive="1s")
        assert timed(gateway, CHAT)[0].body.decode() == COMPLETION
