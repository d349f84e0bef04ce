"""What `deploy/` has for Prometheus and Grafana, with a real Prometheus that scrapes a real gateway.

All durations of the rules are made short here; `tests/deploy/test_alerts.py` looks at them as they are.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import yaml
from attrs import frozen

from tests.whole.collector import collecting
from tests.whole.prometheus import Prometheus, needs_prometheus
from tests.whole.providers import Provider, saying
from tests.whole.running import ROOT
from tests.whole.troubled import COUNTED, TroubledGateway

pytestmark = needs_prometheus

JOB = "llmgateway"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "llmgateway.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = [
    each
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]
    for each in group["rules"]
]

RANGE = "5s"
SHORT = {**dict.fromkeys(("5m", "10m", "15m", "30m", "1h", "6h"), RANGE), "1d": "7s", "7d": "1m"}
"""Of ranges and offsets: an hour ago and a day ago all was well."""
PENDING = "2s"
"""Of every `for`."""

WELL_SECONDS = 8
FIRST_WORD_SECONDS = 10.5
ASK_EACH_SECOND = 12
"""Of those who wait for it: more than twenty within `RANGE`."""
ILL_SECONDS = 20.0
"""At most; it is over as soon as everything has fired."""
LAST_SECONDS = 12.0
"""The same for each of the faults that are made by themselves."""

FAILING = {"to-lost-test", "to-tripping-test", "to-cut-test"}
FIRES = {
    "LLMGatewayRequestsFailing": ("route", FAILING),
    "LLMGatewayRequestsFailingSlowly": ("route", FAILING),
    "LLMGatewayProviderFailing": ("provider", {"lost-test", "cut-test"}),
    "LLMGatewayBreakerOpen": ("tenant", {"faulty"}),
    "LLMGatewayKeyUnusable": ("key", {"dead"}),
    "LLMGatewayNoBackend": ("route", {"to-tripping-test"}),
    "LLMGatewayAnswersCut": ("provider", {"cut-test"}),
    "LLMGatewayFirstTokenSlow": ("tenant", {"thinker"}),
    "LLMGatewayCertificateExpiring": ("file", {"server.pem"}),
    "LLMGatewayClientCertificateExpiring": ("provider", {"identified-test"}),
    "LLMGatewayConfigRejected": ("tenant", {"spoilt"}),
    "LLMGatewayTenantWithoutConfig": ("tenant", {"unusable"}),
    "LLMGatewayAccessLogDropping": ("job", {JOB}),
    "LLMGatewayCaptureLogDropping": ("job", {JOB}),
    "LLMGatewaySpansLost": ("job", {JOB}),
    "LLMGatewayAdminTokenGuessed": ("job", {JOB}),
    "LLMGatewayCostSpike": ("tenant", {"spender"}),
    "LLMGatewayLoopLagging": ("job", {JOB}),
    "LLMGatewayDown": ("job", {JOB}),
}
"""Of each alert a label, and the values of it for which the faults make it fire."""

Fired = dict[str, set[str]]
"""For which values of its label an alert has fired until then."""

_DURATION = re.compile(r"(?<=[\[ ])\d+[smhdw](?=[\])\s]|$)")


def shortened(rules: list[dict[str, Any]]) -> str:
    """A file of these rules, with short durations."""
    short = [
        {**each, "expr": _DURATION.sub(lambda found: SHORT[found[0]], each["expr"])}
        | ({"for": PENDING} if "for" in each else {})
        for each in rules
    ]
    return json.dumps({"groups": [{"name": "short", "rules": short}]})


@frozen
class Seen:
    """What came of it."""

    prometheus: Prometheus
    """It still runs, and the gateway no longer."""
    when_well: Fired
    at_last: Fired
    missed: int
    """Scrapes that failed while the gateway ran: a machine that is too busy for this test."""
    texts: list[str]
    """Of the alerts that were pending or fired when most faults were there."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        counting = stack.enter_context(Provider(saying(COUNTED)))
        troubled = TroubledGateway(folder / "gateway", collector, counting.port)
        gateway = stack.enter_context(troubled.gateway)
        prometheus = stack.enter_context(
            Prometheus(folder / "prometheus", JOB, gateway.admin_address, shortened(RULES))
        )
        with troubled.well():
            time.sleep(1)  # a counter is known to rise once it was seen before
            with troubled.thinking(FIRST_WORD_SECONDS) as more_ask:
                # Again and again, for all that comes at once has left the range again before it is seen for sure.
                for _ in range(WELL_SECONDS):
                    more_ask(ASK_EACH_SECOND)
                    time.sleep(1)
                when_well = fired(prometheus)
                with troubled.ill():
                    last = {"LLMGatewayLoopLagging", "LLMGatewayDown"}
                    wait_for(lambda: fired(prometheus).keys() >= FIRES.keys() - last, ILL_SECONDS)
                    texts = [text for alert in prometheus.alerts() for text in alert["annotations"].values()]
        with troubled.starving():
            wait_for(lambda: "LLMGatewayLoopLagging" in fired(prometheus), LAST_SECONDS)
        missed = [value for curve in prometheus.since_the_start("up") for value in curve.values].count(0)
        gateway.stop()
        wait_for(lambda: "LLMGatewayDown" in fired(prometheus), LAST_SECONDS)
        yield Seen(prometheus, when_well, fired(prometheus), missed, texts)


