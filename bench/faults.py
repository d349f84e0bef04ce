"""Every fault of a provider, with a fallback that works: what its clients get, and who is asked how often.

Each trial, one fault asked for plain or streamed, has a route, two providers and their doors of its own, so all of
them can run at the same time and no breaker or budget knows of another one.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import field, frozen
from prometheus_client.parser import text_string_to_metric_families

from bench.asking import Received, ask, told_attempts
from bench.doors import Door, hammered
from bench.expecting import TIMER_SECONDS, Case, Expected, Way
from bench.fault_cases import CASES
from bench.judging import Ending, Verdict, judge
from bench.servers import ROOT, CannotRunError, Cores, GatewayServer, gateway, simulator
from bench.simulated import provider, question, route, text, upstream_timeouts, written

AT_ONCE = 24
"""Trials; more would only take time from one another."""

QUIET_SECONDS = 1.0
"""So long after the last answer nobody is asked any more."""

PAGE = ROOT / "docs" / "resilience.md"
_BEGINS = "<!-- made by python -m bench faults --markdown -->\n"
_ENDS = "<!-- end -->\n"

_TIMEOUTS = dict.fromkeys(("connect", "headers", "firstContent", "idle"), f"{TIMER_SECONDS:g}s")


@frozen(eq=False)
class Trial:
    """One fault, asked for plain or streamed."""

    case: Case
    stream: bool
    name: str
    primary: Door
    fallback: Door
    second: Door | None = None
    """Between the two."""

    @property
    def expected(self) -> Expected:
        expected = self.case.stream if self.stream else self.case.plain
        assert expected is not None
        return expected

    @property
    def host(self) -> str:
        return f"{self.name}.bench"

    @property
    def doors(self) -> Mapping[str, Door]:
        """By who is behind them."""
        second = {"second": self.second} if self.second is not None else {}
        return {"primary": self.primary, **second, "fallback": self.fallback}


def documents(case: Case, host: str, ports: Mapping[str, int]) -> list[dict[str, object]]:
    """The route and the providers of one trial.

    :param ports: of the primary, the second, where there is one, and the fallback.
    """
    models = {"primary": "small", "second": "small", "fallback": case.fallback_model}
    drills = {"primary": case.primary, "second": case.second or "", "fallback": case.fallback}
    specs = {"primary": case.primary_spec, "second": case.second_spec, "fallback": case.fallback_spec}
    configs = {"primary": case.primary_config}
    return [
        *(
            provider(
                f"{who}.{host}", port, models[who], drills[who], spec=specs[who], config=configs.get(who, {})
            )
            for who, port in ports.items()
        ),
        route(host, [f"{who}.{host}" for who in ports], case.rule),
    ]


@frozen
class Outcome:
    """What came of a trial."""

    trial: Trial = field(repr=False)
    verdict: Verdict
    received: Received = field(repr=False)
    asked: Mapping[str, int]
    """How often each was: as its door has seen, or the gateway tells where nobody gets through."""
    slack: float
    """Seconds that this machine may add."""

    @property
    def attempts(self) -> str:
        """At the primary and at the fallback, and between them at the second of three."""
        return " + ".join(map(str, self.asked.values()))

    @property
    def ending(self) -> str:
        """In words."""
        verdict = self.verdict
        if verdict.ending is not Ending.ERROR:
            return " ".join(filter(None, (verdict.ending.value, verdict.told)))
        kind = "error event" if verdict.in_band else f"error {self.received.status}"
        return f"{kind}, `{verdict.told}`"

    def complaints(self) -> list[str]:
        """Everything that is not as it must be."""
        expected, verdict, seconds = self.trial.expected, self.verdict, self.received.seconds
        wrong = []
        if verdict.ending is not expected.ending:
            wrong.append(f"must be {expected.ending.value}")
        elif verdict.ending is Ending.ERROR:
            status = None if verdict.in_band else self.received.status
            if status != expected.status:
                wrong.append(
                    f"must be {'an error event' if expected.status is None else f'a {expected.status}'}"
                )
        allowed = {"primary": expected.primary, "second": expected.second, "fallback": expected.fallback}
        for who, times in self.asked.items():
            if times not in allowed[who]:
                wrong.append(f"the {who} must be asked {_in_words(allowed[who])}×")
        if self.trial.case.crowd == 1:
            told = told_attempts(self.received)
            if told is not None and not self.trial.stream and told != sum(self.asked.values()):
                wrong.append(f"the gateway tells of {told} attempts")
            if any(hammered(door.requests) for door in self.trial.doors.values()):
                wrong.append("asked too often in too short a time")
        if seconds < expected.least:
            wrong.append(f"the provider asked to wait {expected.least:g} s")
        if seconds > expected.most + self.slack:
            wrong.append(f"must take {expected.most:.1f} s at most")
        return wrong


def _in_words(numbers: Collection[int]) -> str:
    if isinstance(numbers, range):
        return f"{numbers[0]} to {numbers[-1]}"
    return " or ".join(map(str, numbers))


def _attempts_told(server: GatewayServer) -> Counter[str]:
    """By provider, how often it was asked, as the gateway's metrics tell."""
    told: Counter[str] = Counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin_port}/metrics", timeout=10) as answer:
        for family in text_string_to_metric_families(answer.read().decode()):
            for sample in family.samples:
                if sample.name == "llmgateway_attempts_total" and sample.labels["outcome"] != "open":
                    told[sample.labels["provider"]] += int(sample.value)
    return told


