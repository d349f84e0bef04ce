"""How Grafana writes a dashboard: panels with their queries, laid out in rows of 24 columns.

Only what the dashboard in `deploy/grafana/` needs of its JSON model
(https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
"""Whichever is chosen at the top of the dashboard."""

COLUMNS = 24

GOOD, POOR, BAD = "green", "orange", "red"


@frozen
class Query:
    """One expression, and what its series are called."""

    expression: str
    legend: str = ""


@frozen
class Panel:
    """A curve, a number, a table or a band of states."""

    title: str
    unit: str
    """As Grafana names it: https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts"""
    queries: Sequence[Query]
    about: str = ""
    """What the reader should know: shown at the `i` of the panel."""
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    stacked: bool = False
    most: float | None = None
    """The end of the axis, where it is known."""
    steps: Sequence[tuple[float | None, str]] = ()
    """From which value on which colour; of curves a line for each."""
    axis: str = ""
    """What the numbers are of, where the unit does not say it."""
    words: Mapping[int, tuple[str, str]] = field(factory=dict)
    """What a value is called, and its colour."""
    columns: Mapping[str, str] = field(factory=dict)
    """Of a table: labels that are shown, and what they are called; the value is `Value`."""


@frozen
class Row:
    """Panels below a heading."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False
    """Only the heading is seen, and nothing is asked for the panels, until somebody opens it."""


@frozen
class Variable:
    """A choice at the top: one or several values of a label."""

    name: str
    label: str
    query: str
    """`label_values(metric, label)`."""


def dashboard(
    uid: str, title: str, about: str, variables: Sequence[Variable], rows: Sequence[Row]
) -> dict[str, Any]:
    """The whole, as it is imported."""
    return {
        "annotations": {"list": []},
        "description": about,
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [],
        "panels": list(_laid_out(rows)),
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["llm", "llmgateway"],
        "templating": {"list": [_sources(), *map(_variable, variables)]},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }


def _laid_out(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Every panel with its number and its place."""
    number, top = 0, 0
    for row in rows:
        number += 1
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        within: list[dict[str, Any]] = []
        yield {
            "collapsed": row.collapsed, "gridPos": place, "id": number, "panels": within, "title": row.title,
            "type": "row",
        }  # fmt: skip
        panels = list(_beside_one_another(row.panels, number, top + 1))
        number += len(panels)
        if row.collapsed:
            # They hang on their row, and take their place when it is opened: everything below moves down then.
            within += panels
            top += 1
        else:
            yield from panels
            top = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)


def _beside_one_another(panels: Sequence[Panel], number: int, top: int) -> Iterator[dict[str, Any]]:
    """Panels in lines of full width; the first has the next number."""
    left, height = 0, 0
    for panel in panels:
        number += 1
        if left + panel.width > COLUMNS:
            top, left, height = top + height, 0, 0
        yield _panel(panel, number, {"h": panel.height, "w": panel.width, "x": left, "y": top})
        left, height = left + panel.width, max(height, panel.height)


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "mappings": _mappings(panel.words)}
    if panel.most is not None:
        defaults["max"] = panel.most
    steps = panel.steps or [(None, "text" if panel.kind == "stat" else "green")]
    defaults["thresholds"] = {
        "mode": "absolute",
        "steps": [{"color": colour, "value": value} for value, colour in steps],
    }
    defaults["color"] = {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"}
    written: dict[str, Any] = {
        "datasource": SOURCE,
        "description": panel.about,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "gridPos": place,
        "id": number,
        "targets": [_target(query, index, panel.kind) for index, query in enumerate(panel.queries)],
        "title": panel.title,
        "type": panel.kind,
    }
    match panel.kind:
        case "timeseries":
            defaults["custom"] = {
                "drawStyle": "line",
                "fillOpacity": 25 if panel.stacked else 8,
                "lineWidth": 1,
                "showPoints": "never",
                "spanNulls": False,
                "axisLabel": panel.axis,
                "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
                "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
            }
            legend = {
                "calcs": ["mean", "max"],
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
            }
            written["options"] = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "stat":
            written["options"] = {
                "colorMode": "value",
                "graphMode": "area",
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "textMode": "auto",
            }
        case "state-timeline":
            defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0}
            legend = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
            written["options"] = {
                "legend": legend,
                "mergeValues": True,
                "rowHeight": 0.8,
                "showValue": "never",
            }
        case "table":
            written["options"] = {"cellHeight": "sm", "showHeader": True}
            written["transformations"] = [_columns(panel.columns)]
    return written


def _target(query: Query, index: int, kind: str) -> dict[str, Any]:
    """A table asks once, for the end of the range; all others for each point of it."""
    asks_once = kind == "table"
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "format": "table" if asks_once else "time_series",
        "instant": asks_once,
        "legendFormat": query.legend or "__auto",
        "range": not asks_once,
        "refId": chr(ord("A") + index),
    }


def _columns(columns: Mapping[str, str]) -> dict[str, Any]:
    """Labels in this order, under these names, and not the time."""
    options = {
        "excludeByName": {"Time": True},
        "indexByName": {name: index for index, name in enumerate(columns)},
        "renameByName": dict(columns),
    }
    return {"id": "organize", "options": options}


def _mappings(words: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:
    options = {
        str(value): {"color": colour, "index": index, "text": text}
        for index, (value, (text, colour)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}] if options else []


def _sources() -> dict[str, Any]:
    return {
        "current": {}, "hide": 0, "includeAll": False, "label": "Prometheus", "multi": False, "name": "datasource",
        "options": [], "query": "prometheus", "refresh": 1, "regex": "", "skipUrlSync": False, "type": "datasource",
    }  # fmt: skip


def _variable(variable: Variable) -> dict[str, Any]:
    """All, until somebody chooses; `.*` also finds series that have the label empty."""
    return {
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": SOURCE,
        "definition": variable.query,
        "hide": 0,
        "includeAll": True,
        "label": variable.label,
        "multi": True,
        "name": variable.name,
        "options": [],
        "query": {"query": variable.query, "refId": "StandardVariableQuery"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }
