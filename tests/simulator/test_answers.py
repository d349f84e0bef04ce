from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.resources.drills import Drill
from gateway.simulator.answers import answer
from gateway.simulator.replies import Streamed, Whole
from gateway.simulator.vectors import as_floats
from tests.simulator.requests import CHAT, HELLO, head, json


def whole(path: str, body: bytes = b"", drill: Drill | None = None, *, method: str = "POST") -> Whole:
    answered = answer(head(path, body, method=method), body, drill or Drill())
    assert isinstance(answered, Whole)
    return answered


def streamed(path: str, drill: Drill | None = None, **fields: object) -> Streamed:
    body = json(stream=True, **fields)
    answered = answer(head(path, body), body, drill or Drill())
    assert isinstance(answered, Streamed)
    return answered


def fields_of(answered: Whole) -> Any:
    return msgspec.json.decode(answered.body)


def events(answered: Streamed) -> list[Any]:
    """What the events hold, the last one apart from `[DONE]`."""
    text = (
        answered.opening
        + b"".join(say.data for say in answered.content)
        + answered.finish().data
        + answered.usage.data
    )
    lines = text.split(b"\n\n")
    assert lines.pop() == b""
    return [msgspec.json.decode(line.removeprefix(b"data: ")) for line in lines]


def test_a_chat_is_answered_with_the_model_and_what_was_said() -> None:
    answered = whole(CHAT, json(model="qwen-turbo", messages=HELLO))
    assert answered.status == 200
    completion = ChatCompletion.model_validate_json(answered.body, strict=True)
    assert completion.model == "qwen-turbo"
    assert completion.choices[0].message.content == "I am qwen-turbo. You said: Hello there"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 10)
    assert completion.usage.total_tokens == 13


def test_without_a_model_it_is_simulator_1() -> None:
    assert fields_of(whole(CHAT, json(messages=HELLO)))["model"] == "simulator-1"


def test_the_same_request_has_the_same_answer_and_another_has_another_id() -> None:
    first = whole(CHAT, json(messages=HELLO))
    assert whole(CHAT, json(messages=HELLO)) == first
    assert fields_of(whole(CHAT, json(messages=HELLO, user="x")))["id"] != fields_of(first)["id"]


def test_the_last_user_is_echoed_and_every_message_is_counted() -> None:
    messages = [
        {"role": "system", "content": "12345678"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": "请介绍你自己"},
        {"role": "tool", "content": "x", "tool_call_id": "1"},
    ]
    fields = fields_of(whole(CHAT, json(messages=messages)))
    assert fields["choices"][0]["message"]["content"] == "I am simulator-1. You said: 请介绍你自己"
    assert fields["usage"]["prompt_tokens"] == 8  # 8 + 5 + 18 + 1 bytes


def test_the_parts_of_a_content_are_joined_and_pictures_say_nothing() -> None:
    parts = [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "this?"},
    ]
    fields = fields_of(whole(CHAT, json(messages=[{"role": "user", "content": parts}])))
    assert fields["choices"][0]["message"]["content"].endswith("You said: What is\nthis?")
    assert fields["usage"]["prompt_tokens"] == 4


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_on_tokens_is_kept(name: str) -> None:
    fields = fields_of(whole(CHAT, json(messages=HELLO, **{name: 2})))
    assert fields["choices"][0]["message"]["content"] == "I am sim"
    assert fields["choices"][0]["finish_reason"] == "length"
    assert fields["usage"]["completion_tokens"] == 2


def test_a_streamed_chat_is_one_event_a_word() -> None:
    chunks = [ChatCompletionChunk.model_validate(fields) for fields in events(streamed(CHAT, messages=HELLO))]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in chunks] == [
        "", "I ", "am ", "simulator-1. ", "You ", "said: ", "Hello ", "there", None,
    ]  # fmt: skip
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 8 + ["stop"]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


