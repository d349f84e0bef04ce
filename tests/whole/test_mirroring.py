"""Copies of requests for another provider: whatever becomes of them, no client notices."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.whole.clients import CHAT, STREAM, ask
from tests.whole.documents import documents, provider, route, rule
from tests.whole.misbehaving import COMPLETION, EVENT, Departure
from tests.whole.providers import Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import Gateway, wait_until


def large(mebibytes: int) -> bytes:
    content = "x" * mebibytes * 1024 * 1024
    return json.dumps({"messages": [{"role": "user", "content": content}]}).encode()


BODIES = (CHAT, STREAM, large(1), CHAT)


def mirrors_to(gateway: Gateway, first: int, port: int, **mirror: Any) -> None:
    """Requests go to the provider at the first port, and copies of them to that at the second."""
    copies = rule("all", "first.test", mirror={"providerHost": "copied.test", **mirror})
    gateway.apply(
        {
            "a.yaml": documents(
                provider("first.test", first),
                provider("copied.test", port, model="copied"),
                route("asked.test", copies),
            )
        }
    )


def test_a_share_is_copied_and_its_answers_are_seen_by_nobody(gateway: Gateway) -> None:
    with Provider(saying(answer(COMPLETION))) as first, Provider(saying(answer("{}", "500 No"))) as copied:
        mirrors_to(gateway, first.port, copied.port, percent=50)
        for _ in range(60):
            reply = ask(gateway.address, host="asked.test")
            assert (reply.status, reply.body.decode()) == (200, COMPLETION)
            assert reply.headers["x-llmgateway-attempts"] == "1"
        assert len(first.requests) == 60
        assert 10 <= len(copied.requests) <= 50
        assert {json.loads(each.body)["model"] for each in copied.requests} == {"copied"}
    asked = {"tenant": "default", "provider": "copied-test"}
    assert gateway.count("llmgateway_mirrored_requests_total", **asked) == len(copied.requests)
    assert gateway.count("llmgateway_tokens_total", **asked) == 0


@contextmanager
def hanging() -> Iterator[int]:
    with Provider(Departure()) as running:
        yield running.port
        running.wait_until(lambda: len(running.requests) == len(BODIES))


@contextmanager
def endless() -> Iterator[int]:
    def pour(conversation: Conversation) -> None:
        conversation.send(stream_head())
        while True:
            conversation.send(chunk(EVENT))

    with Provider(pour) as running:
        yield running.port
        running.wait_until(lambda: len(running.requests) == len(BODIES))


@contextmanager
def refusing() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def deaf() -> Iterator[int]:
    """Takes a connection and never reads from it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("backend", [hanging, endless, refusing, deaf])
def test_a_copy_neither_slows_nor_fails_what_it_was_made_from(
    backend: Callable[[], AbstractContextManager[int]], gateway: Gateway
) -> None:
    with Provider(saying(answer(COMPLETION))) as first, backend() as port:
        mirrors_to(gateway, first.port, port)
        for body in BODIES:
            began = time.monotonic()
            reply = ask(gateway.address, body, host="asked.test")
            assert (reply.status, reply.body.decode()) == (200, COMPLETION)
            assert time.monotonic() - began < 0.5


def test_copies_that_nobody_takes_do_not_fill_the_memory(tmp_path: Path) -> None:
    with (
        Provider(saying(answer(COMPLETION))) as first,
        deaf() as port,
        Gateway(tmp_path, {}) as gateway,
    ):
        mirrors_to(gateway, first.port, port)
        for _ in range(12):
            assert ask(gateway.address, large(8), host="asked.test").status == 200
        assert gateway.count("llmgateway_mirrored_requests_total", outcome="skipped") >= 8
        status = Path(f"/proc/{gateway.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        assert int(found[1]) / 1024 < 250
        assert gateway.stop() == 0  # it waits for no copy


def test_a_copy_outlives_the_client(gateway: Gateway) -> None:
    def late(conversation: Conversation) -> None:
        time.sleep(0.3)
        conversation.send(answer(COMPLETION))

    with Provider(saying(answer(COMPLETION))) as first, Provider(late) as copied:
        mirrors_to(gateway, first.port, copied.port)
        before = gateway.count("llmgateway_mirrored_requests_total", outcome="ok")
        assert ask(gateway.address, host="asked.test").status == 200
        wait_until(lambda: gateway.count("llmgateway_mirrored_requests_total", outcome="ok") == before + 1)
