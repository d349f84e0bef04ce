"""Requests that are refused, and which operation is meant."""

from __future__ import annotations

import pytest

from gateway.dialects.envelope import open_body
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.serving.routing import operation_of_body, operation_of_head, passes_through, route_of, rule_of
from gateway.snapshot.generations import Generation
from gateway.wire.limits import DownstreamLimits
from tests.fakes.conf import KEYED, adopt_conf, key_hash, provider, route, route_table, route_to, tenant
from tests.fakes.heads import request_head
from tests.fakes.house import (
    ANSWER,
    CONF,
    HELLO,
    KEY,
    VIA,
    ConversationTestCase,
    House,
    error,
    get,
    parts,
    post,
)


class RefusalTests(ConversationTestCase):
    """Our own errors, in OpenAI's shape."""

    def refused(self, request: bytes, code: str, conf: str | None = CONF) -> House:
        house, client = self.open(conf)
        received = client.sends(request)
        status, headers, _ = parts(received)
        told = error(received)
        self.assertEqual(told["code"], code)
        self.assertEqual(headers[b"x-llmgateway-error-source"], b"gateway")
        self.assertIn(b"x-request-id", headers)
        self.assertEqual(house.network.providers, [])
        self.assertEqual(house.record.error, code)
        self.assertEqual(str(house.record.code).encode(), status.split()[1])
        return house

    def test_before_the_first_configuration(self) -> None:
        house = self.refused(post(HELLO), "not_ready", conf=None)
        self.assertEqual(house.counted, {("503", "gateway_error"): 1})
        self.assertEqual(house.names.tenant, "")

    def test_a_host_that_nobody_answers_for(self) -> None:
        house = self.refused(post(HELLO, host=b"nobody"), "no_route")
        self.assertEqual(house.counted, {("404", "client_error"): 1})
        self.assertEqual((house.names.tenant, house.names.route), ("", ""))

    def test_a_request_that_no_rule_matches(self) -> None:
        only = "rules: [{matches: [{headers: {x: {}}}], backendRefs: [{providerHost: a.example}]}]"
        house = self.refused(post(HELLO), "no_route", provider("a") + route("demo", only))
        self.assertEqual((house.names.tenant, house.names.route, house.names.rule), ("default", "demo", ""))
        self.assertEqual(house.number("llmgateway_requests_total", tenant="default", route="demo"), 1)

    def test_a_path_that_is_nothing(self) -> None:
        self.refused(get(b"/favicon.ico"), "no_route")
        self.refused(post({"prompt": "x"}, path=b"/elsewhere"), "no_route")

    def test_an_operation_that_the_provider_has_not(self) -> None:
        house = self.refused(post({**HELLO, "max_tokens": 1}, path=b"/v1/messages"), "no_route")
        self.assertEqual(house.names.provider, "a")

    def test_a_method_that_the_operation_has_not(self) -> None:
        self.refused(get(b"/v1/chat/completions"), "method_not_allowed")

    def test_a_compressed_body(self) -> None:
        house = self.refused(post(b"...", b"Content-Encoding: gzip"), "unsupported_encoding")
        self.assertEqual(house.counted, {("415", "client_error"): 1})

    def test_a_body_that_is_no_json(self) -> None:
        for body in (b"", b"[]", b"{", b'{"messages": [], "model": NaN}', b'{"model": "a", "model": "b"}'):
            self.refused(post(body), "invalid_body")

    def test_a_loop(self) -> None:
        house = self.refused(post(HELLO, b"Via: 1.1 " + VIA), "loop_detected")
        self.assertEqual(house.counted, {("508", "gateway_error"): 1})

    def test_another_gateway_of_our_kind_is_no_loop(self) -> None:
        house, client = self.open()
        client.sends(post(HELLO, b"Via: 1.1 proxy, 1.1 llmgateway-other"))
        self.assertEqual(parts(house.provider.received())[1][b"via"], b"1.1 llmgateway-other, 1.1 " + VIA)
        house.provider.answers(ANSWER)

    def test_what_the_wire_refuses_is_counted_too(self) -> None:
        house = self.refused(b"GET / HTTP/1.1\r\n\r\n", "malformed_request")
        self.assertEqual(house.counted, {("400", "client_error"): 1})
        self.assertEqual((house.record.duration_ms, house.names.host), (0, ""))
        self.assertTrue(house.record.detail)

    def test_a_body_that_is_too_large(self) -> None:
        house, client = self.open(limits=DownstreamLimits(body_bytes=10))
        received = client.sends(
            b"POST / HTTP/1.1\r\nHost: demo\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + b"x" * 11 + b"\r\n"
        )
        self.assertEqual(error(received)["code"], "body_too_large")
        self.assertEqual(house.counted, {("413", "client_error"): 1})

    def test_nothing_of_the_configuration_is_in_a_refusal(self) -> None:
        _, client = self.open()
        received = client.sends(post(HELLO, host=b"nobody"))
        for word in (b"a.example", b"default", KEY):
            self.assertNotIn(word, received)


