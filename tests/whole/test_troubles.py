"""What the log says when a provider breaks and is well again: once for each change, however many requests there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.fakes.certificates import root, self_signed
from tests.whole.clients import CHAT, ask
from tests.whole.documents import documents, owned, provider, route, rule
from tests.whole.misbehaving import COMPLETION
from tests.whole.providers import Conversation, Provider, answer, saying, server_context
from tests.whole.running import Gateway, wait_until

DOWN = saying(answer("{}", "503 Down"))
UP = saying(answer(COMPLETION))
REQUESTS = 30


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path / "run", {}, "--log-format=json") as gateway:
        yield gateway


def said(gateway: Gateway) -> list[tuple[str, str, dict[str, Any]]]:
    """Level, words and fields of all that was said of providers."""
    lines = [json.loads(line) for line in gateway.log.splitlines()]
    return [
        (line["level"], line["message"], line["fields"])
        for line in lines
        if line["namespace"] == "gateway.telemetry.trouble_log.TroubleLog"
    ]


def ask_often(gateway: Gateway, host: str) -> None:
    for _ in range(REQUESTS):
        ask(gateway.address, CHAT, host=host)


def test_a_breaker_opens_and_closes(gateway: Gateway) -> None:
    with Provider(DOWN) as one:
        detection = {"consecutiveErrors": 3, "baseEjectionTime": "1s"}
        document = provider("one.test", one.port, outlierDetection=detection)
        gateway.apply({"a.yaml": documents(*owned("acme", document))})
        ask_often(gateway, "one.test")
        one.answering = UP
        wait_until(lambda: ask(gateway.address, CHAT, host="one.test").status == 200)
        ask_often(gateway, "one.test")
    who = "provider one-test of tenant acme"
    (opened, closed) = said(gateway)
    assert opened[:2] == ("warn", f"{who}: breaker open, tried again in 1 s; last fault: status 503")
    names = {"tenant": "acme", "owner": "acme", "provider": "one-test", "key": ""}
    assert opened[2] == {**names, "fault": "status 503"}
    assert closed == ("info", f"{who}: breaker closed, requests pass again", names)


def test_nobody_is_there(gateway: Gateway) -> None:
    with Provider(UP) as gone:
        port = gone.port
    document = provider("gone.test", port, outlierDetection={"consecutiveErrors": 2})
    gateway.apply({"a.yaml": documents(document)})
    ask_often(gateway, "gone.test")
    ((level, words, _),) = said(gateway)
    assert level == "warn"
    assert "last fault: The provider refused the connection or is unreachable." in words
    assert f"127.0.0.1:{port}" in words


def by_key(conversation: Conversation) -> None:
    """Refuse one key, and say of another that it is at its limit."""
    match conversation.request.header("Authorization"):
        case "Bearer sk-dead":
            conversation.send(answer("{}", "401 Unauthorized"))
        case "Bearer sk-spent":
            conversation.send(answer("{}", "429 Too Many Requests", Retry_After="600"))
        case _:
            conversation.send(answer(COMPLETION))


def test_a_key_is_refused_and_another_at_its_limit(gateway: Gateway) -> None:
    with Provider(by_key) as pool:
        document = provider("pool.test", pool.port, key=None)
        keys = [{"name": name, "key": f"sk-{name}"} for name in ("dead", "spent", "good")]
        document["spec"]["configs"]["defaultConfig"]["openAIConfig"]["apiKeys"] = keys
        only = rule("all", "pool.test", retries={"attempts": 3})
        gateway.apply({"a.yaml": documents(document, route("asked.test", only))})
        ask_often(gateway, "asked.test")
    who = "provider pool-test of tenant default"
    assert [each[:2] for each in said(gateway)] == [
        (
            "error",
            f"{who}, key dead: key refused with 401, a last resort until it is accepted",
        ),
        ("warn", f"{who}, key spent: key at its limit (status 429), tried again in 600 s"),
    ]
    assert "sk-" not in gateway.log


def test_a_certificate_is_refused_and_then_accepted(gateway: Gateway, tmp_path: Path) -> None:
    authority = root()
    authority.write(tmp_path, "ca")
    name = x509.DNSName("tls.test")
    (tmp_path / "bad").mkdir()
    context = server_context(self_signed(name), tmp_path / "bad")
    with Provider(UP, context) as secured:
        tls = {"mode": "SIMPLE", "caCertificates": str(tmp_path / "ca.pem")}
        gateway.apply({"a.yaml": documents(provider("tls.test", secured.port, tls=tls))})
        ask_often(gateway, "tls.test")
        context.load_cert_chain(*authority.issue(name).write(tmp_path, "good"))
        assert ask(gateway.address, CHAT, host="tls.test").status == 200
        ask_often(gateway, "tls.test")
    who = "provider tls-test of tenant default"
    refused, accepted = said(gateway)
    assert refused[0] == "error"
    assert refused[1].startswith(
        f"{who}: certificate refused: TLS with tls.test failed: its certificate is self-signed. If it is the one"
    )
    assert accepted[:2] == ("info", f"{who}: certificate accepted again")
