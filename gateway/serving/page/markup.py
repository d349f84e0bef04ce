"""Elements to text.  Whatever gets into the page comes by here, and is escaped."""

from __future__ import annotations

from typing import Any, TypeAlias

from twisted.python.failure import Failure
from twisted.web.template import Tag, flatten

from gateway.serving.page.wording import NOTHING, stranger

Markup: TypeAlias = str | Tag | list[Any]
"""A text, an element, or several of them after one another."""


class _Elements:
    """Twisted's own `tags` knows no element younger than 2010, and none of SVG."""

    def __getattr__(self, name: str) -> Tag:
        return Tag(name)


tags = _Elements()
"""`tags.td("text", class_="number")`."""


def rendered(markup: Markup) -> str:
    """The elements as HTML.  What cannot be seen in a text is made visible; the elements are used up."""
    written: list[bytes] = []
    failures: list[Failure] = []
    # Nothing in it waits, so it is done at once.
    flatten(None, _visible(markup), written.append).addErrback(failures.append)
    for failure in failures:
        failure.raiseException()
    return b"".join(written).decode()


def table(headings: tuple[str, ...], rows: list[Tag], *, numbers_from: int) -> Tag:
    """A table that a narrow screen shows as a card for each row.

    :param rows: `tr`, with a `td` for each heading.
    :param numbers_from: the first column that holds numbers.
    """
    for row in rows:
        cells = [child for child in row.children if isinstance(child, Tag)]
        for index, (heading, cell) in enumerate(zip(headings, cells, strict=True)):
            cell.attributes["data-label"] = heading
            empty = cell.children in ([NOTHING], ["0"])
            cell.children = [tags.div(*cell.children, class_="nothing" if empty else "")]
            if index >= numbers_from:
                cell(class_="number")
    head = tags.tr(
        *(
            tags.th(heading, scope="col", class_="number" if index >= numbers_from else "")
            for index, heading in enumerate(headings)
        )
    )
    return tags.div(tags.table(tags.thead(head), tags.tbody(*rows)), class_="scrolls")


def badge(kind: str, text: str) -> Tag:
    """A word in colour.

    :param kind: `good`, `warning`, `bad` or `plain`.
    """
    return tags.span(text, class_=f"badge {kind}")


def left_out(shown: int, all_of_them: int, where: str) -> Markup:
    """A sentence where a table does not show everything."""
    if shown == all_of_them:
        return ""
    text = f"{shown} of {all_of_them} are shown, those that fail or have most to do; {where} has all."
    return tags.p(text, class_="note")


def _visible(markup: Markup) -> Markup:
    if isinstance(markup, str):
        return stranger(markup)
    if isinstance(markup, Tag):
        markup.children = [_visible(child) for child in markup.children]  # type: ignore[arg-type]
        for name, value in markup.attributes.items():
            markup.attributes[name] = stranger(str(value))
        return markup
    return [_visible(each) for each in markup]
