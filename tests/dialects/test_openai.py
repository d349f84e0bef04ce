"""OpenAI's dialect: paths, bodies, whole answers, errors of our own."""

from __future__ import annotations

import json

import pytest
from openai.types import Model

from gateway.dialects.dialect import ANSWER_BYTES, AnswerFacts, Dialect
from gateway.dialects.envelope import open_body
from gateway.dialects.openai import OpenAI
from gateway.dialects.operations import Operation
from gateway.errors import GatewayError
from gateway.messages import Secret, TokenUsage

DIALECT: Dialect = OpenAI()


@pytest.mark.parametrize(
    ("body", "parameters", "choices"),
    [
        ({}, (), 1),
        ({"n": 3}, (), 3),
        ({"n": 3}, (("n", b"2"),), 3),
        ({}, (("n", b"2"),), 2),
        ({"n": None}, (), 1),
        ({"n": "many"}, (), 1),
        ({"n": 0}, (), 1),
        ({"prompt": "Hello"}, (), 1),
        ({"prompt": ["Hello", "you"], "n": 2}, (), 4),
        ({"prompt": [1, 2, 3]}, (), 1),
        ({"prompt": [[1, 2], [3]]}, (), 2),
        ({"prompt": []}, (), 1),
    ],
)
def test_how_many_choices_are_asked_for(
    body: object, parameters: tuple[tuple[str, bytes], ...], choices: int
) -> None:
    assert DIALECT.choices_asked(open_body(json.dumps(body).encode()), parameters) == choices


def test_the_key_is_a_bearer_token() -> None:
    assert DIALECT.authentication(Secret("sk-1")) == [(b"authorization", b"Bearer sk-1")]


@pytest.mark.parametrize(
    ("provider_path", "operation", "path"),
    [
        (b"/v1/chat/completions", Operation.CHAT, b"/v1/chat/completions"),
        (b"/v1/chat/completions", Operation.COMPLETIONS, b"/v1/completions"),
        (b"/compatible-mode/v1/chat/completions", Operation.EMBEDDINGS, b"/compatible-mode/v1/embeddings"),
        (b"/v1/chat/completions", Operation.RESPONSES, b"/v1/responses"),
        (b"/v1/chat/completions", Operation.MODERATIONS, b"/v1/moderations"),
        (b"/v1/chat/completions", Operation.IMAGE_GENERATIONS, b"/v1/images/generations"),
        (b"/v1/chat/completions", Operation.TRANSCRIPTIONS, b"/v1/audio/transcriptions"),
        (b"/v1/chat/completions", Operation.MODELS, b"/v1/models"),
        (b"/v1/chat/completions", Operation.MODEL, b"/v1/models/Qwen/Qwen3%208B"),
        (b"/v1/chat/completions/", Operation.EMBEDDINGS, b"/v1/embeddings"),
        (b"/v1/completions", Operation.EMBEDDINGS, b"/v1/embeddings"),
        (b"/chat/completions", Operation.EMBEDDINGS, b"/embeddings"),
        (b"/api/chat", Operation.CHAT, b"/api/chat"),
        (b"/api/chat", Operation.EMBEDDINGS, b"/api/embeddings"),
        (b"/", Operation.CHAT, b"/"),
        (b"/", Operation.EMBEDDINGS, b"/embeddings"),
        (b"/d/x/chat/completions?api-version=1", Operation.CHAT, b"/d/x/chat/completions?api-version=1"),
        (b"/d/x/chat/completions?api-version=1", Operation.EMBEDDINGS, b"/d/x/embeddings?api-version=1"),
    ],
)
def test_upstream_paths(provider_path: bytes, operation: Operation, path: bytes) -> None:
    assert DIALECT.upstream_path(provider_path, operation, b"/v1/models/Qwen/Qwen3%208B") == path


@pytest.mark.parametrize(
    "operation", [operation for operation in Operation if operation is not Operation.MESSAGES]
)
def test_every_operation_but_anthropics_has_a_path(operation: Operation) -> None:
    assert DIALECT.upstream_path(b"/v1/chat/completions", operation, b"/v1/models/m").startswith(b"/v1/")


def test_another_dialects_operation_is_refused() -> None:
    with pytest.raises(GatewayError, match="no operation `messages`") as caught:
        DIALECT.upstream_path(b"/v1/chat/completions", Operation.MESSAGES, b"/v1/messages")
    assert caught.value.code == "no_route"


def sent(
    body: bytes,
    operation: Operation = Operation.CHAT,
    model: str | None = None,
    overrides_model: bool = True,
    stream: bool | None = None,
    parameters: tuple[tuple[str, bytes], ...] = (),
) -> bytes:
    return DIALECT.upstream_body(
        open_body(body),
        operation,
        model=model,
        overrides_model=overrides_model,
        stream=stream,
        parameters=parameters,
    )


