"""Which operation a client's method and path mean."""

from __future__ import annotations

import pytest

from gateway.dialects.operations import Operation, model_of_path, operation_of
from gateway.errors import GatewayError


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        (b"/v1/chat/completions", Operation.CHAT),
        (b"/chat/completions", Operation.CHAT),
        (b"/compatible-mode/v1/chat/completions", Operation.CHAT),
        (b"/v1/chat/completions/", Operation.CHAT),
        (b"/v1/completions", Operation.COMPLETIONS),
        (b"/completions", Operation.COMPLETIONS),
        (b"/v1/embeddings", Operation.EMBEDDINGS),
        (b"/v1/responses", Operation.RESPONSES),
        (b"/v1/moderations", Operation.MODERATIONS),
        (b"/v1/images/generations", Operation.IMAGE_GENERATIONS),
        (b"/v1/images/edits", Operation.IMAGE_EDITS),
        (b"/v1/images/variations", Operation.IMAGE_VARIATIONS),
        (b"/v1/audio/speech", Operation.SPEECH),
        (b"/v1/audio/transcriptions", Operation.TRANSCRIPTIONS),
        (b"/v1/audio/translations", Operation.TRANSLATIONS),
        (b"/v1/messages", Operation.MESSAGES),
    ],
)
def test_a_post_is_known_by_the_ending_of_its_path(path: bytes, operation: Operation) -> None:
    assert operation_of(b"POST", path) is operation


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_models_are_read(method: bytes) -> None:
    assert operation_of(method, b"/v1/models") is Operation.MODELS
    assert operation_of(method, b"/v1/models/") is Operation.MODELS
    assert operation_of(method, b"/v1/models/gpt-4o") is Operation.MODEL


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"POST", b"/"),
        (b"GET", b"/"),
        (b"POST", b"/v1/files"),
        (b"POST", b"/v1/chat/completions/chatcmpl-1"),
        (b"GET", b"/v1/responses/resp_1"),
        (b"POST", b"/v1/messages/count_tokens"),
        (b"POST", b"/v1/images/speech"),
        (b"POST", b"/v1beta/models/gemini-pro:generateContent"),
        (b"DELETE", b"/v1/models/ft:mine"),
    ],
)
def test_other_paths_name_no_operation(method: bytes, path: bytes) -> None:
    assert operation_of(method, path) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"GET", b"/v1/chat/completions"),
        (b"DELETE", b"/v1/responses"),
        (b"PUT", b"/v1/embeddings"),
        (b"POST", b"/v1/models"),
    ],
)
def test_an_operation_has_its_method(method: bytes, path: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        operation_of(method, path)
    assert caught.value.code == "method_not_allowed"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (b"/v1/models/gpt-4o", "gpt-4o"),
        (b"/v1/models/Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        (b"/v1/models/Qwen%2FQwen3-8B", "Qwen/Qwen3-8B"),
        (b"/v1/models/ft:gpt-4o:acme::7", "ft:gpt-4o:acme::7"),
        (b"/v1/models/a/models/b", "a/models/b"),
        (b"/v1/models/%E9%80%9A%E4%B9%89", "通义"),
    ],
)
def test_a_model_is_named_by_the_rest_of_the_path(path: bytes, model: str) -> None:
    assert model_of_path(path) == model


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/models/../files",
        b"/v1/models/%2e%2e/files",
        b"/v1/models/a%2f..%2f..",
        b"/v1/models/./a",
        b"/v1/models//a",
        b"/v1/models/a%00",
        b"/v1/models/a%0d%0aHost:%20x",
        b"/v1/models/%ff",
    ],
)
def test_a_model_name_cannot_leave_its_folder(path: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        model_of_path(path)
    assert caught.value.code == "malformed_request"
