"""What an error of OpenAI's dialect says: its own words, and which kind of error that is.

The shapes, as met in answers and in events of streams:

    {"error": {"message", "type", "param", "code"}}     OpenAI, Azure, Groq, xAI, vLLM, llama.cpp, DashScope
    {"error": {"message", "code": 429, "metadata"}}     OpenRouter: the code is a status
    {"error": "…"}                                      Ollama
    [{"error": {"code", "message", "status"}}]          Gemini's OpenAI mode
    {"object": "error", "message", "type", "code"}      Mistral, older vLLM
    {"detail": "…"}, {"detail": [{"loc", "msg"}]}       FastAPI, so Mistral too
    {"code", "message", "request_id"}                   DashScope's own API

Kinds are read from codes and types first.  Sentences decide only where those say nothing, and never for a 429:
OpenAI's and Gemini's word for "too fast" is also "You exceeded your current quota".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.dialects.dialect import ErrorKind, ProviderError

_LETTERS = 2000
"""Of a message; whoever sends more is not read for it."""

_BY_WORD: Mapping[str, ErrorKind] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "context_length_exceeded",
                "context_window_exceeded",
                "exceed_context_size_error",  # llama.cpp
                "model_max_prompt_tokens_exceeded",  # GitHub Models, Copilot
            ),
            ErrorKind.CONTEXT_LENGTH,
        ),
        **dict.fromkeys(
            (
                "content_filter",  # Azure, Moonshot
                "content_policy_violation",
                "responsibleaipolicyviolation",  # Azure's inner error
                "moderation_blocked",
                "datainspectionfailed",  # DashScope
                "data_inspection_failed",
                "sensitivecontentdetected",  # Volcengine
                "1301",  # Zhipu
            ),
            ErrorKind.CONTENT_FILTER,
        ),
        **dict.fromkeys(
            (
                "insufficient_quota",
                "billing_hard_limit_reached",
                "billing_not_active",
                "exceeded_current_quota_error",  # Moonshot
                "insufficient_balance",
                "insufficient_credits",
                "arrearage",  # DashScope, with status 400
                "accountoverdueerror",  # Volcengine
            ),
            ErrorKind.QUOTA,
        ),
        **dict.fromkeys(
            (
                "invalid_api_key",
                "invalidapikey",  # DashScope
                "account_deactivated",
                "authentication_error",
                "api_key_invalid",
            ),
            ErrorKind.KEY,
        ),
        **dict.fromkeys(
            (
                "rate_limit_exceeded",
                "rate_limit_error",
                "rate_limit_reached_error",  # Moonshot
                "too_many_requests",
                "resource_exhausted",  # Gemini
                "throttling",  # DashScope; `Throttling.AllocationQuota` is tokens a minute
                "throttling.ratequota",
                "throttling.allocationquota",
                "limit_requests",
            ),
            ErrorKind.RATE,
        ),
    }
)
"""What codes and types mean, in lower case."""

_BY_SENTENCE = (
    # "This model does not support assistant message prefill. The conversation must end with a user message."
    (
        ErrorKind.PREFILL,
        re.compile(
            r"assistant (?:message )?prefill|prefill(?:ing)? (?:is|are) not (?:supported|allowed)"
            r"|(?:must|should) end with an? (?:user|tool|user or tool)\b"
            r"|expected last role|last message must (?:have role|be (?:from )?an? ?user)"
            r"|final assistant content cannot end with"  # Anthropic, of trailing white space
            r"|last message is from the assistant"  # vLLM: "Cannot set `add_generation_prompt` to True when …"
            r"|\bpartial mode\b|prefix (?:mode|completion) (?:is )?(?:not supported|only)",
            re.IGNORECASE,
        ),
    ),
    (
        ErrorKind.CONTEXT_LENGTH,
        re.compile(
            r"maximum (?:context|prompt) length|context (?:length|window|size)\b.{0,40}\b(?:is|of|only|exceed)"
            r"|exceeds? the (?:available )?(?:model's )?context"
            r"|(?:prompt|input) is too long|input length too long|prompt exceeds max length"
            r"|exceeds the maximum number of (?:input )?tokens|range of input length"
            r"|exceeded model token limit|too many (?:input )?tokens in",
            re.IGNORECASE,
        ),
    ),
    (
        ErrorKind.CONTENT_FILTER,
        re.compile(
            r"content management policy|content filter|usage polic(?:y|ies)|safety system|data inspection"
            r"|inappropriate content|requires moderation",
            re.IGNORECASE,
        ),
    ),
    (
        ErrorKind.QUOTA,
        re.compile(
            r"insufficient (?:account )?(?:balance|quota|credits?|funds)|credit balance is too low"
            r"|exceeded your current quota|account is in good standing|in arrears|overdue",
            re.IGNORECASE,
        ),
    ),
    (
        ErrorKind.KEY,
        re.compile(r"api key not valid|(?:incorrect|invalid) api[ _-]?key", re.IGNORECASE),
    ),
)
"""What sentences mean, the first that matches."""

_STATUS_OF_KIND: Mapping[ErrorKind, int] = MappingProxyType(
    {
        ErrorKind.CONTEXT_LENGTH: 400,
        ErrorKind.CONTENT_FILTER: 400,
        ErrorKind.PREFILL: 400,
        ErrorKind.KEY: 401,
        ErrorKind.QUOTA: 429,
        ErrorKind.RATE: 429,
    }
)
"""What comes with an error of this kind where it is an answer, for events and answers that name no status."""

_STATUS_OF_WORD: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "invalid_request_error",
                "invalid_prompt",
                "invalid_value",
                "invalid_argument",
                "badrequesterror",
            ),
            400,
        ),
        **dict.fromkeys(("permission_error", "permission_denied"), 403),
        **dict.fromkeys(("model_not_found", "not_found_error", "notfounderror"), 404),
        **dict.fromkeys(("server_error", "api_error", "internal_error", "internalservererror"), 500),
        **dict.fromkeys(("overloaded_error", "engine_overloaded_error", "unavailable"), 503),
    }
)
"""The same for codes and types of no kind, in lower case, of which the code counts more."""

_BY_STATUS: Mapping[int | None, ErrorKind] = MappingProxyType(
    {401: ErrorKind.KEY, 403: ErrorKind.KEY, 498: ErrorKind.KEY, 402: ErrorKind.QUOTA, 429: ErrorKind.RATE}
)


def error_of(status: int, body: bytes) -> ProviderError:
    """What an answer with an error status says."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body[:_LETTERS].decode("utf-8", "replace").strip()
        return _error(status, "" if text.startswith("<") else text, [])
    return error_in(value, status)


