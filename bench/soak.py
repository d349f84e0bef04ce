"""Many streams at a time, random faults, clients that leave: every answer whole or ended by a clear error, and nothing
left behind.

It goes in two halves, and after each the gateway is left in peace until it is as it was before.  What a process keeps
for good is there after the first; what it holds more after the second is left behind.
"""

from __future__ import annotations

import asyncio
import random
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from attrs import field, frozen
from prometheus_client.parser import text_string_to_metric_families

from bench.asking import ask
from bench.expecting import Spec
from bench.judging import Ending, judge
from bench.measure import memory
from bench.servers import Cores, GatewayServer, gateway, simulator
from bench.simulated import provider, question, route, text, upstream_timeouts, written

WORDS = 40
_SPEECH = f"words={WORDS}, chunk-delay=100ms"
_FAULTS = (
    "4%cut-after=20, 3%cut-after=20&cut=reset, 2%cut-after=9&cut=end, 3%stall-after=9, 3%error-after=5, "
    "3%status=503, 2%status=500, 2%status=429&retry-after=1, 1%status=429, 2%stall, 2%reset, 1%close, "
    "1%garbage, 2%malformed-event, 2%no-done, 1%context-length, 1%content-filter, 1%status=401"
)
_DRILL = f"{_SPEECH}, {_FAULTS}"

LEAVING = 0.1
"""Share of the clients that leave before their answer is whole."""
LEAVES_SECONDS = 4.0
"""At the latest after so long."""
PLAIN = 0.2
"""Share of the requests that ask for no stream."""

TOLD_TIMES = 5
"""In each half what the gateway holds is told so often."""
REST_SECONDS = 20.0
"""After so long everything is back to zero load's level."""
HEALING_SECONDS = 75.0
"""So long a breaker stays open at most, and a little more."""

MEMORY_PERCENT, MEMORY_MIB = 10.0, 8.0
"""What a process may hold more after the second half: the larger of the two."""

_SPEC: Spec = {
    "prefill": True,
    "connectionPool": {"idleTimeout": "2s"},
    "outlierDetection": {"baseEjectionTime": "200ms"},
}
_TIMEOUTS = {"connect": "1s", "headers": "1s", "firstContent": "1s", "idle": "1s"}
MIRROR = "mirror.bench"
RULES: dict[str, Spec] = {
    "usual": {},
    "hedged": {"hedge": {"after": "300ms"}},
    "kept-alive": {"keepAlive": "1s", "onClientDisconnect": "drain"},
    "mirrored": {"mirror": {"providerHost": MIRROR, "percent": 50}},
    "breaking": {"onStreamBreak": "error", "retries": {"attempts": 3}},
}
"""By the first label of its host."""

TEXTS = {"small": "".join(f"{word} " for word in islice(cycle(text("small").split()), WORDS))}


GOOD = (Ending.WHOLE.value, Ending.ERROR.value, "left")
"""How a request may end."""


@frozen
class Level:
    """What the gateway holds."""

    sockets: int
    in_flight: int
    """Requests."""
    connections: int
    """To providers, in whatever state."""
    mebibytes: float = field(eq=False)

    def told(self) -> str:
        return (
            f"{self.sockets} sockets, {self.in_flight} requests in flight, "
            f"{self.connections} connections to providers, {self.mebibytes:.0f} MiB"
        )


def _level(server: GatewayServer) -> Level:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin_port}/metrics", timeout=10) as answer:
        samples = {
            family.name: sum(sample.value for sample in family.samples)
            for family in text_string_to_metric_families(answer.read().decode())
            if family.type == "gauge"
        }
    links = list(Path(f"/proc/{server.pid}/fd").iterdir())
    return Level(
        sockets=sum(_is_socket(link) for link in links),
        in_flight=int(samples["llmgateway_requests_in_flight"]),
        connections=int(samples["llmgateway_upstream_connections"]),
        mebibytes=memory(server.pid).now,
    )


