"""What the gateway is told of simulated providers, and what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

QUESTION = "What is the difference between a proxy and a gateway?"
_NOTHING: Mapping[str, object] = MappingProxyType({})


def question(*, stream: bool) -> dict[str, object]:
    """The body of a request."""
    return {"messages": [{"role": "user", "content": QUESTION}], "stream": stream}


def text(model: str) -> str:
    """What a simulated model answers."""
    return f"I am {model}. You said: {QUESTION}"


def provider(
    host: str,
    port: int,
    model: str,
    drill: str = "",
    *,
    spec: Mapping[str, object] = _NOTHING,
    config: Mapping[str, object] = _NOTHING,
) -> dict[str, object]:
    """A provider that is a simulator.

    :param port: of this machine, where it is reached.
    :param drill: how it misbehaves.
    :param spec: further fields.
    :param config: further fields of its config.
    """
    simulated = {"model": model, **({"misbehave": drill} if drill else {}), **config}
    return _document(
        "LLMProvider",
        host,
        {
            "host": host,
            "endpoint": {"address": "127.0.0.1", "port": port, "tls": {"mode": "DISABLE"}},
            "configs": {"defaultConfig": {"simulatorConfig": simulated}},
            **spec,
        },
    )


def route(host: str, providers: Sequence[str], rule: Mapping[str, object] = _NOTHING) -> dict[str, object]:
    """A route with one rule.

    :param providers: hosts; the first one is asked, the others are its fallback.
    :param rule: further fields of the rule.
    """
    first, *others = ({"providerHost": name} for name in providers)
    fallback = {"fallback": others} if others else {}
    return _document(
        "LLMRoute", host, {"host": host, "rules": [{"backendRefs": [first], **fallback, **rule}]}
    )


def upstream_timeouts(timeouts: Mapping[str, str]) -> dict[str, object]:
    """The Gateway document with these."""
    return {
        "apiVersion": "llmgateway.dev/v1",
        "kind": "Gateway",
        "spec": {"upstreamTimeouts": dict(timeouts)},
    }


def written(documents: Sequence[Mapping[str, object]]) -> str:
    """A file of these documents."""
    return "\n---\n".join(json.dumps(document, indent=1) for document in documents) + "\n"


def _document(kind: str, name: str, spec: Mapping[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "llmgateway.dev/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
