"""One attempt's answer as far as it has come: read along, our secrets kept out of it, held until somebody wants it.

It decides when there is something in it that a client waits for.  Until then it can be thrown away, and the client
never hears of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from gateway.dialects.dialect import (
    ANSWER_BYTES,
    ANSWER_END_BYTES,
    AnswerFacts,
    ProviderError,
    StreamSplice,
    StreamWatcher,
)
from gateway.dialects.operations import Operation
from gateway.dialects.sse import events_of
from gateway.messages import Headers, ResponseHead
from gateway.policy.estimating import completed
from gateway.serving.inflating import Inflating, is_readable
from gateway.serving.outgoing import Original
from gateway.serving.refusals import CLIENT_DIALECT, ERROR_SOURCE
from gateway.serving.scrubbing import holds_secret, scrubbed
from gateway.snapshot.backends import Backend

HELD_BYTES = 1024 * 1024
"""An answer that is no stream is held until it is whole, up to this; a longer one goes on as it comes, and is cut off
if the provider cuts it off."""

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
    ERROR_SOURCE,  # ours to say, as is how many attempts were made
    b"x-llmgateway-attempts",
    b"x-llmgateway-backend",
}


class Kind(Enum):
    """What is done with an answer's body."""

    NOTHING = "there is no head yet"
    STREAM = "events: watched, and shown from the first content on"
    WHOLE = "text: shown once it is whole"
    BYTES = "sound, pictures, what is compressed: shown as it comes"
    ERROR = "an error: shown if nothing better is to be had"


_NOTHING, _STREAM, _WHOLE, _BYTES, _ERROR = Kind

_NO_FACTS = AnswerFacts()

_COUNTED = (Operation.CHAT, Operation.COMPLETIONS, Operation.RESPONSES, Operation.EMBEDDINGS)
"""What is asked and answered is text, or at least as long as it."""

_ASKED = ("messages", "prompt", "input", "instructions", "tools", "functions")
"""The members of a body that have what the model reads."""


