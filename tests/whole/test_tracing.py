"""Traces through a real gateway: from a client's header to the provider's, and spans at a collector."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import trustme

from gateway.resources.tracing import TracingSettings
from gateway.telemetry.otlp import BATCH, MOST_WAITING, Pipeline
from gateway.telemetry.trace_context import TraceContext
from gateway.telemetry.traces import Span
from tests.whole.clients import CHAT, STREAM, Client, ask, request
from tests.whole.collector import CLIENT, ERROR, SERVER, Collector, Received, collecting
from tests.whole.documents import KEY, documents, provider, route, rule, settings, simulated
from tests.whole.providers import Answering, Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import ANY_PORT, PATIENCE, TWISTD, Gateway, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SECRET = "secret-of-the-collector"

WHOLE = answer(
    json.dumps(
        {
            "id": "chatcmpl-1",
            "model": "small-2026",
            "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 11,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        }
    )
)


PRICES = {"currency": "EUR", "default": {"input": 1, "output": 4}}
"""Of a million tokens."""


DOWN = json.dumps({"error": {"message": "private", "code": "overloaded_now"}})


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Gateway]:
    """A gateway that sends its spans to the collector."""
    conf = {"gateway.yaml": traced_to(collector.endpoint, headers={"x-collector-key": SECRET})}
    with Gateway(tmp_path_factory.mktemp("gateway"), conf, "--access-log=-") as gateway:
        yield gateway
        for sign in ("Traceback", "Unhandled", KEY, SECRET):
            assert sign not in gateway.log
        for secret in (KEY, SECRET, "Hello", "private"):
            assert secret.encode() not in collector.raw


def traced_to(endpoint: str, **more: Any) -> str:
    return documents(settings(tracing={"endpoint": endpoint, **more}))


class Numbers:
    """Trace identifiers, a new one for each test."""

    last = 0

    @classmethod
    def next(cls) -> str:
        cls.last += 1
        return f"{cls.last:032x}"


def traceparent(trace_id: str, sampled: bool = True) -> str:
    return f"00-{trace_id}-{PARENT}-{int(sampled):02x}"


def one_provider(gateway: Gateway, stack: ExitStack, answering: Answering, **more: Any) -> Provider:
    running = stack.enter_context(Provider(answering))
    gateway.apply({"a.yaml": documents(provider("provider.test", running.port, **more))})
    return running


def streaming(*words: str) -> bytes:
    """A stream in chunks, without its last one."""
    events = [
        {"id": "chatcmpl-2", "model": "small-2026", "choices": [{"index": 0, "delta": {"content": word}}]}
        for word in words
    ]
    return stream_head() + b"".join(chunk(b"data: %b\n\n" % json.dumps(each).encode()) for each in events)


END = b"".join(
    chunk(b"data: %b\n\n" % each)
    for each in (
        b'{"id": "chatcmpl-2", "model": "small-2026",'
        b' "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}',
        b'{"id": "chatcmpl-2", "model": "small-2026", "choices": [],'
        b' "usage": {"prompt_tokens": 7, "completion_tokens": 3}}',
        b"[DONE]",
    )
) + chunk(b"")


def test_a_plain_exchange(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()
    with ExitStack() as stack:
        upstream = one_provider(traced, stack, saying(WHOLE), pricing=PRICES)
        before = time.time()
        reply = ask(
            traced.address,
            traceparent=traceparent(trace),
            tracestate="vendor=1,other@system=2",
            path="/v1/chat/completions?key=private",
        )
        after = time.time()
    assert reply.status == 200
    exchange, attempt = collector.trace(trace, 2)
    assert (exchange.name, exchange.kind, exchange.parent_id) == ("chat small", SERVER, PARENT)
    assert (attempt.name, attempt.kind, attempt.parent_id) == ("chat small", CLIENT, exchange.span_id)
    assert (
        before - 0.001 <= exchange.began <= attempt.began <= attempt.ended <= exchange.ended <= after + 0.001
    )
    assert exchange.state == attempt.state == "vendor=1,other@system=2"
    sent = upstream.requests[0]
    assert sent.header("traceparent") == f"00-{trace}-{attempt.span_id}-01"
    assert sent.header("tracestate") == "vendor=1,other@system=2"
    log = traced.exchange(reply.headers["x-request-id"])
    assert log["trace_id"] == trace
    assert_has(
        exchange,
        {
            "http.request.method": "POST",
            "url.scheme": "http",
            "url.path": "/v1/chat/completions",
            "http.response.status_code": 200,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "small",
            "gen_ai.request.stream": False,
            "gen_ai.response.model": "small-2026",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ["stop"],
            "llmgateway.usage.input_tokens": 11,
            "llmgateway.usage.output_tokens": 5,
            "llmgateway.usage.cached_input_tokens": 4,
            "llmgateway.usage.reasoning_tokens": 2,
            "llmgateway.cost": 0.000031,
            "llmgateway.currency": "EUR",
            "llmgateway.tenant": "default",
            "llmgateway.provider": "provider-test",
            "llmgateway.outcome": "ok",
            "llmgateway.attempts": 1,
            "llmgateway.request_id": reply.headers["x-request-id"],
        },
    )
    assert_has(
        attempt,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "small",
            "gen_ai.response.model": "small-2026",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ["stop"],
            "server.address": "127.0.0.1",
            "server.port": upstream.port,
            "http.response.status_code": 200,
            "gen_ai.request.stream": False,
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "llmgateway.tenant": "default",
            "llmgateway.provider": "provider-test",
            "llmgateway.attempt.purpose": "first",
            "llmgateway.attempt.cost": 0.000031,
            "llmgateway.attempt.outcome": "ok",
        },
    )
    assert "error.type" not in exchange.attributes | attempt.attributes
    assert not [name for name in exchange.attributes if name.startswith("gen_ai.usage")]
    assert exchange.resource["service.name"] == "llmgateway"
    assert collector.paths[-1] == "/v1/traces"
    assert collector.headers[-1]["x-collector-key"] == SECRET


def assert_has(span: Received, attributes: dict[str, Any]) -> None:
    found = {name: span.attributes.get(name) for name in attributes}
    assert found == attributes


def test_a_stream(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()
    with ExitStack() as stack:
        one_provider(traced, stack, saying(streaming("Hi", " there") + END))
        assert ask(traced.address, STREAM, traceparent=traceparent(trace)).whole
    exchange, attempt = collector.trace(trace, 2)
    for span in (exchange, attempt):
        assert span.attributes["gen_ai.response.id"] == "chatcmpl-2"
        assert span.attributes["gen_ai.response.finish_reasons"] == ["length"]
        assert span.attributes["gen_ai.request.stream"] is True
    assert_has(exchange, {"llmgateway.usage.input_tokens": 7, "llmgateway.usage.output_tokens": 3})
    assert_has(attempt, {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3})
    first, of_client = (
        span.attributes["gen_ai.response.time_to_first_chunk"] for span in (attempt, exchange)
    )
    assert 0 < first <= of_client <= exchange.ended - exchange.began + 0.001
    assert all(len(str(each)) <= len("0.000000") for each in (first, of_client))


def test_what_a_provider_exaggerates_is_still_told(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()
    usage = {"prompt_tokens": 2**63 + 5, "completion_tokens": 1}
    said = {"id": "\u00e4" * 1000, "model": "small", "choices": [], "usage": usage}
    with ExitStack() as stack:
        one_provider(traced, stack, saying(answer(json.dumps(said))))
        ask(traced.address, traceparent=traceparent(trace))
    exchange, attempt = collector.trace(trace, 2)
    assert exchange.attributes["llmgateway.usage_estimated"] is True
    assert 0 < exchange.attributes["llmgateway.usage.input_tokens"] < 100
    assert 0 < attempt.attributes["gen_ai.usage.input_tokens"] < 100
    assert len(attempt.attributes.get("gen_ai.response.id", "")) <= 256


def test_a_failover(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()
    with ExitStack() as stack:
        faulty = stack.enter_context(Provider(saying(answer(DOWN, "503 Down"))))
        sound = stack.enter_context(Provider(saying(WHOLE)))
        rescued = rule(
            "all",
            "faulty.test",
            fallback=[{"providerHost": "sound.test"}],
            retries={"attempts": 2, "backoff": {"base": "10ms", "max": "10ms"}},
        )
        traced.apply(
            {
                "a.yaml": documents(
                    provider("faulty.test", faulty.port),
                    provider("sound.test", sound.port),
                    route("asked.test", rescued),
                )
            }
        )
        assert ask(traced.address, host="asked.test", traceparent=traceparent(trace)).status == 200
    exchange, *attempts = collector.trace(trace, 4)
    assert [span.attributes["llmgateway.attempt.purpose"] for span in attempts] == [
        "first",
        "retry",
        "fallback",
    ]
    assert {span.parent_id for span in attempts} == {exchange.span_id}
    sent = [each.header("traceparent") for each in (*faulty.requests, *sound.requests)]
    assert sent == [f"00-{trace}-{span.span_id}-01" for span in attempts]
    assert [span.attributes.get("error.type") for span in attempts] == ["503", "503", None]
    assert [span.status for span in attempts] == [ERROR, ERROR, 0]
    assert [span.why for span in attempts] == ["overloaded_now", "overloaded_now", ""]
    assert (exchange.status, exchange.attributes["llmgateway.attempts"]) == (0, 3)
    for before, after in pairwise(attempts):
        assert before.ended <= after.began


def test_a_hedge_and_a_copy(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()

    def wait(conversation: Conversation) -> None:
        assert conversation.wait_until_left()

    with ExitStack() as stack:
        slow = stack.enter_context(Provider(wait))
        sound = stack.enter_context(Provider(saying(WHOLE)))
        copied = stack.enter_context(Provider(saying(WHOLE)))
        hedged = rule(
            "all",
            "slow.test",
            fallback=[{"providerHost": "sound.test"}],
            hedge={"after": "100ms"},
            mirror={"providerHost": "copied.test", "percent": 100},
        )
        traced.apply(
            {
                "a.yaml": documents(
                    provider("slow.test", slow.port),
                    provider("sound.test", sound.port),
                    provider("copied.test", copied.port),
                    route("asked.test", hedged),
                )
            }
        )
        assert ask(traced.address, host="asked.test", traceparent=traceparent(trace)).status == 200
        exchange, *attempts = collector.trace(trace, 4)
    told = {
        span.attributes["llmgateway.attempt.purpose"]: (
            span.attributes["llmgateway.provider"],
            span.attributes["llmgateway.attempt.outcome"],
        )
        for span in attempts
    }
    assert told == {
        "first": ("slow-test", "cancelled"),
        "hedge": ("sound-test", "ok"),
        "mirror": ("copied-test", "ok"),
    }
    assert {span.parent_id for span in attempts} == {exchange.span_id}


def test_a_stream_that_is_continued(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()
    broken = simulated("faulty.test")
    broken["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["misbehave"] = "cut-after=3"
    rescued = rule("all", "faulty.test", fallback=[{"providerHost": "sound.test"}])
    traced.apply({"a.yaml": documents(broken, simulated("sound.test"), route("asked.test", rescued))})
    assert ask(traced.address, STREAM, host="asked.test", traceparent=traceparent(trace)).whole
    exchange, first, *rest = collector.trace(trace, 3)
    assert first.attributes["llmgateway.attempt.outcome"] == "cut"
    assert first.attributes["server.address"] == "simulator"
    assert "server.port" not in first.attributes
    assert [span.attributes["llmgateway.attempt.purpose"] for span in rest] == ["continuation"]
    attempts = [first, *rest]
    told = [span.attributes["gen_ai.usage.output_tokens"] for span in attempts]
    assert sum(told) == exchange.attributes["llmgateway.usage.output_tokens"]
    assert 0 not in told
    assert first.attributes["llmgateway.attempt.usage_estimated"] is True
    assert exchange.attributes["llmgateway.usage_estimated"] is True


def test_a_client_that_leaves(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()

    def talk(conversation: Conversation) -> None:
        conversation.send(streaming("Hi"))
        assert conversation.wait_until_left()

    with ExitStack() as stack:
        one_provider(traced, stack, talk)
        with Client(traced.address) as client:
            client.send(request(STREAM, traceparent=traceparent(trace)))
            assert client.head()[0] == 200
        exchange, attempt = collector.trace(trace, 2)
    assert exchange.attributes["http.response.status_code"] == 499
    assert exchange.attributes["error.type"] == "client_left"
    assert exchange.status == 0
    assert attempt.attributes["llmgateway.attempt.outcome"] == "cancelled"


def test_what_is_refused(traced: Gateway, collector: Collector) -> None:
    trace = Numbers.next()
    reply = ask(traced.address, host="nowhere.test", traceparent=traceparent(trace))
    (exchange,) = collector.trace(trace, 1)
    assert reply.status == 404
    assert exchange.attributes["error.type"] == reply.error
    assert (exchange.name, exchange.status) == ("POST", 0)


def test_who_is_not_recorded_is_still_told_of_its_trace(traced: Gateway, collector: Collector) -> None:
    silent, trace = Numbers.next(), Numbers.next()
    with ExitStack() as stack:
        upstream = one_provider(traced, stack, saying(WHOLE))
        reply = ask(traced.address, traceparent=traceparent(silent, sampled=False))
        ask(traced.address, traceparent=traceparent(trace))
    collector.trace(trace, 2)
    assert not [span for span in collector.spans if span.trace_id == silent]
    version, sent, parent, flags = (upstream.requests[0].header("traceparent") or "").split("-")
    assert (version, sent, flags) == ("00", silent, "00")
    assert parent != PARENT
    assert traced.exchange(reply.headers["x-request-id"])["trace_id"] == silent


def test_a_malformed_header_begins_a_new_trace(traced: Gateway, collector: Collector) -> None:
    with ExitStack() as stack:
        upstream = one_provider(traced, stack, saying(WHOLE))
        reply = ask(traced.address, traceparent=f"00-{TRACE.upper()}-{PARENT}-01", tracestate="a=1")
    trace = traced.exchange(reply.headers["x-request-id"])["trace_id"]
    exchange, attempt = collector.trace(trace, 2)
    assert trace != TRACE
    assert exchange.parent_id == ""
    assert upstream.requests[0].header("traceparent") == f"00-{trace}-{attempt.span_id}-01"
    assert upstream.requests[0].header("tracestate") is None


def test_a_reload_turns_it_off_and_on(traced: Gateway, collector: Collector) -> None:
    header = traceparent(TRACE)
    with ExitStack() as stack:
        upstream = one_provider(traced, stack, saying(WHOLE))
        with Client(traced.address) as client:

            def exchange() -> dict[str, Any]:
                client.send(request(traceparent=header, tracestate="a=1"))
                return traced.exchange(client.reply().headers["x-request-id"])

            assert exchange()["trace_id"] == TRACE
            traced.apply({"gateway.yaml": documents(settings())})
            assert exchange()["trace_id"] == TRACE
            traced.apply({"gateway.yaml": traced_to(collector.endpoint, sampleRatio=0)})
            assert exchange()["trace_id"] == TRACE
            traced.apply({"gateway.yaml": traced_to(collector.endpoint, sampleRatio=0.5)})
    sent = [each.header("traceparent") for each in upstream.requests]
    assert sent[1] == header
    assert len({*sent, header}) == 3
    assert {each.header("tracestate") for each in upstream.requests} == {"a=1"}
    collector.trace(TRACE, 4)


@pytest.mark.parametrize("change", ["share", "elsewhere", "off"])
def test_a_change_harms_no_exchange_that_is_under_way(
    traced: Gateway, collector: Collector, change: str
) -> None:
    trace = Numbers.next()
    rest = Event()

    def talk(conversation: Conversation) -> None:
        conversation.send(streaming("Hi"))
        assert rest.wait(PATIENCE)
        conversation.send(streaming(" there").removeprefix(stream_head()) + END)

    with ExitStack() as stack:
        other = stack.enter_context(collecting())
        one_provider(traced, stack, talk)
        client = stack.enter_context(Client(traced.address))
        client.send(request(STREAM, traceparent=traceparent(trace)))
        assert client.head()[0] == 200
        changed = {
            "share": traced_to(collector.endpoint, headers={"x-collector-key": SECRET}, sampleRatio=0.25),
            "elsewhere": traced_to(other.endpoint),
            "off": documents(settings()),
        }
        lost = traced.count("llmgateway_spans_lost_total")
        traced.apply({"gateway.yaml": changed[change]})
        later = Numbers.next()
        with Client(traced.address) as second:
            second.send(request(STREAM, traceparent=traceparent(later)))
            assert second.head()[0] == 200
            rest.set()
        exchange, attempt = collector.trace(trace, 2)
        assert exchange.attributes["gen_ai.response.finish_reasons"] == ["length"]
        assert attempt.attributes["llmgateway.attempt.outcome"] == "ok"
        if change != "off":
            (collector if change == "share" else other).trace(later, 2)
        traced.apply({"gateway.yaml": traced_to(collector.endpoint, headers={"x-collector-key": SECRET})})
        assert traced.count("llmgateway_spans_lost_total") == lost


def test_without_tracing_nothing_is_made_up(gateway: Gateway) -> None:
    with ExitStack() as stack:
        upstream = one_provider(gateway, stack, saying(WHOLE))
        reply = ask(gateway.address)
    assert upstream.requests[0].header("traceparent") is None
    assert gateway.exchange(reply.headers["x-request-id"])["trace_id"] == ""


@pytest.mark.parametrize("listens", [False, True], ids=["down", "silent"])
def test_a_collector_that_takes_nothing_slows_nobody(listens: bool, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if not listens:
            listening.close()
        conf = {"gateway.yaml": traced_to(endpoint), "a.yaml": documents(simulated("provider.test"))}
        with Gateway(tmp_path, conf) as gateway:
            ask(gateway.address)
            began = time.monotonic()
            for _ in range(50):
                assert ask(gateway.address).status == 200
            assert time.monotonic() - began < 5
            if not listens:
                lost = gateway.wait_for_log(
                    r"the collector (\S+) does not take all spans, \d+ are lost so far: (.*)"
                )
                assert lost.groups() == (endpoint, "it cannot be reached")
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < 5
            assert "Traceback" not in gateway.log
            # Once when it began, if it did, and once at the end: all that there was.
            *before, last = re.findall(r"does not take all spans, (\d+) are lost so far", gateway.log)
            assert len(before) <= 1
            assert int(last) == 2 * 51


def test_a_queue_that_is_full_takes_no_more() -> None:
    told: list[tuple[int, str | None]] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = TracingSettings(f"http://127.0.0.1:{silent.getsockname()[1]}", {}, 1.0)
        pipeline = Pipeline(found, lambda *batch: told.append(batch))
        context = TraceContext(TRACE, PARENT, True)
        span = Span(context, None, True, "chat", 1.0, 2.0, False, "", {"url.path": "/" * 1000, "x": "\udcff"})
        began = time.monotonic()
        refused = [pipeline.send(span) for _ in range(MOST_WAITING + 2 * BATCH)].count(False)
        assert time.monotonic() - began < 2
        assert BATCH <= refused <= 2 * BATCH
        silent.accept()[0].close()
        silent.accept()[0].close()
    wait_until(lambda: told != [])
    assert told[0] == (BATCH, "it cannot be reached")


def test_the_last_spans_are_sent_when_the_gateway_stops(tmp_path: Path) -> None:
    with collecting() as collector:
        conf = {
            "gateway.yaml": traced_to(collector.endpoint),
            "a.yaml": documents(simulated("provider.test")),
        }
        with Gateway(tmp_path, conf) as gateway:
            for _ in range(20):
                ask(gateway.address, CHAT)
            assert gateway.stop() == 0
        assert len(collector.spans) == 40


def test_it_is_turned_on_while_requests_run(tmp_path: Path) -> None:
    """The SDK is imported only then."""
    with collecting() as collector, Gateway(tmp_path, {}) as gateway:
        gateway.apply({"a.yaml": documents(simulated("provider.test"))})
        gateway.write({"gateway.yaml": traced_to(collector.endpoint)})
        while "spans go to" not in gateway.log:
            assert ask(gateway.address).status == 200
        trace = Numbers.next()
        ask(gateway.address, traceparent=traceparent(trace))
        collector.trace(trace, 2)


def test_what_the_environment_says_and_a_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with collecting(context) as collector:
        endpoint = f"https://127.0.0.1:{collector.port}/otlp/spans"
        conf = {"gateway.yaml": traced_to(endpoint), "a.yaml": documents(simulated("provider.test"))}
        with Gateway(tmp_path / "refused", conf) as gateway:
            ask(gateway.address)
            gateway.wait_for_log(
                r"does not take all spans, \d+ are lost so far: its certificate is not accepted"
            )
        environment = {
            "OTEL_SERVICE_NAME": "edge",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem"),
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }
        with Gateway(tmp_path / "accepted", conf, environment=environment) as gateway:
            trace = Numbers.next()
            ask(gateway.address, traceparent=traceparent(trace))
            for span in collector.trace(trace, 2):
                assert span.resource["service.name"] == "edge"
                assert span.resource["deployment.environment.name"] == "test"
        assert set(collector.paths) == {"/otlp/spans"}
        assert collector.headers[-1]["content-encoding"] == "gzip"


def test_a_client_that_speaks_tls(tmp_path: Path, collector: Collector) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    listens = (
        f"tls:0:interface=127.0.0.1:certificate={tmp_path / 'own.pem'}:privateKey={tmp_path / 'own.pem'}"
    )
    conf = {
        "gateway.yaml": traced_to(collector.endpoint),
        "a.yaml": documents(simulated("provider.test")),
    }
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        Gateway(tmp_path / "gateway", conf, listen=(listens,)) as gateway,
        Client(gateway.address, context) as client,
    ):
        trace = Numbers.next()
        client.send(request(traceparent=traceparent(trace)))
        assert client.reply().status == 200
        exchange, _ = collector.trace(trace, 2)
    assert exchange.attributes["url.scheme"] == "https"


def test_a_gateway_that_has_gone_to_the_background(tmp_path: Path) -> None:
    """Threads do not survive a fork: the exporter's must be started after it."""
    with collecting() as collector:
        (tmp_path / "conf.d").mkdir()
        text = traced_to(collector.endpoint) + "\n---\n" + documents(simulated("provider.test"))
        (tmp_path / "conf.d" / "all.yaml").write_text(text)
        command = [str(TWISTD), "--pidfile=gateway.pid", "--logfile=gateway.log", "llmgateway"]
        command += ["--listen=unix:clients.sock", f"--admin={ANY_PORT}"]
        subprocess.run(command, cwd=tmp_path, check=True)
        pid = tmp_path / "gateway.pid"
        try:
            wait_until((tmp_path / "clients.sock").exists)
            assert ask(str(tmp_path / "clients.sock")).status == 200
            wait_until(lambda: len(collector.spans) == 2)
        finally:
            wait_until(pid.exists)
            os.kill(int(pid.read_text()), signal.SIGTERM)
            wait_until(lambda: not pid.exists())
