"""The process is replaced under load, over sockets that it inherits, and nobody's request or stream is lost."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Condition, Event, Thread

import pytest

from tests.whole.clients import STREAM, Client, Reply, request
from tests.whole.documents import documents, provider, simulated
from tests.whole.providers import Conversation, Provider, chunk, stream_head
from tests.whole.running import PATIENCE, ROOT, TWISTD, Gateway

THINKING = 0.1
"""Seconds between an answer and the next request of a client that keeps its connection."""

SLOW = 0.5
"""Seconds between two requests of a connection that a busy machine may make of none: an idle connection may close."""

HAND_OVER = (sys.executable, str(ROOT / "deploy" / "hand_over.py"))

EVENT = b'data: {"id": "c", "model": "small", "choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
LAST = EVENT + b"data: [DONE]\n\n"


class Load:
    """Clients that ask one thing after the other, each in a thread, for a `with` statement."""

    def __init__(self, address: str, *, kept: int, single: int = 0, stays: bool = True) -> None:
        """Plan it.

        :param kept: clients that keep their connection as long as the gateway does.
        :param single: clients that make one for each request.
        :param stays: those who are told `Connection: close` come back.
        """
        self._address = address
        self._stays = stays
        self._changed = Condition()
        self._over = False
        self._threads = [Thread(target=self._run, args=[kept]) for kept in [True] * kept + [False] * single]
        self.processes: Counter[str] = Counter()
        """How many answers each process gave."""
        self.faults: list[str] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.join()

    def join(self) -> None:
        """Wait until every client has had enough."""
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def wait_for_answers(self, number: int) -> None:
        """Return after so many more."""
        with self._changed:
            goal = self.processes.total() + number
            assert self._changed.wait_for(lambda: self.processes.total() >= goal or self.faults, PATIENCE)

    def _run(self, keeps: bool) -> None:
        number = 0
        while not self._over:
            try:
                with Client(self._address) as client:
                    asked = 0
                    answered_at = time.monotonic()
                    while not self._over:
                        number += 1
                        idle = time.monotonic() - answered_at
                        try:
                            reply = self._ask(client, f"number {number}", keeps)
                        except ConnectionError as error:
                            if asked and idle > SLOW:
                                break
                            raise AssertionError(f"request {asked} of a connection: {error}") from error
                        asked += 1
                        answered_at = time.monotonic()
                        if reply.headers.get("connection") == "close":
                            if keeps and not self._stays:
                                return
                            break
                        time.sleep(THINKING)
            except Exception as error:
                with self._changed:
                    self.faults.append(repr(error))
                    self._changed.notify_all()
                return

    def _ask(self, client: Client, words: str, keeps: bool) -> Reply:
        body = b'{"messages": [{"role": "user", "content": "%b"}]}' % words.encode()
        client.send(request(body, "simulated.test", **({} if keeps else {"Connection": "close"})))
        reply = client.reply()
        assert reply.whole
        assert reply.status == 200, reply.body
        said = reply.json()["choices"][0]["message"]["content"]
        assert said.endswith(f"You said: {words}"), said
        process = reply.headers["x-request-id"].partition("-")[0]
        with self._changed:
            self.processes[process] += 1
            self._changed.notify_all()
        return reply


class Streams:
    """A provider's answer: begins at once, and ends when all streams may."""

    def __init__(self) -> None:
        self.may_end = Event()

    def __call__(self, conversation: Conversation) -> None:
        conversation.send(stream_head() + chunk(EVENT))
        self.may_end.wait(PATIENCE)
        conversation.send(chunk(LAST) + chunk(b""))


@contextmanager
def succession(folder: Path) -> Iterator[tuple[Gateway, Streams]]:
    """A gateway behind `hand_over.py`, and what ends its streams."""
    streams = Streams()
    with Provider(streams) as running:
        conf = {"a.yaml": documents(simulated("simulated.test"), provider("stream.test", running.port))}
        gateway = Gateway(
            folder,
            conf,
            listen=["systemd:domain=INET:name=clients"],
            admin="systemd:domain=INET:name=admin",
            within=[*HAND_OVER, "clients=127.0.0.1:0", "admin=127.0.0.1:0", "--"],
        )
        try:
            with gateway:
                try:
                    yield gateway, streams
                finally:
                    gateway.process.terminate()  # its processes would outlive one that is killed
                    streams.may_end.set()
                    gateway.process.wait(PATIENCE)
        finally:
            streams.may_end.set()


