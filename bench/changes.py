"""conf.d changes under load: no answer but the right one, no stream cut, and how long a change takes to show.

One tenant is asked by 32 connections and 50 slow streams; another one's files change all the while, in every way
that editors, scripts and Kubernetes change files.  After each change its host is asked until the answer is the new
one: that is the lag.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path

from attrs import frozen

from bench.comparing import load_result
from bench.load import REQUEST_BODY
from bench.measure import LoadResult, percentile
from bench.servers import (
    ANSWER,
    HERE,
    ROOT,
    CannotRunError,
    Cores,
    GatewayServer,
    gateway,
    gateway_documents,
    request_upstream,
    stream_upstream,
)

HOST = "changing.bench"
CONNECTIONS = 32
STREAMS = 50
EVENTS = 20
INTERVAL_US = 250_000
"""A stream lasts 5 s and sees some thirty changes."""

SECONDS_PER_CHANGE = 0.3
"""The load lasts so long for each change that was asked for; changes go on as long as the load does."""

PATIENCE_SECONDS = 30.0
ASK_AGAIN_SECONDS = 0.002

WITHOUT_INOTIFY = (
    "unshare --map-root-user sh -c 'echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"' sh"
)
"""In a user namespace of its own, where the kernel gives out no inotify instance."""


class WrongAnswerError(Exception):
    """A change showed what it must not, or not at all."""


@frozen
class Change:
    """One change that was made."""

    kind: str
    lag: float
    """Seconds from its last system call to the first answer that shows it."""


def provider(model: str) -> str:
    """The changing tenant's only file."""
    return (
        "apiVersion: llmgateway.dev/v1\nkind: LLMProvider\nmetadata: {name: changing}\n"
        f"spec: {{host: {HOST}, configs: {{defaultConfig: {{simulatorConfig: {{model: {model}}}}}}}}}\n"
    )


class ChangingTenant:
    """The files of one tenant, and what its host answers."""

    def __init__(self, server: GatewayServer) -> None:
        self._folder = server.conf / "changing"
        self._file = self._folder / "provider.yaml"
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
        self._admin = HTTPConnection("127.0.0.1", server.admin_port, timeout=PATIENCE_SECONDS)
        self._generation = 0
        self._shows = "404"

    def changes(self) -> Iterator[Change]:
        """One change after the other, for ever, each once it shows.

        :raises WrongAnswerError: for an answer that is neither the old nor the new one, or none in time.
        """
        self._folder.mkdir()
        ways = (
            self._rename_over, self._write_in_pieces, self._rename_over, self._break, self._mend, self._move,
            self._remove, self._rename_over, self._swap, self._swap, self._replace_folder,
        )  # fmt: skip
        for way in cycle(ways):
            yield way()

    def _next(self) -> str:
        self._generation += 1
        return f"model-{self._generation}"

    def _rename_over(self) -> Change:
        model = self._next()
        written = self._folder / ".written"
        written.write_text(provider(model))
        written.rename(self._file)
        return self._shown("renamed over", model)

    def _write_in_pieces(self) -> Change:
        model = self._next()
        text = provider(model)
        with self._file.open("w") as file:
            file.write(text[:50])
            file.flush()
            file.write(text[50:])
        return self._shown("written in pieces", model)

    def _break(self) -> Change:
        self._file.write_text("kind: [\n")
        return self._wait("broken", lambda: self._asked() == self._shows and self._has_problems())

    def _mend(self) -> Change:
        model = self._next()
        self._file.write_text(provider(model))
        change = self._shown("mended", model)
        return self._wait(change.kind, lambda: not self._has_problems(), change.lag)

    def _move(self) -> Change:
        """To another name, which changes nothing that can be seen, and then its content."""
        model = self._next()
        moved = self._folder / "moved.yml"
        self._file.rename(moved)
        moved.write_text(provider(model))
        moved.rename(self._file)
        return self._shown("moved", model)

    def _remove(self) -> Change:
        self._file.unlink()
        return self._shown("removed", "404")

    def _swap(self) -> Change:
        """As Kubernetes updates a mounted ConfigMap: the file is a link through `..data`, which is replaced."""
        model = self._next()
        data = self._folder / f"..{model}"
        data.mkdir()
        (data / self._file.name).write_text(provider(model))
        link = self._folder / "..data_new"
        link.symlink_to(data.name)
        link.replace(self._folder / "..data")
        if not self._file.is_symlink():
            self._file.unlink()
            self._file.symlink_to(f"..data/{self._file.name}")
        return self._shown("swapped", model)

    def _replace_folder(self) -> Change:
        model = self._next()
        new = self._folder.with_name(".new")
        new.mkdir()
        (new / self._file.name).write_text(provider(model))
        old = self._folder.with_name(".old")
        self._folder.rename(old)
        new.rename(self._folder)
        change = self._shown("folder replaced", model, also="404")
        shutil.rmtree(old)
        return change

    def _shown(self, kind: str, expected: str, also: str = "") -> Change:
        allowed = {self._shows, expected, also}

        def shows() -> bool:
            answer = self._asked()
            if answer not in allowed:
                raise WrongAnswerError(f"{kind}: {answer} was answered, not one of {allowed}")
            return answer == expected

        change = self._wait(kind, shows)
        self._shows = expected
        return change

    def _wait(self, kind: str, happened: Callable[[], bool], before: float = 0.0) -> Change:
        made = time.monotonic() - before
        while not happened():
            if time.monotonic() - made > PATIENCE_SECONDS:
                raise WrongAnswerError(f"{kind}: nothing shows it after {PATIENCE_SECONDS:g} s")
            time.sleep(ASK_AGAIN_SECONDS)
        return Change(kind, time.monotonic() - made)

    def _asked(self) -> str:
        """The model that answers, or the status where none does."""
        self._connection.request(
            "POST", "/", b'{"messages": [{"role": "user", "content": "Hello"}]}', {"Host": HOST}
        )
        answer = self._connection.getresponse()
        body = answer.read()
        return str(json.loads(body)["model"]) if answer.status == 200 else str(answer.status)

    def _has_problems(self) -> bool:
        self._admin.request("GET", "/readyz")
        return bool(json.loads(self._admin.getresponse().read())["problems"])


