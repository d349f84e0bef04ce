"""The interface that one provider's file implements.

Serving calls nothing else of a dialect.  The first half faces the provider, the second the client; where both
speak the same dialect nothing is translated, only watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.dialects.envelope import Envelope
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.messages import Headers, Secret, TokenUsage

ANSWER_BYTES = 8 * 1024 * 1024
"""Whole answers beyond this are not read for their usage; who keeps an answer for that may let it go here."""


class AnswerFacts(msgspec.Struct, frozen=True, gc=False):
    """What an answer says of itself."""

    usage: TokenUsage | None = None
    """None where it does not say, or not in a way that can be counted."""
    answered_model: str | None = None


class StreamWatcher(Protocol):
    """Reads along one streamed answer: bytes in, bytes out, whole events only."""

    usage: TokenUsage | None
    """The last that the stream said; None so far."""
    answered_model: str | None
    finished: bool
    """The stream has said that it is complete.  A connection that closes before has cut it off."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came; get those for the client, which end behind a whole event, or b""."""

    def flush(self) -> bytes:
        """The provider has ended its answer cleanly: get what was still held back."""


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

    # from the provider

    def read_answer(self, body: bytes) -> AnswerFacts:
        """What a whole answer says of itself: nothing if it is not understood, or beyond `ANSWER_BYTES`."""

    def stream_watcher(self, keep_usage_chunk: bool) -> StreamWatcher:
        """A fresh watcher for one streamed answer.

        :param keep_usage_chunk: the client asked for usage itself (`Envelope.include_usage`).
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