class ProviderAnswer:
    """What one provider answers to one attempt."""

    __slots__ = (
        "_error",
        "_facts",
        "_held",
        "_held_bytes",
        "_inflating",
        "_is_encoded",
        "_keeps_text",
        "_kept",
        "_original",
        "backend",
        "done",
        "ended",
        "has_content",
        "headers",
        "kind",
        "length",
        "provider_request_id",
        "splice",
        "status",
        "watcher",
    )

    def __init__(
        self, backend: Backend, original: Original, *, keeps_text: bool, splice: StreamSplice | None = None
    ) -> None:
        """Begin with nothing.

        :param keeps_text: if it is a stream, it may have to be continued.
        :param splice: makes its events part of another answer's stream.
        """
        self.backend = backend
        self.splice = splice
        self._original = original
        self._keeps_text = keeps_text
        self.kind = _NOTHING
        self.status = 0
        """0 before the head."""
        self.headers: Headers = []
        """Those that a client may see."""
        self.length: int | None = None
        """Of the body in bytes; None where only its end tells."""
        self.provider_request_id: bytes | None = None
        """What the provider calls this exchange."""
        self.watcher: StreamWatcher | None = None
        self.has_content = False
        """Something has come that the client waits for.  Never so in an error."""
        self.ended = False
        """The body is whole, as far as HTTP can tell."""
        self.done = b""
        """The event with which a stream claims to be complete that has not said why it ends.  It is held back."""
        self._is_encoded = False
        """Its body is compressed in a way that nobody here can read."""
        self._inflating: Inflating | None = None
        self._held: list[bytes] = []
        """For the client, once somebody wants it."""
        self._held_bytes = 0
        """How much there was of it in all."""
        self._kept: list[bytes] | None = None
        """A body that is JSON, to be read for its facts; beyond `ANSWER_BYTES` only its two ends."""
        self._facts: AnswerFacts | None = None
        self._error: ProviderError | None = None

    # -- as it comes ---------------------------------------------------------------------------------

    def read(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        """Take what has arrived: see `AnswerReceiver.answer_read`."""
        if head is not None:
            self._begin(head)
        if self._inflating is not None and body:
            body = self._inflating.feed(body)
            if self._inflating.broken:
                self.ended = ended
                return
        watcher = self.watcher
        if watcher is not None:
            events = watcher.feed(body) if body else b""
            if ended:
                self.ended = True
                events += watcher.flush()
            if events:
                self._take_events(events)
            if watcher.finished and watcher.finish_reason is None:
                self._doubt()
            if not self.has_content:
                complete = watcher.whole and (ended or watcher.finished)
                self.has_content = watcher.has_content or complete or self._held_bytes > HELD_BYTES
            return
        self.ended = ended
        if body:
            self._held.append(body)
            self._held_bytes += len(body)
            if self._kept is not None:
                self._kept.append(body)
                if self._held_bytes > ANSWER_BYTES:
                    ends = b"".join(self._kept)
                    self._kept = [ends[:ANSWER_END_BYTES], ends[-ANSWER_END_BYTES:]]
        if self.has_content:
            return
        if self.kind is _WHOLE:
            if not ended:
                self.has_content = self._held_bytes >= HELD_BYTES
            elif self._kept is None:
                self.has_content = True
            else:
                facts = self.facts()
                self.has_content = not facts.cut and (facts.error is None or self._may_tell_of_errors)
        elif self.kind is _BYTES:
            self.has_content = ended or body != b""

    def _doubt(self) -> None:
        """A stream said that it is complete and not why: whoever relays it decides what that is worth."""
        watcher = self.watcher
        assert watcher is not None
        gives_reasons = self._original.operation in (Operation.CHAT, Operation.COMPLETIONS)
        if gives_reasons and watcher.has_content and not self.has_failed:
            *events, self.done = events_of(self.release())
            self._held += events

    def break_off(self) -> None:
        """Nothing more comes, though it is not whole: what was held back of a stream can be told now."""
        if self.watcher is not None and not self.ended:
            self._take_events(self.watcher.flush())

    def release(self) -> bytes:
        """What has come for the client since this was asked last."""
        held = self._held
        if not held:
            return b""
        data = held[0] if len(held) == 1 else b"".join(held)
        held.clear()
        return data

    def _begin(self, head: ResponseHead) -> None:
        backend = self.backend
        self.status = head.status
        headers, content_type = self.headers, b""
        for header in head.headers:
            name = header[0]
            if name == b"content-type":
                content_type = header[1].lower()
            elif name == b"content-encoding":
                if is_readable(header[1]):
                    self._inflating = Inflating()
                    continue
                self._is_encoded = header[1] != b"identity"
            elif name in _NOT_FORWARDED:
                if name == b"x-request-id" and not holds_secret([header], backend.secrets):
                    self.provider_request_id = header[1]
                continue
            headers.append(header)
        if holds_secret(headers, backend.secrets):
            headers = [header for header in headers if not holds_secret([header], backend.secrets)]
        edit = backend.answer_edit
        if edit is not None:
            headers = [header for header in headers if header[0] not in edit.dropped]
            headers += edit.lines
        self.headers = headers
        self.length = head.body_length if self._inflating is None else None
        if head.status >= 400:
            self.kind = _ERROR
        elif self._is_encoded or head.status >= 300 or head.status == 204:
            self.kind = (
                _BYTES  # what was not asked for, compressed, a redirect or nothing, is handed on unread
            )
        elif content_type.startswith(b"text/event-stream"):
            self.kind = _STREAM
            self.length = None
            envelope = self._original.envelope
            self.watcher = backend.dialect.stream_watcher(
                envelope is not None and envelope.include_usage,
                keep_text=self._keeps_text,
                withhold_error=True,
                choices=1
                if envelope is None
                else backend.dialect.choices_asked(envelope, backend.parameters),
            )
        elif b"json" in content_type:
            self.kind = _WHOLE
            self._kept = []
        else:
            self.kind = _WHOLE if content_type.startswith(b"text/") else _BYTES

    def _take_events(self, events: bytes) -> None:
        if self.splice is not None:
            events = self.splice.feed(events)
        if b'"error"' in events:  # these are whole events, so no secret is cut in two
            events = scrubbed(events, self.backend.secrets)
        self._held.append(events)
        self._held_bytes += len(events)

    # -- what it says ----------------------------------------------------------------------------------

    @property
    def _may_tell_of_errors(self) -> bool:
        """What a Responses answer calls its error is one of its own fields, and no failure to answer."""
        return self._original.operation is Operation.RESPONSES

    @property
    def disagrees(self) -> bool:
        """It is no rest of the stream that the client has the beginning of."""
        return self.splice is not None and self.splice.disagreed

    @property
    def has_failed(self) -> bool:
        """It is of no more use, whatever else comes of it."""
        if self._inflating is not None and self._inflating.broken:
            return True
        return self.watcher is not None and (
            self.watcher.error is not None or self.disagrees or self.done != b""
        )

    @property
    def is_lost(self) -> bool:
        """There is no content, and there will be none."""
        if self.has_content:
            return False
        is_endless = self.kind is _ERROR and self._held_bytes > HELD_BYTES  # it need not be read to its end
        return self.ended or is_endless or self.has_failed

    @property
    def error(self) -> ProviderError | None:
        """What it says of its error; None if it is none."""
        if self._error is None:
            if self.kind is _ERROR:
                text = b"" if self._is_encoded else b"".join(self._held)
                self._error = self.backend.dialect.read_error(self.status, text)
            elif self.watcher is not None:
                self._error = self.watcher.error
            elif self.ended and self._kept is not None and not self._may_tell_of_errors:
                self._error = self.facts().error
        return self._error

    def facts(self) -> AnswerFacts:
        """Model and usage, as far as the provider has told them; usage is estimated where it counts and has not."""
        if self.watcher is not None:
            facts = self.watcher.facts()
            # A provider that refuses within a stream bills nothing either.
            refused = self.watcher.error is not None and not self.watcher.has_content
            return facts if refused else self._estimated(facts)
        if self._facts is None:
            if not self._kept and not (self.ended and self._kept is not None):
                return _NO_FACTS
            assert self._kept is not None
            kept, dialect = self._kept, self.backend.dialect
            if self._held_bytes <= ANSWER_BYTES:
                facts = dialect.read_answer(kept[0] if len(kept) == 1 else b"".join(kept))
            else:
                facts = dialect.read_answer_ends(kept[0], kept[1], self._held_bytes)
            self._facts = self._estimated(facts)
        return self._facts

    def billed(self) -> AnswerFacts:
        """What its provider charges for, though nobody gets it: at least the input, unless it has refused."""
        if self.status >= 300 or self.error is not None:
            return _NO_FACTS
        facts = self.facts()
        return facts if facts.usage is not None else self._estimated(facts)

    @property
    def sent_model(self) -> str | None:
        """What the provider was asked for; None where nobody says, or nobody has read it."""
        return self._original.sent_model(self.backend)

    def _estimated(self, facts: AnswerFacts) -> AnswerFacts:
        """With what nobody has counted."""
        told, original = facts.usage, self._original
        if told is not None and told.input and told.output and not facts.uncounted:
            return facts
        envelope, operation = original.envelope, original.operation
        if envelope is None or operation not in _COUNTED or facts.error is not None:
            return facts
        fields = envelope.fields
        asked = (bytes(fields[name]) for name in _ASKED if name in fields)
        size = 0 if operation is Operation.EMBEDDINGS else facts.size
        return msgspec.structs.replace(facts, usage=completed(told, asked, size, uncounted=facts.uncounted))

    # -- as an error -------------------------------------------------------------------------------------

    def shown_error(self) -> tuple[int, Headers, bytes]:
        """Status, headers and body with which a client is told of this error."""
        error = self.error
        assert error is not None
        status = self.status if self.kind is _ERROR else _status_of(error)
        marked = (ERROR_SOURCE, b"provider")
        if self.kind is _ERROR and not self.ended:
            sentence = f"The provider answered {self.status} and did not end its answer."
            body = _own_words(error, sentence, self.backend.secrets)
        elif self._is_encoded and self.backend.secrets:
            sentence = "The provider's error is compressed, and so could not be checked for secrets."
            body = _own_words(error, sentence, self.backend.secrets)
        elif self.watcher is not None:
            body = self._in_our_words()
        else:
            return status, [*self.headers, marked], scrubbed(b"".join(self._held), self.backend.secrets)
        replaced = (b"content-type", b"content-encoding")
        headers = [header for header in self.headers if header[0] not in replaced]
        return status, [*headers, (b"content-type", b"application/json"), marked], body

    def error_event(self) -> bytes:
        """The same as the last event of a stream that has begun."""
        return b"data: %b\n\n" % self._in_our_words()

    def _in_our_words(self) -> bytes:
        error = self.error
        assert error is not None
        sentence = error.message or f"The provider answered {self.status}."
        return _own_words(error, sentence, self.backend.secrets)


def _status_of(error: ProviderError) -> int:
    """The status for an error that came as a success."""
    return error.status if error.status is not None and 400 <= error.status <= 599 else 502


def _own_words(error: ProviderError, sentence: str, secrets: Sequence[bytes]) -> bytes:
    """The error as we write errors; each of the provider's words may hold a secret."""
    sentence, kind, code = (
        scrubbed(text.encode(errors="replace"), secrets).decode(errors="replace")
        for text in (sentence, error.type or "upstream_error", error.code or "")
    )
    return CLIENT_DIALECT.error_body(sentence, kind, code or None, None)
