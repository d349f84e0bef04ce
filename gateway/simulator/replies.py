"""What an answer is, before it goes wrong: a body, or the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from attrs import frozen

from gateway.messages import Headers, TokenUsage
from gateway.simulator.steps import Say

JSON = (b"content-type", b"application/json")
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


@frozen
class Whole:
    """An answer with one body."""

    status: int
    headers: Headers
    body: bytes
    usage: TokenUsage | None = None
    """What it tells of tokens; None in an error."""


@frozen
class Streamed:
    """An answer of server-sent events, 200 always."""

    headers: Headers
    opening: bytes
    """Events before the first content."""
    content: Iterator[Say]
    """One event each."""
    finish: bytes
    """The event with the finish reason."""
    usage: bytes
    """The event with the usage; empty where it was not asked for."""
    heartbeats: Mapping[str, bytes]
    """Events without content, by what a drill calls them."""
    counted: TokenUsage | None = None
    """Of all of it, whether it was asked for or not."""


Answer: TypeAlias = Whole | Streamed
