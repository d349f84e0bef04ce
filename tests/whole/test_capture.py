"""What is kept of exchanges by the gateway as operators run it: no secret is in it, and nobody has to wait for it."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.whole.documents import documents, key_hash, owned, provider, simulated, tenant
from tests.whole.running import Gateway

CLIENTS_KEY = "the-key-of-a-client-of-acme"
OWN_KEY = "canary-own-key"
UNUSED_KEY = "canary-key-that-no-rule-uses"
OTHERS_KEY = "canary-key-77-of-another-tenant"

KEPT, NOT_KEPT = "kept.test", "not-kept.test"
"""Hosts of two tenants, of whom one wants its exchanges kept."""


def conf() -> str:
    acme = tenant("acme", {"name": "ci", "apiKeyHash": key_hash(CLIENTS_KEY)})
    acme["spec"]["capture"] = {"request": True, "response": True}
    return documents(
        acme,
        *owned("acme", provider(KEPT, key=OWN_KEY, dialect="simulatorConfig")),
        *owned("acme", provider("unused.test", 1, key=UNUSED_KEY)),
        *owned("globex", provider("other.test", 1, key=OTHERS_KEY)),
        simulated(NOT_KEPT),
    )


def ask(gateway: Gateway, body: object, host: str = KEPT) -> float:
    """How many seconds it takes to be answered."""
    with closing(HTTPConnection(gateway.address, timeout=20)) as connection:
        headers = {"Host": host, **({"Authorization": f"Bearer {CLIENTS_KEY}"} if host == KEPT else {})}
        data = json.dumps(body)
        begun = time.monotonic()
        connection.request("POST", "/v1/chat/completions", body=data, headers=headers)
        with connection.getresponse() as answer:
            answer.read()
            assert answer.status == 200
        return time.monotonic() - begun


def chat(content: object, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **more}


SAID = {
    f"{OWN_KEY}, {UNUSED_KEY} and {OTHERS_KEY}": "[secret], [secret] and [secret]",
    f"I am {CLIENTS_KEY}.": "I am [secret].",
    "bob.o'neil@ex-ample.co.uk or bob@локал.рф": "[email] or [email]",
    "4111.1111.1111.1111, 4111\u00a01111\u00a01111\u00a01111": "[card], [card]",
    'Authorization: Basic Ym9iOmh1bnRlcjI= and {"password": "pin"}': (
        'Authorization: [secret] and {"password": "[secret]"}'
    ),
    "2026-11-22 is a date, 1795000000004 a time, 0.4111111111111111 a fraction": None,
}
"""What clients say, and what is left of it; None where that is all."""

MEMBERS = {"api_key": "short", "password": "hunter2", "metadata": {"authToken": "t", "pin": 1234}}


def test_no_secret_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.log"
    with Gateway(tmp_path / "run", {"a.yaml": conf()}, f"--capture-log={kept}") as gateway:
        for said in SAID:
            for stream in (False, True):
                ask(gateway, chat(said, stream=stream, **MEMBERS))
        assert gateway.stop() == 0
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(lines) == 2 * len(SAID)
    for line, (said, left) in zip(lines[::2], SAID.items(), strict=True):
        asked, answered = json.loads(line["request"]), json.loads(line["response"])
        assert asked["messages"][0]["content"] == (left or said)
        assert answered["choices"][0]["message"]["content"] == f"I am small. You said: {left or said}"
        assert (asked["api_key"], asked["password"]) == ("[secret]", "[secret]")
        assert asked["metadata"] == {"authToken": "[secret]", "pin": "[secret]"}
    for line in lines[1::2]:
        assert json.loads(line["response"])["choices"][0]["message"]["content"].startswith("I am small.")
    assert re.findall(r"canary|of-a-client|hunter2|neil|4111[.\u00a0]", kept.read_text()) == []


FULL = {
    "six thousand parts": [{"type": "text", "text": "a@b.co 1"} for _ in range(6000)],
    "single digits": "4-" * 125_000,
    "addresses": "a@b.co " * 35_000,
    "passwords": "password: " * 25_000,
    "no letter": "\x00" * 40_000,
    "quotation marks": '"' * 125_000,
    "key after key": "-----BEGIN PRIVATE KEY-----" * 9000,
}


def test_nobody_waits_for_contents_that_are_full_of_finds(tmp_path: Path) -> None:
    kept = tmp_path / "kept.log"
    with Gateway(tmp_path / "run", {"a.yaml": conf()}, f"--capture-log={kept}") as gateway:
        waits = {host: longest_wait(gateway, host) for host in (NOT_KEPT, KEPT)}
        assert gateway.stop() == 0
        assert gateway.log.count("lost") == 0
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(lines) == 5 * len(FULL)
    assert {line["request_cut"] for line in lines[:-5]} == {True}
    assert "a@b.co" not in kept.read_text()
    # Redacted between two requests, any of them would hold all others up for half a second.
    assert waits[KEPT] < waits[NOT_KEPT] + 0.3


def longest_wait(gateway: Gateway, host: str) -> float:
    """In seconds, of a client that asks for little beside those that send all of this to a host."""
    done = Event()

    def send_all() -> None:
        for content in FULL.values():
            for _ in range(5):
                ask(gateway, chat(content), host)
        done.set()

    sending = Thread(target=send_all)
    sending.start()
    longest = 0.0
    while not done.wait(0.005):
        longest = max(longest, ask(gateway, chat("Hello"), NOT_KEPT))
    sending.join()
    return longest
