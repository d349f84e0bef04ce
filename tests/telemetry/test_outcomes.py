"""How an exchange ended."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import CODES, GatewayError
from gateway.telemetry.outcomes import (
    BLAMES_REQUEST,
    CLIENTS_DOING,
    Outcome,
    has_failed,
    outcome_of_answer,
    outcome_of_error,
)

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.OK),
        (304, Outcome.OK),
        (399, Outcome.OK),
        (400, Outcome.PROVIDER_ERROR),
        (429, Outcome.PROVIDER_ERROR),
        (500, Outcome.PROVIDER_ERROR),
    ],
)
def test_an_answer_that_is_whole(status: int, outcome: Outcome) -> None:
    assert outcome_of_answer(status) is outcome


@pytest.mark.parametrize(
    ("code", "begun", "outcome"),
    [
        ("no_route", False, Outcome.CLIENT_ERROR),
        ("body_too_large", False, Outcome.CLIENT_ERROR),
        ("client_left", False, Outcome.CLIENT_LEFT),
        ("client_left", True, Outcome.CLIENT_LEFT),
        ("draining", False, Outcome.GATEWAY_ERROR),
        ("internal_error", True, Outcome.ANSWER_CUT),
        ("provider_tls_failed", False, Outcome.PROVIDER_FAILED),
        ("provider_idle_timeout", False, Outcome.PROVIDER_FAILED),
        ("provider_answer_cut", True, Outcome.ANSWER_CUT),
    ],
)
def test_an_error(code: str, begun: bool, outcome: Outcome) -> None:
    assert outcome_of_error(GatewayError(code, "A sentence."), begun=begun) is outcome


def test_every_code_has_an_outcome() -> None:
    outcomes = {outcome_of_error(GatewayError(code, ""), begun=False) for code in CODES}
    assert outcomes == set(Outcome) - {Outcome.OK, Outcome.PROVIDER_ERROR, Outcome.ANSWER_CUT}


@pytest.mark.parametrize(
    ("code", "outcome", "failed"),
    [
        (200, Outcome.OK, False),
        (401, Outcome.CLIENT_ERROR, False),
        (499, Outcome.CLIENT_LEFT, False),
        (400, Outcome.PROVIDER_ERROR, False),
        (422, Outcome.PROVIDER_ERROR, False),
        (401, Outcome.PROVIDER_ERROR, True),
        (429, Outcome.PROVIDER_ERROR, True),
        (200, Outcome.ANSWER_CUT, True),
        (502, Outcome.PROVIDER_FAILED, True),
        (503, Outcome.GATEWAY_ERROR, True),
    ],
)
def test_what_counts_as_failed(code: int, outcome: Outcome, failed: bool) -> None:
    assert has_failed(code, outcome) == failed


@pytest.mark.parametrize("path", ["prometheus/alerts.yaml", "grafana/llmgateway.json"])
def test_alerts_and_dashboard_count_the_same_as_failed(path: str) -> None:
    text = (DEPLOY / path).read_text().replace('\\"', '"')
    statuses, fine = re.findall(r'code!?~"([^"$]+)"', text), re.findall(r'outcome!~"(ok[^"]+)"', text)
    assert statuses
    assert {frozenset(map(int, each.split("|"))) for each in statuses} == {BLAMES_REQUEST}
    of_requests = {frozenset(each.split("|")) for each in fine} - {frozenset({"ok", "cancelled", "open"})}
    assert of_requests == {CLIENTS_DOING | {"ok"}}