def _is_socket(link: Path) -> bool:
    try:
        return str(link.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False


async def _rested(server: GatewayServer, zero: Level) -> Level:
    """The level once it is zero load's, or when it should be."""
    give_up = time.monotonic() + REST_SECONDS
    while True:
        level = await asyncio.to_thread(_level, server)
        if level == zero or time.monotonic() > give_up:
            return level
        await asyncio.sleep(0.5)


async def _client(port: int, until: float, chance: random.Random, outcomes: Counter[str]) -> None:
    """Ask until the time is over, one thing after the other."""
    await asyncio.sleep(chance.uniform(0, 1))
    while time.monotonic() < until:
        host, stream = f"{chance.choice(list(RULES))}.bench", chance.random() >= PLAIN
        if chance.random() < LEAVING:
            await ask(port, host, question(stream=stream), patience=chance.uniform(0, LEAVES_SECONDS))
            outcomes["left"] += 1
            continue
        verdict = judge(await ask(port, host, question(stream=stream)), TEXTS, stream=stream)
        told = verdict.ending.value
        if verdict.ending not in (Ending.WHOLE, Ending.ERROR):
            told = f"{told}: {host} {'streamed' if stream else 'plain'} {verdict.told}"
        outcomes[told] += 1


async def _load(port: int, seconds: float, streams: int, seed: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + seconds
    clients = (_client(port, until, random.Random(seed + number), outcomes) for number in range(streams))
    await asyncio.gather(*clients)
    return outcomes


async def _watch(server: GatewayServer, every: float) -> None:
    """Tell what the gateway holds, again and again, until this is cancelled."""
    while True:
        await asyncio.sleep(every)
        level = await asyncio.to_thread(_level, server)
        print(f"Meanwhile: {level.told()}", flush=True)


def _documents(primary: int, fallback: int) -> dict[str, str]:
    documents = {"gateway": written([upstream_timeouts(_TIMEOUTS)])}
    for name, rule in RULES.items():
        hosts = f"primary.{name}.bench", f"fallback.{name}.bench"
        documents[name] = written(
            [
                provider(hosts[0], primary, "small", _DRILL, spec=_SPEC),
                provider(hosts[1], fallback, "small", _DRILL, spec=_SPEC),
                route(f"{name}.bench", hosts, rule),
            ]
        )
    documents["mirror"] = written([provider(MIRROR, fallback, "small", _DRILL, spec=_SPEC)])
    return documents


async def _healed(port: int) -> list[str]:
    """Ask each provider by its own host until it answers; those that did not in time."""

    async def heals(host: str) -> str:
        give_up = time.monotonic() + HEALING_SECONDS
        while time.monotonic() < give_up:
            verdict = judge(await ask(port, host, question(stream=False)), TEXTS, stream=False)
            if verdict.ending is Ending.WHOLE:
                return ""
            await asyncio.sleep(0.2)
        return host

    hosts = [f"{who}.{name}.bench" for name in RULES for who in ("primary", "fallback")]
    return [host for host in await asyncio.gather(*map(heals, hosts)) if host]


async def _run(
    command: str, cores: Cores, directory: Path, seconds: float, streams: int
) -> tuple[list[str], Counter[str]]:
    """What was not as it must be, and how many requests ended how."""
    wrong: list[str] = []
    with ExitStack() as running:
        primary, fallback = (
            running.enter_context(simulator(name, cores, directory)) for name in ("primary", "fallback")
        )
        documents = _documents(primary.port, fallback.port)
        server = running.enter_context(gateway(command, cores, directory, documents, asked=()))
        zero = _level(server)
        print(f"Before: {zero.told()}", flush=True)
        watching = asyncio.create_task(_watch(server, seconds / 2 / TOLD_TIMES))
        outcomes = await _load(server.port, seconds / 2, streams, seed=1)
        half = await _rested(server, zero)
        print(f"At rest: {half.told()}", flush=True)
        outcomes += await _load(server.port, seconds / 2, streams, seed=1_000_000)
        watching.cancel()
        rested = await _rested(server, zero)
        print(f"At rest: {rested.told()}", flush=True)
        wrong += [f"{host} is still left alone" for host in await _healed(server.port)]
        last = await _rested(server, zero)
    if last != zero:
        wrong.append(f"left behind: {last.told()}")
    allowed = max(MEMORY_MIB, half.mebibytes * MEMORY_PERCENT / 100)
    if last.mebibytes > half.mebibytes + allowed:
        wrong.append(f"{last.mebibytes - half.mebibytes:.0f} MiB more than after the first half")
    return wrong, outcomes


def check_soak(command: str, cores: Cores, directory: Path, *, minutes: float, streams: int) -> bool:
    """Drive it and print what came of it; whether all went well.

    :param streams: clients at a time.
    """
    wrong, outcomes = asyncio.run(_run(command, cores, directory, minutes * 60, streams))
    bad = {told: number for told, number in outcomes.items() if told not in GOOD}
    wrong += [f"{number} × {told}" for told, number in bad.items()]
    for sentence in wrong:
        print(f"MISSED: {sentence}")
    told = ", ".join(f"{outcomes[each]:,} {each}" for each in GOOD)
    print(
        f"{minutes:g} minutes, {streams} at a time, {outcomes.total():,} requests: {told}, "
        f"{sum(bad.values())} wrong: {'FAILED' if wrong else 'good'}",
        flush=True,
    )
    return not wrong
