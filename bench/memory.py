"""What the gateway holds in memory: an enormous answer to a slow client, and thousands of streams at once."""

from __future__ import annotations

import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.comparing import load_result
from bench.load import STREAM_BODY
from bench.measure import Memory, memory
from bench.servers import (
    ROOT,
    CannotRunError,
    Cores,
    Server,
    gateway,
    gateway_documents,
    raise_open_files,
    stream_upstream,
)
from bench.upstream import bulk_body_bytes

PEAK_LIMIT_MIB = 100
BYTES_PER_SECOND = 50_000_000
PAUSE_SECONDS = 3.0
"""At first the client does not read at all: every buffer between it and the upstream runs full."""
READ_BYTES = 1024 * 1024

RAMP_SECONDS = 5.0
EVENTS = 60
INTERVAL_US = 250_000
"""A stream lasts 15 s, thrice the time in which all are opened: for 10 s they are all there."""


def read_slowly(server: Server, host: str, size: int) -> int:
    """Ask for an enormous answer and take it at BYTES_PER_SECOND; its length.  Raises CannotRunError."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Host": host, "Content-Type": "application/json", "User-Type": "subscriber"}
    connection.request("POST", "/v1/chat/completions", STREAM_BODY, {**headers, "x-bench-bytes": str(size)})
    received = 0
    try:
        answer = connection.getresponse()
        time.sleep(PAUSE_SECONDS)
        started = time.monotonic()
        while data := answer.read(READ_BYTES):
            received += len(data)
            time.sleep(max(0.0, started + received / BYTES_PER_SECOND - time.monotonic()))
    except (HTTPException, OSError) as error:
        raise CannotRunError(f"The enormous answer broke after {received:,} bytes: {error!r}") from error
    finally:
        connection.close()
    return received


def told(memory_then: Memory) -> str:
    """Memory in words."""
    return f"resident {memory_then.now:.0f} MiB, peak {memory_then.peak:.0f} MiB"


def bulk(command: str, cores: Cores, directory: Path, upstream: Server, mebibytes: int) -> bool:
    """One enormous answer; whether it came whole and within the limit."""
    size = mebibytes * 1024 * 1024
    with gateway(command, cores, directory, {"streams": gateway_documents("streams", upstream)}) as server:
        print(f"Idle gateway: {told(memory(server.pid))}")
        received = read_slowly(server, "streams.bench", size)
        after = memory(server.pid)
    whole = received == bulk_body_bytes(size)
    good = whole and after.peak < PEAK_LIMIT_MIB
    print(
        f"{received / 1024**2:,.0f} MiB of events, client pauses {PAUSE_SECONDS:g} s, then reads "
        f"{BYTES_PER_SECOND / 1e6:g} MB/s: {'complete' if whole else 'NOT COMPLETE'}, {told(after)} "
        f"(limit {PEAK_LIMIT_MIB} MiB): {'good' if good else 'FAILED'}",
        flush=True,
    )
    return good


def many_streams(command: str, cores: Cores, directory: Path, upstream: Server, streams: int) -> bool:
    """Thousands of streams at once; whether all came whole."""
    files = raise_open_files()
    if files < 2 * streams + 100:
        raise CannotRunError(
            f"{streams} streams need {2 * streams + 100} open files, `ulimit -Hn` allows {files}."
        )
    with gateway(command, cores, directory, {"streams": gateway_documents("streams", upstream)}) as server:
        load = [
            sys.executable, "-m", "bench.load", "streams", str(server.port), "streams.bench",
            "--connections", str(streams), "--seconds", "0", "--ramp", str(RAMP_SECONDS),
            "--events", str(EVENTS), "--interval-us", str(INTERVAL_US),
        ]  # fmt: skip
        result = load_result(
            subprocess.run(load, capture_output=True, text=True, cwd=ROOT, check=True).stdout
        )
        after = memory(server.pid)
    whole = result.completed // (EVENTS + 2)
    good = result.failed == 0 and whole == result.most_at_once == streams
    print(
        f"{streams:,} streams: {result.most_at_once:,} open at once, {whole:,} complete, "
        f"{result.failed:,} not; "
        f"{result.per_second:,.0f} events/s, each {result.p50_us / 1000:,.1f} ms on its way (p50), "
        f"{result.p99_us / 1000:,.1f} ms (p99); "
        f"{told(after)}: {'good' if good else 'FAILED ' + result.complaint}",
        flush=True,
    )
    return good


def check_memory(command: str, cores: Cores, directory: Path, *, mebibytes: int, streams: int) -> bool:
    """Both, each on a gateway of its own; whether all went well."""
    with stream_upstream(cores, directory) as upstream:
        bulk_good = bulk(command, cores, directory, upstream, mebibytes)
        streams_good = many_streams(command, cores, directory, upstream, streams)
    return bulk_good and streams_good
