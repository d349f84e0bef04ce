"""Tables of what there may be a thousand of: a page shows those rows at once that somebody has to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from gateway.serving.page.activity import Activity
from gateway.serving.page.markup import Cell, Markup, Titled, folded, table, tags
from gateway.serving.page.wording import NOTHING, money, number, percent, rate, seconds

MOST_ROWS = 100
"""Beyond these a page is no longer read, only carried."""

FEW_ROWS = 12
"""So many are all shown at once, be something going on at them or not."""


class Row(Protocol):
    """What every row has that is shown like this."""

    @property
    def activity(self) -> Activity:
        """What went on at it."""

    @property
    def is_in_trouble(self) -> bool:
        """Somebody should look at it."""


R = TypeVar("R", bound=Row)


def long_table(
    name: str,
    headings: tuple[str, ...],
    rows: Sequence[R],
    cells: Callable[[R], tuple[str, Iterable[Cell]]],
    *,
    noun: str,
    where: str,
) -> Markup:
    """A table; its last columns are those of `ACTIVITY`.

    Of many rows those at which nothing has happened of late are folded away, and of very many left out.

    :param headings: of the columns before those.
    :param cells: the name by which a row is known again, and what stands in those columns.
    :param noun: what the rows are.
    :param where: all of them can be read.
    """

    def made(some: Sequence[R]) -> Markup:
        return table((*headings, *ACTIVITY), map(row, some), numbers_from=len(headings))

    def row(each: R) -> tuple[str, Iterable[Cell]]:
        key, told = cells(each)
        return key, (*told, *_activity(each.activity))

    shown = _most_telling(rows)
    lively = [each for each in shown if each.is_in_trouble or not each.activity.is_quiet]
    if len(rows) <= FEW_ROWS or len(lively) == len(shown):
        return [made(shown), _left_out(len(shown), len(rows), where)]
    quiet = [each for each in shown if each.activity.is_quiet and not each.is_in_trouble]
    summary = f"{number(len(rows) - len(lively))} {noun} without requests in the last minute"
    return [
        made(lively) if lively else "",
        folded(f"quiet {name}", summary, made(quiet), _left_out(len(shown), len(rows), where)),
    ]


def _most_telling(rows: Sequence[R]) -> Sequence[R]:
    """As many rows as a page shows, in their order: those in trouble, then those with the most traffic."""
    if len(rows) <= MOST_ROWS:
        return rows
    ranked = sorted(range(len(rows)), key=lambda index: _weight(rows[index]), reverse=True)
    return [rows[index] for index in sorted(ranked[:MOST_ROWS])]


def _weight(row: Row) -> tuple[bool, float, float]:
    ended = row.activity.ended
    return row.is_in_trouble, ended.failed, ended.requests


def _left_out(shown: int, all_of_them: int, where: str) -> Markup:
    """A sentence where a table does not show everything."""
    if shown == all_of_them:
        return ""
    text = f"{shown} of {number(all_of_them)} are shown, those that fail or have most to do; {where} has all."
    return tags.p(text, class_="note")


ACTIVITY = ("requests\xa0/\xa0s", "failed", "p95", "first token p95", "tokens in\xa0+\xa0out", "cost")


def _activity(activity: Activity) -> list[Cell]:
    lately, total = activity.lately, activity.total
    failed = percent(activity.failing) if lately.requests else NOTHING
    given, got = total.input_tokens, total.output_tokens
    return [
        Titled(rate(activity.rate), f"{number(total.requests)} requests in all"),
        tags.span(failed, class_="failing") if lately.failed else failed,
        seconds(lately.duration.quantile(0.95)),
        seconds(lately.first_token.quantile(0.95)),
        f"{number(given)} + {number(got)}" if given or got else NOTHING,
        money(total.costs.items()),
    ]
