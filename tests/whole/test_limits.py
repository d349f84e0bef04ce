"""What the gateway holds in memory, bounded in time; `python -m bench memory` asks for more of the same."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path

from tests.whole.clients import STREAM, Client, request
from tests.whole.documents import documents, provider, route, rule, settings, simulated
from tests.whole.providers import Conversation, Provider, chunk, stream_head
from tests.whole.running import Gateway

ANSWER_MIB = 200
PEAK_LIMIT_MIB = 100
STREAMS = 300
LARGE_BODY = 1024 * 1024
ALL_BODIES = 32 * 1024 * 1024
SENDERS = 200
"""Together they send 100 MiB, and none of them the end."""

EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":"some words of an endless answer "},"finish_reason":null}]}\n\n'
)
PIECE = chunk(EVENT * (64 * 1024 // len(EVENT)))


def peak_mib(gateway: Gateway) -> float:
    """The most that was ever resident."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def test_an_enormous_stream_to_a_slow_client_takes_no_memory(tmp_path: Path) -> None:
    pieces = ANSWER_MIB * 1024 * 1024 // len(PIECE)
    sent = 0

    def pour(conversation: Conversation) -> None:
        nonlocal sent
        conversation.send(stream_head())
        for _ in range(pieces):
            conversation.send(PIECE)
            sent += 1
        conversation.send(chunk(b"data: [DONE]\n\n") + chunk(b""))

    with (
        Provider(pour) as running,
        Gateway(tmp_path, {"a.yaml": documents(provider("provider.test", running.port))}) as gateway,
        Client(gateway.address) as client,
    ):
        client.send(request(STREAM))
        status, _ = client.head()
        assert status == 200
        time.sleep(1)  # every buffer on the way is full now
        assert sent < pieces / 2
        received = 0
        while piece := client.chunk():
            received += len(piece)
            last = piece
        assert piece == b"", "the answer was cut"
        assert received == pieces * (len(PIECE) - len(b"10000\r\n\r\n") + 1) + len(b"data: [DONE]\n\n")
        assert last.endswith(b"data: [DONE]\n\n")
        assert peak_mib(gateway) < PEAK_LIMIT_MIB


def test_hundreds_of_streams_at_once_are_all_whole(tmp_path: Path) -> None:
    conf = documents(simulated("first.test"), route("*", rule("all", "first.test")))
    with Gateway(tmp_path, {"a.yaml": conf}) as gateway, ExitStack() as room:
        clients = [room.enter_context(Client(gateway.address)) for _ in range(STREAMS)]
        for client in clients:
            client.send(request(STREAM, x_simulate="words=6, chunk-delay=300ms"))
        for client in clients:
            assert client.head()[0] == 200
        assert gateway.count("llmgateway_requests_in_flight") == STREAMS
        for client in clients:
            body = b""
            while piece := client.chunk():
                body += piece
            assert piece == b""
            assert body.endswith(b"data: [DONE]\n\n")
        assert gateway.count("llmgateway_requests_total", code="200", outcome="ok") == STREAMS
        assert gateway.count("llmgateway_tokens_total", type="output") >= STREAMS * 6
        assert peak_mib(gateway) < PEAK_LIMIT_MIB


def test_large_bodies_of_slow_clients_do_not_fill_the_memory_together(tmp_path: Path) -> None:
    conf = documents(
        simulated("first.test"),
        route("*", rule("all", "first.test")),
        settings(limits={"allBodiesBytes": ALL_BODIES}, timeouts={"body": "3s"}),
    )
    head = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    half = head % LARGE_BODY + b'{"messages":"' + b"x" * (LARGE_BODY // 2)
    with Gateway(tmp_path, {"a.yaml": conf}) as gateway, ExitStack() as room:
        clients = [room.enter_context(Client(gateway.address)) for _ in range(SENDERS)]
        before = peak_mib(gateway)
        for client in clients:
            client.send(half)
        statuses = [client.head()[0] for client in clients]
        held = statuses.count(408)
        assert 0.8 < held * LARGE_BODY / 2 / ALL_BODIES <= 1
        assert statuses.count(503) == SENDERS - held
        assert gateway.count("llmgateway_held_request_bytes") == 0
        assert peak_mib(gateway) < before + 2 * ALL_BODIES / 1024**2
