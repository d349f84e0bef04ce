"""The interface that one provider's file implements.

Serving calls nothing else of a dialect.  The first half faces the provider, the second the client; where both
speak the same dialect nothing is translated, only watched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec
from attrs import field, frozen

from gateway.dialects.envelope import Envelope
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.messages import Headers, Secret, TokenUsage

ANSWER_BYTES = 8 * 1024 * 1024
"""Whole answers beyond this are not read; who keeps one for that may let it go here, but for its two ends."""

ANSWER_END_BYTES = 64 * 1024
"""Of an answer that is not read whole: the first have its model, the last its usage."""

SAID_LETTERS = 1024 * 1024
"""A streamed answer's text beyond this is not kept, so the answer cannot be continued."""


class ErrorKind(StrEnum):
    """What a provider's error calls for.  The values are OpenAI's codes where it has one."""

    CONTEXT_LENGTH = "context_length_exceeded"
    """The conversation is too long for this model."""
    CONTENT_FILTER = "content_filter"
    """Refused for what it is about."""
    PREFILL = "prefill_refused"
    """The provider does not go on with words given to it as the assistant's."""
    QUOTA = "insufficient_quota"
    """Nothing left to spend, or not paid: waiting does not help this key."""
    KEY = "invalid_api_key"
    """The key is not accepted, or not for this."""
    RATE = "rate_limit_exceeded"
    """Too much at a time: waiting helps."""
    OTHER = "other"


@frozen
class ProviderError:
    """What a provider's error says, as an answer or as an event of a stream."""

    status: int | None
    """The answer's; of an event the one that it names, or that such an error has; None where neither is known."""
    code: str | None
    """The provider's own word: its code, else its type."""
    type: str | None
    message: str = field(repr=False)
    """The provider's own sentence, up to 2,000 letters.  It may repeat the key: scrub it before anybody reads it."""
    kind: ErrorKind

    @property
    def standard_code(self) -> str | None:
        """OpenAI's code for this kind of error; the provider's own where it is of no kind."""
        return self.code if self.kind is ErrorKind.OTHER else self.kind.value


class AnswerFacts(msgspec.Struct, frozen=True, gc=False):
    """What an answer says of itself."""

    usage: TokenUsage | None = None
    """What it says to have counted: a number of 0 was not told.  None where it does not say, or not in a way that can
    be counted."""
    answered_model: str | None = None
    cut: bool = False
    """A whole answer that is no JSON text: something is missing of it, or it never was one."""
    error: ProviderError | None = None
    """It is an error, whatever its status says."""
    id: str | None = None
    finish_reason: str | None = None
    """Why choice 0 ends."""
    size: int = 0
    """How long all is that a user waits for, in UTF-8 bytes; of a whole answer only where nobody has counted that."""
    uncounted: bool = False
    """Something that a user waits for has come behind the last count."""


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """What one event of a streamed answer says."""

    id: str | None = None
    """The answer's, the same in all its events; None where the event does not say."""
    created: int | None = None
    model: str | None = None
    size: int = 0
    """How long all is that a user waits for, in UTF-8 bytes: text, reasoning, what tools are called with."""
    content: str = ""
    """Text of choice 0."""
    is_content: bool = False
    """It has something that a user waits for: text, reasoning, a tool call, a refusal, sound, a picture.  Not so
    comments, pings, the opening that only tells the role, empty deltas, usage."""
    tool_call: bool = False
    """It has a part of a tool call."""
    other: bool = False
    """It has what is neither text of choice 0 nor reasoning nor a tool call."""
    speaking: tuple[int, ...] = ()
    """The choices that say something in it."""
    ended: tuple[int, ...] = ()
    """The choices that end with it."""
    finish_reason: str | None = None
    """Why choice 0 ends."""
    usage: TokenUsage | None = None
    within_choice: bool = False
    """The usage stands within the choice, so it is of no other."""
    choices: int | None = None
    """How many choices it has; the chunk that a client asks for to be told the usage has 0, other kinds None."""
    error: ProviderError | None = None
    """The provider gives up.  Nothing else of the event is read then, but for who speaks."""
    done: bool = False
    """The stream says that it is complete."""
    malformed: bool = False
    """Its data is not a JSON object."""


class StreamWatcher(Protocol):
    """Reads along one streamed answer: bytes in, bytes out, whole events only.

    Malformed events are dropped, and so is all that follows `[DONE]` or an error event.
    """

    answered_model: str | None
    choices: int
    """How many were asked for."""
    id: str | None
    created: int | None
    """When the answer began, in seconds of Unix time, as the provider says."""
    has_content: bool
    """Something has come that a user waits for.  Until then the client need not be told anything."""
    contents: int
    """Grows whenever such a thing comes, and by nothing else: not by the bytes of an event that is not whole, unless it
    is too large to be held and as much has come of it once more."""
    size: int
    """How long all was that a user waits for, in UTF-8 bytes: text, reasoning, what tools are called with."""
    finished: bool
    """The stream has said that it is complete."""
    finish_reason: str | None
    """Why choice 0 ended."""
    tool_calls: bool
    """Part of a tool call has come."""
    other: bool
    """Something else has come that could not be continued: another choice's, a refusal, sound, an event too large to
    be read.  Reasoning is none of it."""
    malformed: int
    """How many events were dropped for not being JSON."""
    error: ProviderError | None
    """The event with which the provider gave up."""
    error_event: bytes
    """That event as it came.  It may repeat the key."""

    @property
    def usage(self) -> TokenUsage | None:
        """What all that the stream has counted comes to, as in `AnswerFacts`."""

    @property
    def text(self) -> str | None:
        """The text of choice 0 so far, in which a letter may be two halves; None where it is not kept, or no longer,
        being too long."""

    @property
    def whole(self) -> bool:
        """Nothing is missing: the stream said so, or all its choices said why they ended.  A body that ends, properly
        or not, while this is false has cut the answer off."""

    def facts(self) -> AnswerFacts:
        """Usage, model and size so far."""

    @property
    def within_event(self) -> bool:
        """The client has the beginning of an event too large to be held, so whatever is to follow needs a blank line
        before it."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came; get those for the client, which end behind a whole event, or b""."""

    def flush(self) -> bytes:
        """Nothing more comes: get what was still held back.

        A stream that is whole and has only not said so gets its `[DONE]` here, and has finished then.
        """


