"""The comparison of books: silent where they agree, and never where one of them does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bench.bookings import KINDS, LEFT, Asked, Seen, mixed
from bench.reconciling import Books, at_rest, disagreements, never_seen, samples_in

BY_NAME = {kind.name: kind for kind in KINDS}
PLAIN, STREAM = (
    Asked(BY_NAME[name], "red", number, 1) for number, name in enumerate(("plain", "left-in-stream"))
)
WHO = 'tenant="red",client="application",route="{0}.bench",rule="all",provider="primary.{0}.bench",model="small"'
PAGE = "".join(
    f"""
llmgateway_requests_total{{{who},code="{code}",outcome="{outcome}"}} 1
llmgateway_request_duration_seconds_count{{{who}}} 1
llmgateway_request_bytes_total{{{who}}} 100
llmgateway_response_bytes_total{{{who}}} 200
llmgateway_attempts_total{{{who.replace('client="application",', "")},outcome="{attempt}"}} 1
llmgateway_tokens_total{{{who},type="input"}} 20
llmgateway_tokens_total{{{who},type="output"}} 8
llmgateway_tokens_total{{{who},type="reasoning"}} 0
llmgateway_tokens_estimated_total{{{who},type="input"}} {estimated * 20}
llmgateway_tokens_estimated_total{{{who},type="output"}} {estimated * 8}
llmgateway_cost_total{{{who},currency="USD"}} 0.00013
"""
    for who, code, outcome, attempt, estimated in (
        (WHO.format("plain"), 200, "ok", "ok", 0),
        (WHO.format("left-in-stream"), 499, "client_left", "cancelled", 1),
    )
)
DISCARDED = f"""
llmgateway_attempts_total{{{WHO.format("plain").replace('client="application",', "")},outcome="silent"}} 1
llmgateway_discarded_tokens_total{{{WHO.format("plain")},reason="failed",type="input",estimated="true"}} 20
llmgateway_discarded_tokens_total{{{WHO.format("plain")},reason="failed",type="output",estimated="true"}} 0
llmgateway_discarded_cost_total{{{WHO.format("plain")},reason="failed",currency="USD"}} 0.00005
"""
MIRRORED = """
llmgateway_mirrored_requests_total{tenant="red",route="plain.bench",rule="all",provider="mirror.bench",outcome="ok"} 1
llmgateway_discarded_tokens_total{WHO,reason="mirror",type="input",estimated="false"} 20
llmgateway_discarded_tokens_total{WHO,reason="mirror",type="output",estimated="false"} 8
llmgateway_discarded_cost_total{WHO,reason="mirror",currency="EUR"} 0.0000036
""".replace(
    "WHO", 'tenant="red",client="",route="plain.bench",rule="all",provider="mirror.bench",model="small"'
)
GAUGES = """
llmgateway_requests_in_flight 0
llmgateway_upstream_connections{tenant="red",provider="primary.plain.bench",state="active"} 0
llmgateway_downstream_connections{listener="",state="idle"} 0
llmgateway_access_log_lines_dropped_total 0
"""


def record(asked: Asked, code: int, outcome: str, attempt: str, *, estimated: bool) -> dict[str, Any]:
    provider = f"primary.{asked.kind.host}"
    return {
        "request_id": asked.name,
        "tenant": "red",
        "client": "application",
        "route": asked.kind.host,
        "rule": "all",
        "provider": provider,
        "code": code,
        "outcome": outcome,
        "request_prompt_tokens": 20,
        "request_completion_tokens": 8,
        "cached_input_tokens": None,
        "reasoning_tokens": None,
        "usage_estimated": estimated,
        "cost": 0.00013,
        "currency": "USD",
        "bytes_in": 100,
        "bytes_out": 200,
        "attempts": 1,
        "tried": [{"provider": provider, "outcome": attempt}],
    }


def line(asked: Asked, ending: str, told: int) -> dict[str, Any]:
    tokens = {
        "answers": told,
        "input_tokens": told * 20,
        "output_tokens": told * 8,
        "cached_input_tokens": 0,
        "reasoning_tokens": 0,
    }
    return {
        "provider": f"red/primary.{asked.kind.host}",
        "requests": 1,
        "endings": {"whole": 0, "broken_off": 0, "left": 0, ending: 1},
        "output_tokens": 8,
        "told": tokens,
    }


def books(page: str = PAGE) -> Books:
    """Those of one plain request, and of one whose client left."""
    return Books(
        {PLAIN.name: PLAIN, STREAM.name: STREAM},
        {PLAIN.name: Seen(200, (20, 8)), STREAM.name: Seen(LEFT)},
        [
            record(PLAIN, 200, "ok", "ok", estimated=False),
            record(STREAM, LEFT, "client_left", "cancelled", estimated=True),
        ],
        samples_in(page + GAUGES),
        {"lines": [line(PLAIN, "whole", 1), line(STREAM, "left", 0)]},
    )


def test_books_that_agree() -> None:
    assert disagreements(books()) == []
    assert at_rest(books()) == []
    assert never_seen(books()) == [
        f"no attempt ended as {each}" for each in ("unreachable", "reset", "silent", "status", "cut", "open")
    ]


@pytest.mark.parametrize("metric", sorted({each.partition("{")[0] for each in PAGE.split("\n") if each}))
def test_every_metric_is_compared(metric: str) -> None:
    lines = PAGE.split("\n")
    at = next(index for index, each in enumerate(lines) if each.startswith(metric))
    name, _, value = lines[at].rpartition(" ")
    lines[at] = f"{name} {float(value) + 1}"
    (told,) = disagreements(books("\n".join(lines)))
    assert "red" in told


@pytest.mark.parametrize(
    "field", ["code", "bytes_in", "bytes_out", "attempts", "cost", *("request_prompt_tokens",)]
)
@pytest.mark.parametrize("index", [0, 1])
def test_every_number_of_the_log_is_compared(field: str, index: int) -> None:
    mine = books()
    mine.records[index][field] += 1  # type: ignore[index]
    assert disagreements(mine)


def troubled(page: str) -> Books:
    """Those of one request of which the first attempt has failed, and which was mirrored."""
    mine = books(page)
    answered = mine.records[0]
    tokens = {"input_tokens": 20, "cached_input_tokens": 0, "reasoning_tokens": 0}
    price = {"currency": "USD"}
    lost = {**tokens, **price, "output_tokens": 0, "estimated": True, "cost": 0.00005, "discarded": "failed"}
    kept = {**tokens, **price, "output_tokens": 8, "estimated": False, "cost": 0.00013, "discarded": ""}
    answered["tried"].insert(0, {**answered["tried"][0], "outcome": "silent", "usage": lost})
    answered["tried"][1]["usage"] = kept
    answered.update(attempts=2)  # type: ignore[attr-defined]
    mine.simulated["lines"][0]["requests"] += 1
    copy_of_it = line(PLAIN, "whole", 1)
    mine.simulated["lines"].append({**copy_of_it, "provider": "red/mirror.bench"})
    return mine


TROUBLED = PAGE + DISCARDED + MIRRORED


def test_attempts_and_copies_that_no_client_got() -> None:
    assert disagreements(troubled(TROUBLED)) == []


@pytest.mark.parametrize(
    "number", [index for index, each in enumerate(TROUBLED.split("\n")) if "discarded" in each]
)
def test_what_they_have_used_is_compared(number: int) -> None:
    lines = TROUBLED.split("\n")
    name, _, value = lines[number].rpartition(" ")
    lines[number] = f"{name} {float(value) + 1}"
    assert all("red" in told for told in disagreements(troubled("\n".join(lines))))
    assert disagreements(troubled("\n".join(lines)))


@pytest.mark.parametrize("field", ["input_tokens", "output_tokens", "cost"])
@pytest.mark.parametrize("index", [0, 1])
def test_so_is_what_the_log_says_of_each(field: str, index: int) -> None:
    mine = troubled(TROUBLED)
    mine.records[0]["tried"][index]["usage"][field] += 1
    assert disagreements(mine)


def test_every_request_is_in_the_log_once() -> None:
    mine = books()
    mine.records.append(copy.deepcopy(mine.records[0]))  # type: ignore[attr-defined]
    assert f"{PLAIN.name} is 2× in the log" in disagreements(mine)
    del mine.records[0], mine.records[-1]
    assert f"{PLAIN.name} is 0× in the log" in disagreements(mine)


@pytest.mark.parametrize("field", ["requests", "input_tokens", "output_tokens", "reasoning_tokens"])
def test_the_simulators_books_are_compared(field: str) -> None:
    mine = books()
    page = mine.simulated["lines"][0]
    (page if field == "requests" else page["told"])[field] += 1
    (told,) = disagreements(mine)
    assert "red/primary.plain.bench: " in told


def test_an_estimate_is_flagged_and_neither_nothing_nor_more_than_was_said() -> None:
    for output, estimated in ((8, False), (0, True), (100, True)):
        mine = books()
        mine.records[1].update(request_completion_tokens=output, usage_estimated=estimated)  # type: ignore[attr-defined]
        assert any(told.startswith((STREAM.name, "red/primary.left")) for told in disagreements(mine))


def test_what_is_still_under_way() -> None:
    mine = books()
    mine.simulated["lines"][1]["endings"]["left"] = 0
    (told,) = at_rest(mine)
    assert told == "the simulator still answers 1 requests to red/primary.left-in-stream.bench"


def test_each_kind_is_asked_by_both_tenants_and_all_of_them_are_as_many_as_wanted() -> None:
    asked = mixed(10_000, 1, seed=5)
    assert len({each.name for each in asked}) == 10_000
    assert {(each.kind.name, each.tenant) for each in asked} == {
        (name, tenant) for name in BY_NAME for tenant in ("red", "blue")
    }
