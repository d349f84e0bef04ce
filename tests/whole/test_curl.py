"""curl through the gateway: the client of the article, in all the ways in which people send bodies with it."""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.whole.documents import documents, route, rule, settings, simulated
from tests.whole.providers import Provider, Received, answer, saying
from tests.whole.running import Gateway

CHAT = '{"messages": [{"role": "user", "content": "Hello"}]}'
REPLY = "I am first-small. You said: Hello"
"""What the simulator answers."""
LARGE = '{"messages": [{"role": "user", "content": "' + "Hello " * 200_000 + '"}]}'
"""A body of more than 1 MiB: curl asks with `Expect: 100-continue` before it sends such a one."""


@frozen
class Curled:
    """What curl did."""

    status: int
    """Its exit status."""
    output: bytes
    said: str
    """What it told on standard error: with `-v`, the heads both ways."""

    @property
    def reply(self) -> str:
        """What the simulator said."""
        text: str = json.loads(self.output)["choices"][0]["message"]["content"]
        return text


def curl(*arguments: str, body: str | bytes = b"") -> Curled:
    """Run curl.

    :param body: its standard input.
    """
    ran = subprocess.run(
        [_curl(), "--silent", "--show-error", "--max-time", "20", *arguments],
        env={"PATH": os.environ["PATH"]},
        input=body.encode() if isinstance(body, str) else body,
        capture_output=True,
    )
    return Curled(ran.returncode, ran.stdout, ran.stderr.decode("latin-1"))


def _curl() -> str:
    found = shutil.which("curl")
    return found if found is not None else pytest.skip("there is no curl here")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(saying(answer('{"text": "Hello"}'))) as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that leads to that provider."""
    with Gateway(tmp_path_factory.mktemp("gateway"), {"a.yaml": provider.manifest()}) as gateway:
        yield gateway


def latest(provider: Provider) -> Received:
    """The request that a provider was sent last."""
    return provider.requests[-1]


# -- chat --------------------------------------------------------------------------------------------


def test_a_body_that_curl_calls_a_form(gateway: Gateway, provider: Provider) -> None:
    """curl's default, and the provider is told what it is."""
    assert curl(gateway.url, "--data", CHAT).status == 0
    request = latest(provider)
    assert request.target == "/v1/chat/completions"
    assert request.header("Content-Type") == "application/json"
    assert request.body.startswith(CHAT.rstrip("}").replace(": [", ":[", 1).encode())


@pytest.mark.parametrize("path", ["", "/v1/chat/completions", "/any/path?at=all"])
def test_chat_is_known_by_its_messages_at_any_path(path: str, demo: Gateway) -> None:
    assert curl(demo.url + path, "--data", CHAT).reply == REPLY


def test_as_a_proxy(demo: Gateway) -> None:
    """An absolute-form target: the host is in it, and no name server need know it."""
    told = curl("--verbose", "--proxy", demo.url, "http://demo-llm-server/", "--data", CHAT)
    assert "POST http://demo-llm-server/ HTTP/1.1" in told.said
    assert told.reply.startswith("I am ")


def test_a_tunnel_is_refused_with_a_sentence(demo: Gateway) -> None:
    told = curl("--verbose", "--proxy", demo.url, "https://demo-llm-server/", "--data", CHAT)
    assert told.status == 56
    assert "HTTP/1.1 405 Method Not Allowed" in told.said


def test_a_chunked_body(gateway: Gateway, provider: Provider) -> None:
    chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", "@-"]
    assert curl(gateway.url, *chunked, body=CHAT).status == 0
    request = latest(provider)
    assert request.header("Transfer-Encoding") is None
    assert json.loads(request.body)["messages"] == json.loads(CHAT)["messages"]


def test_a_large_body_is_asked_for(demo: Gateway) -> None:
    told = curl(demo.url, "--verbose", "--data", "@-", body=LARGE)
    assert "HTTP/1.1 100 Continue" in told.said
    assert told.reply.startswith("I am first-small. You said: Hello Hello")


def test_a_body_that_is_too_large_is_not_asked_for(tmp_path: Path) -> None:
    conf = documents(
        simulated("a.simulated"),
        route("*", rule("all", "a.simulated")),
        settings(limits={"bodyBytes": 100_000}),
    )
    with Gateway(tmp_path, {"a.yaml": conf}) as gateway:
        told = curl(gateway.url, "--verbose", "--data", "@-", body=LARGE)
    assert "100 Continue" not in told.said
    assert "HTTP/1.1 413" in told.said
    assert json.loads(told.output)["error"]["code"] == "body_too_large"


def test_a_stream_comes_as_it_is_made(demo: Gateway) -> None:
    """What was said is here though the provider has fallen silent."""
    body = json.dumps({**json.loads(CHAT), "stream": True})
    asked = ["--data", body, "--header", "x-simulate: stall-after=2", "--no-buffer", "--max-time", "1"]
    told = curl(demo.url, *asked)
    assert told.status == 28
    assert told.output.count(b'"content":"am "') == 1


