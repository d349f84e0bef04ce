"""Errors of OpenAI's dialect and its look-alikes: what they say, and of which kind they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.dialect import Dialect, ErrorKind
from gateway.dialects.openai import OpenAI

DIALECT: Dialect = OpenAI()
PREFILL, CONTEXT, FILTER = ErrorKind.PREFILL, ErrorKind.CONTEXT_LENGTH, ErrorKind.CONTENT_FILTER
QUOTA, KEY, RATE, OTHER = ErrorKind.QUOTA, ErrorKind.KEY, ErrorKind.RATE, ErrorKind.OTHER


def openai(message: str, type_: str | None = None, code: object = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, openai("Too long.", "invalid_request_error", "context_length_exceeded"), CONTEXT),
        (400, openai("This model's maximum context length is 8192 tokens. However, …"), CONTEXT),
        (400, openai("You passed 25 … the model's context length is only 24 tokens.", code=400), CONTEXT),
        (
            400,
            openai("Range of input length should be [1, 204800]", None, "invalid_parameter_error"),
            CONTEXT,
        ),
        (400, openai("the request exceeds the available context size", "exceed_context_size_error"), CONTEXT),
        (400, openai("Your request exceeded model token limit: 8192", "invalid_request_error"), CONTEXT),
        (413, openai("Prompt is too long"), CONTEXT),
        (429, openai("Too large on tokens per min (TPM)", "tokens", "rate_limit_exceeded"), RATE),
        (400, openai("…", None, "content_filter"), FILTER),
        (400, {"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, FILTER),
        (400, openai("It may contain inappropriate content.", None, "data_inspection_failed"), FILTER),
        (400, {"code": "DataInspectionFailed", "message": "x", "request_id": "r"}, FILTER),
        (403, openai("The model requires moderation, and your input was flagged", code=403), FILTER),
        (400, {"code": "Arrearage", "message": "Make sure your account is in good standing."}, QUOTA),
        (
            429,
            openai("You exceeded your current quota, …", "insufficient_quota", "insufficient_quota"),
            QUOTA,
        ),
        (
            429,
            [{"error": {"message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}}],
            RATE,
        ),
        (429, openai("You exceeded your current quota, please check your plan"), RATE),
        (402, openai("Insufficient Balance", "unknown_error", "invalid_request_error"), QUOTA),
        (403, openai("Your account is overdue", "x"), QUOTA),
        (401, openai("Incorrect API key provided: sk-1.", None, "invalid_api_key"), KEY),
        (401, {"detail": "Unauthorized"}, KEY),
        (403, {"message": "Forbidden"}, KEY),
        (400, [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], KEY),
        (429, openai("Slow down", "requests", None), RATE),
        (429, {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded"}, RATE),
        (429, {}, RATE),
        (500, openai("The prompt is too long, and I crashed", "server_error"), OTHER),
        (404, openai("No such model", None, "model_not_found"), OTHER),
        (400, openai("bad", "invalid_request_error", "unsupported_value"), OTHER),
        (400, "text", OTHER),
        (400, [], OTHER),
        (400, None, OTHER),
    ],
)
def test_kinds(status: int, body: object, kind: ErrorKind) -> None:
    error = DIALECT.read_error(status, json.dumps(body).encode())
    assert (error.status, error.kind) == (status, kind)
    assert error.standard_code == (error.code if kind is OTHER else kind.value)


@pytest.mark.parametrize(
    ("body", "code", "type_"),
    [
        (openai("x", "t", "c"), "c", "t"),
        (openai("x", "t", None), "t", "t"),
        (openai("x", "BadRequestError", 400), "BadRequestError", "BadRequestError"),
        (openai("x", None, 400), None, None),
        (openai("x", None, 1301), "1301", None),
        ({"error": "x", "code": "c"}, "c", None),
        ([{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}], "INVALID_ARGUMENT", None),
        ({"code": "InvalidParameter", "message": "x"}, "InvalidParameter", None),
        ({"detail": "x"}, None, None),
    ],
)
def test_codes_and_types(body: object, code: str | None, type_: str | None) -> None:
    error = DIALECT.read_error(400, json.dumps(body).encode())
    assert (error.code, error.type) == (code, type_)


@pytest.mark.parametrize(
    "sentence",
    [
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        "The conversation must end with a user message.",
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
        "Expected last role to be one of: [user, tool] but got assistant",
        "Last message must have role `user`.",
        "messages: final assistant content cannot end with trailing whitespace",
        "Cannot set `add_generation_prompt` to True when the last message is from the assistant.",
        "Partial mode is not supported when enable_thinking is true",
    ],
)
@pytest.mark.parametrize("shape", ["openai", "mistral", "detail"])
def test_a_refused_prefill(sentence: str, shape: str) -> None:
    body: dict[str, Any] = openai(sentence, "invalid_request_error")
    if shape == "mistral":
        body = {"object": "error", "message": sentence, "type": "invalid_request_error", "code": "3230"}
    elif shape == "detail":
        body = {"detail": sentence}
    assert DIALECT.read_error(400, json.dumps(body).encode()).kind is PREFILL


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "a"}}, "a"),
        ({"error": "a"}, "a"),
        ({"object": "error", "message": "a"}, "a"),
        ({"object": "error", "message": {"detail": [{"loc": ["body", "n", 0], "msg": "b"}]}}, "body.n.0: b"),
        ({"detail": [{"loc": ["body"], "msg": "b", "type": "t"}, {"msg": "c"}, "d"]}, "body: b; c; d"),
        ({"detail": "a"}, "a"),
        ({"error": {"code": 1}}, ""),
        ("a", "a"),
        ({"message": 7}, ""),
    ],
)
def test_messages(body: object, message: str) -> None:
    assert DIALECT.read_error(422, json.dumps(body).encode()).message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Too many requests\n", "Too many requests"),
        (b"<html>502", ""),
        (b"", ""),
        (b"\xff", "\ufffd"),
        (b"x" * 9000, "x" * 2000),
        (b"[" * 9000, "[" * 2000),
    ],
)
def test_what_is_not_json(body: bytes, message: str) -> None:
    error = DIALECT.read_error(429, body)
    assert (error.message, error.kind, error.code) == (message, RATE, None)


def test_the_message_is_not_in_its_repr() -> None:
    error = DIALECT.read_error(401, json.dumps(openai("Incorrect API key provided: sk-secret.")).encode())
    assert "sk-secret" in error.message
    assert "sk-secret" not in repr(error)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "code", "type", "status", "innererror", "loc", "msg"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(_JSON, st.sampled_from([400, 429, 500]))
def test_whatever_is_json_is_read(body: object, status: int) -> None:
    assert DIALECT.read_error(status, json.dumps(body).encode()).status == status
