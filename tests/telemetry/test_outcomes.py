"""How an exchange ended."""

from __future__ import annotations

import pytest

from gateway.errors import CODES, GatewayError
from gateway.telemetry.outcomes import Outcome, outcome_of_answer, outcome_of_error


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