class Remainder(Protocol):
    """What of a further answer's text the client has not got yet."""

    def read(self, piece: str) -> str | None:
        """Take the next piece; get what of it is new.  None: the answer is another one, and must not go on."""

    def end(self) -> str | None:
        """The answer says that it is whole; get what is still due.  None as above."""


class StreamSplice(Protocol):
    """Makes the events of a further answer go on with the stream that the client already has."""

    disagreed: bool
    """The remainder has said that the answer is another one.  Nothing more is given."""
    gave_tool_call: bool
    """Part of a tool call was given."""
    gave_other: bool
    """Something was given that is `other` in a `StreamWatcher`."""

    def feed(self, events: bytes) -> bytes:
        """Take whole events, as `StreamWatcher.feed` and `flush` give them; get those for the client."""


class JoinedStream(Protocol):
    """Gathers what a stream says, as its client reads it, for people who read it later."""

    cut: bool
    """It said more than is kept."""

    def feed(self, events: bytes) -> None:
        """Take whole events; what is none is passed over."""

    def whole(self) -> Mapping[str, object]:
        """All that it said, much as a whole answer has it."""


class Dialect(Protocol):
    """How one family of providers is asked, read and answered for."""

    name: str
    """An operator's word for it: "openai"."""

    # towards the provider

    def authentication(self, key: Secret) -> Headers:
        """The header lines that show a key.  They hold it in the clear."""

    def upstream_path(self, provider_path: bytes, operation: Operation, client_path: bytes) -> bytes:
        """Where a provider, of which the chat path is known, serves an operation.

        :raise GatewayError: `no_route`, when this dialect has no such operation.
        """

    def upstream_body(
        self,
        envelope: Envelope,
        operation: Operation,
        *,
        model: str | None,
        overrides_model: bool,
        stream: bool | None,
        parameters: Sequence[tuple[str, bytes]],
    ) -> bytes:
        """The body to send: the client's, with what the fields of these names say in `Backend`."""

    def choices_asked(self, envelope: Envelope, parameters: Sequence[tuple[str, bytes]]) -> int:
        """How many choices the answer is to have; `parameters` as for `upstream_body`."""

    # from the provider

    def read_answer(self, body: bytes) -> AnswerFacts:
        """What a whole answer says of itself; beyond `ANSWER_BYTES` what its ends say."""

    def read_answer_ends(self, beginning: bytes, end: bytes, size: int) -> AnswerFacts:
        """What the ends of an answer say that is not read whole.

        :param beginning: its first `ANSWER_END_BYTES`, end: its last.
        :param size: how long it is, in bytes.
        """

    def stream_watcher(
        self,
        keep_usage_chunk: bool,
        *,
        keep_text: bool = False,
        withhold_error: bool = False,
        choices: int = 1,
    ) -> StreamWatcher:
        """A fresh watcher for one streamed answer.

        :param keep_usage_chunk: the client asked for usage itself (`Envelope.include_usage`).
        :param keep_text: the answer may have to be continued: keep its `text`.
        :param withhold_error: an error event does not go to the client but stays in `error_event`.
        :param choices: how many were asked for.
        """

    def read_error(self, status: int, body: bytes) -> ProviderError:
        """What an answer with an error status says, as far as it is understood."""

    def retry_after(self, headers: Headers, now: float) -> float | None:
        """How many seconds the provider asks to wait, or None where it does not say.

        :param now: seconds of Unix time, for dates.
        """

    # going on with an answer that broke off

    def prefilled(self, envelope: Envelope, said: str, mark: str | None) -> Envelope:
        """The request with the words so far as the beginning of the assistant's answer.

        :param mark: a member to set to true in that message, for providers that want one ("partial", "prefix").
        """

    def stream_splice(
        self,
        first: StreamWatcher,
        remainder: Remainder,
        earlier_usage: Sequence[TokenUsage | None],
    ) -> StreamSplice:
        """What turns a further answer's events into more of the first one's stream.

        :param first: the watcher of the answer whose beginning the client has.
        :param earlier_usage: of every attempt whose words the client has, what it said to have counted.
        """

    # towards the client

    def error_body(self, message: str, type: str, code: str | None, param: str | None) -> bytes:  # noqa: A002 -- the API's word
        """An error as a whole answer."""

    def error_event(self, error: GatewayError) -> bytes:
        """An error as the last event of a stream, to be written behind a whole event."""

    def models_body(self, models: Sequence[str], owned_by: str) -> bytes:
        """The list of models as a whole answer."""

    def model_body(self, model: str, owned_by: str) -> bytes:
        """One model as a whole answer."""

    def joined_stream(self, letters: int) -> JoinedStream:
        """What gathers a stream that a client is sent, up to so many letters."""
