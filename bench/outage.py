"""A primary that is down for a while, in each of the ways in which hosts are down: who answers meanwhile, how often
the dead one is asked, and how soon it is back in use.

Streams and plain answers are asked for in turn, with the defaults of `outlierDetection`.  The ways go
on side by side, each with a route and providers of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import Literal

from attrs import frozen

from bench.asking import ask, told_attempts
from bench.doors import Door
from bench.judging import Ending, Verdict, judge
from bench.servers import Cores, gateway, simulator
from bench.simulated import provider, question, route, text, upstream_timeouts, written

BEFORE = 2
"""Requests while all is well; the outage begins a quarter of an interval before the next one."""
AFTER_SECONDS = 7.0
"""So long requests go on after it."""

BACK_SECONDS = 5.0
"""The primary must be in use again within this time of its recovery."""

FAILURES = 5
"""Failures in a row after which a provider is left alone, by default."""
PROBE_SECONDS = 2.5
"""While it is left alone it is asked once in so many seconds at most."""

MODELS = {"small": text("small"), "large": text("large")}
"""The primary's and the fallback's."""

_TIMEOUTS = dict.fromkeys(("connect", "headers", "firstContent", "idle"), "1s")

Way = Literal["refused", "dropped", "503", "silent"]

WAYS: dict[Way, str] = {
    "refused": "connections refused",
    "dropped": "packets dropped",
    "503": "503 to everything",
    "silent": "silence",
}


@frozen
class Asked:
    """One request and its answer."""

    at: float
    """When it was asked, in seconds of `time.monotonic`."""
    seconds: float
    verdict: Verdict
    attempts: int | None
    """In all, as the gateway says."""

    @property
    def by_primary(self) -> bool:
        return self.verdict.model == "small"


@frozen
class Outage:
    """One way to be down, and what came of it."""

    way: Way
    asked: list[Asked]
    down_at: float
    up_at: float
    attempts: int | None
    """At the primary while it was down; None where the gateway does not tell."""

    @property
    def back_after(self) -> float | None:
        """Seconds from the recovery to the first request that the primary answered; None for never."""
        after = (each.at - self.up_at for each in self.asked if each.by_primary and each.at >= self.up_at)
        return next(after, None)

    def complaints(self, slack: float) -> list[str]:
        """Everything that is not as it must be.

        :param slack: seconds that this machine may add.
        """
        wrong = [
            f"request {number}: {each.verdict.ending.value} {each.verdict.told}"
            for number, each in enumerate(self.asked)
            if each.verdict.ending is not Ending.WHOLE
        ]
        allowed = FAILURES + ceil((self.up_at - self.down_at) / PROBE_SECONDS)
        if self.attempts is None or self.attempts > allowed:
            wrong.append(f"more than {allowed} attempts")
        if self.back_after is None or self.back_after > BACK_SECONDS + slack:
            wrong.append(f"not back within {BACK_SECONDS:g} s")
        return wrong

    def told(self) -> str:
        """A line of the table."""
        whole = sum(each.verdict.ending is Ending.WHOLE for each in self.asked)
        slowest = max(each.seconds for each in self.asked)
        back = "never" if self.back_after is None else f"{self.back_after:.1f} s"
        return (
            f"| {WAYS[self.way]} | {len(self.asked)} | {whole} | {slowest:.1f} s | {self.attempts} | {back} |"
        )


@frozen
class Schedule:
    """When what happens, in seconds."""

    down: float
    """How long the primary is down."""
    every: float
    """From one request to the next."""

    @property
    def well(self) -> float:
        """How long it is well before that."""
        return (BEFORE - 0.25) * self.every

    @property
    def requests(self) -> int:
        return BEFORE + ceil((self.down + AFTER_SECONDS) / self.every)


def _drill(way: Way, schedule: Schedule) -> str:
    times = f"from={schedule.well:g}s&for={schedule.down:g}s"
    match way:
        case "503":
            return f"status=503&{times}"
        case "silent":
            return f"stall&{times}"
        case "refused" | "dropped":
            return ""


async def _go_down(way: Way, door: Door, schedule: Schedule) -> tuple[float, float]:
    """Be down in time and up again; when that was.  What answers 503 or nothing is told to by its drill."""
    await asyncio.sleep(schedule.well)
    down = time.monotonic()
    if way in ("refused", "dropped"):
        door.shut()
    if way == "dropped":
        await asyncio.to_thread(door.fill)
    await asyncio.sleep(down + schedule.down - time.monotonic())
    if way in ("refused", "dropped"):
        door.shut()
        await door.open()
    return down, time.monotonic()


async def _ask_later(port: int, host: str, number: int, every: float) -> Asked:
    await asyncio.sleep(number * every)
    at, stream = time.monotonic(), number % 2 == 1
    received = await ask(port, host, question(stream=stream))
    verdict = judge(received, MODELS, stream=stream)
    return Asked(at, received.seconds, verdict, told_attempts(received))


def _attempts(way: Way, door: Door, asked: Sequence[Asked], down: float, up: float) -> int | None:
    """At the primary.  What its door does not see the gateway tells: all attempts but the fallback's one."""
    if way in ("503", "silent"):
        return sum(down <= at < up for at in door.requests)
    total = 0
    for each in asked:
        if down <= each.at < up:
            if each.attempts is None:
                return None
            total += each.attempts - (not each.by_primary)
    return total


async def _drive(way: Way, door: Door, port: int, schedule: Schedule) -> Outage:
    numbers = range(schedule.requests)
    asking = asyncio.gather(*(_ask_later(port, f"{way}.bench", each, schedule.every) for each in numbers))
    down, up = await _go_down(way, door, schedule)
    asked = await asking
    await door.close()
    return Outage(way, asked, down, up, _attempts(way, door, asked, down, up))


async def _run(command: str, cores: Cores, directory: Path, schedule: Schedule) -> list[Outage]:
    with ExitStack() as running:
        primary, fallback = (
            running.enter_context(simulator(name, cores, directory)) for name in ("primary", "fallback")
        )
        doors = {way: Door(primary.port) for way in WAYS}
        documents = {"gateway": written([upstream_timeouts(_TIMEOUTS)])}
        for way, door in doors.items():
            await door.open()
            hosts = f"primary.{way}.bench", f"fallback.{way}.bench"
            documents[way] = written(
                [
                    provider(hosts[0], door.port, "small", _drill(way, schedule)),
                    provider(hosts[1], fallback.port, "large"),
                    route(f"{way}.bench", hosts),
                ]
            )
        server = running.enter_context(gateway(command, cores, directory, documents, asked=()))
        return await asyncio.gather(*(_drive(way, doors[way], server.port, schedule) for way in WAYS))


def check_outage(
    command: str, cores: Cores, directory: Path, *, seconds: float, every: float, slack: float
) -> bool:
    """Drive it and print what came of it; whether all went well.

    :param seconds: that the primary is down.
    :param every: seconds from one request to the next.
    :param slack: seconds that the primary may be back later.
    """
    outages = asyncio.run(_run(command, cores, directory, Schedule(seconds, every)))
    print(f"The primary is down for {seconds:g} s, one request every {every:g} s:\n")
    print("| how | requests | whole | slowest | attempts at the dead primary | back in use after |")
    print("|---|---|---|---|---|---|")
    for outage in outages:
        print(outage.told())
    print()
    missed = [f"{WAYS[outage.way]}: {wrong}" for outage in outages for wrong in outage.complaints(slack)]
    for sentence in missed:
        print(f"MISSED: {sentence}")
    print("FAILED" if missed else "good", flush=True)
    return not missed
