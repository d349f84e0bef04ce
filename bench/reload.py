"""What a reload costs those who do not ask for it: requests that wait for the loop, memory, file descriptors."""

from __future__ import annotations

import math
import multiprocessing
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.request import urlopen

from attrs import frozen

from bench.measure import memory, percentile
from bench.servers import CannotRunError, Cores, GatewayServer, gateway
from gateway.serving.page.history import RECENT_SECONDS
from gateway.serving.page.sampler import UNWATCHED_SECONDS

WORST_SECONDS = 0.020
"""No request may wait longer for the loop."""

MEMORY_GROWTH = 0.05
"""From when the gateway has settled to the last reload."""

BEAT_SECONDS = 0.002
QUIET_SECONDS = 5.0
SINGLE_CHANGES = 20
AFTERWARDS = 22
"""The generation in which all change: its model is neither the first one nor that of the last single change."""
MODELS = 7
"""Few, because metrics keep a series for each model that has ever answered."""
TENANTS_OF_MANY_RELOADS = 20
SETTLED_RELOADS = math.lcm(TENANTS_OF_MANY_RELOADS, MODELS)
"""Every tenant has answered with every model: there are no new series after these."""
SETTLED_SECONDS = RECENT_SECONDS + 2 * UNWATCHED_SECONDS
"""After these reloads: the page holds all series as they were at so many moments, and from then on lets one go for each
that it adds."""
PATIENCE = 120.0


def request(host: str) -> bytes:
    """The smallest that is answered."""
    body = b'{"messages":[{"role":"user","content":"x"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def write_beside(conf: Path, files: Mapping[str, str]) -> None:
    """Write in a process that takes only time that nobody else wants: the heartbeat has the same core."""

    def written() -> None:
        os.nice(19)
        write(conf, files)

    process = multiprocessing.get_context("fork").Process(target=written)
    process.start()
    process.join()


@frozen
class Beat:
    """One request."""

    began: float
    """Seconds of the monotonic clock."""
    seconds: float


def tenant_documents(name: str, routes: int, generation: int) -> str:
    """A tenant's provider and its routes to it; another model in each generation."""
    documents = [_document("LLMProvider", "p", f"{{host: {name}.bench, configs: {_config(generation)}}}")]
    for number in range(routes):
        rules = (
            "[{name: vip, matches: [{headers: {user-type: {exact: subscriber}}}], "
            f"backendRefs: [{{providerHost: {name}.bench, weight: 90}}, "
            f"{{providerHost: {name}.bench, model: other, weight: 10}}]}}, "
            f"{{backendRefs: [{{providerHost: {name}.bench}}]}}]"
        )
        documents.append(
            _document("LLMRoute", f"r{number}", f"{{host: r{number}.{name}.bench, rules: {rules}}}")
        )
    return "---\n".join(documents)


def _config(generation: int) -> str:
    return f"{{defaultConfig: {{simulatorConfig: {{model: {_model(generation)}}}}}}}"


def _model(generation: int) -> str:
    return f"model-{generation % MODELS}"


def _document(kind: str, name: str, spec: str) -> str:
    return f"apiVersion: llmgateway.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def conf_d(tenants: int, routes: int, generation: int) -> dict[str, str]:
    """Every file by its name without ending, the heartbeat's provider among them."""
    files = {
        f"t{number}/all": tenant_documents(f"t{number}", routes, generation) for number in range(tenants)
    }
    beat = f"{{host: heartbeat.bench, configs: {_config(generation)}}}"
    return {**files, "heartbeat": _document("LLMProvider", "heartbeat", beat)}


def write(conf: Path, files: Mapping[str, str]) -> None:
    """Each file whole or not at all."""
    for name, text in files.items():
        path = conf / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        written = path.with_name(f".{path.name}")
        written.write_text(text)
        written.replace(path)


def _beat(port: int, told: Connection) -> None:
    """Ask again and again, until told to stop; then tell of every request."""
    beats: list[Beat] = []
    asked = request("heartbeat.bench")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not told.poll():
            began = time.monotonic()
            connection.sendall(asked)
            if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                break
            beats.append(Beat(began, time.monotonic() - began))
            time.sleep(BEAT_SECONDS)
    told.send(beats)


@contextmanager
def heartbeat(server: GatewayServer) -> Iterator[list[Beat]]:
    """Requests beside the block, in a process of their own; the list is filled when it ends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_beat, args=(server.port, theirs))
    process.start()
    beats: list[Beat] = []
    try:
        yield beats
    finally:
        ours.send(None)
        beats += ours.recv()
        process.join()


def model_of(server: GatewayServer, host: str) -> str:
    """Which model answers for this host now."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(request(host))
        found = re.search(rb'"model":\s*"([^"]+)"', connection.recv(65536))
    return found[1].decode() if found else ""


def wait_until(happened: Callable[[], bool], what: str) -> float:
    """Seconds until it has; raises CannotRunError."""
    began = time.monotonic()
    while not happened():
        if time.monotonic() - began > PATIENCE:
            raise CannotRunError(f"{what} did not happen within {PATIENCE:g} s.")
        time.sleep(0.02)
    return time.monotonic() - began


