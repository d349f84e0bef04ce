"""Everything that a rule can ask and do, with real clients and a real provider."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole.clients import Client as Connection
from tests.whole.clients import ask, request
from tests.whole.documents import KEY, documents, provider, route, rule, simulated
from tests.whole.providers import Provider, Received, answer, chunk, saying, stream_head
from tests.whole.running import TWISTD, Gateway
from tests.whole.test_curl import curl

SECRET = "sk-of-the-rule-1234"
LIMITS = {"X-RateLimit-Limit": "5", "Cache-Control": "private"}
MATCHED = [
    rule("model", "a.test", matches=[{"model": {"prefix": "gpt-"}, "withoutHeaders": {"x-test": {}}}]),
    rule("path", "a.test", matches=[{"path": {"prefix": "/team/"}, "method": {"exact": "POST"}}]),
    rule("query", "a.test", matches=[{"queryParams": {"plan": {"exact": "a&b"}, "flag": {}}}]),
    rule("without", "a.test", matches=[{"withoutHeaders": {"x-test": {"exact": "yes"}}}]),
    rule("rest", "a.test"),
]
EDITED = rule(
    "edited",
    "real.test",
    headers={
        "request": {
            "set": {"x-token": "Token ${SECRET}", "x-plan": "trial"},
            "add": {"x-tag": "ours"},
            "remove": ["x-debug"],
        },
        "response": {
            "set": {"cache-control": "no-store"},
            "add": {"x-rule": "edited"},
            "remove": ["x-ratelimit-limit"],
        },
    },
)
SPLIT = [
    {"providerHost": "a.test", "weight": 50, "model": "small"},
    {"providerHost": "a.test", "weight": 50, "model": "large"},
]


@pytest.fixture(scope="module")
def real() -> Iterator[Provider]:
    with Provider(saying(b"")) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(real: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    conf = documents(
        simulated("a.test"),
        provider("real.test", real.port),
        route("matched", *MATCHED),
        route("edited", EDITED),
        route("by-header", rule("split", *SPLIT, sticky={"header": "x-session"})),
        route("by-client", rule("split", *SPLIT, sticky={"client": True})),
    )
    environment = {"SECRET": SECRET}
    folder = tmp_path_factory.mktemp("gateway")
    with Gateway(folder, {"a.yaml": conf}, "--access-log=-", environment=environment) as running:
        yield running
        assert SECRET not in running.log
        assert SECRET not in running.admin("/config")


# -- matches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model", "headers", "expected"),
    [
        ("/v1/chat/completions", "gpt-4o", [], "model"),
        ("/v1/chat/completions", "gpt-4o", ["x-test: yes"], "rest"),
        ("/v1/chat/completions", "gpt-4o", ["x-test: no"], "without"),
        ("/team/v1/chat/completions", "qwen", ["x-test: yes"], "path"),
        ("/v1/chat/completions?plan=a%26b&flag", "qwen", ["x-test: yes"], "query"),
        ("/v1/chat/completions?plan=a&b&flag", "qwen", ["x-test: yes"], "rest"),
        ("/?flag&plan=a%26b&plan=c", None, ["x-test: yes"], "query"),
    ],
)
def test_matches(path: str, model: str | None, headers: list[str], expected: str, gateway: Gateway) -> None:
    body = {"messages": [], **({"model": model} if model else {})}
    lines = [part for line in ["Host: matched", *headers] for part in ("--header", line)]
    told = curl("--include", f"{gateway.url}{path}", *lines, "--data", json.dumps(body))
    identity = header_of(told.output, "x-request-id")
    assert gateway.exchange(identity)["rule"] == expected


def test_a_file_has_no_model(gateway: Gateway) -> None:
    form = ["--form", "model=gpt-4o", "--form", "file=sound", "--header", "Host: matched"]
    told = curl("--include", f"{gateway.url}/v1/audio/transcriptions", *form)
    assert gateway.exchange(header_of(told.output, "x-request-id"))["rule"] == "without"


def header_of(output: bytes, name: str) -> str:
    """A header of an answer that curl has shown."""
    head = output.decode().rpartition("\r\n\r\n")[0]
    (value,) = (line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith(f"{name}: "))
    return value


# -- headers -----------------------------------------------------------------------------------------


def sent(real: Provider) -> dict[str, list[str]]:
    """The headers of the request that the provider was sent last, by name."""
    received: Received = real.requests[-1]
    found: dict[str, list[str]] = {}
    for name, value in received.headers:
        found.setdefault(name, []).append(value)
    return found


def test_of_requests(gateway: Gateway, real: Provider) -> None:
    real.answering = saying(answer("{}"))
    assert ask(gateway.address, host="edited", x_plan="gold", x_tag="theirs", x_debug="1").status == 200
    headers = sent(real)
    assert headers["x-token"] == [f"Token {SECRET}"]
    assert headers["x-plan"] == ["trial"]
    assert headers["x-tag"] == ["theirs", "ours"]
    assert "x-debug" not in headers
    assert headers["authorization"] == [f"Bearer {KEY}"]


@pytest.mark.parametrize("status", ["200 OK", "429 Too Many Requests"])
def test_of_answers(status: str, gateway: Gateway, real: Provider) -> None:
    real.answering = saying(answer("{}", status, **LIMITS))
    reply = ask(gateway.address, host="edited")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-rule"] == "edited"
    assert "x-ratelimit-limit" not in reply.headers
    assert reply.whole


def test_of_streams(gateway: Gateway, real: Provider) -> None:
    head = stream_head().replace(b"\r\n", b"\r\nCache-Control: private\r\n", 1)
    real.answering = saying(head + chunk(b"data: [DONE]\n\n") + chunk(b""))
    reply = ask(gateway.address, host="edited")
    assert (reply.body, reply.whole) == (b"data: [DONE]\n\n", True)
    assert (reply.headers["cache-control"], reply.headers["x-rule"]) == ("no-store", "edited")


def test_not_of_what_the_gateway_says_itself(gateway: Gateway, real: Provider) -> None:
    real.answering = lambda conversation: conversation.reset()
    reply = ask(gateway.address, host="edited")
    assert reply.error == "provider_reset"
    assert "x-rule" not in reply.headers


def test_a_provider_that_repeats_the_secret(gateway: Gateway, real: Provider) -> None:
    body = json.dumps({"error": {"message": f"Bad token {SECRET}."}})
    real.answering = saying(answer(body, "401 Unauthorized", X_Seen=f"Token {SECRET}"))
    reply = ask(gateway.address, host="edited")
    assert SECRET.encode() not in reply.body
    assert "x-seen" not in reply.headers


# -- sticky ------------------------------------------------------------------------------------------


def models(gateway: Gateway, host: str, *sessions: str | None) -> list[str]:
    """Which model answered each request of a session."""
    address = gateway.address
    replies = (
        ask(address, host=host, x_session=each) if each is not None else ask(address, host=host)
        for each in sessions
    )
    return [reply.json()["model"] for reply in replies]


def test_a_session_keeps_its_backend_even_over_a_restart(gateway: Gateway, tmp_path: Path) -> None:
    sessions = [f"session-{number}" for number in range(20)]
    first = models(gateway, "by-header", *sessions)
    assert Counter(first).keys() == {"small", "large"}
    assert models(gateway, "by-header", *reversed(sessions)) == first[::-1]
    conf = {"a.yaml": (gateway.conf / "a.yaml").read_text()}
    with Gateway(tmp_path, conf, environment={"SECRET": SECRET}) as another:
        assert models(another, "by-header", *sessions) == first


def test_who_has_no_session_takes_turns(gateway: Gateway) -> None:
    assert Counter(models(gateway, "by-header", None, "", None, "")) == {"small": 2, "large": 2}


def test_a_client_keeps_its_backend_over_all_its_connections(gateway: Gateway) -> None:
    answered = set(models(gateway, "by-client", *[None] * 4))
    with Connection(gateway.address) as connection:
        for _ in range(3):
            connection.send(request(host="by-client"))
            answered.add(connection.reply().json()["model"])
    assert len(answered) == 1


# -- explain -----------------------------------------------------------------------------------------


def test_explain_tells_it_all(gateway: Gateway) -> None:
    def explained(host: str, *arguments: str) -> list[str]:
        command = ["explain", str(gateway.conf), "--host", host, "--data", '{"messages": []}', *arguments]
        ran = subprocess.run(
            [str(TWISTD.with_name("llmgateway")), *command],
            capture_output=True,
            check=True,
            text=True,
            env={"SECRET": SECRET},
        )
        assert SECRET not in ran.stdout
        return ran.stdout.splitlines()

    assert "matched    matches[0]: without header x-test exact yes" in explained("matched")
    edited = explained("edited", "-H", "x-debug: 1")
    assert "request    remove x-debug; set x-token, x-plan; add x-tag" in edited
    assert "answer     remove x-ratelimit-limit; set cache-control; add x-rule" in edited
    assert "  x-token: (hidden)" in edited
    assert not any(line.startswith("  x-debug") for line in edited)
    chosen = explained("by-header", "-H", "x-session: session-1")
    assert "sticky     by header x-session" in chosen
    (stuck,) = (line for line in chosen if line.endswith("<- sticks to it"))
    assert f"model {models(gateway, 'by-header', 'session-1')[0]}," in stuck
