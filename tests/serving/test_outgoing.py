"""From a client's request to the provider's: what goes on, what does not, what is ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.envelope import open_body
from gateway.dialects.operations import Operation
from gateway.messages import Headers, RequestHead, Secret
from gateway.serving.outgoing import (
    Original,
    OutgoingRequest,
    forwarded_headers,
    has_passed,
    is_forwarded,
    outgoing_request,
    without_credentials,
)
from tests.fakes.conf import backend, provider, route, snapshot_of
from tests.fakes.heads import request_head

VIA = b"llmgateway-here"


def head_of(headers: Headers, query: bytes = b"", body_length: int | None = None) -> RequestHead:
    return request_head(b"POST", b"/v1/chat/completions", query, "demo", headers, body_length, False)


def request(
    *headers: tuple[bytes, bytes],
    spec: str = "configs: {defaultConfig: {openAIConfig: {model: m, apiKey: sk-secret}}}",
    operation: Operation = Operation.CHAT,
    query: bytes = b"",
    body: bytes | None = b'{"messages":[]}',
    body_length: int | None = None,
) -> OutgoingRequest:
    head = head_of([(b"host", b"demo"), *headers], query, body_length)
    to = backend(snapshot_of(provider("a", spec)), "a.example")
    envelope = open_body(body) if body is not None else None
    return outgoing_request(Original(head, operation, envelope, b"id-1", VIA), to, to.keys[0])


def test_the_bytes() -> None:
    assert request(
        (b"user-agent", b"curl/8"), (b"content-type", b"application/x-www-form-urlencoded")
    ).wire_bytes() == (
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        b"host: a.example\r\n"
        b"authorization: Bearer sk-secret\r\n"
        b"user-agent: curl/8\r\n"
        b"content-type: application/json\r\n"
        b"accept-encoding: identity\r\n"
        b"via: 1.1 llmgateway-here\r\n"
        b"x-request-id: id-1\r\n"
        b"content-length: 27\r\n"
        b"\r\n"
        b'{"messages":[],"model":"m"}'
    )


def test_nothing_of_it_shows_in_a_traceback() -> None:
    config = "{apiKey: sk-secret, parameters: {user: hidden}}"
    spec = f"path: /v1/hidden-path\nconfigs: {{defaultConfig: {{openAIConfig: {config}}}}}"
    asked = request((b"x-token", b"sk-secret"), spec=spec)
    assert "hidden" in asked.wire_bytes().decode()
    shown = repr(asked)
    assert "hidden-path" not in shown
    assert "sk-secret" not in shown
    assert '"hidden"' not in shown
    head = head_of([(b"authorization", b"Bearer sk-of-a-client")])
    assert "sk-of" not in repr(Original(head, Operation.CHAT, None, b"id-1", VIA))


def test_a_body_that_follows() -> None:
    assert request(body=None, body_length=9).wire_bytes().endswith(b"\r\ncontent-length: 9\r\n\r\n")
    assert request(body=None).wire_bytes().endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")


def test_a_file_keeps_its_content_type() -> None:
    form = (b"content-type", b"multipart/form-data; boundary=x")
    assert form in request(form, body=None, body_length=9).head.passed


def test_no_secret_is_in_what_people_read() -> None:
    shown = request().header_lines()
    assert ("host", "a.example") in shown
    assert ("authorization", Secret("Bearer sk-secret")) in shown
    assert "sk-secret" not in str(shown)


@pytest.mark.parametrize(
    "name",
    [
        b"authorization", b"proxy-authorization", b"x-api-key", b"api-key", b"x-goog-api-key",
        b"openai-organization", b"openai-project", b"cookie",
        b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
        b"http2-settings", b"expect", b"content-length", b"host",
        b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"via",
        b"accept-encoding", b"x-request-id", b"x-llmgateway-error-source", b"x_api_key", b"user_type",
    ],
)  # fmt: skip
def test_a_header_that_is_not_the_providers_business(name: bytes) -> None:
    assert not is_forwarded[name]
    sent = request((name, b"of-the-client")).wire_bytes()
    assert b"of-the-client" not in sent


@pytest.mark.parametrize(
    "name", [b"user-agent", b"accept", b"x-stainless-lang", b"user-type", b"traceparent", b"openai-beta"]
)
def test_one_that_is(name: bytes) -> None:
    assert b"%b: of-the-client\r\n" % name in request((name, b"of-the-client")).wire_bytes()


def test_headers_that_connection_names() -> None:
    headers: Headers = [
        (b"connection", b"close, X-Hop"),
        (b"x-hop", b"1"),
        (b"connection", b"y"),
        (b"y", b"2"),
        (b"z", b"3"),
    ]
    assert forwarded_headers(head_of(headers), frozenset()) == [(b"z", b"3")]


def test_connection_cannot_take_away_what_is_ours() -> None:
    sent = request((b"connection", b"authorization, host, content-type, via")).wire_bytes()
    for name in (b"authorization", b"host", b"content-type", b"via"):
        assert sent.count(b"\r\n%b: " % name) == 1


def test_the_backends_headers_replace_the_clients() -> None:
    spec = "configs: {defaultConfig: {openAIConfig: {headers: {X-Team: ours}}}}"
    sent = request((b"x-team", b"theirs"), spec=spec).wire_bytes()
    assert b"x-team: ours\r\n" in sent
    assert b"theirs" not in sent


def test_a_rules_headers() -> None:
    headers = "{request: {set: {x-team: ours}, add: {x-tag: ours}, remove: [x-debug]}}"
    rules = f"rules: [{{headers: {headers}, backendRefs: [{{providerHost: a.example}}]}}]"
    head = head_of(
        [(b"x-team", b"theirs"), (b"x-tag", b"theirs"), (b"x-debug", b"theirs"), (b"x-rest", b"1")]
    )
    to = backend(snapshot_of(provider("a", "") + route("demo", rules)), "demo")
    original = Original(head, Operation.CHAT, open_body(b'{"messages":[]}'), b"id-1", VIA)
    sent = outgoing_request(original, to, to.keys[0])
    lines = sent.wire_bytes().partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    assert lines == [
        b"host: a.example",
        b"x-team: ours",
        b"x-tag: theirs",
        b"x-rest: 1",
        b"content-type: application/json",
        b"accept-encoding: identity",
        b"via: 1.1 llmgateway-here",
        b"x-tag: ours",
        b"x-request-id: id-1",
        b"content-length: 15",
    ]
    shown = sent.header_lines()
    assert [f"{name}: {value}".encode() for name, value in shown if not isinstance(value, Secret)] == [
        line for line in lines[:-1] if not line.endswith(b"ours")
    ]
    assert [pair for pair in shown if isinstance(pair[1], Secret)] == [
        ("x-team", Secret("ours")),
        ("x-tag", Secret("ours")),
    ]


def test_other_operations_and_queries() -> None:
    assert request(operation=Operation.EMBEDDINGS).head.target == b"/v1/embeddings"
    assert request(query=b"a=1&key=x&b=2").head.target == b"/v1/chat/completions?a=1&b=2"
    assert request(query=b"key=x").head.target == b"/v1/chat/completions"


@pytest.mark.parametrize(
    ("query", "rest"),
    [
        (b"", b""),
        (b"a=1&b", b"a=1&b"),
        (b"key=1", b""),
        (b"KEY=1&a=%20", b"a=%20"),
        (b"%6bey=1", b""),
        (b"api_key=1&api-key=2&apikey=3&access_token=4&token=5&x-api-key=6&x-goog-api-key=7", b""),
        (b"+key=1", b""),
        (b"key", b""),
        (b"monkey=1&keys=2", b"monkey=1&keys=2"),
        (b"a=key=1", b"a=key=1"),
        (b"a=1&&b=2", b"a=1&&b=2"),
    ],
)
def test_credentials_in_a_query(query: bytes, rest: bytes) -> None:
    assert without_credentials(query) == rest


@given(st.lists(st.sampled_from([b"a=1", b"key=s3cr3t", b"Token=s3cr3t", b"", b"%4bey=s3cr3t"])))
def test_no_credential_is_ever_left(fields: list[bytes]) -> None:
    assert b"s3cr3t" not in without_credentials(b"&".join(fields))


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        ([], b"1.1 llmgateway-here"),
        ([b"1.1 proxy.inside"], b"1.1 llmgateway-here"),
        ([b"1.1 llmgateway-a"], b"1.1 llmgateway-a, 1.1 llmgateway-here"),
        (
            [b"1.1 llmgateway-a, 1.0 x", b"1.1 llmgateway-b"],
            b"1.1 llmgateway-a, 1.1 llmgateway-b, 1.1 llmgateway-here",
        ),
    ],
)
def test_via(lines: list[bytes], sent: bytes) -> None:
    headers = [(b"via", line) for line in lines]
    assert dict(request(*headers).head.passed)[b"via"] == sent
    assert has_passed(head_of([(b"via", sent)]), VIA)
    assert not has_passed(head_of(headers), VIA)


def test_the_body_goes_on_byte_for_byte_but_for_what_is_set() -> None:
    spec = "configs: {defaultConfig: {openAIConfig: {model: m, stream: true, parameters: {top_p: 0.5}}}}"
    body = request(spec=spec, body=b'{"messages":[{"role":"user","content":"\\u00e9"}],"n":1.0}').body
    assert body is not None
    assert b'"content":"\\u00e9"' in body
    assert b'"n":1.0' in body
    decoded = json.loads(body)
    assert (decoded["model"], decoded["stream"], decoded["top_p"]) == ("m", True, 0.5)
