"""The dashboard is one for Grafana's own model of dashboards, as its makers publish it: the Foundation SDK for 10.1.

That is the oldest Grafana that the dashboard is for.  The SDK reads anything: what it does not know it leaves out, and
what has the wrong type or is no word of a list it keeps.  So it is looked at what it has left out, and what it holds.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from copy import deepcopy
from enum import Enum
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.deploy.test_dashboard import SHOWN

NOT_IN_THE_MODEL = {"id", "definition"}
"""Written as Grafana writes them: `null` for a dashboard that is new, and a variable's query once more."""


def objections(dashboard: dict[str, Any]) -> list[str]:
    """What is not as the model says."""
    register_default_plugins()
    read = Dashboard.from_json(dashboard)
    written = json.loads(JSONEncoder().encode(read))
    return [*_left_out(dashboard, written, "dashboard"), *_misfits(read, Dashboard, "dashboard")]


def _left_out(given: object, kept: object, place: str) -> Iterator[str]:
    """Fields that are not in the model."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            if name in kept:
                yield from _left_out(value, kept[name], f"{place}.{name}")
            elif name not in NOT_IN_THE_MODEL:
                yield f"{place}.{name} is not known"
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (value, same) in enumerate(zip(given, kept, strict=True)):
            yield from _left_out(value, same, f"{place}[{index}]")
    elif given != kept:
        yield f"{place} is {given!r}, and kept as {kept!r}"


def _misfits(value: object, kind: Any, place: str) -> Iterator[str]:
    """Values that are not of the type that the model has for them."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        of_each = [list(_misfits(value, each, place)) for each in arguments]
        if all(of_each):
            # The one that is nearest: what it objects to lies deepest.
            yield from max(of_each, key=lambda found: len(found[0].partition(" ")[0]))
    elif origin is list and isinstance(value, list):
        for index, each in enumerate(value):
            yield from _misfits(each, arguments[0], f"{place}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for name, each in value.items():
            yield from _misfits(each, arguments[1], f"{place}.{name}")
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{place} is {value!r}, and not {arguments}"
    elif isinstance(kind, type) and issubclass(kind, Enum):
        if value not in [each.value for each in kind]:
            yield f"{place} is {value!r}, and no {kind.__name__}"
    elif isinstance(value, dict) and hasattr(kind, "from_json"):
        # Transformations it does not look into.
        yield from _misfits(kind.from_json(value), kind, place)
    elif hasattr(value, "to_json") and isinstance(value, kind):
        # What a panel's options and queries are is known only by the panel's type.
        for name, of_field in typing.get_type_hints(type(value)).items():
            yield from _misfits(getattr(value, name), of_field, f"{place}.{name}")
    elif kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{place} is {value!r}, and no number"
    elif kind is not object and (not isinstance(value, origin or kind) or (kind is int) & (value is True)):
        yield f"{place} is {value!r}, and no {kind}"


def test_grafana_knows_every_field_and_every_value() -> None:
    assert objections(SHOWN) == []


def test_every_kind_of_panel_is_known() -> None:
    register_default_plugins()
    for row in Dashboard.from_json(SHOWN).panels or ():
        for panel in (row, *getattr(row, "panels", ())):
            if panel.type_val != "row":
                assert hasattr(panel.options, "to_json"), panel.type_val
                assert all("data" not in vars(target) for target in panel.targets), panel.title


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("refersh",), "30s"),
        (("graphTooltip",), "shared"),
        (("panels", 0, "collapsed"), "no"),
        (("panels", 1, "gridPos", "width"), 8),
        (("panels", 1, "gridPos", "w"), "8"),
        (("panels", 1, "options", "colorMode"), "colour"),
        (("panels", 1, "fieldConfig", "defaults", "thresholds", "mode"), "absolutely"),
        (("panels", 1, "targets", 0, "expression"), "up"),
        (("panels", 1, "targets", 0, "format"), "series"),
        (("panels", 8, "fieldConfig", "defaults", "custom", "lineWidth"), "thin"),
        (("panels", 8, "fieldConfig", "defaults", "custom", "stacking", "mode"), "stacked"),
        (("panels", 8, "options", "legend", "placement"), "below"),
        (("panels", -1, "panels", 0, "options", "tooltip", "mode"), "many"),
        (("templating", "list", 1, "hide"), "never"),
    ],
    ids=lambda each: ".".join(map(str, each)) if isinstance(each, tuple) else "",
)
def test_a_mistake_would_be_seen(place: tuple[str | int, ...], value: object) -> None:
    spoilt: Any = deepcopy(SHOWN)
    within = spoilt
    for each in place[:-1]:
        within = within[each]
    within[place[-1]] = value
    assert len(objections(spoilt)) == 1