def test_a_stream_that_breaks_is_seen_to_be_broken(demo: Gateway) -> None:
    body = json.dumps({**json.loads(CHAT), "stream": True})
    told = curl(demo.url, "--data", body, "--header", "x-simulate: cut-after=2")
    assert told.status == 18  # the transfer closed with data outstanding: no last chunk
    last = told.output.decode().rstrip().rpartition("\n\n")[2]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "provider_answer_cut"
    assert b"[DONE]" not in told.output


def test_http_1_0(demo: Gateway) -> None:
    body = json.dumps({**json.loads(CHAT), "stream": True})
    told = curl("--http1.0", "--verbose", demo.url, "--data", body)
    assert told.status == 0
    assert "chunked" not in told.said.lower()
    assert told.output.endswith(b"data: [DONE]\n\n")


def test_an_offer_of_http_2_is_passed_over(demo: Gateway) -> None:
    told = curl("--http2", "--verbose", demo.url, "--data", CHAT)
    assert "Upgrade: h2c" in told.said
    assert told.reply == REPLY


def test_a_connection_is_kept(demo: Gateway) -> None:
    told = curl(demo.url, demo.url, "--data", CHAT, "--write-out", "\n%{num_connects}\n")
    assert told.output.decode().splitlines()[1::2] == ["1", "0"]


def test_compression_is_not_asked_of_the_provider(gateway: Gateway, provider: Provider) -> None:
    assert curl(gateway.url, "--compressed", "--data", CHAT).status == 0
    assert latest(provider).header("Accept-Encoding") == "identity"


def test_credentials_of_the_client_stay_here(gateway: Gateway, provider: Provider) -> None:
    asked = ["--user", "name:secret", "--oauth2-bearer", "secret", "--cookie", "session=secret"]
    url = f"{gateway.url}/v1/chat/completions?api-version=1&key=secret"
    assert curl(url, *asked, "--header", "x-api-key: secret", "--data", CHAT).status == 0
    request = latest(provider)
    assert b"secret" not in request.raw
    assert request.header("Authorization") == "Bearer sk-of-the-operator"
    assert request.target == "/v1/chat/completions?api-version=1"


# -- other methods and bodies ------------------------------------------------------------------------


def test_head(demo: Gateway) -> None:
    whole = curl("--include", f"{demo.url}/v1/models")
    head = curl("--head", f"{demo.url}/v1/models")
    assert head.status == 0

    def lines(text: bytes) -> set[bytes]:
        ignored = (b"x-request-id", b"date")
        return {line for line in text.splitlines() if not line.lower().startswith(ignored)}

    assert lines(head.output) == lines(whole.output.partition(b"\r\n\r\n")[0]) | {b""}


@pytest.mark.parametrize("size", [1_000, 3_000_000], ids=["small", "asked for"])
def test_a_file(size: int, gateway: Gateway, provider: Provider, tmp_path: Path) -> None:
    sound = os.urandom(size)
    (tmp_path / "sound.wav").write_bytes(sound)
    form = ["--form", "model=whisper-1", "--form", f"file=@{tmp_path / 'sound.wav'}"]
    told = curl(f"{gateway.url}/v1/audio/transcriptions", *form)
    assert told.output == b'{"text": "Hello"}'
    request = latest(provider)
    assert request.target == "/v1/audio/transcriptions"
    assert request.header("Content-Length") == str(len(request.body))
    head = f"Content-Type: {request.header('Content-Type')}\r\n\r\n".encode()
    _, *parts = email.message_from_bytes(head + request.body).walk()
    assert [part.get_param("name", header="Content-Disposition") for part in parts] == ["model", "file"]
    assert [part.get_payload(decode=True) for part in parts] == [b"whisper-1", sound]


def test_a_file_is_handed_on_while_it_comes(gateway: Gateway, provider: Provider) -> None:
    """The provider has the beginning before curl has the end; and it is the client's own bytes."""
    beginning, end = os.urandom(300_000), os.urandom(300_000)
    before = len(provider.requests)
    with subprocess.Popen(
        [
            *(_curl(), "--silent", "--max-time", "20", "--upload-file", "-", "--request", "POST"),
            *("--header", "Content-Type: multipart/form-data; boundary=b"),
            f"{gateway.url}/v1/audio/transcriptions",
        ],
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as sending:
        assert sending.stdin is not None
        sending.stdin.write(beginning)
        sending.stdin.flush()
        provider.wait_until(
            lambda: len(provider.requests) > before and len(latest(provider).body) == len(beginning)
        )
        assert not latest(provider).complete
        output, _ = sending.communicate(end)
    assert output == b'{"text": "Hello"}'
    assert latest(provider).body == beginning + end
    assert latest(provider).header("Transfer-Encoding") == "chunked"