async def _prepare(door: Door, way: Way) -> None:
    match way:
        case "open":
            await door.open()
        case "ignored":
            door.ignore()
        case "filled":
            door.fill()
        case "refused":
            pass


async def _try(trial: Trial, port: int, at_once: asyncio.Semaphore) -> list[Received]:
    async with at_once:
        for _ in range(trial.case.before):
            await ask(port, trial.host, question(stream=trial.stream))
        for door in trial.doors.values():
            door.requests.clear()
        crowd = (ask(port, trial.host, question(stream=trial.stream)) for _ in range(trial.case.crowd))
        return await asyncio.gather(*crowd)


async def _run(
    command: str, cores: Cores, directory: Path, cases: Sequence[Case], slack: float
) -> list[Outcome]:
    trials = []
    with ExitStack() as running:
        simulators = [
            running.enter_context(simulator(name, cores, directory)) for name in ("primary", "fallback")
        ]
        for number, case in enumerate(cases):
            for stream in (False, True):
                if not stream and case.plain is None:
                    continue
                name = f"{'streamed' if stream else 'plain'}-{number}"
                primary, fallback = (Door(each.port) for each in simulators)
                second = Door(simulators[0].port) if case.second is not None else None
                trial = Trial(case, stream, name, primary, fallback, second)
                await _prepare(trial.primary, case.door)
                await _prepare(trial.fallback, case.fallback_door)
                if trial.second is not None:
                    await _prepare(trial.second, "open")
                trials.append(trial)
        files = {"gateway": written([upstream_timeouts(_TIMEOUTS)])}
        for trial in trials:
            ports = {who: door.port for who, door in trial.doors.items()}
            files[trial.name] = written(documents(trial.case, trial.host, ports))
        server: GatewayServer = running.enter_context(gateway(command, cores, directory, files, asked=()))
        at_once = asyncio.Semaphore(AT_ONCE)
        answers = await asyncio.gather(*(_try(trial, server.port, at_once) for trial in trials))
        await asyncio.sleep(QUIET_SECONDS)
        told = await asyncio.to_thread(_attempts_told, server)
        for trial in trials:
            for door in trial.doors.values():
                await door.close()
    return [_outcome(trial, crowd, told, slack) for trial, crowd in zip(trials, answers, strict=True)]


