"""Original + backend -> the request to send.  Pure; `explain` shows what this makes.

What the client wrote goes on as it is, less what is not the provider's business: every spelling of a credential,
what concerns only the client's connection (RFC 9110 §7.6.1), and who stood between the client and us.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import msgspec

from gateway.dialects.envelope import Envelope
from gateway.dialects.operations import Operation
from gateway.messages import Headers, RequestHead, Secret
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.telemetry.trace_context import TRACEPARENT, TRACESTATE
from gateway.telemetry.traces import AttemptSpan, Trace

VIA_NAME = b"llmgateway-"
"""How gateways of this kind call themselves in `Via`, with a name of their own behind it."""

_CREDENTIALS = {
    b"authorization",
    b"proxy-authorization",
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"x-goog-user-project",
    b"openai-organization",
    b"openai-project",
    b"cookie",
}

_OF_THE_CONNECTION = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"http2-settings",
    b"expect",
    b"content-length",
    b"host",
}

_OF_THE_WAY = {b"forwarded", b"via", b"x-real-ip", b"x-client-cert"}

_OURS = {
    # Usage has to be readable in the answer, so it must not be compressed.
    b"accept-encoding",
    b"x-request-id",
}

_OF_TRACES = frozenset((TRACEPARENT, TRACESTATE))
"""Where there is tracing each request has its own."""

_NOT_FORWARDED = _CREDENTIALS | _OF_THE_CONNECTION | _OF_THE_WAY | _OURS

_NOT_FORWARDED_PREFIXES = (b"x-forwarded-", b"x-amz-", b"x-envoy-", b"x-llmgateway-", b"sec-websocket-")

_CREDENTIAL_PARAMETERS = {
    b"key",
    b"api_key",
    b"api-key",
    b"apikey",
    b"access_token",
    b"access-token",
    b"token",
    b"auth",
    b"authorization",
    b"x-api-key",
    b"x-goog-api-key",
}

_VERDICTS_KEPT = 1024

_line = b"%b: %b\r\n".__mod__
"""A header as it is sent."""


class OutgoingHead(msgspec.Struct, frozen=True, gc=False):
    """What the heads of like requests to one backend have in common."""

    method: bytes
    target: bytes
    """Path and query."""
    backend: Backend
    """Has the headers of configuration."""
    passed: Headers
    """What is sent beside those."""
    request_line: bytes
    """As it is sent, with its CRLF."""
    passed_lines: bytes
    """As they are sent, each with its CRLF."""

    def __repr__(self) -> str:
        # The path may come from outside, and headers are the client's.
        return f"OutgoingHead(method={self.method!r}, backend={self.backend!r})"


class OutgoingRequest(msgspec.Struct, frozen=True, gc=False):
    """A request to one backend, secrets still wrapped."""

    head: OutgoingHead
    key: ProviderKey
    """Gives Host, authentication and the headers of configuration."""
    own: Headers
    """What no other request says."""
    body: bytes | None
    """None where the body follows as a stream."""
    body_length: int | None
    """In bytes; None where it is streamed in chunks."""
    span: AttemptSpan | None = None
    """What this is in a trace; None where there is no tracing."""

    def __repr__(self) -> str:
        # Parameters in the body may come from outside.
        return f"OutgoingRequest(head={self.head!r}, key={self.key!r}, body_length={self.body_length!r})"

    def wire_bytes(self) -> bytes:
        """The request as it is sent.  Reveals the backend's secrets."""
        head = self.head
        if self.body_length is None:
            framing = b"transfer-encoding: chunked"
        else:
            framing = b"content-length: %d" % self.body_length
        return b"%b%b%b%b%b%b\r\n\r\n%b" % (
            head.request_line,
            self.key.head_lines,
            head.passed_lines,
            head.backend.added_lines,
            b"".join(map(_line, self.own)),
            framing,
            self.body or b"",
        )

    def header_lines(self) -> list[tuple[str, str | Secret]]:
        """Every header for people to read; values that the backend and its rule set stay wrapped."""
        backend = self.head.backend
        return [
            ("host", backend.authority),
            *((name.decode(), value) for name, value in backend.headers),
            *((name.decode(), value.decode("latin-1")) for name, value in self.head.passed),
            *((name.decode(), value) for name, value in backend.added),
            *((name.decode(), value.decode("latin-1")) for name, value in self.own),
        ]


