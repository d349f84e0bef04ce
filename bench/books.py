"""Requests of every kind by two tenants; then metrics, access log and the simulator's own books are compared."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.bookings import KINDS, TENANTS, Asked, Kind, Seen, answer_all, client_key, leaves_in_silence, mixed
from bench.reconciling import Books, at_rest, disagreements, never_seen, samples_in
from bench.servers import Cores, GatewayServer, Server, free_port, gateway, simulator
from bench.simulated import provider, route, upstream_timeouts, written
from bench.spending import PRICES

AT_ONCE = 48
SEED = 5
REST_SECONDS = 20.0
"""After so long everything is at rest."""

_TIMEOUTS = dict.fromkeys(("connect", "headers", "firstContent", "idle"), "30s")
_SPEC = {"connectionPool": {"idleTimeout": "1s"}, "outlierDetection": {"consecutiveErrors": 0}}


def _documents(port: int) -> dict[str, str]:
    """Both tenants' files.

    :param port: of the simulator.
    """
    nobody = free_port()
    return {
        "gateway": written([upstream_timeouts(_TIMEOUTS)]),
        **{f"{tenant}/all": written(_tenant(tenant, port, nobody)) for tenant in TENANTS},
    }


def _tenant(tenant: str, port: int, nobody: int) -> list[Mapping[str, object]]:
    client = {
        "name": "application",
        "apiKeyHash": f"sha256:{sha256(client_key(tenant).encode()).hexdigest()}",
    }
    documents: list[Mapping[str, object]] = [
        {
            "apiVersion": "llmgateway.dev/v1",
            "kind": "Tenant",
            "metadata": {"name": tenant},
            "spec": {"clients": [client]},
        },
        provider("mirror.bench", port, "small", spec=_spec(tenant, "mirror")),
    ]
    for kind in KINDS:
        if kind.route:
            documents += _of_kind(tenant, kind, port if kind.is_reachable else nobody, port)
    return documents


def _spec(tenant: str, role: str) -> dict[str, object]:
    """What all providers of this role have, with its prices."""
    currency, *prices = PRICES[tenant, role]
    default = dict(zip(("input", "cachedInput", "output"), prices, strict=True))
    return {**_SPEC, "pricing": {"currency": currency, "default": default}}


def _of_kind(tenant: str, kind: Kind, primary: int, fallback: int) -> list[Mapping[str, object]]:
    hosts = [f"primary.{kind.host}"]
    spec = {**_spec(tenant, "primary"), **kind.primary_spec}
    documents: list[Mapping[str, object]] = [provider(hosts[0], primary, "small", kind.primary, spec=spec)]
    if kind.fallback is not None:
        hosts.append(f"fallback.{kind.host}")
        spec = {**_spec(tenant, "fallback"), **kind.fallback_spec}
        documents.append(provider(hosts[1], fallback, "small", kind.fallback, spec=spec))
    return [*documents, route(kind.host, hosts, kind.rule)]


def _page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def _records(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


async def _leave_silence(asked: Mapping[str, Asked], simulated: Server) -> dict[str, Seen]:
    """Send those that are not answered, and leave when all of them have come to the simulator."""
    tasks = {name: asyncio.create_task(one.kind.client(one)) for name, one in asked.items()}
    give_up = time.monotonic() + REST_SECONDS
    while time.monotonic() < give_up:
        lines = json.loads(await asyncio.to_thread(_page, simulated.port, "/books"))["lines"]
        if sum(line["requests"] for line in lines if "silence" in line["provider"]) == len(tasks):
            break
        await asyncio.sleep(0.1)
    for task in tasks.values():
        task.cancel()
    return {name: await task for name, task in tasks.items()}


async def _load(asked: Mapping[str, Asked], simulated: Server) -> dict[str, Seen]:
    silent = {name: one for name, one in asked.items() if one.kind.client is leaves_in_silence}
    others = {name: one for name, one in asked.items() if name not in silent}
    all_seen = await asyncio.gather(_leave_silence(silent, simulated), answer_all(others, AT_ONCE))
    return all_seen[0] | all_seen[1]


def _books(
    asked: Mapping[str, Asked], seen: Mapping[str, Seen], log: Path, server: GatewayServer, simulated: Server
) -> Books:
    """What there is once everything is at rest, or should be."""
    give_up = time.monotonic() + REST_SECONDS
    while True:
        samples = samples_in(_page(server.admin_port, "/metrics"))
        books = Books(asked, seen, _records(log), samples, json.loads(_page(simulated.port, "/books")))
        is_written = len(books.records) >= len(asked)
        if (is_written and not at_rest(books)) or time.monotonic() > give_up:
            return books
        time.sleep(0.25)


def check_books(command: str, cores: Cores, directory: Path, *, requests: int) -> bool:
    """Drive it and print what came of it; whether all books agree."""
    log = directory / "access.log"
    with simulator("simulator", cores, directory) as simulated:
        command = f"{command} --access-log {log}"
        with gateway(command, cores, directory, _documents(simulated.port), asked=()) as server:
            asked = {one.name: one for one in mixed(requests, server.port, SEED)}
            started = time.monotonic()
            seen = asyncio.run(_load(asked, simulated))
            seconds = time.monotonic() - started
            books = _books(asked, seen, log, server, simulated)
    wrong = [*never_seen(books), *at_rest(books), *disagreements(books)]
    for sentence in wrong:
        print(f"MISSED: {sentence}")
    attempts = sum(record["attempts"] for record in books.records)
    tokens = sum(record["request_completion_tokens"] or 0 for record in books.records)
    estimated = sum(record["usage_estimated"] for record in books.records)
    ends = Counter(record["outcome"] for record in books.records)
    print(
        f"{len(asked):,} requests of {len(TENANTS)} tenants in {seconds:.1f} s "
        f"({', '.join(f'{number:,} {end}' for end, number in ends.most_common())}), {attempts:,} attempts, "
        f"{tokens:,} output tokens, {estimated:,} exchanges estimated, {len(wrong)} disagreements: "
        f"{'FAILED' if wrong else 'good'}",
        flush=True,
    )
    return not wrong
