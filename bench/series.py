"""What many busy series cost: memory, scrapes, and requests that are asked beside a scrape."""

from __future__ import annotations

import gzip
import json
import socket
import time
from http.client import HTTPConnection
from pathlib import Path

from attrs import frozen

from bench.measure import memory
from bench.reload import PATIENCE, QUIET_SECONDS, answers_with, conf_d, heartbeat, wait_until, waited
from bench.servers import CannotRunError, Cores, GatewayServer, gateway
from gateway.serving.page.history import RECENT_SECONDS, WHOLE_SECONDS

PASSES = 3
"""How often each route is asked; memory is looked at after the first time and after the last."""

BYTES_EACH = 6000
"""Of resident memory, by each series, the page's readings of it included."""

_BODY = json.dumps({"stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()


@frozen
class Scraped:
    """One scrape."""

    lines: int
    sent_bytes: int
    """On the wire."""
    seconds: float


def ask_each(server: GatewayServer, tenants: int, routes: int) -> None:
    """One stream by every route, one after the other on one connection; raises CannotRunError."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for tenant in range(tenants):
        for route in range(routes):
            headers = {"Host": f"r{route}.t{tenant}.bench", "Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", _BODY, headers)
            answer = connection.getresponse()
            if answer.status != 200 or b"[DONE]" not in answer.read():
                raise CannotRunError(f"Route {route} of tenant {tenant} answers {answer.status}.")
    connection.close()


def scrape(server: GatewayServer, encoding: str) -> Scraped:
    """Scrape once, as Prometheus does."""
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", server.admin_port, timeout=PATIENCE)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.monotonic() - began
    connection.close()
    text = gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body
    return Scraped(text.count(b"\n"), len(body), seconds)


def check_series(command: str, cores: Cores, directory: Path, *, tenants: int, routes: int) -> bool:
    """Ask every route, then scrape beside a heartbeat; whether memory and waiting stay within their limits."""
    phases: dict[str, tuple[float, float]] = {}
    series = tenants * routes
    with gateway(command, cores, directory, conf_d(tenants, routes, 0), asked=()) as server:
        wait_until(answers_with(server, "heartbeat.bench", 0), "the start")
        time.sleep(QUIET_SECONDS)
        idle = memory(server.pid).now
        ask_each(server, tenants, routes)
        first = memory(server.pid).now
        for _ in range(PASSES - 1):
            ask_each(server, tenants, routes)
        time.sleep(RECENT_SECONDS + WHOLE_SECONDS)  # until the page has all the readings that it keeps
        last = memory(server.pid).now
        each = (last - idle) * 1024 * 1024 / series
        good = each <= BYTES_EACH
        print(
            f"{series:,} series: resident {idle:.0f} MiB before, {first:.0f} MiB after one stream each, "
            f"{last:.0f} MiB after {PASSES}: {each:,.0f} bytes each (limit {BYTES_EACH:,}): "
            f"{'good' if good else 'FAILED'}",
            flush=True,
        )
        with heartbeat(server) as beats:
            began = time.monotonic()
            time.sleep(QUIET_SECONDS)
            phases["nobody scrapes"] = (began, time.monotonic())
            for encoding in ("identity", "gzip"):
                began = time.monotonic()
                scraped = scrape(server, encoding)
                phases[
                    f"a scrape ({encoding}): {scraped.lines:,} lines, {scraped.sent_bytes / 1e6:.1f} MB "
                    f"in {scraped.seconds:.1f} s"
                ] = (began, time.monotonic())
        print(f"resident {memory(server.pid).now:.0f} MiB, peak {memory(server.pid).peak:.0f} MiB")
    waits = [waited(phase, between, beats) for phase, between in phases.items()]
    return good and all(waits)
