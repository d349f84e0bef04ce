"""A key goes to its provider and nowhere else, whatever happens: every output of the gateway is searched for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from tests.fakes.certificates import self_signed
from tests.whole.clients import CHAT, STREAM, Client, ask, request
from tests.whole.documents import documents, provider
from tests.whole.providers import Conversation, Provider, answer, chunk, server_context, stream_head
from tests.whole.running import TWISTD, Gateway

CANARY = "canary-8f3a61c2"
"""Part of every secret."""

LITERAL, FROM_OUTSIDE, FROM_A_FILE = (f"sk-{CANARY}-{origin}" for origin in ("literal", "outside", "file"))
ENVIRONMENT = {"THE_KEY": FROM_OUTSIDE}


def misbehave(conversation: Conversation) -> None:
    """Answer as the client asks by `x-do`, with every header that was sent to us wherever it can stand."""
    asked = conversation.request
    echoed = ", ".join(f"{name}: {value}" for name, value in asked.headers)
    match asked.header("x-do"):
        case "refuse":
            body = f'{{"error": {{"message": "{echoed}"}}}}'
            conversation.send(answer(body, "401 Unauthorized", X_Echo=echoed))
        case "refuse in a stream":
            head = stream_head().replace(b"200 OK", b"500 Internal Server Error")
            pieces = [chunk(echoed[at : at + 7].encode()) for at in range(0, len(echoed), 7)]
            conversation.send(head + b"".join(pieces) + chunk(b""))
        case "redirect":
            conversation.send(answer("{}", "302 Found", Location=f"http://elsewhere.test/{echoed}"))
        case "cut":
            conversation.send(stream_head() + chunk(b'data: {"id": "c"}\n\n'))
            conversation.hang_up()
        case "reset":
            conversation.reset()
        case "lie":
            conversation.send(f"HTTP/1.1 200 {echoed}\r\n{echoed}\r\nno colon\r\n\r\n".encode())
        case "lie twice":
            conversation.send(f"{echoed}\r\n\r\n".encode())
        case _:
            conversation.send(answer('{"id": "c"}', X_Echo=echoed, X_Request_Id=echoed))


def the_provider(host: str, port: int, key: str) -> dict[str, object]:
    """A provider with a secret in every place that can hold one."""
    document = provider(host, port)
    document["spec"]["configs"]["defaultConfig"]["openAIConfig"] = {
        "model": "small",
        "apiKey": key,
        "headers": {"x-token": key},
        "parameters": {"user": "${THE_KEY}", "metadata": {"inside": ["${THE_KEY}"]}},
    }
    return document


BROKEN = [
    'apiVersion: llmgateway.dev/v1\nkind: LLMProvider\nmetadata: {name: a}\nspec: {host: a.test, apiKey: "%s"}\n',
    'kind: LLMProvider\nspec: {configs: {defaultConfig: {openAIConfig: {apikey: "%s"}}}}\n',
    'apiKey: ["%s"\n',
    'apiKey: "%s"\napiKey: "%s"\n',
    "apiKey: &a %s\n",
    "apiKey: %s\n\tx: y\n",
    *(
        "apiVersion: llmgateway.dev/v1\nkind: LLMProvider\nmetadata: {name: a}\n"
        f"spec: {{host: a.test, configs: {{defaultConfig: {{openAIConfig: {{{config}}}}}}}}}\n"
        for config in (
            'apiKey: ["%s"]',
            'apiKey: {value: "%s"}',
            'apiKey: "%s\\n"',
            'apiKey: "%s é"',
            'apiKey: "${%s"',
            'headers: {x-token: ["%s"]}',
            'headers: {x-token: "%s\\r\\n"}',
            'headers: {authorization: "%s"}',
            'parameters: {messages: "%s"}',
        )
    ),
]


def asked(gateway: Gateway, hosts: Iterable[str]) -> Iterator[bytes]:
    """What clients see of requests that go well, and wrong in every way."""

    def told(sent: bytes) -> bytes:
        with Client(gateway.address) as client:
            client.send(sent)
            return client.rest()

    deeds = ("well", "refuse", "refuse in a stream", "redirect", "cut", "reset", "lie", "lie twice")
    for host, deed, body in product(hosts, deeds, (CHAT, STREAM)):
        yield told(request(body, host, x_do=deed, Connection="close"))
    for host in ("gone.test", "secured.test", "nobody.test"):
        yield told(request(host=host, Connection="close"))
    yield told(b"GET /v1/models HTTP/1.1\r\nHost: literal.test\r\nConnection: close\r\n\r\n")
    yield told(b"no HTTP\r\n\r\n")


def pages(gateway: Gateway) -> Iterator[bytes]:
    """What the admin port shows."""
    for page in ("/", "/config", "/metrics", "/readyz", "/healthz"):
        yield gateway.admin(page).encode()


def command(folder: Path, *arguments: str) -> bytes:
    """What `llmgateway` writes."""
    ran = subprocess.run(
        [str(TWISTD.parent / "llmgateway"), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert b"Traceback" not in ran.stdout
    return ran.stdout


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{FROM_A_FILE}\n")
    keys = {
        "literal.test": (LITERAL, LITERAL),
        "outside.test": ("${THE_KEY}", FROM_OUTSIDE),
        "file.test": (f"${{file:{tmp_path / 'secret'}}}", FROM_A_FILE),
    }
    shown: list[bytes] = []
    untrusted = server_context(self_signed(), tmp_path)
    with Provider(misbehave) as running, Provider(misbehave, untrusted) as secured:
        good = documents(
            *(the_provider(host, running.port, written) for host, (written, _) in keys.items()),
            the_provider("gone.test", 1, "${THE_KEY}"),
            provider("secured.test", secured.port, key="${THE_KEY}", tls={"mode": "SIMPLE"}),
        )
        with Gateway(
            tmp_path / "run", {"a.yaml": good}, "--access-log=-", environment=ENVIRONMENT
        ) as gateway:
            shown += asked(gateway, keys)
            shown += pages(gateway)
            for host in (*keys, "nobody.test"):
                options = ["--host", host, "--data", CHAT.decode()]
                shown.append(command(gateway.folder, "explain", "conf.d", *options))

            names = [f"b{number}.yaml" for number in range(len(BROKEN))]
            gateway.apply(
                {name: text.replace("%s", LITERAL) for name, text in zip(names, BROKEN, strict=True)}
            )
            shown += pages(gateway)
            checked = command(gateway.folder, "check", "conf.d")
            shown.append(checked)
            assert [name for name in names if f"conf.d/{name}:".encode() not in checked] == []
            assert ask(gateway.address, host="literal.test").status == 200, "on its last good configuration"
            assert gateway.stop() == 0
            shown.append(gateway.log.encode())
    for each in shown:
        assert [line for line in each.splitlines() if CANARY.encode() in line] == []
    for sent in running.requests:
        _, key = keys[sent.header("Host") or ""]
        assert (sent.header("Authorization"), sent.header("x-token")) == (f"Bearer {key}", key)
        assert sent.body.count(FROM_OUTSIDE.encode()) == 2
    assert secured.requests == []
