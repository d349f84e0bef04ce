"""Fails unless a wheel ships the package, its data and the two plugin files, and nothing else."""

from __future__ import annotations

import sys
from zipfile import ZipFile

PLUGINS = ("twisted/plugins/llmgateway_plugin.py", "twisted/plugins/llmgateway_tls_plugin.py")

PAGE = "gateway/serving/page/static/"
UPLOT = PAGE + "uplot-1.6.32/"


def surprises(names: list[str]) -> list[str]:
    """What is in the wheel and should not be, or should be and is not."""
    wrong = [
        f"unexpected: {name}"
        for name in names
        if not (name.startswith("gateway/") and name.endswith((".py", ".yaml", "py.typed")))
        and not name.startswith(PAGE)
        and not name.startswith("llmgateway-")
        and name not in PLUGINS
    ]
    needed = (
        *(*PLUGINS, "gateway/tap.py", "gateway/examples/demo.yaml", "gateway/py.typed"),
        *(PAGE + "page.js", PAGE + "charts.js", PAGE + "page.css", PAGE + "icon.svg"),
        *(UPLOT + "uPlot.iife.min.js", UPLOT + "uPlot.min.css", UPLOT + "LICENSE"),
    )
    return wrong + [f"missing: {name}" for name in needed if name not in names]


if __name__ == "__main__":
    found = surprises(ZipFile(sys.argv[1]).namelist())
    print("\n".join(found) or "the wheel holds what it should")
    sys.exit(bool(found))