def test_usage_comes_last_and_only_where_it_was_asked_for() -> None:
    assert all("usage" not in chunk for chunk in events(streamed(CHAT, messages=HELLO)))
    asked = events(streamed(CHAT, messages=HELLO, stream_options={"include_usage": True}))
    assert [chunk["usage"] for chunk in asked[:-1]] == [None] * 9
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}


def test_a_stream_and_a_whole_answer_say_and_cost_the_same() -> None:
    drill = Drill(words=100, chunks=7)
    chunks = events(streamed(CHAT, drill, messages=HELLO, stream_options={"include_usage": True}))
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    plain = fields_of(whole(CHAT, json(messages=HELLO), drill))
    assert len(chunks) == 1 + 7 + 1 + 1
    assert len(said.split()) == 100
    assert plain["choices"][0]["message"]["content"] == said
    assert plain["usage"] == chunks[-1]["usage"]


def test_an_answer_too_long_for_one_body_is_refused_and_can_be_streamed() -> None:
    drill = Drill(words=1_000_000_000)
    answered = whole(CHAT, json(messages=HELLO), drill)
    assert (answered.status, fields_of(answered)["error"]["param"]) == (400, "stream")
    assert b'"I "' in next(streamed(CHAT, drill, messages=HELLO).content).data


@pytest.mark.parametrize("prompt", ["Once", ["Once"]])
def test_a_completion(prompt: object) -> None:
    completion = Completion.model_validate_json(
        whole("/v1/completions", json(model="m", prompt=prompt)).body, strict=True
    )
    assert completion.object == "text_completion"
    assert completion.choices[0].text == "I am m. You said: Once"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 1


def test_a_streamed_completion() -> None:
    chunks = events(
        streamed("/v1/completions", model="m", prompt="Once", stream_options={"include_usage": True})
    )
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks[:-1]) == "I am m. You said: Once"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-2]] == [None] * 6
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize(
    ("given_input", "vectors", "tokens"),
    [("cat", 1, 1), (["cat", "a dog"], 2, 3), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3), ("", 1, 0)],
)
def test_embeddings(given_input: object, vectors: int, tokens: int) -> None:
    body = json(model="e", input=given_input, dimensions=8)
    response = CreateEmbeddingResponse.model_validate_json(whole("/v1/embeddings", body).body)
    assert [len(one.embedding) for one in response.data] == [8] * vectors
    assert [one.index for one in response.data] == list(range(vectors))
    assert response.usage.prompt_tokens == tokens


def test_embeddings_in_base64_are_the_same_vectors() -> None:
    plain = fields_of(whole("/v1/embeddings", json(input="cat")))
    encoded = fields_of(whole("/v1/embeddings", json(input="cat", encoding_format="base64")))
    assert as_floats(b64decode(encoded["data"][0]["embedding"])) == plain["data"][0]["embedding"]


def test_models() -> None:
    listed = fields_of(whole("/v1/models", method="GET"))
    assert listed["object"] == "list"
    assert [Model.model_validate(entry).id for entry in listed["data"]] == ["simulator-1"]
    one = Model.model_validate_json(whole("/v1/models/meta%2Fllama", method="GET").body)
    assert one.id == "meta/llama"


