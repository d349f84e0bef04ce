"""Elements as text.  Whatever gets into the page comes by here, and is escaped.

Not `twisted.web.template`, which takes thirty times as long: everything that changes is made anew every two seconds for
as long as somebody looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from attrs import frozen

from gateway.serving.page.wording import NOTHING, stranger


class Html(str):
    """Text that is HTML already.  All other text is escaped on its way into an element."""

    __slots__ = ()


Markup: TypeAlias = "str | Html | Iterable[Markup]"
"""A text, an element, or several of them after one another."""

_VOID = frozenset({"br", "input", "link", "meta"})
"""Elements without content (HTML §13.1.2)."""

_SPECIAL = re.compile("[^ -!#-%(-;=?-~\xa0-\u0600]")
"""All that may have to be escaped, or made visible; much else, too, which is then looked at."""

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


class _Elements:
    def __getattr__(self, name: str) -> Callable[..., Html]:
        made = partial(_element, name)
        setattr(self, name, made)
        return made


tags = _Elements()
"""`tags.td("text", class_="number")`; where the name of an attribute is one of Python's words, it ends with `_`.  An
attribute that is None is left out."""


def html(markup: Markup) -> Html:
    """The elements as HTML, with texts escaped and what cannot be seen in them made visible."""
    if isinstance(markup, Html):
        return markup
    if isinstance(markup, str):
        return Html(_escaped(markup))
    return Html("".join([html(each) for each in markup]))


def _element(name: str, /, *children: Markup, **attributes: str | None) -> Html:
    written = [
        f' {attribute.rstrip("_")}="{_escaped(value)}"'
        for attribute, value in attributes.items()
        if value is not None
    ]
    start = f"<{name}{''.join(written)}>"
    if name in _VOID:
        return Html(start)
    return Html(f"{start}{''.join([html(child) for child in children])}</{name}>")


def _escaped(text: str) -> str:
    return stranger(text).translate(_ENTITIES) if _SPECIAL.search(text) else text


@frozen
class Titled:
    """What a cell of a table holds, and what is told of it where somebody points at it."""

    content: Markup
    title: str


Cell: TypeAlias = "Markup | Titled"


def table(
    headings: tuple[str, ...], rows: Iterable[tuple[str, Iterable[Cell]]], *, numbers_from: int
) -> Html:
    """A table that a narrow screen shows as a card for each row.

    :param rows: the name by which a row is known again, and a cell for each heading.
    :param numbers_from: the first column that holds numbers.
    """
    columns = [
        (heading, "number" if index >= numbers_from else None) for index, heading in enumerate(headings)
    ]
    head = tags.tr(*(tags.th(heading, scope="col", class_=kind) for heading, kind in columns))
    body = tags.tbody(*(_row(key, columns, cells) for key, cells in rows))
    return tags.div(tags.table(tags.thead(head), body), class_="scrolls")


def _row(key: str, columns: list[tuple[str, str | None]], cells: Iterable[Cell]) -> Html:
    made = []
    for (heading, kind), cell in zip(columns, cells, strict=True):
        content, title = (cell.content, cell.title) if isinstance(cell, Titled) else (cell, None)
        empty = "nothing" if content in (NOTHING, "0") else None
        made.append(
            tags.td(tags.div(content, class_=empty), title=title, class_=kind, **{"data-label": heading})
        )
    return tags.tr(*made, **{"data-key": key})


def badge(kind: str, text: str) -> Html:
    """A word in colour.

    :param kind: `good`, `warning`, `bad` or `plain`.
    """
    return tags.span(text, class_=f"badge {kind}")


def folded(key: str, summary: Markup, *content: Markup) -> Html:
    """What is shown only once somebody opens it; it stays open while the rest of the page changes."""
    return tags.details(tags.summary(summary), *content, **{"data-key": key})
