"""What the simulator is told of the provider for which it answers."""

from __future__ import annotations

from gateway.messages import Secret
from gateway.resources.misbehaviour import MISBEHAVE_HEADER, PROVIDER_HEADER
from gateway.resources.provider import LLMProvider
from gateway.resources.provider_config import ProviderConfig


def simulation_headers(provider: LLMProvider, config: ProviderConfig) -> list[tuple[bytes, Secret]]:
    """The headers that tell it; none for a real provider.

    No client can send them: what begins with `x-llmgateway-` is never handed on.
    """
    if config.dialect != "simulatorConfig":
        return []
    headers = [(PROVIDER_HEADER.encode(), Secret(f"{provider.tenant}/{provider.name}"))]
    if config.misbehave is not None:
        headers.append((MISBEHAVE_HEADER.encode(), Secret(config.misbehave)))
    return headers
