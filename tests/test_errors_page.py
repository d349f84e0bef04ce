"""`docs/errors.md` says what the code says.

Run this file to write the page's table anew: `python tests/test_errors_page.py`.
"""

from __future__ import annotations

from pathlib import Path

from gateway.errors import CODES

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
BEGIN = "<!-- made by tests/test_errors_page.py -->\n"
END = "<!-- end -->\n"


def table() -> str:
    """Every error that a client or an operator can meet, as Markdown."""
    rows = ["| `code` | status | `type` | whose | meaning |", "|---|---|---|---|---|"]
    rows += [
        f"| `{row.code}` | {row.status} | `{row.type}` | {row.side.value} | {row.meaning} |"
        for row in CODES.values()
    ]
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def test_the_table_is_that_of_the_code() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_table(page), "run: python tests/test_errors_page.py"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
