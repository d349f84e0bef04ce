"""What an answer is, before it goes wrong: a body, or the events of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
    asked: int = 0
    """How many tokens the prompt has; 0 where no model answers."""
    spoken: int = 0
    """How much of the body the model has said: bytes of UTF-8."""
    usage: TokenUsage | None = None
    """What it tells of tokens."""


@frozen
class Streamed:
    """An answer of server-sent events, 200 always."""

    headers: Headers
    opening: bytes
    """Events before the first content."""
    content: Iterator[Say]
    """One event each."""
    finish: Callable[[], Say]
    """Makes the event with the finish reason, once all content is said."""
    usage: Say
    """The event with the usage; empty where it has none."""
    heartbeats: Mapping[str, bytes]
    """Events without content, by what a drill calls them."""
    asked: int = 0
    """How many tokens the prompt has."""


Answer: TypeAlias = Whole | Streamed
