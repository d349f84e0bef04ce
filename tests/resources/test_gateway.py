"""The Gateway document."""

# ruff: noqa: E501 -- problems are compared as the lines that operators see
from __future__ import annotations

import pytest

from tests.resources.written import document, problems, read_text, spec_problems

GATEWAYS = [
    (
        "limits: {bodyBytes: 1MB, headBytes: 1, headers: 0, connections: -1, bodybytes: 1}",
        [
            '1:12: limits.bodyBytes: must be a whole number, not "1MB"',
            "1:28: limits.headBytes: must be 1024 to 1048576, not 1",
            "1:42: limits.headers: must be 1 to 10000, not 0",
            "1:54: limits.connections: must be 1 to 1000000, not -1",
            '1:71: limits.bodybytes: there is no field "bodybytes" here; did you mean "bodyBytes"?',
        ],
    ),
    (
        """\
timeouts: {head: 10, keepAlive: 75s}
upstreamTimeouts: {firstContent: 1}
""",
        [
            '1:14: timeouts.head: must be a duration with its unit, such as 5s, 250ms or 1h30m, not "10"',
            '2:22: upstreamTimeouts.firstContent: must be a duration with its unit, such as 5s, 250ms or 1h30m, not "1"',
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), GATEWAYS)
def test_problems_of_the_gateway(spec: str, expected: list[str]) -> None:
    assert spec_problems("Gateway", spec) == expected


def test_everything_it_can_say() -> None:
    found = read_text(
        """
        apiVersion: llmgateway.dev/v1
        kind: Gateway
        spec:
          limits: {bodyBytes: 33554432, allBodiesBytes: 1073741824, headBytes: 65536, headers: 100, connections: 5000}
          timeouts: {head: 10s, body: 60s, keepAlive: 75s}
          upstreamTimeouts: {connect: 5s, headers: 300s, firstContent: 90s, idle: 120s, request: 1h}
        """
    )
    assert found.problems == ()
    assert found.tenants == frozenset()
    gateway = found.gateway
    assert gateway is not None
    assert dict(gateway.limits) == {
        "bodyBytes": 33554432,
        "allBodiesBytes": 1073741824,
        "headBytes": 65536,
        "headers": 100,
        "connections": 5000,
    }
    assert dict(gateway.timeouts) == {"head": 10.0, "body": 60.0, "keepAlive": 75.0}
    assert dict(gateway.upstream_timeouts) == {
        "connect": 5.0,
        "headers": 300.0,
        "first_content": 90.0,
        "idle": 120.0,
        "request": 3600.0,
    }


def test_there_is_one_and_it_belongs_to_nobody() -> None:
    one = document("Gateway", "limits: {headers: 50}")
    assert problems(one + "---\n" + one) == [
        "8:1: kind: there is only one Gateway document; the first is at conf.d/x.yaml:1:1"
    ]
    (problem,) = read_text(one, folder="acme").problems
    assert problem.message == "a Gateway document is about the whole: it belongs in conf.d itself"
    assert problem.tenant == "acme"
    (problem,) = read_text(one.replace("name: a", "namespace: acme")).problems
    assert problem.message == "a Gateway document belongs to no tenant: leave the namespace out"
    assert problem.tenant is None