class Original(msgspec.Struct, frozen=True, gc=False):
    """What a client asked: every attempt is built from this, anew."""

    head: RequestHead
    operation: Operation
    envelope: Envelope | None
    """The body, or None where it is handed through unread."""
    request_id: bytes
    via: bytes
    """Our own name for `Via`."""
    heads: dict[Backend, OutgoingHead] = msgspec.field(default_factory=dict)
    """What has been made of this head, or of one like it, so far."""
    trace: Trace | None = None
    """None where there is no tracing: the headers of a client's go on as they are."""

    def __repr__(self) -> str:
        # The head has the client's key.
        return f"Original(operation={self.operation!r}, request_id={self.request_id!r})"

    def sent_model(self, backend: Backend) -> str | None:
        """What this backend is asked for; None where nobody says, or nobody has read it."""
        if self.envelope is None:
            return None
        return self.envelope.model_to_send(backend.model, backend.overrides_model)

    def wants_stream(self, backend: Backend) -> bool:
        """Tell whether the client waits for a stream, if this backend answers it."""
        if self.envelope is None:
            return False
        return self.envelope.stream or (self.envelope.stream is None and backend.stream is True)


def outgoing_request(
    original: Original, backend: Backend, key: ProviderKey, span: AttemptSpan | None = None
) -> OutgoingRequest:
    """Build the request for one backend.

    :param key: one of the backend's.
    :param span: what it is in a trace; None where there is no tracing.
    :raises GatewayError: where the provider has no such operation.
    """
    head = original.heads.get(backend)
    if head is None:
        head = original.heads[backend] = _head_for(original, backend)
    envelope = original.envelope
    if envelope is None:
        body, length = None, original.head.body_length
    else:
        body = backend.dialect.upstream_body(
            envelope,
            original.operation,
            model=backend.model,
            overrides_model=backend.overrides_model,
            stream=backend.stream,
            parameters=backend.parameters,
        )
        length = len(body)
    own = [(b"x-request-id", original.request_id)]
    if span is not None:
        own += span.headers(backend.header_names)
    return OutgoingRequest(head, key, own, body, length, span)


def outgoing_head(method: bytes, target: bytes, backend: Backend, passed: Headers) -> OutgoingHead:
    """Make what like requests have in common."""
    return OutgoingHead(
        method=method,
        target=target,
        backend=backend,
        passed=passed,
        request_line=b"%b %b HTTP/1.1\r\n" % (method, target),
        passed_lines=b"".join(map(_line, passed)),
    )


def _head_for(original: Original, backend: Backend) -> OutgoingHead:
    head = original.head
    target = backend.dialect.upstream_path(backend.path, original.operation, head.path)
    query = without_credentials(head.query) if head.query else b""
    if query:
        target += (b"&" if b"?" in target else b"?") + query
    ours = frozenset() if original.trace is None else _OF_TRACES
    if original.envelope is None:
        passed = forwarded_headers(head, backend.header_names | ours)
    else:
        # Whatever the client called its body (curl's default is a form), it is JSON.
        passed = forwarded_headers(head, backend.header_names_beside_json | ours)
        passed.append((b"content-type", b"application/json"))
    passed += (b"accept-encoding", b"identity"), (b"via", _via(head, original.via))
    return outgoing_head(head.method, target, backend, passed)


def forwarded_headers(head: RequestHead, replaced: frozenset[bytes]) -> Headers:
    """The client's headers that a provider may see.

    :param replaced: names that the backend sets itself.
    """
    nominated = head.header(b"connection")
    if nominated is not None:
        replaced |= {token.strip() for token in nominated.lower().split(b",")}
    return [header for header in head.headers if header[0] not in replaced and is_forwarded[header[0]]]


class _Verdicts(dict[bytes, bool]):
    """Which names go to a provider, as far as they were asked for; clients can make up only so many."""

    def __missing__(self, name: bytes) -> bool:
        # CGI-like servers cannot tell `X_Api_Key` from `X-Api-Key`.
        verdict = not (name in _NOT_FORWARDED or name.startswith(_NOT_FORWARDED_PREFIXES) or b"_" in name)
        if len(self) < _VERDICTS_KEPT:
            self[name] = verdict
        return verdict


is_forwarded = _Verdicts()
"""Tells by its name whether a client's header goes to a provider."""


def without_credentials(query: bytes) -> bytes:
    """The query less `key=…` and its kin; everything else byte for byte."""
    kept = [
        part
        for part in query.split(b"&")
        if unquote_to_bytes(part.partition(b"=")[0].replace(b"+", b" ")).strip().lower()
        not in _CREDENTIAL_PARAMETERS
    ]
    return b"&".join(kept)


def has_passed(head: RequestHead, via: bytes) -> bool:
    """Tell whether this request has been through the gateway of this name before (RFC 9110 §7.6.3)."""
    hops = head.header(b"via")
    return hops is not None and via in hops


def _via(head: RequestHead, via: bytes) -> bytes:
    """Our name behind those of other gateways of our kind; what other proxies called themselves stays inside."""
    hops = head.header(b"via")
    if hops is None:
        return b"1.1 " + via
    return b", ".join([*(hop.strip() for hop in hops.split(b",") if VIA_NAME in hop), b"1.1 " + via])
