"""The client's side of one exchange: the one place that writes to it.

It commits the head, relays the body at once, watches it for token usage, keeps our secrets out of it, and ends
it: whole, or visibly broken.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dialects.dialect import ANSWER_BYTES, AnswerFacts, Dialect, StreamWatcher
from gateway.errors import GatewayError
from gateway.messages import Headers, ResponseHead
from gateway.serving.refusals import CLIENT_DIALECT, ERROR_SOURCE, error_body, error_headers
from gateway.serving.scrubbing import Scrubber, holds_secret, scrubbed
from gateway.snapshot.tables import Backend
from gateway.wire.downstream import DownstreamConnection

_NOT_FORWARDED = {
    b"set-cookie",  # of a conversation that is ours, not the client's
    b"server",
    b"date",  # the wire's own
    b"x-request-id",  # ours instead; the provider's goes to the log
    b"location",  # redirects are never followed, nor handed on: the client would send its request, and more, there
    b"alt-svc",
    b"strict-transport-security",
    b"openai-organization",
    b"openai-project",
    b"anthropic-organization-id",
    b"via",
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"authorization",
    ERROR_SOURCE,  # ours to say
}

_NO_FACTS = AnswerFacts()


class Answer:
    """What one client is told."""

    __slots__ = (
        "_connection",
        "_dialect",
        "_kept",
        "_kept_bytes",
        "_replaced",
        "_request_id",
        "_scrubber",
        "_secrets",
        "_watcher",
        "body_bytes",
        "provider_request_id",
        "status",
    )

    def __init__(self, connection: DownstreamConnection, request_id: bytes) -> None:
        self._connection = connection
        self._request_id = request_id
        self._dialect: Dialect = CLIENT_DIALECT
        self._watcher: StreamWatcher | None = None
        self._scrubber: Scrubber | None = None
        self._kept: list[bytes] | None = None
        self._kept_bytes = 0
        self._secrets: Sequence[bytes] = ()
        """The backend's, for whatever the provider says."""
        self._replaced = False
        """The body is one of our own, and the provider's is thrown away."""
        self.status = 0
        """What the client was told; 0 before the head."""
        self.body_bytes = 0
        """Bytes of the body so far."""
        self.provider_request_id: bytes | None = None
        """What the provider calls this exchange."""

    @property
    def begun(self) -> bool:
        """The head has been sent, and cannot be taken back."""
        return self.status != 0

    @property
    def finished(self) -> bool:
        """The provider has said all it had to say, though the body may not have ended: a stream's `[DONE]`."""
        return self._watcher is not None and self._watcher.finished

    @property
    def is_stream(self) -> bool:
        """The provider answers in server-sent events."""
        return self._watcher is not None

    def facts(self) -> AnswerFacts:
        """Usage and model, as far as the provider has told them."""
        if self._watcher is not None:
            return AnswerFacts(self._watcher.usage, self._watcher.answered_model)
        if self._kept:
            return self._dialect.read_answer(b"".join(self._kept))
        return _NO_FACTS

    def refuse(self, error: GatewayError) -> None:
        """Answer with an error of our own, as nothing has been answered yet."""
        self.respond(error.status, error_headers(error), error_body(error))

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer as a whole."""
        self.status = status
        self.body_bytes = len(body)
        self._connection.respond(status, [*headers, (b"x-request-id", self._request_id)], body)

    def begin(self, head: ResponseHead, backend: Backend, *, keep_usage_chunk: bool) -> None:
        """Commit the head of a provider's answer.

        :param keep_usage_chunk: the client asked for the chunk that tells a stream's usage.
        """
        self.status = head.status
        self._dialect = backend.dialect
        self._secrets = backend.secrets
        headers, content_type, encoded = [], b"", False
        for header in head.headers:
            name = header[0]
            if name == b"content-type":
                content_type = header[1].lower()
            elif name == b"content-encoding":
                encoded = header[1] != b"identity"
            elif name in _NOT_FORWARDED:
                if name == b"x-request-id" and not holds_secret([header], backend.secrets):
                    self.provider_request_id = header[1]
                continue
            headers.append(header)
        if holds_secret(headers, backend.secrets):
            headers = [header for header in headers if not holds_secret([header], backend.secrets)]
        headers.append((b"x-request-id", self._request_id))
        length = head.body_length
        if head.status >= 400:
            headers.append((ERROR_SOURCE, b"provider"))
            if encoded and backend.secrets:
                self._replace_body(headers)
                return
            self._scrubber = Scrubber(backend.secrets) if backend.secrets else None
        elif encoded:
            pass  # it was not asked for; what is compressed cannot be read, only handed on
        elif content_type.startswith(b"text/event-stream"):
            self._watcher = backend.dialect.stream_watcher(keep_usage_chunk)
            length = None
        elif b"json" in content_type:
            self._kept = []
        self._connection.begin(head.status, headers, length)

    def _replace_body(self, headers: Headers) -> None:
        """Answer for a provider whose error is compressed: nobody can tell whether it repeats a secret."""
        sentence = (
            "The provider answered with an error that is compressed, and so could not be checked for secrets."
        )
        body = CLIENT_DIALECT.error_body(sentence, "upstream_error", None, None)
        headers = [header for header in headers if header[0] not in (b"content-type", b"content-encoding")]
        headers.append((b"content-type", b"application/json"))
        self._replaced = True
        self._connection.begin(self.status, headers, len(body))
        self._connection.write(body)
        self.body_bytes = len(body)

    def body(self, data: bytes) -> None:
        """Relay a piece of the provider's body."""
        if self._watcher is not None:
            data = self._clean(self._watcher.feed(data))
        elif self._replaced:
            return
        elif self._kept is not None:
            self._keep(data)
        elif self._scrubber is not None:
            data = self._scrubber.feed(data)
        if data:
            self.body_bytes += len(data)
            self._connection.write(data)

    def flush(self) -> None:
        """Send what has been relayed so far."""
        self._connection.flush()

    def end(self) -> None:
        """The provider's answer is whole."""
        held = b""
        if self._watcher is not None:
            held = self._clean(self._watcher.flush())
        elif self._scrubber is not None:
            held = self._scrubber.flush()
        if held:
            self.body_bytes += len(held)
            self._connection.write(held)
        self._connection.end()

    def break_off(self, error: GatewayError) -> None:
        """The answer will never be whole: a stream is told so, and nothing gets a last chunk."""
        if self._watcher is not None:
            self._connection.write(self._dialect.error_event(error))
        self._connection.break_off()

    def _clean(self, events: bytes) -> bytes:
        """A stream's errors without our secrets; these are whole events, so none is cut in two."""
        return scrubbed(events, self._secrets) if b'"error"' in events else events

    def _keep(self, data: bytes) -> None:
        self._kept_bytes += len(data)
        if self._kept is not None and self._kept_bytes <= ANSWER_BYTES:
            self._kept.append(data)
        else:
            self._kept = None
