"""OpenTelemetry's words for what language models are asked: `gen_ai.operation.name` and `gen_ai.provider.name`.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/
"""

from __future__ import annotations

from functools import lru_cache

from gateway.dialects.operations import Operation

_OPERATIONS = {
    Operation.CHAT: "chat",
    Operation.RESPONSES: "chat",
    Operation.MESSAGES: "chat",
    Operation.COMPLETIONS: "text_completion",
    Operation.EMBEDDINGS: "embeddings",
}

_BY_DOMAIN = {
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "openai.com": "openai",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "moonshot.cn": "moonshot_ai",
    "moonshot.ai": "moonshot_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
}
"""The providers that the registry has a word for, by the end of their hosts."""


def operation_name(operation: Operation) -> str:
    """What is asked for, in the registry's word; ours where it has none."""
    return _OPERATIONS.get(operation, operation.value)


@lru_cache(maxsize=1024)
def provider_name(host: str, dialect: str) -> str:
    """Who is asked, in the registry's word.

    :param host: the provider's `spec.host`.
    :param dialect: what it speaks; stands for a provider that the registry has no word for.
    """
    domain = host
    while domain:
        if domain in _BY_DOMAIN:
            return _BY_DOMAIN[domain]
        domain = domain.partition(".")[2]
    # googleapis.com has a host for each region: us-central1-aiplatform.googleapis.com.
    return "gcp.vertex_ai" if host.endswith("-aiplatform.googleapis.com") else dialect