def answers_with(server: GatewayServer, host: str, generation: int) -> Callable[[], bool]:
    """Whether this generation answers for a host."""
    return lambda: model_of(server, host) == _model(generation)


def check_waiting(command: str, cores: Cores, directory: Path, tenants: int, routes: int) -> bool:
    """Reloads of one tenant and of all of them, beside a heartbeat; whether no request waited too long."""
    phases: dict[str, tuple[float, float]] = {}
    with gateway(command, cores, directory, conf_d(tenants, routes, 0), asked=()) as server:
        wait_until(answers_with(server, "heartbeat.bench", 0), "the start")
        print(
            f"{tenants * routes:,} routes in {tenants:,} tenants: resident {memory(server.pid).now:.0f} MiB"
        )
        with heartbeat(server) as beats:
            began = time.monotonic()
            time.sleep(QUIET_SECONDS)
            phases["nothing changes"] = (began, time.monotonic())
            began = time.monotonic()
            lags = []
            for number in range(1, SINGLE_CHANGES + 1):
                write(server.conf, {"t1/all": tenant_documents("t1", routes, number)})
                lags.append(wait_until(answers_with(server, "t1.bench", number), "a change"))
            phases[f"{SINGLE_CHANGES} changes of one tenant, in effect after {max(lags):.2f} s at most"] = (
                began, time.monotonic()
            )  # fmt: skip
            began = time.monotonic()
            write_beside(server.conf, conf_d(tenants, routes, AFTERWARDS))
            last = f"t{tenants - 1}.bench"
            lag = wait_until(answers_with(server, last, AFTERWARDS), "the change of all")
            time.sleep(QUIET_SECONDS)  # until the old ones are let go
            phases[f"all tenants change, in effect {lag:.1f} s after the last file"] = (
                began,
                time.monotonic(),
            )
        now = memory(server.pid)
        print(f"resident {now.now:.0f} MiB, peak {now.peak:.0f} MiB")
    good = [waited(phase, between, beats) for phase, between in phases.items()]
    return all(good)


def waited(phase: str, between: tuple[float, float], beats: list[Beat]) -> bool:
    """Tell how long requests took in this time; whether none took too long."""
    seconds = sorted(beat.seconds for beat in beats if between[0] <= beat.began <= between[1])
    if not seconds:
        print(f"{phase}: no request was answered: FAILED")
        return False
    good = seconds[-1] <= WORST_SECONDS
    print(
        f"{phase}: {len(seconds):,} requests, p50 {percentile(seconds, 50) * 1e3:.1f} ms, "
        f"p99 {percentile(seconds, 99) * 1e3:.1f} ms, worst {seconds[-1] * 1e3:.1f} ms "
        f"(limit {WORST_SECONDS * 1e3:.0f}): {'good' if good else 'FAILED'}",
        flush=True,
    )
    return good


def check_leaks(command: str, cores: Cores, directory: Path, reloads: int) -> bool:
    """So many reloads once the gateway has settled; whether memory and file descriptors are what they were then."""
    files = conf_d(TENANTS_OF_MANY_RELOADS, 10, 0)
    with gateway(command, cores, directory, files, asked=()) as server:
        wait_until(answers_with(server, "heartbeat.bench", 0), "the start")
        settling, most_files, has_settled_at = 0, 0, math.inf
        while time.monotonic() < has_settled_at:
            settling += 1
            _reload_one(server, settling)
            most_files = max(most_files, _open_files(server))
            if settling == SETTLED_RELOADS:
                has_settled_at = time.monotonic() + SETTLED_SECONDS
        settled = memory(server.pid).now
        for number in range(settling + 1, settling + reloads + 1):
            _reload_one(server, number)
        last, last_files = memory(server.pid).now, _open_files(server)
        told = urlopen(f"http://127.0.0.1:{server.admin_port}/readyz", timeout=PATIENCE).status
    good = last <= settled * (1 + MEMORY_GROWTH) and last_files <= most_files and told == 200
    print(
        f"{reloads:,} reloads: resident {last:.1f} MiB with {last_files} open files, after the first "
        f"{settling:,} {settled:.1f} MiB with {most_files} at most: {'good' if good else 'FAILED'}",
        flush=True,
    )
    return good


def _reload_one(server: GatewayServer, number: int) -> None:
    """Change a tenant, each in its turn, and wait until that is in effect."""
    name = f"t{number % TENANTS_OF_MANY_RELOADS}"
    write(server.conf, {f"{name}/all": tenant_documents(name, 10, number)})
    wait_until(answers_with(server, f"{name}.bench", number), "a change")


def _open_files(server: GatewayServer) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def check_reload(
    command: str, cores: Cores, directory: Path, *, tenants: int, routes: int, reloads: int
) -> bool:
    """Both, each on a gateway of its own; whether all went well."""
    waiting = check_waiting(command, cores, directory, tenants, routes)
    return check_leaks(command, cores, directory, reloads) and waiting