def ready(gateway: Gateway, times: int) -> int:
    """The process that is the so-manieth to be ready, once it is."""
    return int(gateway.wait_for_log(r"hand_over: process (\d+) is ready", times)[1])


def ended(gateway: Gateway, process: int) -> str:
    """With what a process has ended, once it has."""
    return gateway.wait_for_log(rf"hand_over: process {process} has ended with (-?\d+)")[1]


def begun_stream(gateway: Gateway) -> Client:
    client = Client(gateway.address)
    client.send(request(STREAM, "stream.test"))
    assert client.head()[0] == 200
    assert client.chunk() == EVENT
    return client


def test_two_hand_overs_lose_nothing(tmp_path: Path) -> None:
    with (
        succession(tmp_path) as (gateway, streams),
        Load(gateway.address, kept=8, single=8) as load,
        ExitStack() as open_streams,
    ):
        processes = [ready(gateway, 1)]
        clients: list[Client] = []
        for times in (2, 3):
            clients += [open_streams.enter_context(begun_stream(gateway)) for _ in range(2)]
            load.wait_for_answers(100)
            gateway.process.send_signal(signal.SIGHUP)
            processes.append(ready(gateway, times))
            load.wait_for_answers(300)
        assert gateway.process.poll() is None
        assert not re.search("has ended", gateway.log), "streams are waited for"
        streams.may_end.set()
        for client in clients:
            assert client.chunk() == LAST
            assert client.chunk() == b""
        assert [ended(gateway, process) for process in processes[:2]] == ["0", "0"]
        load.wait_for_answers(50)
    assert load.faults == []
    assert len(load.processes) == 3
    assert gateway.process.returncode == 0
    assert "Traceback" not in gateway.log


def test_one_process_after_the_other_loses_nothing(tmp_path: Path) -> None:
    """As systemd restarts what it has activated: nobody accepts for a while, and clients wait."""
    with (
        succession(tmp_path) as (gateway, _),
        Load(gateway.address, kept=8, single=8) as load,
    ):
        for times in (1, 2):
            process = ready(gateway, times)
            load.wait_for_answers(100)
            os.kill(process, signal.SIGTERM)
            assert ended(gateway, process) == "0"
        ready(gateway, 3)
        load.wait_for_answers(100)
    assert load.faults == []
    assert len(load.processes) == 3


def test_a_successor_that_does_not_start_changes_nothing(tmp_path: Path) -> None:
    with succession(tmp_path) as (gateway, _), Load(gateway.address, kept=2) as load:
        process = ready(gateway, 1)
        gateway.conf.rename(tmp_path / "elsewhere")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log(r"has ended with 1")
        load.wait_for_answers(100)
        os.kill(process, 0)
    assert load.faults == []
    assert gateway.process.returncode == 0


@pytest.mark.parametrize("delay", ["0", "0.3"])
def test_kept_connections_end_behind_an_answer(delay: str, tmp_path: Path) -> None:
    """At a stop, too: 32 clients that are asking are told, each with its last answer, and none is reset."""
    conf = {"a.yaml": documents(simulated("simulated.test"))}
    with Gateway(tmp_path, conf, f"--drain-delay={delay}") as gateway:
        with Load(gateway.address, kept=32, stays=False) as load:
            load.wait_for_answers(200)
            assert gateway.stop() == 0
            load.join()
        assert load.faults == []
        assert "Traceback" not in gateway.log


def test_a_unix_socket_is_not_inherited(tmp_path: Path) -> None:
    """Twisted would make it writable for everybody, and remove its file at the end."""
    (tmp_path / "conf.d").mkdir()
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(tmp_path / "clients"))
        held.listen()
        os.chmod(tmp_path / "clients", 0o600)
        line = f'LISTEN_PID=$$ exec "$@" 3<&{held.fileno()}'  # which sh knows only up to 9
        command = [TWISTD, "-n", "llmgateway", "--listen=systemd:domain=UNIX:name=clients"]
        ended = subprocess.run(
            ["bash", "-c", line, "bash", *map(str, command)],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "LISTEN_FDS": "1", "LISTEN_FDNAMES": "clients"},
            pass_fds=[held.fileno()],
            capture_output=True,
            timeout=PATIENCE,
        )
    assert ended.returncode == 1
    assert b"cannot share a Unix socket" in ended.stderr
    assert (tmp_path / "clients").stat().st_mode & 0o777 == 0o600
