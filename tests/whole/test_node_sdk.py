"""OpenAI's SDK for Node through the gateway: its HTTP client, its parser and its exceptions are the judges.

`node/client.mjs` does the talking, with the version of the SDK that `node/openai-version` says, from the folder
that LLMGATEWAY_NODE_MODULES names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.whole.running import Gateway

NODE = Path(__file__).parent / "node"

REPLY = "I am first-small. You said: Hello"
"""What the simulator answers."""

Seen = dict[str, Any]
"""What client.mjs tells."""


@pytest.fixture(scope="module")
def seen(demo: Gateway) -> Seen:
    node = shutil.which("node")
    modules = os.environ.get("LLMGATEWAY_NODE_MODULES")
    version = (NODE / "openai-version").read_text().strip()
    if node is None:
        pytest.skip("there is no node here")
    if modules is None or not Path(modules, "openai").is_dir():
        pytest.skip(f"LLMGATEWAY_NODE_MODULES names no folder with npm's openai@{version}")
    ran = subprocess.run(
        [node, str(NODE / "client.mjs"), f"{demo.url}/v1"],
        env={"PATH": os.environ["PATH"], "LLMGATEWAY_NODE_MODULES": modules},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stderr
    told: Seen = json.loads(ran.stdout)
    return told


def words(chunks: list[Any]) -> str:
    """What a stream said."""
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_chat(seen: Seen, demo: Gateway) -> None:
    assert seen["whole"]["choices"][0]["message"]["content"] == REPLY
    assert seen["whole"]["model"] == "first-small"
    exchange = demo.exchange("node-whole")
    assert (exchange["code"], exchange["outcome"], exchange["asked_model"]) == (200, "ok", "any")


def test_stream(seen: Seen, demo: Gateway) -> None:
    assert words(seen["streamed"]) == REPLY
    assert all(len(chunk["choices"]) == 1 and not chunk.get("usage") for chunk in seen["streamed"])
    exchange = demo.exchange("node-streamed")
    assert (exchange["code"], exchange["outcome"]) == (200, "ok")
    assert exchange["request_completion_tokens"] == seen["whole"]["usage"]["completion_tokens"]


def test_a_stream_tells_its_usage_to_who_asks(seen: Seen) -> None:
    *chunks, last = seen["streamedWithUsage"]
    assert words(chunks) == REPLY
    assert last["choices"] == []
    assert last["usage"] == seen["whole"]["usage"]


def test_an_aborted_stream_is_counted_as_such(seen: Seen, demo: Gateway) -> None:
    assert seen["aborted"] == "assistant"
    exchange = demo.exchange("node-aborted")
    assert (exchange["code"], exchange["outcome"]) == (499, "client_left")


def test_a_stream_that_breaks_raises(seen: Seen, demo: Gateway) -> None:
    assert seen["broken"]["name"] == "APIError"
    assert "ended before it was whole" in seen["broken"]["message"]
    assert demo.exchange("node-broken")["outcome"] == "answer_cut"


def test_other_operations(seen: Seen) -> None:
    assert seen["embeddings"] == [16, 16]
    assert seen["completion"] == REPLY
    assert seen["models"] == ["first-large", "first-small"]


@pytest.mark.parametrize(
    ("failure", "name", "status", "code"),
    [
        ("limited", "RateLimitError", 429, "rate_limit_exceeded"),
        ("unavailable", "InternalServerError", 503, None),
        ("reset", "InternalServerError", 502, "provider_reset"),
        ("badMessages", "BadRequestError", 400, None),
        ("noRoute", "NotFoundError", 404, "no_route"),
    ],
)
def test_errors_are_the_exceptions_that_the_sdk_has_for_them(
    failure: str, name: str, status: int, code: str | None, seen: Seen
) -> None:
    raised = seen["failures"][failure]
    assert (raised["name"], raised["status"], raised["code"]) == (name, status, code)
