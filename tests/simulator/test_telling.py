"""How the simulator tells usage: as OpenAI does, or otherwise."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.messages import TokenUsage
from gateway.resources.drills import Drill, Telling
from gateway.simulator.answers import answer
from gateway.simulator.replies import Streamed, Whole
from gateway.simulator.steps import Say
from gateway.simulator.streaming import stream_steps
from tests.simulator.requests import CHAT, HELLO, head, json

INPUT, OUTPUT = 3, 10
"""Of the answer to HELLO."""


def steps(drill: Drill, path: str = CHAT, **fields: object) -> list[Say]:
    """What a stream says, [DONE] aside."""
    asked = {"messages": HELLO} if path == CHAT else {"prompt": "Hello there"}
    body = json(**asked, stream=True, **fields)
    streamed = answer(head(path, body), body, drill)
    assert isinstance(streamed, Streamed)
    return [step for step in stream_steps(streamed, drill) if isinstance(step, Say) and b"{" in step.data]


def usages(said: list[Say]) -> list[Any]:
    """What each event tells; "nothing" where there is no such field."""
    events = b"".join(step.data for step in said).decode().split("\n\n")[:-1]
    chunks = [msgspec.json.decode(event.removeprefix("data: ")) for event in events]
    return [chunk.get("usage", "nothing") for chunk in chunks]


def news(said: list[Say]) -> TokenUsage:
    """All that is entered in the books as told."""
    told = [step.usage for step in said if step.usage is not None]
    return TokenUsage(
        sum(usage.input for usage in told),
        sum(usage.output for usage in told),
        sum(usage.cached_input for usage in told),
        sum(usage.reasoning for usage in told),
    )


def written(given: int, made: int, **more: object) -> dict[str, object]:
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **more}


COUNTED: dict[str, Any] = {"stream_options": {"include_usage": True}}


def test_as_openai_does() -> None:
    assert set(map(str, usages(steps(Drill())))) == {"nothing"}
    *before, last = usages(steps(Drill(), **COUNTED))
    assert set(before) == {None}
    assert last == written(INPUT, OUTPUT)


@pytest.mark.parametrize("asked", [{}, COUNTED])
def test_all_so_far(asked: dict[str, Any]) -> None:
    _, *told = usages(steps(Drill(usage="growing"), **asked))
    assert told[0] == written(INPUT, 1)
    made = [usage["completion_tokens"] for usage in told]
    assert made == sorted(made)
    assert told[-1] == written(INPUT, OUTPUT)
    assert len(told) == 7 + 1


def test_each_event_alone() -> None:
    _, *told = usages(steps(Drill(usage="each")))
    assert sum(usage["completion_tokens"] for usage in told) == OUTPUT
    assert max(usage["completion_tokens"] for usage in told) < OUTPUT
    assert {usage["prompt_tokens"] for usage in told} == {INPUT}


def test_what_was_asked_first_and_what_was_said_last() -> None:
    _, first, *between, last = usages(steps(Drill(usage="halves")))
    assert (first, last) == (written(INPUT, 0), written(0, OUTPUT))
    assert set(between) == {"nothing"}


def test_zero() -> None:
    drill = Drill(usage="zero")
    assert usages(steps(drill, **COUNTED))[-1] == written(0, 0)
    assert set(usages(steps(drill))) == {"nothing"}
    assert whole(drill)["usage"] == written(0, 0)


def test_never() -> None:
    assert set(usages(steps(Drill(usage="never"), **COUNTED))) == {"nothing"}
    assert "usage" not in whole(Drill(usage="never"))


def whole(drill: Drill, path: str = CHAT, **asked: object) -> Any:
    body = json(**(asked or {"messages": HELLO}))
    made = answer(head(path, body), body, drill)
    assert isinstance(made, Whole)
    return msgspec.json.decode(made.body)


def test_from_a_cache() -> None:
    part = {"prompt_tokens_details": {"cached_tokens": 2}}
    assert whole(Drill(cached=2))["usage"] == written(INPUT, OUTPUT, **part)
    assert usages(steps(Drill(cached=2), **COUNTED))[-1] == written(INPUT, OUTPUT, **part)
    everything = whole(Drill(cached=1000))["usage"]["prompt_tokens_details"]
    assert everything == {"cached_tokens": INPUT}


def test_other_operations() -> None:
    drill = Drill(usage="zero", cached=1)
    assert whole(drill, "/v1/embeddings", input="Hello there")["usage"]["prompt_tokens"] == 0
    assert "usage" not in whole(Drill(usage="never"), "/v1/embeddings", input="Hello there")
    told = whole(Drill(cached=1), "/v1/completions", prompt="Hello there")["usage"]
    assert told["prompt_tokens_details"] == {"cached_tokens": 1}
    assert news(steps(Drill(usage="each"), "/v1/completions")) == TokenUsage(INPUT, OUTPUT)


@pytest.mark.parametrize("way", ["growing", "each", "halves"])
@pytest.mark.parametrize("drill", [{}, {"cached": 2}, {"words": 33}, {"tool_call": 3}, {"chunks": 1}])
def test_the_books_have_it_once(way: Telling, drill: dict[str, Any]) -> None:
    once = news(steps(Drill(**drill), **COUNTED))
    assert news(steps(Drill(**drill, usage=way))) == once


@pytest.mark.parametrize("way", ["growing", "halves"])
def test_reasoning_is_told_in_the_end(way: Telling) -> None:
    once = news(steps(Drill(reasoning=5), **COUNTED))
    assert once.reasoning
    assert news(steps(Drill(reasoning=5, usage=way))) == once


def test_who_stops_telling_has_told_what_was_so_far() -> None:
    _, *told = steps(Drill(usage="growing", cut_after=3))
    assert [step.usage for step in told] == [TokenUsage(INPUT, 1), TokenUsage(0, 1), TokenUsage(0, 3)]
