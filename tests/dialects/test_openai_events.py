"""What one event of a stream says: OpenAI's own and its look-alikes'."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.dialect import ErrorKind, StreamEvent
from gateway.dialects.openai_events import open_answer, read_event
from gateway.messages import TokenUsage


def event(**members: object) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\n\n"


def choice(delta: object, **members: object) -> bytes:
    return event(choices=[{"index": 0, "delta": delta, **members}])


def facts(text: bytes, *names: str) -> tuple[Any, ...]:
    said = read_event(text)
    return tuple(getattr(said, name) for name in names)


@pytest.mark.parametrize(
    ("delta", "content"),
    [
        ({"content": "Hi"}, "Hi"),
        ({"role": "assistant", "content": "Hi"}, "Hi"),
        ({"content": " "}, " "),
        ({"content": "Hi", "tool_calls": []}, "Hi"),
        ({"content": "Hi", "tool_calls": None, "function_call": None, "refusal": None, "audio": None}, "Hi"),
        ({"content": None, "reasoning_content": "Hm"}, ""),
        ({"content": "", "reasoning": "Hm"}, ""),
        ({"content": "Hi", "reasoning": "Hm"}, "Hi"),
        ({"content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]}, "Hi"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}, ""),
    ],
)
def test_text_and_reasoning(delta: object, content: str) -> None:
    said = choice(delta)
    assert facts(said, "content", "is_content", "tool_call", "other") == (content, True, False, False)


@pytest.mark.parametrize(
    "delta",
    [
        {},
        None,
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": None, "tool_calls": [], "refusal": None},
        {"content": []},
        {"content": [{"type": "text", "text": ""}, {"type": "thinking", "thinking": []}]},
        {"content": 7},
        {"audio": {"id": "a", "expires_at": 1}},
        {"audio": "x"},
    ],
)
def test_what_nobody_waits_for(delta: object) -> None:
    assert facts(choice(delta), "content", "is_content", "other", "malformed") == ("", False, False, False)


@pytest.mark.parametrize(
    "delta",
    [
        {
            "tool_calls": [
                {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"content": None, "tool_calls": [{"function": {"arguments": {"a": 1}}}]},
        {"function_call": {"name": "f"}},
    ],
)
def test_tool_calls(delta: object) -> None:
    assert facts(choice(delta), "is_content", "tool_call", "other") == (True, True, False)


@pytest.mark.parametrize(
    "delta",
    [
        {"refusal": "No"},
        {"audio": {"id": "a", "data": "AAAA"}},
        {"audio": {"transcript": "Hi"}},
        {"images": [{"type": "image_url"}]},
        {"content": [{"type": "reference", "reference_ids": [1]}]},
    ],
)
def test_what_cannot_be_continued(delta: object) -> None:
    assert facts(choice(delta), "is_content", "tool_call", "other") == (True, False, True)


def test_other_choices() -> None:
    said = event(choices=[{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}])
    names = ("content", "is_content", "other", "speaking", "ended", "finish_reason")
    assert facts(said, *names) == ("", True, True, (1,), (1,), None)


def test_completions() -> None:
    said = event(object="text_completion", choices=[{"index": 0, "text": "Hi", "finish_reason": None}])
    assert facts(said, "content", "is_content", "choices") == ("Hi", True, 1)
    assert facts(event(choices=[{"text": "", "finish_reason": "length"}]), "is_content", "finish_reason") == (
        False,
        "length",
    )


@pytest.mark.parametrize(
    ("reason", "read"),
    [("stop", "stop"), ("model_length", "model_length"), ("", None), ("null", None), (None, None), (7, None)],
)
def test_reasons_to_end(reason: object, read: str | None) -> None:
    assert facts(choice({}, finish_reason=reason), "finish_reason", "ended") == (read, (0,) if read else ())


def test_what_an_answer_is_called() -> None:
    said = event(id="chatcmpl-1", created=1700000000, model="m", choices=[])
    assert facts(said, "id", "created", "model", "choices") == ("chatcmpl-1", 1700000000, "m", 0)
    # Azure's first, with what its content filter said of the prompt.
    assert facts(event(id="", created=0, model="", choices=[]), "id", "created", "model") == (None, 0, None)


@pytest.mark.parametrize(
    "said",
    [
        event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}),
        choice({"content": "a"}, usage={"prompt_tokens": 9, "completion_tokens": 12}),
        event(choices=[{}], usage={"prompt_tokens": 9, "completion_tokens": 12}),
        event(type="response.completed", response={"usage": {"input_tokens": 9, "output_tokens": 12}}),
    ],
)
def test_usage(said: bytes) -> None:
    assert facts(said, "usage") == (TokenUsage(9, 12),)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (
            {
                **{"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            TokenUsage(100, 20, cached_input=64, reasoning=15),
        ),
        (  # Responses
            {
                **{"input_tokens": 100, "output_tokens": 20},
                "input_tokens_details": {"cached_tokens": 64},
                "output_tokens_details": {"reasoning_tokens": 15},
            },
            TokenUsage(100, 20, cached_input=64, reasoning=15),
        ),
        (  # DeepSeek
            {
                **{"prompt_tokens": 100, "completion_tokens": 20},
                **{"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
            },
            TokenUsage(100, 20, cached_input=64),
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 64},
            TokenUsage(100, 20, 64),
        ),  # Moonshot
        (  # xAI: reasoning stands beside the completion
            {
                **{"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 135},
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            TokenUsage(100, 35, reasoning=15),
        ),
        (
            {
                **{"prompt_tokens": 10, "completion_tokens": 2},
                "prompt_tokens_details": {"cached_tokens": 99},
                "completion_tokens_details": {"reasoning_tokens": 99},
            },
            TokenUsage(10, 2, cached_input=10, reasoning=2),
        ),
        (
            {
                **{"prompt_tokens": 10, "completion_tokens": 2},
                "prompt_tokens_details": ["odd"],
                "completion_tokens_details": {"reasoning_tokens": "many"},
            },
            TokenUsage(10, 2),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": None}, TokenUsage(10, 2)),
        ({"prompt_tokens": 10.0, "completion_tokens": "2"}, TokenUsage(10, 2)),
        ({"prompt_tokens": 10**30, "completion_tokens": 2}, TokenUsage(0, 2)),
    ],
)
def test_parts_of_the_usage(usage: dict[str, object], counted: TokenUsage) -> None:
    assert facts(event(choices=[], usage=usage), "usage") == (counted,)


@pytest.mark.parametrize(
    ("said", "status", "code", "kind"),
    [
        (event(error={"message": "no", "code": "server_error"}), 500, "server_error", ErrorKind.OTHER),
        (event(error="model requires more memory"), None, None, ErrorKind.OTHER),
        (event(error={"message": "slow", "code": 429}), 429, None, ErrorKind.RATE),
        (
            event(error={"message": "x", "code": "502"}, choices=[{"delta": {"content": ""}}]),
            502,
            None,
            ErrorKind.OTHER,
        ),
        (
            event(object="error", message="no", type="BadRequestError", code=400),
            400,
            "BadRequestError",
            ErrorKind.OTHER,
        ),
        (
            event(type="error", code="rate_limit_exceeded", message="x"),
            429,
            "rate_limit_exceeded",
            ErrorKind.RATE,
        ),
        (
            event(type="error", error={"type": "overloaded_error", "message": "x"}),
            503,
            "overloaded_error",
            ErrorKind.OTHER,
        ),
        (event(code="Throttling", message="x", request_id="r"), 429, "Throttling", ErrorKind.RATE),
        (
            b"id:1\nevent:error\n:HTTP_STATUS/400\n" + event(code="DataInspectionFailed", message="x"),
            400,
            "DataInspectionFailed",
            ErrorKind.CONTENT_FILTER,
        ),
        (b"event: error\r\n" + event(detail="?"), None, None, ErrorKind.OTHER),
        (choice({}, finish_reason="error"), None, "error", ErrorKind.OTHER),
        (
            event(type="response.failed", response={"error": {"code": "server_error"}}),
            500,
            "server_error",
            ErrorKind.OTHER,
        ),
        (
            event(error={"message": "x", "code": "content_filter"}),
            400,
            "content_filter",
            ErrorKind.CONTENT_FILTER,
        ),
        (
            event(error={"message": "x", "type": "invalid_request_error"}),
            400,
            "invalid_request_error",
            ErrorKind.OTHER,
        ),
        (
            event(error={"message": "x", "type": "invalid_request_error", "code": "model_not_found"}),
            404,
            "model_not_found",
            ErrorKind.OTHER,
        ),
        (event(error={"message": "The prompt is too long."}), 400, None, ErrorKind.CONTEXT_LENGTH),
        (event(error={"message": "x", "code": "invalid_api_key"}), 401, "invalid_api_key", ErrorKind.KEY),
        (event(type="response.failed", response=None), None, None, ErrorKind.OTHER),
    ],
)
def test_errors(said: bytes, status: int | None, code: str | None, kind: ErrorKind) -> None:
    error = read_event(said).error
    assert error is not None
    assert (error.status, error.code, error.kind) == (status, code, kind)


@pytest.mark.parametrize(
    "said",
    [
        event(error=None, choices=[]),
        event(error={}, choices=[]),
        event(error="", choices=[]),
        b"event: errors\n" + event(a=1),
        b"event: result\n" + event(a="event: error"),
        event(code="200", message="success"),
        event(code=0, message="ok"),
        choice({"content": "event: error"}),
        event(type="response.output_text.delta", delta="error", code="x"),
    ],
)
def test_no_errors(said: bytes) -> None:
    assert facts(said, "error", "malformed") == (None, False)


@pytest.mark.parametrize(
    "said", [b"data: [DONE]\n\n", b"data:[DONE]\r\n\r\n", b"event: done\ndata: [DONE] \n\n"]
)
def test_done(said: bytes) -> None:
    assert read_event(said) == StreamEvent(done=True)


@pytest.mark.parametrize("said", [b": ping\n\n", b"event: ping\n\n", b"\n", b"id: 7\nretry: 10\n\n"])
def test_what_has_no_data_says_nothing(said: bytes) -> None:
    assert read_event(said) == StreamEvent()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{not json}",
        b'{"choices":[]',
        b'{"choices":[]}x',
        b'{"model":"\xff"}',
        b'{"unread":"\xc3"}',
        b"[1]",
        b"null",
        b"7",
        b'"ping"',
        b"[DONE",
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_malformed(data: bytes) -> None:
    assert read_event(b"data: " + data + b"\n\n") == StreamEvent(malformed=True)


def test_usage_within_the_choice_is_of_no_other() -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 12}
    assert facts(event(choices=[{"usage": counts}]), "usage", "within_choice") == (TokenUsage(9, 12), True)
    assert facts(event(choices=[{}], usage=counts), "usage", "within_choice") == (TokenUsage(9, 12), False)
    assert facts(event(choices=[{}], usage=None), "usage", "within_choice") == (None, False)
    groq = event(choices=[{"finish_reason": "stop"}], x_groq={"id": "req_1", "usage": counts})
    assert facts(groq, "usage", "within_choice") == (TokenUsage(9, 12), False)
    for other in ({"id": "req_1"}, {"usage": None}, "9", None):
        assert facts(event(choices=[{}], x_groq=other), "usage") == (None,)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 5000])
@pytest.mark.parametrize(
    "event_with",
    [
        '{"id":%s,"choices":[{"delta":{"content":"a"}}]}',
        '{"created":%s,"choices":[{"delta":{"content":"a"}}]}',
        '{"usage":%s,"choices":[{"delta":{"content":"a"}}]}',
        '{"usage":{"prompt_tokens":%s},"choices":[{"delta":{"content":"a"}}]}',
        '{"unread":[%s],"choices":[{"delta":{"content":"a"}}]}',
        '{"choices":[{"delta":{"content":"a","refusal":%s}}]}',
        '{"choices":[{"index":%s,"delta":{"content":"a"}}]}',
        '{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"logprob":%s}]}}]}',
    ],
)
def test_a_number_that_nobody_can_hold_hides_nothing_else(number: str, event_with: str) -> None:
    said = b"data: " + (event_with % number).encode() + b"\n\n"
    assert facts(said, "content", "size", "is_content", "malformed") == ("a", 1, True, False)


def test_half_a_surrogate_pair_is_text() -> None:
    said = b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'
    assert facts(said, "content", "malformed") == ("\ud83d", False)


@pytest.mark.parametrize("choices", [{}, "x", 7, [7], [{"delta": "x"}]])
def test_choices_that_nobody_knows_are_passed_over(choices: object) -> None:
    assert facts(event(choices=choices, model="m"), "model", "is_content", "malformed") == ("m", False, False)


_NAMES = [
    *(
        "choices",
        "delta",
        "content",
        "text",
        "index",
        "finish_reason",
        "tool_calls",
        "audio",
        "usage",
        "prompt_tokens",
    ),
    *("error", "code", "type", "message", "response", "id", "created", "model", "object"),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | st.sampled_from(["", "null", "stop", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_NAMES),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_whatever_is_an_object_is_read(value: object) -> None:
    text = json.dumps(value).encode()
    said = read_event(b"data: " + text + b"\n\n")
    assert said.malformed is not isinstance(value, dict)
    if isinstance(value, dict):
        open_answer(text)
