"""The rules for Prometheus as they are, judged by promtool: syntax, ranges of hours, and how long an alert pends.

`tests/whole/test_prometheus.py` has them fire on a real gateway.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import frozen

from gateway.telemetry.families import FAMILIES

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    each
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"]
    for each in group["rules"]
]
ALERTS = {each["alert"]: each for each in RULES if "alert" in each}

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="prometheus is not installed")

JOB = "gateways/llmgateway"
"""As the Prometheus operator names one."""

Series = Mapping[str, str]
"""Of each series its values, a minute apart, in promtool's short form: `0+6x60` is 0, 6, 12, …, 60 times."""


def series(metric: str, **labels: str) -> str:
    written = ",".join(
        f'{name}="{value}"' for name, value in {"job": JOB, "instance": "one", **labels}.items()
    )
    return f"{metric}{{{written}}}"


def requests(values: str, outcome: str = "ok", code: str = "200", **more: str) -> Series:
    labels = {"tenant": "acme", "route": "chat", "provider": "p", "outcome": outcome, "code": code, **more}
    return {series("llmgateway_requests_total", **labels): values}


def attempts(values: str, outcome: str = "ok", tenant: str = "acme") -> Series:
    labels = {"tenant": tenant, "route": "chat", "provider": "p", "outcome": outcome}
    return {series("llmgateway_attempts_total", **labels): values}


def first_tokens(early: str, late: str, tenant: str = "acme") -> Series:
    labels = {"tenant": tenant, "provider": "p", "model": "m"}
    name = "llmgateway_time_to_first_token_seconds"
    return {
        series(f"{name}_bucket", **labels, le="10.0"): early,
        series(f"{name}_bucket", **labels, le="30.0"): late,
        series(f"{name}_bucket", **labels, le="+Inf"): late,
        series(f"{name}_count", **labels): late,
    }


def lags(early: str, late: str) -> Series:
    name = "llmgateway_loop_lag_seconds_bucket"
    return {series(name, le="0.1"): early, series(name, le="0.25"): late, series(name, le="+Inf"): late}


def breaker(values: str, tenant: str = "acme") -> Series:
    return {series("llmgateway_breaker_state", tenant=tenant, provider="p", key=""): values}


def key(values: str) -> Series:
    return {series("llmgateway_key_usable", tenant="acme", provider="p", key="spare"): values}


def reload(successful: str, timestamp: str = "", tenant: str = "acme") -> Series:
    name = "llmgateway_config_last_reload"
    found = {series(f"{name}_successful", tenant=tenant): successful}
    return found | ({series(f"{name}_timestamp_seconds", tenant=tenant): timestamp} if timestamp else {})


def certificate(values: str) -> Series:
    return {series("llmgateway_certificate_expiry_timestamp_seconds", file="server.pem"): values}


def client_certificate(values: str) -> Series:
    name = "llmgateway_client_certificate_expiry_timestamp_seconds"
    return {series(name, tenant="acme", provider="p"): values}


def up(values: str) -> Series:
    return {series("up"): values}


def dropped(values: str) -> Series:
    return {series("llmgateway_access_log_lines_dropped_total"): values}


def not_captured(values: str) -> Series:
    return {series("llmgateway_capture_log_lines_dropped_total"): values}


def spans_lost(values: str) -> Series:
    return {series("llmgateway_spans_lost_total"): values}


def refused(values: str, reason: str = "wrong_token") -> Series:
    return {series("llmgateway_admin_refusals_total", reason=reason): values}


def cost(values: str) -> Series:
    return {series("llmgateway_cost_total", tenant="acme", currency="EUR", model="m"): values}


CUT, CUT_TWICE = requests("0+1x60", "answer_cut"), requests("0x9 2x50", "answer_cut")


@frozen(eq=False)
class Case:
    """Whether an alert fires at a time, with these series."""

    alert: str
    about: str
    series: Series
    at: str
    fires: bool
    step: str = "1m"
    """From one value to the next, and from one look at the rules to the next."""
    alone: bool = False
    """Nobody else may be there."""


