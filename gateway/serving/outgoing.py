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
from gateway.snapshot.tables import Backend, ProviderKey

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


class OutgoingRequest(msgspec.Struct, frozen=True, gc=False):
    """A request to one backend, secrets still wrapped."""

    method: bytes
    target: bytes
    """Path and query."""
    backend: Backend
    key: ProviderKey
    """Gives Host, authentication and the headers of configuration."""
    passed: Headers
    """What is sent beside those."""
    body: bytes | None
    """None where the body follows as a stream."""
    body_length: int | None
    """In bytes; None where it is streamed in chunks."""

    def wire_bytes(self) -> bytes:
        """The request as it is sent.  Reveals the backend's secrets."""
        lines = b"\r\n".join([b": ".join(header) for header in self.passed])
        if self.body_length is None:
            framing = b"transfer-encoding: chunked"
        else:
            framing = b"content-length: %d" % self.body_length
        return b"%b %b HTTP/1.1\r\n%b%b%b\r\n%b\r\n\r\n%b" % (
            self.method,
            self.target,
            self.key.head_lines,
            lines,
            self.backend.added_lines,
            framing,
            self.body or b"",
        )

    def header_lines(self) -> list[tuple[str, str | Secret]]:
        """Every header for people to read; values that the backend and its rule set stay wrapped."""
        return [
            ("host", self.backend.authority),
            *((name.decode(), value) for name, value in self.backend.headers),
            *((name.decode(), value.decode("latin-1")) for name, value in self.passed),
            *((name.decode(), value) for name, value in self.backend.added),
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

    def wants_stream(self, backend: Backend) -> bool:
        """Tell whether the client waits for a stream, if this backend answers it."""
        if self.envelope is None:
            return False
        return self.envelope.stream or (self.envelope.stream is None and backend.stream is True)


def outgoing_request(original: Original, backend: Backend, key: ProviderKey) -> OutgoingRequest:
    """Build the request for one backend.

    :param key: one of the backend's.
    :raises GatewayError: where the provider has no such operation.
    """
    head, operation, envelope = original.head, original.operation, original.envelope
    dialect = backend.dialect
    target = dialect.upstream_path(backend.path, operation, head.path)
    query = without_credentials(head.query) if head.query else b""
    if query:
        target += (b"&" if b"?" in target else b"?") + query
    if envelope is None:
        passed = forwarded_headers(head, backend.header_names)
        body, length = None, head.body_length
    else:
        # Whatever the client called its body (curl's default is a form), it is JSON.
        passed = forwarded_headers(head, backend.header_names_beside_json)
        passed.append((b"content-type", b"application/json"))
        body = dialect.upstream_body(
            envelope,
            operation,
            model=backend.model,
            overrides_model=backend.overrides_model,
            stream=backend.stream,
            parameters=backend.parameters,
        )
        length = len(body)
    passed += (
        (b"accept-encoding", b"identity"),
        (b"x-request-id", original.request_id),
        (b"via", _via(head, original.via)),
    )
    return OutgoingRequest(
        method=head.method,
        target=target,
        backend=backend,
        key=key,
        passed=passed,
        body=body,
        body_length=length,
    )


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
