"""The dashboard shows OpenTelemetry's metrics of either generation, and what both have once: promtool adds it up.

`tests/whole/test_prometheus.py` has them of a real gateway.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.family import Family, Kind
from gateway.telemetry.gen_ai_families import GENERATIONS
from tests.deploy.row_of_opentelemetry import OPENTELEMETRY
from tests.deploy.test_alerts import needs_promtool

OLDER, NEWER = "v1.41", "next"

LABELS = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": "small",
    "server_address": "api.openai.com",
    "server_port": "443",
}
FURTHER = {
    "error_type": ("", "provider_timeout"),
    "gen_ai_token_type": ("input", "output"),
    "gen_ai_token_modality": ("unknown",),
}

ADDED_UP = {
    "Operations": 0.2,
    "Errors by type": 0.1,
    "Tokens by model": 1.0,
    "Parts of the tokens": 1.0,
}
"""What one gateway is shown to do in a second; of all other panels the value is a percentile, `WITHIN`."""

WITHIN = 0.95
"""Of whom everybody is below 1."""


def series(family: Family, instance: str) -> Iterator[tuple[str, str]]:
    """A family as a gateway shows it: every six seconds one answer of ten tokens, for each value of each label."""
    name = next((name for name in family.labels if name in FURTHER), "")
    for value in FURTHER.get(name, ("",)):
        labels = {"job": "llmgateway", "instance": instance, **LABELS} | ({name: value} if name else {})
        if family.kind is Kind.COUNTER:
            yield _written(family.name, labels), "0+60x60"
            continue
        for bound in ("1.0", "+Inf"):
            yield _written(f"{family.name}_bucket", labels | {"le": bound}), "0+10x60"
        yield _written(f"{family.name}_count", labels), "0+6x60"
        yield _written(f"{family.name}_sum", labels), "0+60x60"


def _written(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}}"


def expected(gateways: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """What promtool is to find.

    :param gateways: the generations that each has.
    """
    shown = {
        each
        for instance, generations in gateways.items()
        for generation in generations
        for family in GENERATIONS[generation]
        for each in series(family, instance)
    }
    newer = sum(NEWER in generations for generations in gateways.values())
    tests = []
    for panel in OPENTELEMETRY.panels:
        of = newer if panel.title == "Parts of the tokens" else len(gateways)
        value = ADDED_UP[panel.title] * of if panel.title in ADDED_UP else WITHIN
        for query in panel.queries:
            asked = query.expression.replace("$__rate_interval", "5m")
            asked = asked.replace("$job", ".*").replace("$instance", ".*")
            samples = [{"value": round(value, 3)}] if value else []
            tests.append({"expr": f"round(sum({asked}), 0.001)", "eval_time": "30m", "exp_samples": samples})
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in sorted(shown)],
        "promql_expr_test": tests,
    }


@needs_promtool
@pytest.mark.parametrize(
    "gateways",
    [
        {"one": (OLDER,)},
        {"one": (NEWER,)},
        {"one": (OLDER, NEWER)},
        {"one": (OLDER,), "two": (NEWER,), "three": (OLDER, NEWER)},
    ],
    ids=["older", "newer", "both", "three gateways"],
)
def test_each_generation_is_shown_and_none_twice(
    tmp_path: Path, gateways: Mapping[str, tuple[str, ...]]
) -> None:
    path = tmp_path / "tests.yaml"
    path.write_text(json.dumps({"rule_files": [], "tests": [expected(gateways)]}), "utf-8")
    ran = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
