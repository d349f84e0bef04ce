"""Documents for conf.d, made from values: JSON is YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

KEY = "sk-of-the-operator"
"""What providers are given unless a test says otherwise."""


def documents(*each: Mapping[str, Any]) -> str:
    """The text of a file that holds these documents."""
    return "\n---\n".join(json.dumps(document, indent=1, ensure_ascii=False) for document in each)


def provider(
    host: str,
    port: int | None = None,
    *,
    model: str = "small",
    key: str | None = KEY,
    tls: Mapping[str, Any] | None = None,
    timeouts: Mapping[str, str] | None = None,
    dialect: str = "openAIConfig",
    **more: Any,
) -> dict[str, Any]:
    """An LLMProvider, asked again however often it has failed: tests share gateways, not each other's faults.

    :param port: of 127.0.0.1, where it is; None for one that needs none.
    :param tls: None speaks plain HTTP.
    :param more: further fields of its spec.
    """
    config = {"model": model, **({"apiKey": key} if key else {})}
    spec: dict[str, Any] = {"host": host, "configs": {"defaultConfig": {dialect: config}}}
    spec["outlierDetection"] = {"consecutiveErrors": 0}
    if port is not None:
        spec["endpoint"] = {"address": "127.0.0.1", "port": port, "tls": tls or {"mode": "DISABLE"}}
    if timeouts:
        spec["timeouts"] = dict(timeouts)
    return _document("LLMProvider", host.replace(".", "-"), {**spec, **more})


def simulated(host: str, model: str = "small", **more: Any) -> dict[str, Any]:
    """An LLMProvider that is the simulator in the gateway's own process."""
    return provider(host, model=model, key=None, dialect="simulatorConfig", **more)


def route(host: str, *rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """An LLMRoute.

    :param more: further fields of its spec.
    """
    name = host.replace("*", "any").replace(".", "-")
    return _document("LLMRoute", name, {"host": host, "rules": list(rules), **more})


def rule(name: str, *backends: str | Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A rule of a route.

    :param backends: a provider's host, or a backendRef.
    :param more: further fields.
    """
    refs = [{"providerHost": each} if isinstance(each, str) else each for each in backends]
    return {"name": name, "backendRefs": refs, **more}


def tenant(name: str, *clients: Mapping[str, Any]) -> dict[str, Any]:
    """A Tenant that only these clients reach."""
    return _document("Tenant", name, {"clients": list(clients)})


def key_hash(key: str) -> str:
    """What stands for a client's key: `sha256:…`."""
    return f"sha256:{sha256(key.encode()).hexdigest()}"


def owned(tenant_name: str, *each: Mapping[str, Any]) -> list[dict[str, Any]]:
    """These documents as those of a tenant."""
    return [{**document, "metadata": {**document["metadata"], "namespace": tenant_name}} for document in each]


def settings(**spec: Any) -> dict[str, Any]:
    """The Gateway document."""
    return _document("Gateway", "settings", spec)


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "llmgateway.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
