"""How the gateway stops: what runs may end, what is idle goes, and a second signal waits for nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from tests.whole.clients import STREAM, Client, Reply, ask, request
from tests.whole.documents import documents, provider, simulated
from tests.whole.providers import Conversation, Provider, answer, chunk, stream_head
from tests.whole.running import PATIENCE, TWISTD, Gateway, wait_until

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


def test_for_a_while_it_serves_on(tmp_path: Path) -> None:
    """`/readyz` fails, and who comes all the same is served, by files that are still followed."""
    with streaming(tmp_path, "--drain-delay=60") as (gateway, paced, client):
        draining(gateway)
        gateway.apply({"b.yaml": documents(simulated("new.test"))})
        for reply in (ask(gateway.address), ask(gateway.address, host="new.test")):
            assert (reply.status, reply.headers["connection"]) == (200, "close")
        paced.go_on.set()
        assert client.chunk() == LAST
        assert client.chunk() == b""
        client.send(request())
        assert client.reply().headers["connection"] == "close", "it had not been told before"
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(PATIENCE) == 0
        assert "Traceback" not in gateway.log


def test_what_does_not_end_in_time_is_ended(tmp_path: Path) -> None:
    with (
        streaming(tmp_path, "--drain-timeout=0.5") as (gateway, _, client),
        Client(gateway.address) as slow,
        Client(gateway.address) as slower,
    ):
        slow.send(request()[:-10])
        slower.send(request()[:10])
        began = time.monotonic()
        draining(gateway)
        last = client.chunk()
        assert last is not None
        assert b'"code":"draining"' in last
        assert client.chunk() is None, "a last chunk would make it look whole"
        for reply in (slow.reply(), slower.reply()):
            assert (reply.status, reply.error) == (503, "draining")
        assert gateway.process.wait(PATIENCE) == 0
        exchange = gateway.exchange("stream")
        assert (exchange["outcome"], exchange["error"]) == ("answer_cut", "draining")
        assert 0.5 <= time.monotonic() - began < 5.0
        assert "Traceback" not in gateway.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("delay", ["0", "60"])
def test_a_second_signal_ends_everything_at_once(number: signal.Signals, delay: str, tmp_path: Path) -> None:
    with streaming(tmp_path, f"--drain-delay={delay}") as (gateway, _, _):
        draining(gateway)
        began = time.monotonic()
        gateway.process.send_signal(number)
        assert gateway.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 5.0  # and not when --drain-timeout is over
        exchange = gateway.exchange("stream")
        assert (exchange["outcome"], exchange["error"]) == ("answer_cut", "draining")
        assert "told to stop at once, connections cut: 1" in gateway.log
        assert "Traceback" not in gateway.log


def test_a_gateway_without_work_stops_at_once(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a.yaml": documents(simulated("provider.test"))}) as gateway:
        assert ask(gateway.address, Connection="close").status == 200
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 1.0
        assert "Traceback" not in gateway.log


def test_who_was_served_a_moment_ago_may_ask_once_more(tmp_path: Path) -> None:
    with (
        Gateway(tmp_path, {"a.yaml": documents(simulated("provider.test"))}) as gateway,
        Client(gateway.address) as busy,
        Client(gateway.address) as idle,
    ):
        for client in (busy, idle):
            client.send(request())
            assert client.reply().status == 200
        draining(gateway)
        busy.send(request())
        assert busy.reply().headers["connection"] == "close"
        assert busy.is_closed()
        assert idle.is_closed()
        assert gateway.process.wait(PATIENCE) == 0


def test_the_supervisor_is_told(tmp_path: Path) -> None:
    """sd_notify(3), for systemd's `Type=notify`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with Gateway(
            tmp_path, {"a.yaml": documents(simulated("a.test"))}, environment=environment
        ) as gateway:
            assert listening.recv(100) == b"READY=1"
            assert gateway.stop() == 0
            assert listening.recv(100) == b"STOPPING=1"


def test_ports_are_bound_all_or_none(tmp_path: Path) -> None:
    """A Unix socket's file would stay."""
    (tmp_path / "conf.d").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        admin = f"--admin=tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        command = [str(TWISTD), "-n", "--pidfile=", "llmgateway", "--listen=unix:clients.sock", admin]
        ended = subprocess.run(
            command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=PATIENCE
        )
    assert ended.returncode == 1
    assert b" is in use; " in ended.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["conf.d"]


def test_signals_for_the_files(tmp_path: Path) -> None:
    """SIGHUP reads conf.d, SIGUSR1 opens the access log anew; neither ends anything."""
    log = tmp_path / "access.log"
    conf = {"a.yaml": documents(simulated("a.test"))}
    with Gateway(tmp_path, conf, f"--access-log={log}") as gateway:
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "nothing has changed in conf.d" in gateway.log)
        log.rename(tmp_path / "access.log.1")
        gateway.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        while not log.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert log.exists()
        assert gateway.stop() == 0