class ExpectTests(ConversationTestCase):
    def test_a_body_that_is_wanted(self) -> None:
        house, client = self.open()
        head, _, body = post(HELLO, b"Expect: 100-continue").partition(b"\r\n\r\n")
        self.assertEqual(client.sends(head + b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sends(body)
        self.assertNotIn(b"expect", parts(house.provider.received())[1])
        house.provider.answers(ANSWER)

    def test_one_that_is_not(self) -> None:
        house, client = self.open()
        head = post(HELLO, b"Expect: 100-continue", host=b"nobody").partition(b"\r\n\r\n")[0]
        self.assertTrue(client.sends(head + b"\r\n\r\n").startswith(b"HTTP/1.1 404 "))
        self.assertEqual(house.counted, {("404", "client_error"): 1})


def head(method: bytes, path: bytes, *headers: tuple[bytes, bytes]) -> RequestHead:
    return request_head(method, path, b"", "demo", list(headers), None, False)


def test_the_operation_of_a_head() -> None:
    assert operation_of_head(head(b"POST", b"/any/v1/chat/completions")) is Operation.CHAT
    assert operation_of_head(head(b"GET", b"/v1/models")) is Operation.MODELS
    assert operation_of_head(head(b"POST", b"/")) is None


def test_the_operation_of_a_body() -> None:
    root = head(b"POST", b"/")
    assert operation_of_body(None, root, open_body(b'{"messages": []}')) is Operation.CHAT
    assert operation_of_body(Operation.EMBEDDINGS, root, open_body(b"{}")) is Operation.EMBEDDINGS
    with pytest.raises(GatewayError, match="messages"):
        operation_of_body(None, root, open_body(b"{}"))


@pytest.mark.parametrize(
    ("coding", "accepted"),
    [(b"identity", True), (b"gzip", False), (b"br", False), (b"gzip, identity", False)],
)
def test_the_coding_of_a_body(coding: bytes, accepted: bool) -> None:
    request = head(b"POST", b"/", (b"content-encoding", coding))
    if accepted:
        assert operation_of_head(request) is None
    else:
        with pytest.raises(GatewayError, match="uncompressed"):
            operation_of_head(request)


@pytest.mark.parametrize(
    ("operation", "kind", "outcome"),
    [
        (Operation.TRANSCRIPTIONS, b"multipart/form-data; boundary=x", True),
        (Operation.IMAGE_EDITS, b"multipart/form-data; boundary=x", True),
        (Operation.IMAGE_EDITS, b"application/json", False),
        (Operation.TRANSCRIPTIONS, b"", True),
        (Operation.CHAT, b"multipart/form-data; boundary=x", False),
        (None, b"application/octet-stream", False),
    ],
)
def test_what_passes_through(operation: Operation | None, kind: bytes, outcome: bool) -> None:
    assert passes_through(operation, head(b"POST", b"/", (b"content-type", kind))) is outcome


def test_a_rule_whose_providers_were_taken_away() -> None:
    shared = provider("a", f'{KEYED}\nexportTo: ["*"]')
    first = adopt_conf({"owner/p.yaml": shared, "user/r.yaml": route_to("a")})
    second = adopt_conf({"owner/p.yaml": provider("a"), "user/r.yaml": route_to("a")}, first)
    with pytest.raises(GatewayError) as refused:
        rule_of(route_table(second.snapshot, "demo", "user"), head(b"POST", b"/"), "")
    assert (refused.value.code, refused.value.status) == ("no_backend", 503)


KEY_OF_ACME = "sk-client-key-of-acme"
CLIENTS = f'clients: [{{name: ci, apiKeyHash: "{key_hash(KEY_OF_ACME)}"}}]'


def routed(generation: Generation, host: str, listener: str = "") -> str:
    """By which route the client with this key is answered at a host, or the refusal."""
    asked = request_head(b"POST", b"/", b"", host, [], None, False)
    client = generation.snapshot.clients.by_key(KEY_OF_ACME.encode(), 0)
    assert client is not None
    try:
        return route_of(generation.snapshot, asked, listener, VIA, client).name
    except GatewayError as refused:
        return refused.code


class TestHostsOfFilesThatAreNotUsed:
    """A client of the tenant is told so, and not answered by whatever else would do."""

    BROKEN = provider("x", "hots: 1")

    def test_of_a_tenant_on_last_good(self) -> None:
        good = {
            "acme/t.yaml": tenant("acme", CLIENTS),
            "acme/p.yaml": provider("a") + route_to("a", host="*"),
        }
        newest = {
            **good,
            "acme/q.yaml": route_to("a", "new", host="new.example") + self.BROKEN,
            "acme/r.yaml": route_to("a", "suffix", host="*.wide.example"),
        }
        first = adopt_conf(good)
        assert routed(first, "new.example") == "demo"
        second = adopt_conf(newest, first)
        assert second.stale == {"acme"}
        for host in ("new.example", "x.example", "any.wide.example"):
            assert routed(second, host) == "host_misconfigured"
        for host in ("a.example", "elsewhere"):
            assert routed(second, host) == routed(first, host)
        assert dict(second.snapshot.withheld.items()) == {}

    def test_of_one_that_was_never_good(self) -> None:
        generation = adopt_conf(
            {"t.yaml": tenant("default", CLIENTS), "p.yaml": provider("a") + self.BROKEN},
        )
        assert generation.missing == {"default"}
        for host in ("a.example", "x.example", "elsewhere"):
            assert routed(generation, host) == "host_misconfigured"

    def test_a_host_that_it_has_at_another_listener_only_is_none(self) -> None:
        some = provider("a") + route_to("a", host="*") + route("inside", GATEWAYS, host="in.example")
        good = {"acme/t.yaml": tenant("acme", CLIENTS), "acme/p.yaml": some}
        first = adopt_conf(good)
        second = adopt_conf({**good, "acme/q.yaml": self.BROKEN}, first)
        for generation in (first, second):
            assert routed(generation, "in.example", "inside") == "inside"
            assert routed(generation, "in.example", "outside") == "demo"


GATEWAYS = "gateways: [inside]\nrules: [{backendRefs: [{providerHost: a.example}]}]"
