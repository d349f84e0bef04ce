"""`docs/metrics.md` says what the code says.

Run this file to write the page's tables anew: `python tests/telemetry/test_metrics_page.py`.
"""

from __future__ import annotations

from pathlib import Path

from gateway.telemetry.families import FAMILIES
from gateway.telemetry.gen_ai_families import GENERATIONS, LABELS
from gateway.telemetry.outcomes import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BEGIN = "<!-- made by tests/telemetry/test_metrics_page.py -->\n"
END = "<!-- end -->\n"
BEGIN_GEN_AI = "<!-- OpenTelemetry's, made by tests/telemetry/test_metrics_page.py -->\n"
END_GEN_AI = "<!-- end of OpenTelemetry's -->\n"


def table() -> str:
    """Every metric of the gateway's own, as Markdown."""
    rows = ["| name | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(
            f"| `{family.name}` | {family.kind.value} | {labels} | {family.unit} | {family.meaning} |"
        )
    return "\n".join(rows) + "\n"


def gen_ai_table() -> str:
    """Every metric of OpenTelemetry's, as Markdown; labels are told only where they are more than those of all."""
    rows = ["| name | generation | type | further labels | unit | meaning |", "|---|---|---|---|---|---|"]
    everything = {family: None for families in GENERATIONS.values() for family in families}
    for family in everything:
        words = ", ".join(f"`{word}`" for word, families in GENERATIONS.items() if family in families)
        more = ", ".join(f"`{label}`" for label in family.labels if label not in LABELS)
        rows.append(
            f"| `{family.name}` | {words} | {family.kind.value} | {more} | {family.unit} | {family.meaning} |"
        )
    of_all = ", ".join(f"`{label}`" for label in LABELS)
    return "\n".join(rows) + f"\n\nAll have the labels {of_all}.\n"


def with_tables(page: str) -> str:
    """The page with the tables as they should be."""
    for begin, text, end in ((BEGIN, table(), END), (BEGIN_GEN_AI, gen_ai_table(), END_GEN_AI)):
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + text + end + after
    return page


def test_the_tables_are_those_of_the_code() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), "run: python tests/telemetry/test_metrics_page.py"


def test_every_outcome_is_told() -> None:
    page = PAGE.read_text("utf-8")
    assert [outcome for outcome in Outcome if f"| `{outcome}` |" not in page] == []


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
