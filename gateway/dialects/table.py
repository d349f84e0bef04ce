"""The dialects by the name of their block in an LLMProvider's config."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.dialects.dialect import Dialect
from gateway.dialects.openai import OpenAI

_OPENAI = OpenAI()

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "openAIConfig": _OPENAI,
        "simulatorConfig": _OPENAI,
    }
)