def wait_for(happened: Callable[[], bool], seconds: float) -> None:
    """Return when it has, or after so long: the tests say what is missing."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.1)


def fired(prometheus: Prometheus) -> Fired:
    found: Fired = {}
    for curve in prometheus.since_the_start('ALERTS{alertstate="firing"}'):
        name = curve.labels["alertname"]
        found.setdefault(name, set()).add(curve.labels.get(FIRES[name][0], ""))
    return found


def test_nothing_fires_while_all_is_well(seen: Seen) -> None:
    assert seen.when_well == {}


@pytest.mark.parametrize("alert", [each["alert"] for each in RULES if "alert" in each])
def test_an_alert_fires_for_its_fault_and_for_nothing_else(seen: Seen, alert: str) -> None:
    assert seen.at_last.get(alert) == FIRES[alert][1], f"{seen.missed} scrapes failed"


@pytest.mark.parametrize("record", [each["record"] for each in RULES if "record" in each])
def test_what_is_recorded_has_data(seen: Seen, record: str) -> None:
    assert has_data(seen.prometheus, record)


def test_every_rule_can_be_evaluated_and_every_text_filled_in(seen: Seen) -> None:
    assert seen.prometheus.unwell() == []
    assert len(seen.texts) > len(FIRES)
    assert [text for text in seen.texts if "error expanding" in text or "no value" in text] == []


NEVER_LOST = "llmgateway_log_lines_dropped_total"
"""Of the gateway's own log, which these tests read; `test_logs.py` has a reader that goes to sleep."""

PANELS = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for row in DASHBOARD["panels"]
    for panel in (row, *row.get("panels", ()))
    for target in panel.get("targets", ())
]


@pytest.mark.parametrize("expression", PANELS)
def test_every_panel_has_data(seen: Seen, expression: str) -> None:
    asked = as_grafana_asks(expression)
    if NEVER_LOST in asked:
        assert seen.prometheus.since_the_start(asked)
    else:
        assert has_data(seen.prometheus, asked)


@pytest.mark.parametrize(
    "choice", [each for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
)
def test_every_choice_has_values(seen: Seen, choice: dict[str, Any]) -> None:
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", choice["query"]["query"])
    assert found is not None
    assert choice["query"]["query"] == choice["definition"]
    assert seen.prometheus.values_of(found[2], as_grafana_asks(found[1])) - {""}


def as_grafana_asks(text: str) -> str:
    """With everything chosen, and a range that a second's step has."""
    for name, value in {"$__rate_interval": "3s", "$__range": "1m"}.items():
        text = text.replace(name, value)
    for choice in DASHBOARD["templating"]["list"]:
        text = text.replace(f"${choice['name']}", choice.get("allValue", ""))
    assert "$" not in text
    return text


def has_data(prometheus: Prometheus, expression: str) -> bool:
    """Tell whether it was ever a number other than 0: of this gateway everything was."""
    values = [value for curve in prometheus.since_the_start(expression) for value in curve.values]
    return any(math.isfinite(value) and value for value in values)