def error_in(value: Any, status: int | None) -> ProviderError:
    """What a JSON value says that is known to be an error, in whichever of the shapes.

    :param status: the answer's; None for an event, or an answer that came as a success: their status is what they say
        of themselves, if only by what they call the error.
    """
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return _error(status, value if isinstance(value, str) else "", [])
    inner = value.get("error") or value
    if not isinstance(inner, dict):
        # The code may stand beside the message.
        return _error(status, str(inner), [_word(value.get("code")), _word(value.get("type"))])
    more = inner.get("innererror") or inner.get("inner_error")  # Azure: what its content filter found
    words = [
        _word(inner.get("code")),
        _word(inner.get("type")),
        _word(inner.get("status")),
        _word(more.get("code")) if isinstance(more, dict) else None,
    ]
    if status is None:
        status = (
            _status(inner.get("status")) or _status(inner.get("status_code")) or _status(inner.get("code"))
        )
    return _error(status, _message(inner), words)


def _error(status: int | None, message: str, words: list[str | None]) -> ProviderError:
    message = message[:_LETTERS]
    # OpenRouter's and vLLM's code is but the status once more.
    code = next((word for word in words if word and _status(word) is None), None)
    type_ = words[1] if len(words) > 1 else None
    kind = _kind(status, message, words)
    if status is None:
        named = (_STATUS_OF_WORD.get(word.lower()) for word in words if word)
        status = _STATUS_OF_KIND.get(kind) or next((each for each in named if each is not None), None)
    return ProviderError(status, code, type_, message, kind)


def _kind(status: int | None, message: str, words: list[str | None]) -> ErrorKind:
    for word in words:
        if word and word.lower() in _BY_WORD:
            return _BY_WORD[word.lower()]
    if status is None or (400 <= status < 500 and status != 429):
        for kind, sentence in _BY_SENTENCE:
            if sentence.search(message):
                return kind
    return _BY_STATUS.get(status, ErrorKind.OTHER)


def _message(error: dict[str, Any]) -> str:
    for name in ("message", "detail", "msg", "error_message"):
        said = error.get(name)
        if isinstance(said, dict):  # Mistral: {"message": {"detail": […]}}
            said = said.get("detail") or said.get("message")
        if isinstance(said, list):
            said = "; ".join(_complaint(item) for item in said)
        if isinstance(said, str) and said:
            return said
    return ""


def _complaint(item: Any) -> str:
    """One of FastAPI's: where it is, and what."""
    if not isinstance(item, dict):
        return str(item)
    place = item.get("loc")
    where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    return f"{where}: {item.get('msg', '')}" if where else str(item.get("msg", ""))


def _word(value: Any) -> str | None:
    """A code, which some send as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _status(value: Any) -> int | None:
    """A status among what may be codes as well."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else None