CASES = (
    Case("LLMGatewayDown", "a restart", up("1x10 0 0 1x10"), "13m", False),
    Case("LLMGatewayDown", "for good", up("1x10 0x10"), "14m", True),
    Case("LLMGatewayDown", "another job", {'up{job="node"}': "1x20"}, "10m", True, alone=True),
    Case(
        "LLMGatewayRequestsFailing",
        "a fifth, for an hour",
        {**requests("0+80x100"), **requests("0+20x100", "provider_failed", "502")},
        "65m",
        True,
    ),
    Case(
        "LLMGatewayRequestsFailing",
        "a fifth, and over",
        {**requests("0+80x100"), **requests("0+20x60 1200x40", "provider_failed", "502")},
        "70m",
        False,
    ),
    Case(
        "LLMGatewayRequestsFailing",
        "a fifth, since four minutes",
        {**requests("0+80x100"), **requests("0x60 0+20x40", "provider_failed", "502")},
        "64m",
        False,
    ),
    Case(
        "LLMGatewayRequestsFailing",
        "clients' own mistakes",
        {**requests("0+50x100"), **requests("0+50x100", "provider_error", "400")},
        "65m",
        False,
    ),
    Case(
        "LLMGatewayRequestsFailing",
        "a key that the provider refuses",
        {**requests("0+50x100"), **requests("0+50x100", "provider_error", "401")},
        "65m",
        True,
    ),
    Case(
        "LLMGatewayRequestsFailing",
        "five of ten in all",
        {**requests("0x20 0+1x5 5x80"), **requests("0x20 0+1x5 5x80", "answer_cut")},
        "27m",
        False,
    ),
    Case(
        "LLMGatewayRequestsFailingSlowly",
        "one in ten, for six hours",
        {**requests("0+90x500"), **requests("0+10x500", "gateway_error", "503")},
        "380m",
        True,
    ),
    Case(
        "LLMGatewayRequestsFailingSlowly",
        "one in fifty, for six hours",
        {**requests("0+98x500"), **requests("0+2x500", "gateway_error", "503")},
        "380m",
        False,
    ),
    Case(
        "LLMGatewayProviderFailing",
        "a third",
        {**attempts("0+20x30"), **attempts("0+10x30", "status")},
        "20m",
        True,
    ),
    Case(
        "LLMGatewayProviderFailing",
        "a tenth",
        {**attempts("0+90x30"), **attempts("0+10x30", "status")},
        "20m",
        False,
    ),
    Case(
        "LLMGatewayProviderFailing",
        "a third, which clients have asked wrongly",
        {
            **attempts("0+20x30"),
            **attempts("0+10x30", "status"),
            **requests("0+10x30", "provider_error", "400"),
        },
        "20m",
        False,
    ),
    Case(
        "LLMGatewayProviderFailing",
        "many who were passed over",
        {**attempts("0+20x30"), **attempts("0+90x30", "open"), **attempts("0+90x30", "cancelled")},
        "20m",
        False,
    ),
    Case(
        "LLMGatewayBreakerOpen",
        "with requests",
        {**breaker("0x5 2 1x20"), **attempts("0+5x30", "open")},
        "10m",
        True,
    ),
    Case("LLMGatewayBreakerOpen", "for a moment", {**breaker("0x5 2 0x20"), **attempts("0+5x30")}, "7m", False),
    Case("LLMGatewayBreakerOpen", "nobody asks", {**breaker("0x5 2x30"), **attempts("9x30", "open")}, "20m", False),
    Case(
        "LLMGatewayBreakerOpen",
        "only another tenant's provider of the same name is asked",
        {**breaker("0x5 2 1x20"), **breaker("0x30", "globex"), **attempts("0+5x30", "ok", "globex")},
        "10m",
        False,
    ),
    Case(
        "LLMGatewayBreakerOpen",
        "another tenant uses it",
        {**breaker("0x5 2 1x20"), **attempts("0+5x30", "open", "globex")},
        "10m",
        True,
    ),
    Case("LLMGatewayKeyUnusable", "refused", key("1x5 0x20"), "12m", True),
    Case("LLMGatewayKeyUnusable", "at its limit for four minutes", key("1x5 0x3 1x20"), "10m", False),
    Case("LLMGatewayNoBackend", "again and again", requests("0+3x20", "gateway_error", "503"), "10m", True),
    Case("LLMGatewayNoBackend", "as a breaker opens", requests("0x9 2x10", "gateway_error", "503"), "12m", False),
    Case("LLMGatewayAnswersCut", "one in ten", {**requests("0+9x60"), **CUT}, "30m", True),
    Case("LLMGatewayAnswersCut", "one in a thousand", {**requests("0+999x60"), **CUT}, "30m", False),
    Case("LLMGatewayAnswersCut", "two in all", {**requests("0+1x60"), **CUT_TWICE}, "18m", False),
    Case("LLMGatewayFirstTokenSlow", "a fifth", first_tokens("0+8x60", "0+10x60"), "30m", True),
    Case("LLMGatewayFirstTokenSlow", "one in a hundred", first_tokens("0+99x60", "0+100x60"), "30m", False),
    Case("LLMGatewayFirstTokenSlow", "few at all", first_tokens("0x60", "0+1x60"), "30m", False),
    Case(
        "LLMGatewayFirstTokenSlow",
        "a fifth of one tenant's, one in a hundred of all",
        {**first_tokens("0+8x60", "0+10x60"), **first_tokens("0+999x60", "0+999x60", "globex")},
        "30m",
        True,
    ),
    Case("LLMGatewayCertificateExpiring", "a day is left", certificate("86400x30"), "12m", True),
    Case("LLMGatewayCertificateExpiring", "it is renewed", certificate("86400x5 9000000x30"), "14m", False),
    Case("LLMGatewayClientCertificateExpiring", "a day is left", client_certificate("86400x30"), "12m", True),
    Case("LLMGatewayClientCertificateExpiring", "weeks are left", client_certificate("9000000x30"), "14m", False),
    Case("LLMGatewayConfigRejected", "last good", reload("1x5 0x20", "9x30"), "11m", True),
    Case("LLMGatewayConfigRejected", "mended", reload("1x5 0x3 1x20", "9x30"), "11m", False),
    Case("LLMGatewayConfigRejected", "the Gateway document, from the start", reload("0x30", tenant=""), "6m", True),
    Case("LLMGatewayConfigRejected", "nothing at all", reload("0x30"), "11m", False),
    Case("LLMGatewayTenantWithoutConfig", "nothing at all", reload("0x30"), "2m", True),
    Case("LLMGatewayTenantWithoutConfig", "last good", reload("0x30", "9x30"), "10m", False),
    Case("LLMGatewayAccessLogDropping", "one", dropped("0x5 1x20"), "7m", True),
    Case("LLMGatewayAccessLogDropping", "one, long ago", dropped("0x5 1x20"), "15m", False),
    Case("LLMGatewayCaptureLogDropping", "one", not_captured("0x5 1x20"), "7m", True),
    Case("LLMGatewayCaptureLogDropping", "one, long ago", not_captured("0x5 1x20"), "15m", False),
    Case("LLMGatewaySpansLost", "again and again", spans_lost("0x5 0+3x30"), "20m", True),
    Case("LLMGatewaySpansLost", "as the collector starts anew", spans_lost("0x5 0+300x2 600x30"), "18m", False),
    Case("LLMGatewayAdminTokenGuessed", "one after the other", refused("0x5 0+12x30"), "15m", True),
    Case("LLMGatewayAdminTokenGuessed", "a script with an old token", refused("0+4x60"), "30m", False),
    Case("LLMGatewayAdminTokenGuessed", "none at all", refused("0+100x60", "no_token"), "30m", False),
    Case("LLMGatewayLoopLagging", "a tenth", lags("0+216x30", "0+240x30"), "15m", True),
    Case("LLMGatewayLoopLagging", "one in a hundred", lags("0+238x30", "0+240x30"), "15m", False),
    Case("LLMGatewayCostSpike", "five times", cost("0+10x288 2880+50x18"), "2980m", True, "10m"),
    Case("LLMGatewayCostSpike", "twice", cost("0+10x288 2880+20x18"), "2980m", False, "10m"),
    Case("LLMGatewayCostSpike", "five times little", cost("0+0.1x288 28.8+0.5x18"), "2980m", False, "10m"),
    Case("LLMGatewayCostSpike", "as ever", cost("0+10x144 1440+50x6 1740+10x138 3120+50x9"), "2980m", False, "10m"),
    Case("LLMGatewayCostSpike", "a tenant's first hours", cost("0+10x12 120+50x18"), "220m", False, "10m"),
)  # fmt: skip


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert {case.alert for case in CASES if case.fires} == ALERTS.keys()
    assert {case.alert for case in CASES if not case.fires} == ALERTS.keys()


