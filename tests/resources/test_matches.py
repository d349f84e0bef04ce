"""Match blocks: what they become, and every way to get them wrong."""

# ruff: noqa: E501 -- problems are compared as the lines that operators see
from __future__ import annotations

import pytest

from gateway.resources import RouteMatch, StringMatch
from tests.resources.written import route, spec_problems


def matches(block: str) -> str:
    return f"host: a\nrules:\n- backendRefs: [{{providerHost: p}}]\n  matches: [{block}]\n"


def problems(block: str) -> list[str]:
    """What is wrong with one block, without line and path."""
    lines = [line.partition(": rules[0].matches[0]") for line in spec_problems("LLMRoute", matches(block))]
    assert all(separator for _, separator, _ in lines), lines
    return [message.lstrip(".") for _, _, message in lines]


def test_everything_a_block_can_say() -> None:
    block = """{
      headers: {A: {exact: x}},
      withoutHeaders: {X-Debug: {}, b: {prefix: y}},
      path: {prefix: /v1/},
      method: {exact: POST},
      queryParams: {Tier: {regex: "g|h"}, flag: {exact: ""}, any: {regex: "*"}},
      model: {prefix: gpt-},
      sourceLabels: {app: web},
      gateways: [egress]}"""
    assert route(matches(block)).rules[0].matches == (
        RouteMatch(
            headers={"a": StringMatch("exact", "x")},
            without_headers={"x-debug": StringMatch("present", ""), "b": StringMatch("prefix", "y")},
            path=StringMatch("prefix", "/v1/"),
            method=StringMatch("exact", "POST"),
            query_params={
                "Tier": StringMatch("regex", "g|h"),
                "flag": StringMatch("exact", ""),
                "any": StringMatch("present", ""),
            },
            model=StringMatch("prefix", "gpt-"),
            source_labels={"app": "web"},
            gateways=("egress",),
        ),
    )


@pytest.mark.parametrize("block", ["{model: {}}", "{model: {regex: '*'}}"])
def test_any_model(block: str) -> None:
    assert route(matches(block)).rules[0].matches == (RouteMatch(model=StringMatch("present", "")),)


EMPTY = "an empty block would match everything; leave `matches` out if that is meant"


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("{}", [f": {EMPTY}"]),
        ("{headers: {}, queryParams: {}, gateways: []}", [f": {EMPTY}"]),
        (
            "{headers: {u: {exact: a, prefix: b}}}",
            ["headers.u: has 2 of these where only one can be: exact, prefix"],
        ),
        (
            "{withoutHeaders: {v: {regex: '('}}}",
            ['withoutHeaders.v.regex: is not a regular expression of RE2 (missing ): (), not "("'],
        ),
        (
            "{queryParams: {w: {suffix: x}}}",
            ['queryParams.w.suffix: there is no field "suffix" here; there are exact, prefix, regex'],
        ),
        (
            "{headers: {'a b': {}}}",
            ['headers["a b"]: its name must be a header\'s name (RFC 9110 §5.6.2), not "a b"'],
        ),
        (
            "{headers: {x: }}",
            ["headers.x: has no value: leave the field out, or write {} if nothing is meant"],
        ),
        (
            "{headers: {Content-Length: {}}, withoutHeaders: {transfer-encoding: {exact: chunked}}}",
            [
                f"{path}: says how the body is sent, which the gateway keeps to itself: no rule can match it"
                for path in ("headers.Content-Length", "withoutHeaders.transfer-encoding")
            ],
        ),
        ("{headers: {y: z}}", ["headers.y: must be a mapping, not a single value"]),
        ("{model: gpt}", ["model: must be a mapping, not a single value"]),
        ("{path: {}}", ["path: is empty: write exact, prefix or regex"]),
        ("{method: {}}", ["method: is empty: write exact, prefix or regex"]),
        (
            "{path: {prefix: v1}}",
            [
                'path.prefix: must be a path that begins with a slash, without query, fragment, blanks and characters beyond ASCII, not "v1"'
            ],
        ),
        (
            "{path: {exact: /a/../b}}",
            ['path.exact: must not contain the segments `.` and `..`, not "/a/../b"'],
        ),
        (
            "{path: {regex: '*'}}",
            [
                'path.regex: is not a regular expression of RE2 (no argument for repetition operator: *), not "*"'
            ],
        ),
        (
            "{method: {exact: post}}",
            ['method.exact: must be a method or its beginning, in capitals, not "post"'],
        ),
        (
            "{method: {exact: GET}}",
            ["method.exact: never holds: whatever a rule is chosen for is asked with POST"],
        ),
    ],
)
def test_problems_of_a_block(block: str, expected: list[str]) -> None:
    assert problems(block) == expected
