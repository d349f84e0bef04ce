"""Clocks and statistics: what a process used, and what many samples say."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from attrs import frozen

_libc = ctypes.CDLL(None)


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used, all its threads, ended ones too.

    From the process's own CPU clock (POSIX clock_getcpuclockid), which counts nanoseconds; the figures of
    `/proc/PID/stat` step by 10 ms.

    :raises ProcessLookupError: there is no such process.
    """
    clock = ctypes.c_int()
    error = _libc.clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise ProcessLookupError(error, f"process {pid}: {os.strerror(error)}")
    return time.clock_gettime(clock.value)


def core_seconds(core: int) -> float:
    """Time that a core worked for processes, or that the host took from it, in steps of 10 ms."""
    columns = re.search(rf"^cpu{core} (.+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    assert columns, f"no core {core}"
    user, nice, system, _idle, _waiting, _irq, _softirq, steal, *_ = map(int, columns[1].split())
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


@frozen
class Memory:
    """A process's resident memory, in MiB."""

    now: float
    peak: float


def memory(pid: int) -> Memory:
    """What a process holds in memory now, and the most it ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return Memory(now=int(kibibytes["VmRSS"]) / 1024, peak=int(kibibytes["VmHWM"]) / 1024)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least this percentage of the values do not exceed (nearest rank).

    :param ordered: in ascending order, at least one.
    """
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


@frozen
class LoadResult:
    """What a load generator saw in one round."""

    completed: int
    """Requests answered, or events of whole streams received."""
    seconds: float
    p50_us: float
    """Of a request's duration, or of an event's way from the upstream's send to the client's read."""
    p99_us: float
    failed: int
    """Requests or streams that did not end as they should; a round with one counts for nothing."""
    most_at_once: int = 0
    """Streams that were open at the same time."""
    pace: float = 1.0
    """How fast the upstream sent, as a part of what it was asked for."""
    complaint: str = ""
    """What was wrong with the first one that failed."""

    @property
    def per_second(self) -> float:
        return self.completed / self.seconds


@frozen
class Sample:
    """One round of one proxy."""

    cpu_us: float
    """CPU time of the proxy's worker for one request or event, in microseconds."""
    per_second: float
    p50_us: float
    p99_us: float
    pace: float
    """How fast the upstream sent, as a part of what it was asked for."""
    others: float
    """Part of the round in which something else had the proxy's core."""


def sample(cpu: float, core: float, elapsed: float, load: LoadResult) -> Sample:
    """A round's figures.

    :param cpu: seconds that the proxy used meanwhile.
    :param core: seconds that its core worked meanwhile, for whomever.
    :param elapsed: seconds that the round took.
    """
    return Sample(
        cpu_us=cpu * 1e6 / load.completed,
        per_second=load.per_second,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        pace=load.pace,
        others=max(0.0, core - cpu) / elapsed,
    )


def machine(nginx_version: str) -> str:
    """One line that says what the figures were measured on."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return ", ".join(
        (
            f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
            nginx_version,
            f"{platform.system()} {platform.release()}",
            f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}",
        )
    )
