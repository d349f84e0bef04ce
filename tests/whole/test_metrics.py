"""What a scrape of a real gateway says after requests of every kind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.whole.clients import CHAT, STREAM, Client, ask, request
from tests.whole.documents import documents, provider, route, rule, settings
from tests.whole.providers import Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import Gateway, wait_until

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
ANSWER = answer(json.dumps({"id": "a", "model": "said", "choices": [], "usage": USAGE}))
PAUSE = 0.4
"""Seconds before each piece of a stream."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("metrics") / "run", {}) as gateway:
        yield gateway


def event(**more: object) -> bytes:
    return b"data: %b\n\n" % json.dumps({"id": "a", "model": "said", **more}).encode()


def words(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


def streaming(conversation: Conversation) -> None:
    """Two words and the end, each after a while."""
    last = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=USAGE)
    time.sleep(PAUSE)
    conversation.send(stream_head() + chunk(words("Hello")))
    time.sleep(PAUSE)
    conversation.send(chunk(words(" there")))
    time.sleep(PAUSE)
    conversation.send(chunk(last + b"data: [DONE]\n\n") + b"0\r\n\r\n")


def apply(gateway: Gateway, name: str, running: Provider, *more: dict[str, object]) -> str:
    """Have the gateway know this provider; its host."""
    gateway.apply({"a.yaml": documents(provider(f"{name}.test", running.port), *more)})
    return f"{name}.test"


def test_plain_answers(gateway: Gateway) -> None:
    with Provider(saying(ANSWER)) as running:
        host = apply(gateway, "plain", running)
        with Client(gateway.address) as client:
            for _ in range(3):
                client.send(request(CHAT, host))
                reply = client.reply()
        labels = {"provider": "plain-test", "tenant": "default", "model": "small", "client": ""}
        assert gateway.count("llmgateway_requests_total", **labels, code="200", outcome="ok") == 3
        for kind, number in (("input", 60), ("output", 15), ("cached_input", 24), ("reasoning", 9)):
            assert gateway.count("llmgateway_tokens_total", **labels, type=kind) == number
        assert gateway.count("llmgateway_tokens_estimated_total", **labels) == 0
        assert gateway.count("llmgateway_request_bytes_total", **labels) == 3 * len(CHAT)
        assert gateway.count("llmgateway_response_bytes_total", **labels) == 3 * len(reply.body)
        backend = {"provider": "plain-test"}
        assert gateway.count("llmgateway_overhead_seconds_count", **backend) == 3
        overhead = gateway.count("llmgateway_overhead_seconds_sum", **backend)
        assert 0.00001 < overhead < gateway.count("llmgateway_request_duration_seconds_sum", **backend)
        assert gateway.count("llmgateway_time_to_first_token_seconds_count", **backend) == 0
        assert gateway.count("llmgateway_upstream_connections_opened_total", **backend) == 1
        assert gateway.count("llmgateway_pool_wait_seconds_count", **backend) == 3
        assert gateway.count("llmgateway_pool_wait_seconds_bucket", **backend, le="0.0001") == 2
        assert gateway.count("llmgateway_retries_total") == gateway.count("llmgateway_fallbacks_total") == 0


def test_streamed_answers(gateway: Gateway) -> None:
    with Provider(streaming) as running:
        host = apply(gateway, "streamed", running)
        assert ask(gateway.address, STREAM, host).body.endswith(b"data: [DONE]\n\n")
        labels = {"provider": "streamed-test"}
        first = "llmgateway_time_to_first_token_seconds"
        assert gateway.count(f"{first}_count", **labels) == 1
        assert PAUSE <= gateway.count(f"{first}_sum", **labels) < 2 * PAUSE
        each = "llmgateway_time_per_output_token_seconds"
        assert gateway.count(f"{each}_count", **labels) == 1
        assert PAUSE / 2 <= gateway.count(f"{each}_sum", **labels) < PAUSE
        assert gateway.count("llmgateway_overhead_seconds_sum", **labels) < PAUSE / 2
        assert gateway.count("llmgateway_tokens_total", **labels, type="output") == 5


