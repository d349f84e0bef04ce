"""What is kept of a tenant's exchanges, and what is not."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from gateway.policy.redacting.content import MARGIN_BYTES
from gateway.telemetry.capture_log import CaptureRecord
from tests.fakes.client import Client
from tests.fakes.conf import provider, route, route_to, tenant
from tests.fakes.house import (
    CONF,
    HELLO,
    KEY,
    LAST_CHUNK,
    STREAM,
    USAGE,
    ConversationTestCase,
    House,
    answer,
    event,
    get,
    post,
    words,
)

BOTH = "capture: {request: true, response: true, redact: ['ACME-\\d+']}"


def configured(config: str, specific: str = "") -> str:
    """The configs of a provider."""
    written = config if config.startswith("{") else f"{{{config}}}"
    return f"configs: {{defaultConfig: {{openAIConfig: {written}}}, routeSpecificConfigs: {{{specific}}}}}"


VIP = "vip: {openAIConfig: {apiKey: only-for-vips}}"

ONLY_WITH_HEADER = """
rules:
- name: vip
  matches: [{headers: {x-vip: {exact: "yes"}}}]
  backendRefs: [{providerHost: a.example}]
"""

RULES_TO_B = "rules: [{name: all, backendRefs: [{providerHost: b.example}]}]"


def chat(content: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def said(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


class CapturingTestCase(ConversationTestCase):
    def open_with(self, capture: str = BOTH) -> tuple[House, Client]:
        return self.open(CONF + tenant("default", capture))

    def kept(
        self, body: object, answered: bytes = b"{}", capture: str = BOTH, kind: bytes = b"application/json"
    ) -> CaptureRecord:
        """What is kept of one exchange, which gets to a provider if it can."""
        house, client = self.open_with(capture)
        client.sends(post(body))
        if house.network.providers:
            house.provider.answers(answer(answered, kind=kind))
        (record,) = house.capture_log.records
        return record


class WhetherTests(CapturingTestCase):
    def test_not_unless_it_is_asked_for(self) -> None:
        for document in (
            "",
            tenant("default", "{}"),
            tenant("default", "capture: {request: true, samplePercent: 0}"),
        ):
            house, client = self.open(CONF + document)
            client.sends(post(HELLO))
            house.provider.answers(answer(said("Hi")))
            self.assertEqual(house.capture_log.records, [])

    def test_both_sides(self) -> None:
        record = self.kept(chat("Hello"), said("Hi"))
        assert record.request is not None
        assert record.response is not None
        self.assertEqual(json.loads(record.request), chat("Hello"))
        self.assertEqual(json.loads(record.response), json.loads(said("Hi")))
        self.assertEqual((record.request_cut, record.response_cut), (False, False))

    def test_which_exchange_it_is(self) -> None:
        house, client = self.open_with()
        client.sends(post(HELLO, b"X-Request-Id: r1"))
        house.provider.answers(answer(said("Hi")))
        (record,) = house.capture_log.records
        self.assertEqual(
            (record.request_id, record.tenant, record.route, record.rule, record.provider, record.model),
            ("r1", "default", "demo", "all", "a", "plain"),
        )
        self.assertEqual((record.outcome, record.stream, record.client), ("ok", False, ""))

    def test_one_side_only(self) -> None:
        asked = self.kept(HELLO, said("Hi"), "capture: {request: true}")
        self.assertEqual((asked.request is None, asked.response), (False, None))
        answered = self.kept(HELLO, said("Hi"), "capture: {response: true}")
        self.assertEqual((answered.request, answered.response is None), (None, False))

    def test_a_sample(self) -> None:
        house = self.house(CONF + tenant("default", "capture: {request: true, samplePercent: 25}"))
        for house.chance in (0.24, 0.25, 0.0, 0.99):
            house.client().sends(post(HELLO))
            house.provider.answers(answer(said("Hi")))
        self.assertEqual(len(house.capture_log.records), 2)

    def test_another_tenant_is_left_alone(self) -> None:
        conf = {
            "a/conf.yaml": provider("a")
            + route_to("a", host="a.demo")
            + tenant("a", "capture: {request: true}"),
            "b/conf.yaml": provider("b") + route_to("b", host="b.demo"),
        }
        house = self.house(conf)
        for host in (b"a.demo", b"b.demo"):
            house.client().sends(post(HELLO, host=host))
            house.provider.answers(answer(said("Hi")))
        self.assertEqual([record.tenant for record in house.capture_log.records], ["a"])

    def test_it_ends_with_the_next_configuration(self) -> None:
        house, client = self.open_with()
        for _ in range(2):
            client.sends(post(HELLO))
            house.provider.answers(answer(said("Hi")))
            house.reads(CONF)
        self.assertEqual(len(house.capture_log.records), 1)


class HowItEndsTests(CapturingTestCase):
    def test_a_stream_is_joined(self) -> None:
        house, client = self.open_with()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("Hello AC")))
        house.provider.answers(event(words("ME-77, mail me@exa")) + event(words("mple.org")))
        house.provider.answers(event(USAGE) + event(b"[DONE]") + LAST_CHUNK)
        (record,) = house.capture_log.records
        self.assertTrue(record.stream)
        assert record.response is not None
        self.assertEqual(
            json.loads(record.response),
            {"choices": [{"index": 0, "message": {"content": "Hello [redacted], mail [email]"}}]},
        )

    def test_a_stream_that_its_client_leaves(self) -> None:
        house, client = self.open_with()
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM + event(words("Hel")))
        client.leaves()
        (record,) = house.capture_log.records
        self.assertEqual(record.outcome, "client_left")
        self.assertIn('"Hel"', str(record.response))

    def test_a_refusal_of_ours(self) -> None:
        house, client = self.open_with()
        client.sends(post(b"{no json"))
        (record,) = house.capture_log.records
        self.assertEqual((record.request, record.outcome), ("{no json", "client_error"))
        self.assertIn("invalid_body", str(record.response))

    def test_nothing_was_asked(self) -> None:
        house, client = self.open_with()
        client.sends(get(b"/v1/models"))
        (record,) = house.capture_log.records
        self.assertIsNone(record.request)
        self.assertIn('"plain"', str(record.response))


class RedactionTests(CapturingTestCase):
    def test_what_is_found_is_taken_out_of_both_sides(self) -> None:
        text = "ACME-1234 me@example.org sk-abcdefghijklmnop 4111 1111 1111 1111"
        redacted = "[redacted] [email] [key] [card]"
        record = self.kept(chat(text), said(text))
        self.assertEqual(json.loads(str(record.request)), chat(redacted))
        self.assertEqual(json.loads(str(record.response)), json.loads(said(redacted)))

    def test_what_json_escapes(self) -> None:
        body = (
            rb'{"messages":[{"content":"me\u0040example.org\nsk\u002dabcdefghijklmnop","me@example.org":1}]}'
        )
        record = self.kept(body)
        self.assertEqual(
            json.loads(str(record.request)), {"messages": [{"content": "[email]\n[key]", "[email]": 1}]}
        )

    def test_numbers(self) -> None:
        record = self.kept(
            {"messages": [], "card": 4111111111111111, "seed": 42, "top_p": 0.5, "at": 1795000000}
        )
        self.assertEqual(
            json.loads(str(record.request)),
            {"messages": [], "card": "[card]", "seed": 42, "top_p": 0.5, "at": 1795000000},
        )

    def test_our_own_key_that_somebody_repeats(self) -> None:
        record = self.kept(chat(KEY.decode()), said(f"it is {KEY.decode()}, of course"))
        for text in (record.request, record.response):
            self.assertNotIn(KEY.decode(), str(text))
            self.assertIn("[secret]", str(text))

    def test_what_is_no_json(self) -> None:
        record = self.kept(HELLO, b"<p>me@example.org</p>", kind=b"text/html")
        self.assertEqual(record.response, "<p>[email]</p>")

    def test_what_is_no_text(self) -> None:
        record = self.kept(HELLO, b"ID3\x00\x01\x02", kind=b"audio/mpeg")
        self.assertEqual((record.response, record.response_cut), ("[6 bytes that are no text]", True))


class BoundsTests(CapturingTestCase):
    CAPTURE = "capture: {request: true, response: true, maxBytes: 1000}"

    def test_more_is_cut(self) -> None:
        record = self.kept(chat("x" * 2000), said("y" * 2000), self.CAPTURE)
        self.assertEqual((len(str(record.request)), record.request_cut), (1000, True))
        self.assertEqual((len(str(record.response)), record.response_cut), (1000, True))

    def test_of_a_large_body_only_the_beginning_is_read(self) -> None:
        text = "say \\u0022sk\\u002dabcdefghijklmnop\\u0022 " + "x" * (1000 + MARGIN_BYTES)
        body = b'{"messages":[{"role":"user","content":"%b"}]}' % text.encode()
        record = self.kept(body, b"{}", self.CAPTURE)
        self.assertTrue(record.request_cut)
        self.assertLessEqual(len(str(record.request)), 1000)
        self.assertIn('say \\"[key]\\" xxx', str(record.request))

    def test_a_stream_without_end(self) -> None:
        house, client = self.open_with(self.CAPTURE)
        client.sends(post({**HELLO, "stream": True}))
        house.provider.answers(STREAM)
        for _ in range(200):
            house.provider.answers(event(words("word " * 1000)))
        client.leaves()
        (record,) = house.capture_log.records
        self.assertTrue(record.response_cut)
        self.assertTrue(900 < len(str(record.response)) <= 1000)

    def test_no_half_of_a_key_is_left_of_any_choice(self) -> None:
        house, client = self.open_with(self.CAPTURE)
        client.sends(post({**HELLO, "stream": True, "n": 2}))
        house.provider.answers(STREAM)
        for index, content in ((0, "zero sk-cana"), (1, "one " * 2000)):
            delta = {"choices": [{"index": index, "delta": {"content": content}}]}
            house.provider.answers(event(delta))
        client.leaves()
        (record,) = house.capture_log.records
        self.assertTrue(record.response_cut)
        self.assertNotIn("cana", str(record.response))

    def test_a_body_that_is_nested_too_deeply(self) -> None:
        record = self.kept(b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}")
        self.assertTrue(str(record.request).startswith('{"messages":[[['))


class SecretsTests(CapturingTestCase):
    """Of all that is configured, and of who asks."""

    CONF: ClassVar = {
        "a/conf.yaml": provider("a", configured(f"apiKey: {KEY.decode()}", VIP))
        + provider("unused", configured("apiKey: a-key-nobody-uses"))
        + provider("sending", configured("headers: {x-organisation: the-organisation}"))
        + route("a", ONLY_WITH_HEADER, host="a.demo")
        + tenant("a", "capture: {request: true, response: true}"),
        "b/conf.yaml": provider("b", configured("apiKey: canary-other-tenant-77"))
        + provider("b2", configured("{apiKey: the-weather-today, headers: {x-region: not-to-be-told-1234}}"))
        + route_to("b", host="b.demo"),
    }
    """Two tenants, of whom one's exchanges are kept."""

    def kept_of_a(self, said: str, *lines: bytes) -> str:
        """What is kept of what a client of the one says."""
        house = self.house(self.CONF)
        house.client().sends(post(chat(said), *lines, host=b"a.demo"))
        if house.network.providers:
            house.provider.answers(answer(b"{}"))
        (record,) = house.capture_log.records
        return str(json.loads(str(record.request))["messages"][0]["content"])

    def test_of_providers_that_nobody_names(self) -> None:
        said = self.kept_of_a("a-key-nobody-uses, only-for-vips and the-organisation", b"X-Vip: yes")
        self.assertEqual(said, "[secret], [secret] and [secret]")

    def test_where_no_rule_was_found(self) -> None:
        self.assertEqual(self.kept_of_a(KEY.decode()), "[secret]")

    def test_of_other_tenants(self) -> None:
        said = self.kept_of_a("canary-other-tenant-77 and not canary-other-tenant-78")
        self.assertEqual(said, "[secret] and not canary-other-tenant-78")

    def test_of_which_only_what_nobody_guesses_or_says_by_chance(self) -> None:
        said = "the-weather-today, not-to-be-told-1234"
        self.assertEqual(self.kept_of_a(said), said)

    def test_the_key_of_who_asks(self) -> None:
        said = self.kept_of_a("I have some-key-of-the-client.", b"X-Api-Key: some-key-of-the-client")
        self.assertEqual(said, "I have [secret].")
        self.assertEqual(self.kept_of_a("I have one", b"X-Api-Key: have"), "I have one")

    def test_what_another_tenant_s_provider_is_sent(self) -> None:
        conf = {
            "a/conf.yaml": route("a", RULES_TO_B, host="a.demo") + tenant("a", "capture: {request: true}"),
            "b/conf.yaml": provider("b", configured("apiKey: the-key-of-b") + "\nexportTo: [a]"),
        }
        house = self.house(conf)
        house.client().sends(post(chat("it is the-key-of-b"), host=b"a.demo"))
        house.provider.answers(answer(b"{}"))
        (record,) = house.capture_log.records
        self.assertIn("it is [secret]", str(record.request))

    def test_a_key_that_is_changed(self) -> None:
        house = self.house(self.CONF)
        house.reads({**self.CONF, "b/conf.yaml": self.CONF["b/conf.yaml"].replace("77", "99")})
        house.client().sends(post(chat("canary-other-tenant-77 canary-other-tenant-99"), host=b"a.demo"))
        (record,) = house.capture_log.records
        self.assertIn('"canary-other-tenant-77 [secret]"', str(record.request))