@needs_promtool
@pytest.mark.parametrize("what", [("rules", "alerts.yaml"), ("config", "prometheus.yaml")])
def test_promtool_has_nothing_to_say(what: tuple[str, str]) -> None:
    kind, name = what
    ran = subprocess.run(
        ["promtool", "check", kind, "--lint-fatal", str(FOLDER / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def expected(cases: Sequence[Case]) -> dict[str, Any]:
    """Cases as promtool wants them: each has a job of its own, for promtool takes long to begin anew."""
    jobs = {case: f"{JOB}-{number}" for number, case in enumerate(cases)}
    return {
        "interval": cases[0].step,
        "input_series": [
            {"series": name.replace(JOB, job), "values": values}
            for case, job in jobs.items()
            for name, values in case.series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing",job=~"{job}|"}}) # {case.about}',
                "eval_time": case.at,
                "exp_samples": [{"value": 1}] if case.fires else [],
            }
            for case, job in jobs.items()
        ],
    }


@needs_promtool
def test_the_rules_hold_in_every_case(tmp_path: Path) -> None:
    """By the alerts' own series `ALERTS`, which tells what fires without its texts."""
    command = ["promtool", "test", "rules"]
    for step in sorted({case.step for case in CASES}):
        cases = [case for case in CASES if case.step == step]
        together = [case for case in cases if not case.alone]
        tests = [expected(each) for each in (together, *([case] for case in cases if case.alone))]
        written = {
            "rule_files": [str(FOLDER / "alerts.yaml")],
            "evaluation_interval": step,
            # Without it promtool takes the groups in any order, and an alert may look before its rule has recorded.
            "group_eval_order": ["llmgateway-shares", "llmgateway"],
            "tests": tests,
        }
        path = tmp_path / f"{step}.yaml"
        path.write_text(json.dumps(written), "utf-8")
        command.append(str(path))
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_rules_know_only_metrics_that_there_are() -> None:
    names = {family.name for family in FAMILIES}
    for rule in RULES:
        for found in re.findall(r"(?<!:)\bllmgateway_\w+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", found) in names


@pytest.mark.parametrize("alert", ALERTS)
def test_who_is_meant_is_told_apart_from_anothers_of_the_same_name(alert: str) -> None:
    rule = ALERTS[alert]
    for name in ("provider", "route"):
        if f"$labels.{name} " in rule["annotations"]["summary"]:
            assert "$labels.tenant " in rule["annotations"]["summary"]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_grave_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert len(rule["annotations"]["description"].split(".")) >= 3
    page = (FOLDER.parents[1] / "docs" / "dashboards.md").read_text("utf-8")
    assert re.search(
        rf"(?m)^\| `{alert}` \| {rule['labels']['severity']} \| .* \| {rule.get('for', '–')} \|$", page
    )
