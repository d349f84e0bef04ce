"""A drill: how one answer of the simulated provider goes wrong, and what it says.

Where it stands is the resources' floor because operators write it (`simulatorConfig.misbehave`); the simulator, who
obeys it, is a floor far above.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

Cut: TypeAlias = Literal["close", "reset", "end", "done"]
Heartbeat: TypeAlias = Literal["comment", "ping", "empty", "role"]
Prefill: TypeAlias = Literal["refuse", "repeat", "ignore", "marked"]
Length: TypeAlias = Literal["longer", "shorter"]
Telling: TypeAlias = Literal["growing", "each", "halves", "zero", "never"]


@frozen
class Drill:
    """One field a directive, `-` written as `_`.  Times are in seconds."""

    # instead of the model's answer
    delay: float = 0.0
    """Before whatever comes first."""
    stall: bool = False
    """Nothing ever comes; the connection stays open."""
    close: bool = False
    """The connection is closed properly (FIN) instead of an answer."""
    reset: bool = False
    """The connection is reset (RST) instead of an answer."""
    garbage: bool = False
    """Bytes that are no HTTP, and a close."""
    status: int | None = None
    """An error answer of this status."""
    code: str | None = None
    """The `error.code` of the error answer or event; None is what OpenAI says."""
    retry_after: int | None = None
    """`Retry-After` in seconds."""
    retry_after_date: float | None = None
    """`Retry-After` as the date that is so far from now."""
    retry_after_ms: int | None = None
    """`retry-after-ms`, in milliseconds."""
    ratelimit_reset: float | None = None
    """`x-ratelimit-reset-requests` and `-tokens`, with nothing remaining."""
    context_length: bool = False
    """400 as for a prompt that is too long."""
    content_filter: bool = False
    """400 as for a prompt that a filter rejects."""

    # what the model is and says
    context: int | None = None
    """Tokens that a prompt may have; a longer one is refused as too long."""
    prefill: Prefill | None = None
    """What becomes of an assistant message at the request's end; None goes on from there."""
    words: int | None = None
    """How many words the model says; None says what it has to say once."""
    chunks: int | None = None
    """In how many events a stream says them; None is one a word."""
    other_words: bool = False
    """It says something else than other simulated models do."""
    reasoning: int = 0
    """So many words of reasoning come first."""
    tool_call: int | None = None
    """It calls a tool, with the arguments in so many pieces."""
    refusal: bool = False
    """It declines, as OpenAI's models do in `refusal`."""

    # how it tells its usage
    usage: Telling | None = None
    """None is as OpenAI does.  A stream tells beside words all so far, or each event's own tokens; or those asked with
    the first word, and those of the answer in the end.  Or all is told as 0, or nothing."""
    cached: int = 0
    """So many tokens of a prompt, as far as it has them, come from a cache."""

    # how a stream comes
    first_content_delay: float = 0.0
    """Between the head and the first event with content."""
    chunk_delay: float = 0.0
    """Before each further event with content."""
    heartbeat: Heartbeat | None = None
    """What shows in the meantime that the connection lives."""
    heartbeat_delay: float = 1.0
    """Between two heartbeats."""
    malformed_event: bool = False
    """An event of broken JSON follows the first one with content."""
    huge_event: int | None = None
    """The first event with content holds so many bytes of padding."""

    # how an answer ends
    error_after: int | None = None
    """After so many events with content a stream has an event with an error, and ends."""
    stall_after: int | None = None
    """Nothing more comes after so many events with content, or bytes of an answer that is no stream; at the
    latest before the finish reason or the last byte."""
    cut_after: int | None = None
    """Likewise, and the answer is cut there."""
    cut_after_bytes: int | None = None
    """The answer is cut after so many bytes of its body, in a stream as well."""
    cut: Cut = "close"
    """How it is cut: the connection is closed or reset, or the body ends as if it were whole, without or with
    `[DONE]`."""
    no_finish: bool = False
    """A stream has no finish reason."""
    no_done: bool = False
    """A stream ends without `[DONE]`."""

    # what the bytes look like
    trickle: float | None = None
    """The body comes byte by byte, with so much time before each."""
    huge_headers: int | None = None
    """The head has so many bytes of padding."""
    content_length: Length | None = None
    """Content-Length says some bytes more or fewer than there are; the connection stays open."""
    gzip: bool = False
    """The body is compressed, whatever the client accepts."""