@pytest.mark.parametrize("prefix", ["", "/v1", "/compatible-mode/v1", "/a/b"])
def test_an_operation_is_known_by_its_ending(prefix: str) -> None:
    assert whole(f"{prefix}/chat/completions", json(messages=HELLO)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param", "code"),
    [
        ("POST", "/v1/responses", b"{}", 404, None, "unknown_url"),
        ("GET", "/", b"", 404, None, "unknown_url"),
        ("GET", CHAT, b"", 405, None, "method_not_supported"),
        ("DELETE", "/v1/models/m", b"", 405, None, "method_not_supported"),
        ("POST", CHAT, b"{}", 400, "messages", None),
        ("POST", CHAT, json(messages=[]), 400, "messages", None),
        ("POST", CHAT, json(messages="Hello"), 400, "messages", None),
        ("POST", CHAT, json(messages=HELLO, stream="yes"), 400, "stream", None),
        ("POST", CHAT, json(messages=HELLO, max_tokens=0), 400, "max_tokens", None),
        ("POST", CHAT, b"", 400, None, None),
        ("POST", CHAT, b"[]", 400, None, None),
        ("POST", CHAT, b'{"messages": [', 400, None, None),
        ("POST", CHAT, b'{"model": "\xff"}', 400, None, None),
        ("POST", CHAT, b'{"x": ' + b"[" * 100_000, 400, None, None),
        ("POST", "/v1/completions", json(prompt=["a", "b"]), 400, "prompt", None),
        ("POST", "/v1/embeddings", json(input=["a", 1]), 400, "input", None),
        ("POST", "/v1/embeddings", json(input=[]), 400, "input", None),
    ],
)
def test_a_bad_request_is_refused_as_openai_does(
    method: str, path: str, body: bytes, status: int, param: str | None, code: str | None
) -> None:
    answered = whole(path, body, method=method)
    error = fields_of(answered)["error"]
    assert answered.status == status
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert error["message"]


@pytest.mark.parametrize(("value", "shown"), [(None, b"absent"), ("Bearer sk-secret", b"present")])
def test_whether_a_key_came_is_visible_but_not_the_key(value: str | None, shown: bytes) -> None:
    headers = {} if value is None else {"authorization": value}
    for path, body in ((CHAT, json(messages=HELLO)), (CHAT, b"{}"), ("/nowhere", b"")):
        answered = answer(head(path, body, **headers), body, Drill())
        assert isinstance(answered, Whole)
        assert (b"x-simulator-authorization", shown) in answered.headers
        assert "sk-secret" not in repr(answered)


@pytest.mark.parametrize(
    ("model", "answered"),
    [("m+cut-after=3", "m"), ("a/b:c+words=2+no-done", "a/b:c"), ("command-r+", "command-r+")],
)
def test_directives_in_a_models_name_are_not_its_name(model: str, answered: str) -> None:
    fields = fields_of(whole(CHAT, json(model=model, messages=HELLO)))
    assert fields["model"] == answered
    assert fields["choices"][0]["message"]["content"].startswith(f"I am {answered}. ")
    for path, body in (("/v1/completions", {"prompt": "x"}), ("/v1/embeddings", {"input": "x"})):
        assert fields_of(whole(path, json(model=model, **body)))["model"] == answered


@pytest.mark.parametrize(
    ("path", "body", "tokens", "param"),
    [
        (CHAT, json(messages=HELLO), 3, "messages"),
        ("/v1/completions", json(prompt="Once upon a time"), 4, "prompt"),
        ("/v1/embeddings", json(input=["Once", "upon a time"]), 4, "input"),
    ],
)
def test_a_prompt_longer_than_the_context_is_refused(path: str, body: bytes, tokens: int, param: str) -> None:
    assert whole(path, body, Drill(context=tokens)).status == 200
    refused = whole(path, body, Drill(context=tokens - 1))
    error = fields_of(refused)["error"]
    assert (refused.status, error["code"], error["param"]) == (400, "context_length_exceeded", param)
    assert f"maximum context length is {tokens - 1} tokens" in error["message"]
    assert f"resulted in {tokens} tokens" in error["message"]


def test_other_words_disagree() -> None:
    drill = Drill(other_words=True)
    chat = fields_of(whole(CHAT, json(messages=HELLO), drill))["choices"][0]["message"]["content"]
    assert chat == "In other words: Hello there is what simulator-1 was told."
    assert fields_of(whole("/v1/completions", json(prompt="x"), drill))["choices"][0]["text"] != chat


@given(st.binary(max_size=80) | st.text(max_size=20).map(lambda text: json(input=text, prompt=text)))
def test_any_body_is_answered(body: bytes) -> None:
    for path in (CHAT, "/v1/completions", "/v1/embeddings"):
        assert answer(head(path, body), body, Drill())
