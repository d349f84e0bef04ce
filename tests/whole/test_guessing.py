"""Who guesses at the admin token of a real gateway, and operators who are at work meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

from tests.whole.clients import Client
from tests.whole.load import Load
from tests.whole.running import Gateway

TOKEN = "token-of-the-admin-port"
WRONG = "wrong-token-of-somebody"
GUESSERS = 20
SECONDS = 4.0


def bearing(token: str) -> bytes:
    return f"GET /config HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def asked(gateway: Gateway, token: str) -> int:
    """The status of the answer, for which this waits."""
    with Client(gateway.admin_address) as client:
        client.send(bearing(token))
        return client.reply().status


def test_guessing_is_slow_and_seen_and_keeps_nobody_out(tmp_path: Path) -> None:
    statuses: list[int] = []
    waits: list[float] = []
    with Gateway(tmp_path, {}, f"--admin-token={TOKEN}") as gateway:
        guesses = [lambda: statuses.append(asked(gateway, WRONG))] * GUESSERS
        with Load(*guesses, pause=0.0):
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                began = time.monotonic()
                assert asked(gateway, TOKEN) == 200
                waits.append(time.monotonic() - began)
                time.sleep(0.05)
        assert set(statuses) == {401}
        # Each of them has one or two answers; without delays they had thousands.
        assert GUESSERS < len(statuses) < 4 * GUESSERS
        assert gateway.count("llmgateway_admin_refusals_total", reason="wrong_token") == len(statuses)
        assert max(waits) < 1.0
        gateway.wait_for_log(r"#warn\] wrong admin tokens: 1, from 127\.0\.0\.1 \(1\)")
        assert gateway.log.count("wrong admin tokens") == 1
        assert WRONG not in gateway.log
        assert TOKEN not in gateway.log