def test_an_answer_of_another_provider(gateway: Gateway) -> None:
    down = saying(answer("{}", "503 Down"))
    with Provider(down) as failing, Provider(saying(ANSWER)) as running:
        other = provider("failing.test", failing.port)
        rescued = route("asked.test", rule("all", "failing.test", fallback=[{"providerHost": "sound.test"}]))
        apply(gateway, "sound", running, other, rescued)
        assert ask(gateway.address, CHAT, "asked.test").status == 200
        assert gateway.count("llmgateway_requests_total", provider="sound-test", outcome="ok") == 1
        assert gateway.count("llmgateway_attempts_total", provider="failing-test", outcome="status") == 2
        assert gateway.count("llmgateway_attempts_total", provider="sound-test", outcome="ok") == 1
        assert gateway.count("llmgateway_retries_total", provider="failing-test", route="asked-test") == 1
        assert gateway.count("llmgateway_fallbacks_total", provider="sound-test", route="asked-test") == 1
        assert gateway.count("llmgateway_retries_total", provider="sound-test") == 0


def test_an_answer_that_its_client_has_left(gateway: Gateway) -> None:
    with Provider(streaming) as running:
        host = apply(gateway, "left", running)
        with Client(gateway.address) as client:
            client.send(request(STREAM, host))
            client.head()
            client.chunk()
            assert gateway.count("llmgateway_requests_in_flight") == 1
            assert gateway.count("llmgateway_downstream_connections", listener="", state="active") == 1
        labels = {"provider": "left-test"}
        wait_until(lambda: gateway.count("llmgateway_requests_total", **labels, code="499") == 1)
        assert gateway.count("llmgateway_requests_in_flight") == 0
        assert gateway.count("llmgateway_downstream_connections", listener="", state="active") == 0
        assert gateway.count("llmgateway_attempts_total", **labels, outcome="cancelled") == 1
        assert gateway.count("llmgateway_time_to_first_token_seconds_count", **labels) == 1
        assert gateway.count("llmgateway_time_per_output_token_seconds_count", **labels) == 0


def test_the_process(gateway: Gateway) -> None:
    assert gateway.count("llmgateway_downstream_connections_opened_total") >= 4
    wait_until(lambda: gateway.count("llmgateway_loop_lag_seconds_count") > 0)
    assert gateway.count("llmgateway_tls_handshakes_total") == 0


def test_opentelemetry_s_metrics(gateway: Gateway) -> None:
    def kinds() -> set[str]:
        lines = gateway.admin("/metrics").splitlines()
        return {line.split()[2] for line in lines if line.startswith("# TYPE gen_ai")}

    with Provider(streaming) as running:
        assert kinds() == set()
        host = apply(gateway, "known", running, settings(metrics={"genAi": ["v1.41", "next"]}))
        ask(gateway.address, STREAM, host)
        labels = {
            "gen_ai_operation_name": "chat",
            "gen_ai_provider_name": "openai",
            "gen_ai_request_model": "small",
            "server_address": "known.test",
            "server_port": str(running.port),
        }
        for duration in (
            "gen_ai_client_operation_duration_seconds",
            "gen_ai_client_inference_duration_seconds",
            "gen_ai_server_request_duration_seconds",
        ):
            assert gateway.count(f"{duration}_count", **labels, error_type="") == 1
        assert gateway.count("gen_ai_client_token_usage_sum", **labels, gen_ai_token_type="input") == 20
        counter = "gen_ai_client_inference_usage_reasoning_output_tokens_total"
        assert gateway.count(counter, **labels, gen_ai_token_modality="unknown") == 3
        for chunks in ("operation", "inference"):
            name = f"gen_ai_client_{chunks}_time_per_output_chunk_seconds"
            assert gateway.count(f"{name}_count", **labels) == 2
            assert gateway.count(f"{name}_sum", **labels) > PAUSE  # of two, each with a pause before it
        first = "gen_ai_server_time_to_first_token_seconds"
        assert gateway.count(f"{first}_bucket", **labels, le="0.25") == 0
        assert gateway.count(f"{first}_bucket", **labels, le="600.0") == 1
        apply(gateway, "known", running, settings(metrics={"genAi": ["next"]}))
        assert "gen_ai_client_token_usage" not in kinds()
        assert "gen_ai_client_inference_duration_seconds" in kinds()
        apply(gateway, "known", running)
        assert kinds() == set()
