"""Tables of what there may be a thousand of: a page shows those rows at once that somebody has to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from attrs import frozen

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


@frozen
class Shown(Generic[R]):
    """As many rows as a page shows, in their order: those in trouble, then those with the most traffic."""

    rows: tuple[R, ...]
    of: int
    """How many there are."""


def shown(rows: Sequence[R]) -> Shown[R]:
    """Choose them."""
    if len(rows) <= MOST_ROWS:
        return Shown(tuple(rows), len(rows))
    ranked = sorted(range(len(rows)), key=lambda index: _weight(rows[index]), reverse=True)
    return Shown(tuple(rows[index] for index in sorted(ranked[:MOST_ROWS])), len(rows))


def long_table(
    name: str,
    headings: tuple[str, ...],
    shown: Shown[R],
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

    rows, left_out = shown.rows, _left_out(shown, where)
    lively = [each for each in rows if each.is_in_trouble or not each.activity.is_quiet]
    if shown.of <= FEW_ROWS or len(lively) == len(rows):
        return [made(rows), left_out]
    quiet = [each for each in rows if each.activity.is_quiet and not each.is_in_trouble]
    summary = f"{number(shown.of - len(lively))} {noun} without requests in the last minute"
    return [made(lively) if lively else "", folded(f"quiet {name}", summary, made(quiet), left_out)]


def _weight(row: Row) -> tuple[bool, float, float]:
    ended = row.activity.ended
    return row.is_in_trouble, ended.failed, ended.requests


def _left_out(shown: Shown[R], where: str) -> Markup:
    """A sentence where a table does not show everything."""
    if len(shown.rows) == shown.of:
        return ""
    told = f"{len(shown.rows)} of {number(shown.of)} are shown, those that fail or have most to do"
    return tags.p(f"{told}; {where} has all.", class_="note")


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