def test_the_articles_request() -> None:
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    assert sent(body, model="qwen-turbo", stream=False) == (
        b'{"messages":[{"role": "user", "content": "hi"}],"model":"qwen-turbo","stream":false}'
    )


@pytest.mark.parametrize("operation", [Operation.CHAT, Operation.EMBEDDINGS, Operation.IMAGE_GENERATIONS])
def test_the_model_is_set_for_every_operation(operation: Operation) -> None:
    assert sent(b'{"model":"a","x":1}', operation, model="b") == b'{"model":"b","x":1}'
    assert sent(b'{"model":"a","x":1}', operation, model="b", overrides_model=False) == b'{"model":"a","x":1}'
    assert (
        sent(b'{"model":null,"x":1}', operation, model="b", overrides_model=False) == b'{"model":"b","x":1}'
    )


def test_what_needs_no_change_is_the_very_body() -> None:
    body = b' {"model": "a"} '
    assert sent(body, model="a") is body


def test_stream_fills_in_for_a_client_that_did_not_say() -> None:
    assert sent(b'{"stream":true,"stream_options":{"include_usage":true}}', stream=False).startswith(
        b'{"stream":true'
    )
    assert sent(b'{"stream":false}', stream=True) == b'{"stream":false}'
    assert sent(b'{"stream":null}', stream=False) == b'{"stream":false}'
    assert sent(b"{}", stream=True) == b'{"stream":true,"stream_options":{"include_usage":true}}'
    assert sent(b"{}", Operation.EMBEDDINGS, stream=True) == b"{}"


def test_parameters_are_set_only_where_absent() -> None:
    parameters = (("temperature", b"0.50"), ("top_p", b"1e0"), ("stop", b'[ "a" ]'))
    body = b'{"top_p":null,"temperature":1.0}'
    assert sent(body, parameters=parameters) == b'{"top_p":null,"temperature":1.0,"stop":[ "a" ]}'
    assert sent(body, Operation.EMBEDDINGS, parameters=parameters) == body


@pytest.mark.parametrize("operation", [Operation.CHAT, Operation.COMPLETIONS])
def test_streams_are_asked_for_their_usage(operation: Operation) -> None:
    assert sent(b'{"stream":true}', operation) == b'{"stream":true,"stream_options":{"include_usage":true}}'
    assert sent(
        b'{"stream_options":{ "a":1.0, "include_usage":false,"b":[ 1]},"stream":true}', operation
    ) == (b'{"stream_options":{"a":1.0,"include_usage":true,"b":[ 1]},"stream":true}')
    assert sent(b'{"stream_options":null,"stream":true}', operation) == (
        b'{"stream_options":{"include_usage":true},"stream":true}'
    )
    asked = b'{"stream":true,"stream_options":{ "include_usage": true }}'
    assert sent(asked, operation) is asked


def test_what_is_not_streamed_or_reports_unasked_is_not_asked() -> None:
    assert sent(b'{"stream":false}') == b'{"stream":false}'
    assert sent(b'{"stream":true,"stream_options":{"include_obfuscation":false}}', Operation.RESPONSES) == (
        b'{"stream":true,"stream_options":{"include_obfuscation":false}}'
    )


def test_of_an_answer_that_is_too_long_only_the_ends_are_read() -> None:
    beginning, end = b'{"model":"m","data":"', b'","usage":{"prompt_tokens":777}}'
    long = beginning + b"x" * ANSWER_BYTES + end
    assert DIALECT.read_answer(long) == AnswerFacts(TokenUsage(777, 0), "m", size=len(long))


def test_errors_have_openais_shape() -> None:
    assert DIALECT.error_body('a "b"', "invalid_request_error", "invalid_body", "model") == (
        b'{"error":{"message":"a \\"b\\"","type":"invalid_request_error","param":"model","code":"invalid_body"}}'
    )
    assert json.loads(DIALECT.error_body("a", "t", None, None)) == {
        "error": {"message": "a", "type": "t", "param": None, "code": None}
    }
    assert DIALECT.error_event(GatewayError("provider_answer_cut", "Cut\n\nshort.")) == (
        b'data: {"error":{"message":"Cut\\n\\nshort.","type":"upstream_error","param":null,'
        b'"code":"provider_answer_cut"}}\n\n'
    )


def test_models_are_what_the_sdk_expects() -> None:
    listed = json.loads(DIALECT.models_body(["a", "b"], "acme"))
    assert listed["object"] == "list"
    assert [Model.model_validate(model) for model in listed["data"]] == [
        Model(id="a", object="model", created=0, owned_by="acme"),
        Model(id="b", object="model", created=0, owned_by="acme"),
    ]
    assert Model.model_validate_json(DIALECT.model_body("a", "acme")).id == "a"
    assert DIALECT.models_body([], "acme") == b'{"object":"list","data":[]}'
