"""Scripts, style, icon, and uPlot, which draws the charts: files of this package, the same for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

UPLOT = "uplot-1.6.32"
"""https://github.com/leeoniya/uPlot, as npm has it; its licence stands beside it."""

PREFIX = "/static/"

CHARTS_SCRIPT = PREFIX + "charts.js"
ICON = PREFIX + "icon.svg"
PAGE_SCRIPT = PREFIX + "page.js"
PAGE_STYLE = PREFIX + "page.css"
UPLOT_SCRIPT = f"{PREFIX}{UPLOT}/uPlot.iife.min.js"
UPLOT_STYLE = f"{PREFIX}{UPLOT}/uPlot.min.css"

_CONTENT_TYPES = {
    CHARTS_SCRIPT: "text/javascript; charset=utf-8",
    ICON: "image/svg+xml",
    PAGE_SCRIPT: "text/javascript; charset=utf-8",
    PAGE_STYLE: "text/css; charset=utf-8",
    UPLOT_SCRIPT: "text/javascript; charset=utf-8",
    UPLOT_STYLE: "text/css; charset=utf-8",
}


def static_files() -> Mapping[bytes, tuple[str, bytes]]:
    """By path: content type and content."""
    folder = files("gateway.serving.page").joinpath("static")
    return {
        path.encode(): (content_type, folder.joinpath(path.removeprefix(PREFIX)).read_bytes())
        for path, content_type in _CONTENT_TYPES.items()
    }
