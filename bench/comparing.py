"""Gateway and nginx under the same load, turn by turn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from attrs import frozen

from bench.load import REQUEST_BODY
from bench.measure import LoadResult, Sample, core_seconds, cpu_seconds, sample
from bench.servers import HERE, ROOT, CannotRunError, Server

CONNECTIONS = 32
INTERVAL_US = 10_000
EVENTS = 50
WARM_UP_SECONDS = 0.5
PACE_KEPT = 0.95
"""Below this part of the intended pace the load's core was the bottleneck."""
OTHERS = 0.1
"""Above this part of the proxy's core, what others do there (caches, wake-ups) is in the figures."""


@frozen
class Workload:
    """One kind of load, and its table."""

    kind: str
    """"requests" or "streams"."""
    connections: int

    @property
    def title(self) -> str:
        if self.kind == "requests":
            return f"Requests: CPU µs per request, {self.connections} connections"
        return (
            f"Streams: CPU µs per event, {self.connections} streams of {EVENTS} events, "
            f"one every {INTERVAL_US // 1000} ms"
        )


WORKLOADS = (Workload("requests", 32), Workload("streams", 32), Workload("streams", 300))


@frozen
class Subject:
    """One line of a table: a proxy, asked for one host."""

    name: str
    server: Server
    host: str


def offer(subject: Subject, workload: Workload, seconds: float) -> LoadResult:
    """Load one proxy, from this program's own core; raises CannotRunError when an answer was wrong."""
    wrk = shutil.which("wrk")
    if workload.kind == "requests" and wrk:
        command = [
            wrk, "--threads", "1", "--connections", str(workload.connections),
            "--duration", f"{max(1, round(seconds))}s", "--script", str(HERE / "wrk.lua"),
            f"http://127.0.0.1:{subject.server.port}/v1/chat/completions",
        ]  # fmt: skip
    else:
        command = [
            sys.executable, "-m", "bench.load", workload.kind, str(subject.server.port), subject.host,
            "--connections", str(workload.connections), "--seconds", str(seconds),
            "--events", str(EVENTS), "--interval-us", str(INTERVAL_US),
        ]  # fmt: skip
    environment = {**os.environ, "BENCH_HOST": subject.host, "BENCH_BODY": REQUEST_BODY.decode()}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if ended.returncode:
        raise CannotRunError(f"The load on {subject.name} failed: {ended.stderr.strip()[-2000:]}")
    result = load_result(ended.stdout)
    if result.failed or not result.completed:
        raise CannotRunError(
            f"{subject.name}, {workload.kind}: {result.failed} failed, {result.completed} completed."
            f" {result.complaint}"
        )
    return result


def load_result(printed: str) -> LoadResult:
    """What a load generator, wrk with our script or bench.load, printed in its last line."""
    return LoadResult(**json.loads(printed.rstrip().rpartition("\n")[2]))


def one_round(subject: Subject, workload: Workload, seconds: float, core: int) -> Sample:
    """Load one proxy and take its CPU time meanwhile.

    :param core: the proxy's.
    """
    started, core_before, cpu_before = time.monotonic(), core_seconds(core), cpu_seconds(subject.server.pid)
    result = offer(subject, workload, seconds)
    cpu = cpu_seconds(subject.server.pid) - cpu_before
    return sample(cpu, core_seconds(core) - core_before, time.monotonic() - started, result)


def compare(
    subjects: Sequence[Subject], workload: Workload, *, rounds: int, seconds: float, core: int
) -> dict[str, list[Sample]]:
    """Every subject once a round, in turn; the samples by subject."""
    for subject in subjects:
        offer(subject, workload, WARM_UP_SECONDS)
    samples: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            samples[subject.name].append(one_round(subject, workload, seconds, core))
    return samples


def doubts(samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Sentences on what makes these figures less than trustworthy."""
    found = []
    pace = min(s.pace for of_one in samples.values() for s in of_one)
    others = max(s.others for of_one in samples.values() for s in of_one)
    if pace < PACE_KEPT:
        found.append(f"The load's core was too busy: events were sent at {pace:.0%} of the intended pace.")
    if others > OTHERS:
        found.append(
            f"Something else took up to {others:.0%} of the proxy's core: repeat it on a quiet machine."
        )
    return found
