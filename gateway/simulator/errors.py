"""The simulated provider's error answers, in OpenAI's shape and words."""

from __future__ import annotations

from email.utils import formatdate

from gateway.messages import Headers
from gateway.resources.drills import Drill
from gateway.simulator import openai
from gateway.simulator.replies import JSON, Whole

_USUAL = {
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
"""What OpenAI says with a status: `error.type`, `error.code`."""


class RequestError(Exception):
    """The request is at fault: what the client is told."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = openai.error_body(message, "invalid_request_error", param=param, code=code)

    def as_answer(self, headers: Headers) -> Whole:
        """The answer with these headers beside its own."""
        return Whole(self.status, [JSON, *headers], self.body)


def bad_drill(message: str) -> RequestError:
    """The refusal of misbehaviour that cannot be had."""
    return RequestError(400, f"This cannot be simulated: {message}", code="bad_drill")


def too_long(tokens: int, most: int, param: str) -> RequestError:
    """The prompt is longer than the model can read.  Source of the words: OpenAI's API, as its SDK's users quote it."""
    return RequestError(
        400,
        f"This model's maximum context length is {most} tokens. However, your {param} resulted in {tokens} tokens."
        f" Please reduce the length of the {param}.",
        param=param,
        code="context_length_exceeded",
    )


def require_room(tokens: int, drill: Drill, param: str) -> None:
    """Refuse a prompt that is longer than the drill lets prompts be.

    :param param: the request's field that holds it.
    """
    if drill.context is not None and tokens > drill.context:
        raise too_long(tokens, drill.context, param)


def filtered() -> RequestError:
    """A filter has found something in the prompt; `error.code` is that of Azure OpenAI and its kin."""
    return RequestError(
        400,
        "The response was filtered due to the prompt triggering the content management policy.",
        param="prompt",
        code="content_filter",
    )


def prefill_refused() -> RequestError:
    """The words that Claude 4.6 and later have for it."""
    return RequestError(
        400,
        "This model does not support assistant message prefill."
        " The conversation must end with a user message.",
    )


def simulated_error(drill: Drill, status: int, headers: Headers, wall_time: float) -> Whole:
    """The error answer that a drill asked for.

    :param headers: those that every answer has.
    :param wall_time: now, in seconds of Unix time.
    """
    otherwise = ("server_error" if status >= 500 else "invalid_request_error", None)
    kind, code = _USUAL.get(status, otherwise)
    body = openai.error_body(f"Simulated: {status}.", kind, code=drill.code or code)
    return Whole(status, [JSON, *headers, *_when_again(drill, wall_time)], body)


def error_event(drill: Drill) -> bytes:
    """An error in the middle of a stream, as a chunk."""
    return openai.event(
        {"error": openai.error("Simulated: an error in the stream.", "server_error", code=drill.code)}
    )


def _when_again(drill: Drill, wall_time: float) -> Headers:
    """The ways in which providers say how long to wait."""
    headers: Headers = []
    if drill.retry_after is not None:
        headers.append((b"retry-after", b"%d" % drill.retry_after))
    if drill.retry_after_date is not None:
        date = formatdate(wall_time + drill.retry_after_date, usegmt=True)
        headers.append((b"retry-after", date.encode()))
    if drill.retry_after_ms is not None:
        headers.append((b"retry-after-ms", b"%d" % drill.retry_after_ms))
    if drill.ratelimit_reset is not None:
        reset = _spelled(drill.ratelimit_reset)
        for each in (b"requests", b"tokens"):
            headers.append((b"x-ratelimit-remaining-" + each, b"0"))
            headers.append((b"x-ratelimit-reset-" + each, reset))
    return headers


def _spelled(seconds: float) -> bytes:
    """As OpenAI spells durations, which is as Go does: `6m0s`, `1.5s`, `20ms`."""
    if seconds < 1:
        return f"{seconds * 1000:.6g}ms".encode()
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.6g}s"
    return (f"{minutes:.0f}m{text}" if minutes else text).encode()