def _outcome(trial: Trial, crowd: Sequence[Received], told: Mapping[str, int], slack: float) -> Outcome:
    """What came of a trial: of several answers the worst, or that which took longest."""
    texts = {model: text(model) for model in ("small", trial.case.fallback_model)}
    judged = [(judge(received, texts, stream=trial.stream), received) for received in crowd]
    verdict, received = max(
        judged, key=lambda each: (each[0].ending is not trial.expected.ending, each[1].seconds)
    )
    asked = {
        who: len(door.requests) if door.sees_requests else told[f"{who}.{trial.host}"]
        for who, door in trial.doors.items()
    }
    return Outcome(trial, verdict, received, asked, slack)


def _cells(outcome: Outcome) -> list[str]:
    return [outcome.ending, outcome.attempts, f"{outcome.received.seconds:.1f}"]


def table(outcomes: Sequence[Outcome]) -> str:
    """All of it as a table of Markdown, one line for each fault."""
    lines = [
        "| fault | plain | attempts | seconds | streamed | attempts | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    by_case: dict[str, dict[bool, Outcome]] = {}
    for outcome in outcomes:
        by_case.setdefault(outcome.trial.case.fault, {})[outcome.trial.stream] = outcome
    for fault, of_case in by_case.items():
        plain = _cells(of_case[False]) if False in of_case else ["–", "", ""]
        cells = [fault, *plain, *_cells(of_case[True])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_page(made: str) -> None:
    """Put the table into docs/resilience.md."""
    before, _, rest = PAGE.read_text().partition(_BEGINS)
    _, _, after = rest.partition(_ENDS)
    PAGE.write_text(f"{before}{_BEGINS}{made}{_ENDS}{after}")


def _tried_again(
    outcomes: Sequence[Outcome], run: Callable[[Case], Sequence[Outcome]]
) -> tuple[list[Outcome], int]:
    """Drive once more, each by itself, what was missed: beside a hundred others on a busy machine a trial of a second
    may take two.  What comes of it then counts.

    :return: all outcomes, and how many requests were made again.
    """
    final, again = list(outcomes), 0
    for case in dict.fromkeys(outcome.trial.case for outcome in outcomes if outcome.complaints()):
        fresh = {outcome.trial.stream: outcome for outcome in run(case)}
        again += len(fresh)
        final = [fresh[outcome.trial.stream] if outcome.trial.case is case else outcome for outcome in final]
    return final, again


def check_faults(
    command: str, cores: Cores, directory: Path, *, only: str | None, slack: float, markdown: bool
) -> bool:
    """Drive them and print what came of it; whether every outcome is as it must be.

    :param only: those whose name holds this.
    :param slack: seconds that this machine may add to each.
    :param markdown: write the table into docs/resilience.md.
    :raises CannotRunError: where no fault has such a name.
    """
    cases = [case for case in CASES if only is None or only in case.fault]
    if not cases:
        raise CannotRunError(f"No fault is called {only!r}; there are: {', '.join(c.fault for c in CASES)}")
    outcomes = asyncio.run(_run(command, cores, directory, cases, slack))
    outcomes, again = _tried_again(
        outcomes, lambda case: asyncio.run(_run(command, cores, directory, [case], slack))
    )
    missed = [outcome for outcome in outcomes if outcome.complaints()]
    made = table(outcomes)
    if markdown:
        write_page(made)
    else:
        print(made)
    for outcome in missed:
        case = outcome.trial.case
        print(
            f"MISSED: {case.fault}, {'streamed' if outcome.trial.stream else 'plain'}: {outcome.ending}, "
            f"{outcome.attempts} attempts, {outcome.received.seconds:.2f} s: {'; '.join(outcome.complaints())}"
        )
    print(
        f"{len(cases)} faults, {len(outcomes)} requests, {again} of them tried again alone, {len(missed)} missed: "
        f"{'FAILED' if missed else 'good'}",
        flush=True,
    )
    return not missed
