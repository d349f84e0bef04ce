"""`docs/metrics.md` says what the code says.

Run this file to write the page's table anew: `python tests/telemetry/test_metrics_page.py`.
"""

from __future__ import annotations

from pathlib import Path

from gateway.telemetry.families import FAMILIES
from gateway.telemetry.outcomes import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BEGIN = "<!-- made by tests/telemetry/test_metrics_page.py -->\n"
END = "<!-- end -->\n"


def table() -> str:
    """Every metric of the gateway's own, as Markdown."""
    rows = ["| name | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(
            f"| `{family.name}` | {family.kind.value} | {labels} | {family.unit} | {family.meaning} |"
        )
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def test_the_table_is_that_of_the_code() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_table(page), "run: python tests/telemetry/test_metrics_page.py"


def test_every_outcome_is_told() -> None:
    page = PAGE.read_text("utf-8")
    assert [outcome for outcome in Outcome if f"| `{outcome}` |" not in page] == []


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
