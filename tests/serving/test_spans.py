"""What is told of exchanges and attempts, and what providers are sent, where there is tracing."""

from __future__ import annotations

import json

from gateway.telemetry.traces import Span, Tracer
from tests.fakes.conf import gateway, provider, route
from tests.fakes.house import CONF, HELLO, STREAM, USAGE, House, answer, event, parts, post
from tests.serving.pursuing import DONE, STREAMED, PursuitTestCase, error_answer, failing, stopped
from tests.serving.pursuing import said as text

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01".encode()
TRACED = b"Traceparent: " + HEADER

SECRET = "sk-of-a-123"

RULE = "rules: [{name: all, backendRefs: [{providerHost: a.example}]}]"

NO_MODEL = "configs: {defaultConfig: {openAIConfig: {apiKey: sk-of-a-123}}}"

SHORT = "retries: {attempts: 1}"


def said(**more: object) -> bytes:
    return answer(json.dumps({"id": "c-1", "model": "m", "choices": [], **more}).encode())


class SpanTests(PursuitTestCase):
    def traced(self, conf: str, ratio: float = 1.0) -> tuple[House, list[Span]]:
        """A house with tracing, and where its spans go."""
        house = self.house(conf)
        spans: list[Span] = []
        house.tracing.tracer = Tracer(ratio, spans.append)
        return house, spans

    def sent(self, house: House) -> dict[bytes, bytes]:
        """The headers that the provider of the newest connection got."""
        return parts(house.provider.received())[1]

    def of_attempts(self, spans: list[Span], name: str) -> list[object]:
        """An attribute of each attempt's span."""
        return [span.attributes.get(f"llmgateway.attempt.{name}") for span in spans if not span.from_client]

    def test_a_provider_that_is_passed_over_has_no_span_but_is_told_of(self) -> None:
        conf = failing(SHORT, "ab", "outlierDetection: {consecutiveErrors: 1}")
        house, spans = self.traced(conf)
        first, second = house.client(), house.client()
        first.sends(post(HELLO))
        self.at(house, "a").answers(error_answer(500))
        self.at(house, "b").answers(said())
        self.assertEqual([span.from_client for span in spans], [False, False, True])
        spans.clear()
        second.sends(post(HELLO))
        self.at(house, "b").answers(said())
        attempt, exchange = spans
        self.assertEqual(attempt.attributes["llmgateway.attempt.purpose"], "fallback")
        self.assertEqual(exchange.attributes["llmgateway.attempts"], 1)
        self.assertEqual(exchange.attributes["llmgateway.passed_over"], ("a",))
        self.assertEqual(house.number("llmgateway_fallbacks_total", provider="b"), 2)

    def test_what_a_provider_says_is_not_told_with_our_key_in_it(self) -> None:
        house, spans = self.traced(failing(SHORT, "a"))
        house.client().sends(post(HELLO))
        choices = [{"index": 0, "message": {"content": "private"}, "finish_reason": f"stop {SECRET}"}]
        house.provider.answers(said(id=f"c-{SECRET}", model=f"m {SECRET}", choices=choices))
        self.assertEqual(len(spans), 2)
        self.assertNotIn(SECRET, repr(spans))
        self.assertNotIn("private", repr(spans))

    def test_times_are_those_of_the_wall(self) -> None:
        house, spans = self.traced(CONF)
        house.clock.advance(100.0)
        client = house.client()
        client.sends(post(HELLO))
        house.clock.advance(3.0)
        house.provider.answers(said())
        for span in spans:
            self.assertEqual((span.began, span.ended), (100.0, 103.0))

    def test_the_clients_headers_are_replaced_only_where_there_is_tracing(self) -> None:
        house, _ = self.traced(CONF)
        tracer = house.tracing.tracer
        client = house.client()
        for on in (True, False, True, False):
            house.tracing.tracer = tracer if on else None
            client.sends(post(HELLO, TRACED, b"Tracestate: a=1"))
            # `parts` fails at a header that is there twice.
            sent = self.sent(house)
            self.assertEqual(sent[b"traceparent"] == HEADER, not on)
            self.assertTrue(sent[b"traceparent"].startswith(f"00-{TRACE}-".encode()))
            self.assertEqual(sent[b"tracestate"], b"a=1")
            house.provider.answers(said())
            self.assertEqual(house.record.trace_id, TRACE)
            client.received()

    def test_where_it_is_off_nothing_is_judged_or_made(self) -> None:
        house = self.house(CONF)
        client = house.client()
        for lines, sent in (((b"Traceparent: nonsense",), b"nonsense"), ((), None)):
            client.sends(post(HELLO, *lines))
            self.assertEqual(self.sent(house).get(b"traceparent"), sent)
            house.provider.answers(said())
            self.assertEqual(house.record.trace_id, "")

    def test_a_rule_that_removes_it_keeps_it_from_the_provider(self) -> None:
        conf = provider("a") + route(
            "demo",
            "rules: [{name: all, headers: {request: {remove: [traceparent]}},"
            " backendRefs: [{providerHost: a.example}]}]",
        )
        house, spans = self.traced(conf)
        house.client().sends(post(HELLO, TRACED, b"Tracestate: a=1"))
        sent = self.sent(house)
        self.assertNotIn(b"traceparent", sent)
        self.assertNotIn(b"tracestate", sent)
        house.provider.answers(said())
        self.assertEqual(len(spans), 2)

    def test_who_is_not_recorded_costs_no_span(self) -> None:
        house, spans = self.traced(CONF, ratio=0.0)
        house.client().sends(post(HELLO))
        self.assertRegex(self.sent(house)[b"traceparent"], rb"\A00-[0-9a-f]{32}-[0-9a-f]{16}-00\Z")
        house.provider.answers(said())
        self.assertEqual(spans, [])
        self.assertEqual(len(house.record.trace_id), 32)

    def test_a_gateway_that_cannot_serve(self) -> None:
        house, spans = self.traced(failing(SHORT, "a") + gateway("upstreamTimeouts: {headers: 1s}"))
        client = house.client()
        client.sends(post({**HELLO, "model": "asked"}))
        house.waits(1.5)
        self.assertIn(b"504", client.received())
        attempt, exchange = spans
        self.assertEqual((attempt.name, exchange.name), ("chat a-1", "chat a-1"))
        self.assertEqual(exchange.attributes["llmgateway.asked_model"], "asked")
        self.assertTrue(attempt.failed)
        self.assertTrue(exchange.failed)
        self.assertEqual(exchange.attributes["error.type"], house.record.error)
        self.assertEqual((exchange.why, attempt.why), (house.record.detail, ""))
        self.assertTrue(exchange.why)
        self.assertEqual(exchange.attributes["http.response.status_code"], 504)

    def test_a_providers_refusal_that_is_handed_on_is_no_fault_of_the_server(self) -> None:
        house, spans = self.traced(failing(SHORT, "a"))
        house.client().sends(post(HELLO))
        house.provider.answers(error_answer(400, "invalid_value"))
        attempt, exchange = spans
        self.assertEqual((attempt.failed, attempt.attributes["error.type"]), (True, "400"))
        self.assertEqual(attempt.why, "invalid_value")
        self.assertEqual((exchange.failed, exchange.attributes["error.type"]), (False, "provider_error"))

    def test_models_and_uploads(self) -> None:
        house, spans = self.traced(CONF)
        client = house.client()
        client.sends(b"GET /v1/models HTTP/1.1\r\nHost: demo\r\n\r\n")
        (exchange,) = spans
        self.assertEqual(exchange.name, "models demo")
        spans.clear()
        client.received()
        client.sends(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: demo\r\nContent-Type: multipart/form-data\r\n"
            b"Content-Length: 3\r\n\r\nabc"
        )
        house.provider.answers(said())
        self.assertEqual([span.name for span in spans], ["transcriptions a", "transcriptions demo"])

    def test_names_are_configured_whatever_a_client_asks_for(self) -> None:
        house, spans = self.traced(provider("a", NO_MODEL) + route("demo", RULE))
        house.client().sends(post({**HELLO, "model": "anything"}))
        house.provider.answers(said())
        attempt, exchange = spans
        self.assertEqual((attempt.name, exchange.name), ("chat a", "chat demo"))
        self.assertEqual(attempt.attributes["gen_ai.request.model"], "anything")
        self.assertEqual(exchange.attributes["llmgateway.asked_model"], "anything")
        self.assertNotIn("gen_ai.request.model", exchange.attributes)

    def test_what_is_not_known_is_left_out(self) -> None:
        house, spans = self.traced(CONF)
        house.client().sends(post(HELLO, host=b"nobody"))
        (exchange,) = spans
        self.assertEqual([name for name, value in exchange.attributes.items() if value == ""], [])
        self.assertNotIn("llmgateway.tenant", exchange.attributes)

    def test_tokens_are_those_of_each_attempt_and_the_clients_stand_in_the_exchange(self) -> None:
        house, spans = self.traced(failing("hedge: {after: 1s}"))
        house.client().sends(post(STREAMED))
        house.waits(1.5)
        self.at(house, "b").answers(STREAM + text("Hi") + stopped() + event(USAGE) + DONE)
        first, hedge, exchange = spans
        usage: dict[str, int] = USAGE["usage"]  # type: ignore[assignment]
        counted = usage["prompt_tokens"], usage["completion_tokens"]
        for span, system in ((hedge, "gen_ai"), (exchange, "llmgateway")):
            told = [span.attributes[f"{system}.usage.{kind}_tokens"] for kind in ("input", "output")]
            self.assertEqual(tuple(told), counted)
        self.assertFalse([name for name in exchange.attributes if name.startswith("gen_ai.usage")])
        self.assertEqual(self.of_attempts(spans, "discarded"), ["hedge", None])
        self.assertEqual(self.of_attempts(spans, "usage_estimated"), [True, None])
        self.assertTrue(first.attributes["gen_ai.usage.input_tokens"])

    def test_an_only_attempt_has_all_tokens(self) -> None:
        house, spans = self.traced(CONF)
        house.client().sends(post(HELLO))
        house.provider.answers(said(usage={"prompt_tokens": 3, "completion_tokens": 4}))
        attempt, exchange = spans
        for span, system in ((attempt, "gen_ai"), (exchange, "llmgateway")):
            told = [span.attributes[f"{system}.usage.{kind}_tokens"] for kind in ("input", "output")]
            self.assertEqual(told, [3, 4])

    def test_a_rest_that_does_not_fit(self) -> None:
        prefills = failing(more="prefill: true", providers="ab")
        house, spans = self.traced(prefills)
        house.clock.advance(7.0)
        house.client().sends(post(STREAMED))
        house.clock.advance(0.25)
        house.provider.answers(STREAM + text("The quick brown fox ") + text("jumps over "))
        house.clock.advance(2.0)
        house.provider.resets()
        self.at(house, "b").answers(STREAM + text("The quick red fox"))
        self.at(house, "b").answers(STREAM + text("The quick brown fox jumps over all") + stopped() + DONE)
        self.assertEqual(self.of_attempts(spans, "outcome"), ["cut", "cancelled", "ok"])
        self.assertEqual(self.of_attempts(spans, "disagrees"), [None, True, None])
        self.assertEqual(self.of_attempts(spans, "discarded"), [None, "continuation", None])
        first = spans[0].attributes
        self.assertEqual(first["gen_ai.response.time_to_first_chunk"], 0.25)
        self.assertIs(first["gen_ai.request.stream"], True)
        self.assertEqual((spans[0].began, spans[0].ended), (7.0, 9.25))
