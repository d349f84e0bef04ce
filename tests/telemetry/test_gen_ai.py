"""OpenTelemetry's words for operations and providers."""

from __future__ import annotations

import pytest

from gateway.dialects.operations import Operation
from gateway.telemetry.gen_ai import operation_name, provider_name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("acme.openai.azure.com", "azure.ai.openai"),
        ("acme.services.ai.azure.com", "azure.ai.inference"),
        ("api.anthropic.com", "anthropic"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("api.moonshot.cn", "moonshot_ai"),
        ("api.x.ai", "x_ai"),
        ("dashscope.aliyuncs.com", "openai"),
        ("notopenai.com", "openai-like"),
        ("127.0.0.1", "openai-like"),
    ],
)
def test_providers(host: str, name: str) -> None:
    assert provider_name(host, "openai" if "dashscope" in host else "openai-like") == name


def test_operations() -> None:
    assert operation_name(Operation.CHAT) == "chat"
    assert operation_name(Operation.COMPLETIONS) == "text_completion"
    assert operation_name(Operation.EMBEDDINGS) == "embeddings"
    assert operation_name(Operation.SPEECH) == "speech"
