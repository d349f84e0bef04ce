"""The dashboard can be imported, and shows everything that is measured.

Run this file to write it anew: `python -m tests.deploy.test_dashboard`.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.families import FAMILIES
from gateway.telemetry.gen_ai_families import GENERATIONS
from tests.deploy.dashboard import DASHBOARD
from tests.deploy.expressions import (
    CERTIFICATE_SECONDS,
    FAILED,
    FAILING,
    FAILING_SLOWLY,
    FIRST_TOKEN_SECONDS,
    LOOP_LAG_SECONDS,
    PROVIDER_FAILING,
)
from tests.deploy.grafana import COLUMNS

PATH = Path(__file__).parents[2] / "deploy" / "grafana" / "llmgateway.json"
ALERTS = PATH.parents[1] / "prometheus" / "alerts.yaml"
SHOWN: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
PANELS: list[dict[str, Any]] = [
    each for panel in SHOWN["panels"] for each in (panel, *panel.get("panels", ()))
]
"""Those of collapsed rows too, which hang on their row."""

_METRIC = re.compile(r"\b(?:llmgateway|gen_ai_client|gen_ai_server)_\w+")
_PARTS = re.compile(r"_(bucket|sum|count)$")
_CHOICE = re.compile(r"\$(\w+)")


def text() -> str:
    """The file as it should be."""
    return json.dumps(DASHBOARD, indent=1) + "\n"


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel.get("targets", ())]


def test_the_file_is_that_of_the_description() -> None:
    assert PATH.read_text("utf-8") == text(), "run: python -m tests.deploy.test_dashboard"


def test_every_metric_is_shown_and_no_other() -> None:
    shown = {_PARTS.sub("", name) for each in expressions() for name in _METRIC.findall(each)}
    of_opentelemetry = {family for generation in GENERATIONS.values() for family in generation}
    assert shown == {family.name for family in (*FAMILIES, *of_opentelemetry)}


def test_every_panel_can_be_chosen_for() -> None:
    names = {variable["name"] for variable in SHOWN["templating"]["list"]}
    assert names == {"datasource", "job", "instance", "tenant", "route", "client", "provider", "model"}
    for each in expressions():
        assert {"job", "instance"} <= set(_CHOICE.findall(each)) <= names | {"__rate_interval", "__range"}
    panels = [panel for panel in PANELS if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}


def test_panels_have_numbers_and_places_of_their_own() -> None:
    numbers = [panel["id"] for panel in PANELS]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in PANELS):
        assert place["x"] + place["w"] <= COLUMNS
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
    assert all(upper["gridPos"]["y"] <= lower["gridPos"]["y"] for upper, lower in pairwise(PANELS))


def test_names_of_curves_are_labels_of_theirs() -> None:
    for panel in PANELS:
        for target in panel.get("targets", ()):
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), (panel["title"], label)


def test_what_can_be_chosen_is_chosen_for() -> None:
    """A metric that has the label follows the choice, unless the label is for something else there."""
    labels = {family.name: set(family.labels) for family in FAMILIES}
    for each in expressions():
        for name, conditions in re.findall(r"\b(llmgateway_\w+)\{([^}]*)\}", each):
            family = _PARTS.sub("", name) if name not in labels else name
            owned = "route" not in labels[family]
            for label in {"tenant", "route", "client", "provider", "model"} & labels[family]:
                if not (owned and label == "tenant"):
                    assert f'{label}=~"${label}"' in conditions, (name, label)


def test_names_of_several_tenants_are_told_apart() -> None:
    for panel in PANELS:
        for target in panel.get("targets", ()):
            for labels in re.findall(r"\bby \(([^)]*)\)", target["expr"]):
                told = set(labels.split(", "))
                if told & {"route", "rule", "provider", "client"}:
                    assert "tenant" in told, panel["title"]
                    if panel["type"] != "table":
                        assert "{{tenant}}" in target["legendFormat"], panel["title"]


def test_a_share_of_failures_is_0_where_nothing_has_failed() -> None:
    for panel in PANELS:
        if panel["title"].startswith("Failed"):
            assert " * 0)" in panel["targets"][0]["expr"]


def test_lines_are_drawn_where_alerts_begin() -> None:
    lines = {
        panel["title"]: [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        for panel in PANELS
        if panel["type"] == "timeseries"
        and panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed"
    }
    of_alerts = {
        "Failed by route": [FAILING_SLOWLY, FAILING],
        "Time to first token": [FIRST_TOKEN_SECONDS],
        "Time to first token by provider, p95": [FIRST_TOKEN_SECONDS],
        "Failed attempts by provider": [PROVIDER_FAILING],
        "Loop lag": [LOOP_LAG_SECONDS],
        "Certificates": [CERTIFICATE_SECONDS],
    }
    assert {title: values[1:] for title, values in lines.items() if title in of_alerts} == of_alerts
    alerts = ALERTS.read_text("utf-8")
    for limit, written in (
        (FAILING, "> 14.4 * 0.01"),
        (FAILING_SLOWLY, "> 6 * 0.01"),
        (FIRST_TOKEN_SECONDS, "> 10\n"),
        (PROVIDER_FAILING, "> 0.25\n"),
        (LOOP_LAG_SECONDS, "> 0.1\n"),
        (CERTIFICATE_SECONDS, "< 172800\n"),
    ):
        assert written in alerts
        assert prod(map(float, written.strip("<> \n").split("*"))) == pytest.approx(limit)


def test_what_has_failed_is_for_alerts_what_it_is_here() -> None:
    assert f"llmgateway_requests_total{{{FAILED}}}[5m]" in ALERTS.read_text("utf-8")


if __name__ == "__main__":
    PATH.write_text(text(), "utf-8")
