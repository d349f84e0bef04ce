"""How the gateway stops: what runs may end, what is idle goes, and a second signal waits for nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from tests.whole.clients import STREAM, Client, Reply, ask, request
from tests.whole.documents import documents, provider, simulated
from tests.whole.providers import Conversation, Provider, answer, chunk, stream_head
from tests.whole.running import PATIENCE, Gateway

EVENT = b'data: {"id": "c", "model": "small", "choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
LAST = EVENT + b"data: [DONE]\n\n"


class Paced:
    """Begins a stream and ends it when it is told; answers everything else at once."""

    def __init__(self) -> None:
        self.go_on = Event()

    def __call__(self, conversation: Conversation) -> None:
        if b'"stream":true' not in conversation.request.body:
            conversation.send(answer('{"id": "c"}'))
            return
        conversation.send(stream_head() + chunk(EVENT))
        self.go_on.wait(PATIENCE)
        conversation.send(chunk(LAST) + chunk(b""))


@contextmanager
def streaming(tmp_path: Path, *options: str) -> Iterator[tuple[Gateway, Paced, Client]]:
    """A gateway in the middle of a stream, and that stream's client."""
    paced = Paced()
    with Provider(paced) as running:
        conf = {"a.yaml": documents(provider("provider.test", running.port))}
        try:
            with (
                Gateway(tmp_path, conf, "--access-log=-", *options) as gateway,
                Client(gateway.address) as client,
            ):
                client.send(request(STREAM, x_request_id="stream"))
                client.head()
                assert client.chunk() == EVENT
                yield gateway, paced, client
        finally:
            paced.go_on.set()


def ready(gateway: Gateway) -> Reply:
    with Client(gateway.admin_address) as client:
        client.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client.reply()


def draining(gateway: Gateway) -> None:
    """Ask the gateway to stop, and return once it is about to."""
    gateway.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while ready(gateway).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_runs_is_finished_and_nothing_new_is_begun(tmp_path: Path) -> None:
    with streaming(tmp_path) as (gateway, paced, client), Client(gateway.address) as idle:
        idle.send(request())
        assert idle.reply().status == 200
        half = Client(gateway.address)
        half.send(request()[:-10])
        assert ready(gateway).status == 200

        draining(gateway)
        reply = ready(gateway)
        assert reply.status == 503
        assert "stopping" in str(reply.json())
        assert idle.is_closed()
        with pytest.raises(ConnectionRefusedError):
            ask(gateway.address)
        with half:
            half.send(request()[-10:])
            reply = half.reply()
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            assert half.is_closed()
        assert gateway.count("llmgateway_requests_in_flight") == 1
        assert gateway.process.poll() is None

        paced.go_on.set()
        assert client.chunk() == LAST
        assert client.chunk() == b""
        assert client.is_closed()
        assert gateway.process.wait(PATIENCE) == 0
        exchange = gateway.exchange("stream")
        assert (exchange["code"], exchange["outcome"]) == (200, "ok")
        assert "Traceback" not in gateway.log
        assert "Unhandled" not in gateway.log


def test_what_does_not_end_in_time_is_ended(tmp_path: Path) -> None:
    with streaming(tmp_path, "--drain-timeout=0.5") as (gateway, _, client):
        began = time.monotonic()
        draining(gateway)
        last = client.chunk()
        assert last is not None
        assert b'"code":"draining"' in last
        assert client.chunk() is None, "a last chunk would make it look whole"
        assert gateway.process.wait(PATIENCE) == 0
        exchange = gateway.exchange("stream")
        assert (exchange["outcome"], exchange["error"]) == ("answer_cut", "draining")
        assert 0.5 <= time.monotonic() - began < 5.0
        assert "Traceback" not in gateway.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_everything_at_once(number: signal.Signals, tmp_path: Path) -> None:
    with streaming(tmp_path) as (gateway, _, _):
        draining(gateway)
        began = time.monotonic()
        gateway.process.send_signal(number)
        assert gateway.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 1.0
        assert "Traceback" not in gateway.log


def test_a_gateway_without_work_stops_at_once(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a.yaml": documents(simulated("provider.test"))}) as gateway:
        with Client(gateway.address) as client:
            client.send(request())
            assert client.reply().status == 200
            began = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - began < 1.0
            assert client.is_closed()
        assert "Traceback" not in gateway.log


def test_signals_for_the_files(tmp_path: Path) -> None:
    """SIGHUP reads conf.d, SIGUSR1 opens the access log anew; neither ends anything."""
    log = tmp_path / "access.log"
    conf = {"a.yaml": documents(simulated("a.test"))}
    with Gateway(tmp_path, conf, f"--access-log={log}") as gateway:
        gateway.process.send_signal(signal.SIGHUP)
        log.rename(tmp_path / "access.log.1")
        gateway.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert log.exists()
        assert gateway.stop() == 0
