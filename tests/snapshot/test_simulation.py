"""What the simulator is told, as it stands in a backend's head."""

from __future__ import annotations

import pytest

from tests.snapshot.test_backends import of

NAMED = b"x-llmgateway-provider: default/a\r\n"


@pytest.mark.parametrize("more", ["", "endpoint: {port: 9000, tls: {mode: DISABLE}}"])
def test_a_simulator_is_told_for_whom_it_answers_and_what_it_does_wrong(more: str) -> None:
    well = of("simulatorConfig: {}", more=more)
    assert well.head_lines == b"host: a.example\r\n" + NAMED
    badly = of('simulatorConfig: {misbehave: "words=9, 30%reset"}', more=more)
    assert badly.head_lines == well.head_lines + b"x-llmgateway-misbehave: words=9, 30%reset\r\n"


def test_the_misbehaviour_of_a_rule_replaces_the_default() -> None:
    both = of("simulatorConfig: {misbehave: stall}", "simulatorConfig: {misbehave: reset}")
    assert b"x-llmgateway-misbehave: reset\r\n" in both.head_lines
    kept = of("simulatorConfig: {misbehave: stall}", "simulatorConfig: {model: large}")
    assert b"x-llmgateway-misbehave: stall\r\n" in kept.head_lines


def test_it_is_told_with_every_key() -> None:
    pool = of("simulatorConfig: {misbehave: stall, apiKeys: [{name: a, key: k1}, {name: b, key: k2}]}")
    assert [NAMED in key.head_lines for key in pool.keys] == [True, True]


def test_a_real_provider_is_told_nothing() -> None:
    assert b"x-llmgateway" not in of("openAIConfig: {}").head_lines


def test_what_is_simulated_is_no_secret() -> None:
    assert of('simulatorConfig: {misbehave: "first-content-delay=2s"}').secrets == ()