@contextmanager
def _load(command: list[str], host: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "BENCH_HOST": host,
        "BENCH_BODY": REQUEST_BODY.decode(),
        "BENCH_ANSWER": ANSWER,
    }
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def _requests(port: int, seconds: float) -> list[str]:
    if wrk := shutil.which("wrk"):
        return [
            wrk, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds:.0f}s",
            "--script", str(HERE / "checking.lua"), f"http://127.0.0.1:{port}/v1/chat/completions",
        ]  # fmt: skip
    return [
        sys.executable, "-m", "bench.load", "requests", str(port), "requests.bench",
        "--connections", str(CONNECTIONS), "--seconds", f"{seconds:.0f}",
    ]  # fmt: skip


def _streams(port: int, seconds: float) -> list[str]:
    return [
        sys.executable, "-m", "bench.load", "streams", str(port), "streams.bench",
        "--connections", str(STREAMS), "--seconds", f"{seconds:.0f}", "--ramp", "1",
        "--events", str(EVENTS), "--interval-us", str(INTERVAL_US),
    ]  # fmt: skip


def _ended(load: subprocess.Popen[str]) -> LoadResult:
    printed, complaint = load.communicate(timeout=PATIENCE_SECONDS)
    if load.returncode:
        raise CannotRunError(f"The load failed: {complaint.strip()[-2000:]}")
    return load_result(printed)


def check_changes(
    command: str,
    cores: Cores,
    directory: Path,
    *,
    changes: int,
    worst_lag: float,
    inotify: bool = True,
) -> bool:
    """Drive it and print what came of it; whether all went well.

    :param changes: at least so many.
    :param worst_lag: seconds that a change may take to show.
    """
    seconds = max(3.0, changes * SECONDS_PER_CHANGE)
    if not inotify:
        command = f"{WITHOUT_INOTIFY} {Path(sys.executable).parent}/{command}"
    made: list[Change] = []
    with ExitStack() as running:
        requests = running.enter_context(request_upstream(cores, directory))
        streams = running.enter_context(stream_upstream(cores, directory))
        documents = {
            "requests": gateway_documents("requests", requests),
            "streams": gateway_documents("streams", streams),
        }
        server = running.enter_context(gateway(command, cores, directory, documents))
        loads = [
            running.enter_context(_load(_requests(server.port, seconds), "requests.bench")),
            running.enter_context(_load(_streams(server.port, seconds), "streams.bench")),
        ]
        try:
            for change in ChangingTenant(server).changes():
                made.append(change)
                if len(made) >= changes and any(load.poll() is not None for load in loads):
                    break
        except WrongAnswerError as wrong:
            print(f"Change {len(made) + 1}: {wrong}: FAILED")
            return False
        asked, streamed = (_ended(load) for load in loads)
    slowest = max(made, key=lambda change: change.lag)
    lags = sorted(change.lag for change in made)
    good = not asked.failed and not streamed.failed and asked.completed > 0 and slowest.lag <= worst_lag
    print(
        f"{len(made)} changes{'' if inotify else ' without inotify'}: from drop to effect "
        f"{percentile(lags, 50) * 1000:.0f} ms (p50), {slowest.lag * 1000:.0f} ms at most "
        f"({slowest.kind}; limit {worst_lag * 1000:.0f}); meanwhile {asked.completed:,} requests, "
        f"{asked.failed} of them wrong, and {streamed.completed // (EVENTS + 2):,} streams, "
        f"{streamed.failed} cut: {'good' if good else 'FAILED ' + streamed.complaint}",
        flush=True,
    )
    return good
