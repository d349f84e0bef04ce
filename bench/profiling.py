"""Where the gateway's time goes: py-spy on it, under load."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.comparing import Subject, Workload, offer
from bench.servers import STOP_SECONDS, CannotRunError

SAMPLES_PER_SECOND = 500
FUNCTIONS = 25


def find_py_spy() -> str:
    """py-spy's path, beside this Python or on PATH; raises CannotRunError."""
    beside_python = Path(sys.executable).parent / "py-spy"
    found = str(beside_python) if beside_python.exists() else shutil.which("py-spy")
    if found is None:
        raise CannotRunError(
            "--profile needs py-spy: pip install py-spy (and the right to trace the gateway)."
        )
    return found


def hottest(collapsed: str) -> list[tuple[str, float, float]]:
    """Functions by their own time: name, part of all samples in it, part in it and what it called.

    :param collapsed: lines of `outermost;…;innermost count`.
    """
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        functions = stack.split(";")
        own[functions[-1]] += int(count)
        for function in set(functions):
            total[function] += int(count)
    samples = max(1, own.total())
    return [(name, count / samples, total[name] / samples) for name, count in own.most_common()]


def profile(subject: Subject, workload: Workload, seconds: float, directory: Path) -> str:
    """Load the gateway and sample it meanwhile; the hottest functions as text."""
    raw = directory / f"{workload.kind}-{workload.connections}.stacks"
    command = [
        find_py_spy(), "record", "--pid", str(subject.server.pid), "--format", "raw", "--output", str(raw),
        "--rate", str(SAMPLES_PER_SECOND), "--duration", str(max(1, round(seconds))), "--function",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as sampling:
        offer(subject, workload, seconds)
        said, _ = sampling.communicate(timeout=seconds + STOP_SECONDS)
    if sampling.returncode or not raw.exists():
        raise CannotRunError(f"py-spy could not sample the gateway: {said.strip()[-1000:]}")
    rows = hottest(raw.read_text())[:FUNCTIONS]
    lines = [f"{own:6.1%} {total:6.1%}  {name}" for name, own, total in rows]
    return "\n".join((f"{workload.title}: own time, with callees, function", *lines))
