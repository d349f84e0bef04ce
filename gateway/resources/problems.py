"""Positions and problems: what is wrong with what an operator wrote, and where.

Every floor that judges documents speaks in `Problem`s and gathers them in a `Report`, so that all problems of
all files are seen at once.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal, TypeAlias

from attrs import frozen

Severity: TypeAlias = Literal["error", "warning"]
"""An error keeps its tenant on the last good tables; a warning is only shown."""

PROBLEMS_SHOWN = 100
"""Of one severity, tenant and file; one more says that there are others.  A mistake in a generator repeats."""


@frozen(order=True)
class Position:
    """A place in a file, as editors count it."""

    file: str
    """As shown to operators: `conf.d/acme/routes.yaml`."""
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen
class Problem:
    """One thing that is wrong.  The message never holds what `${…}` stood for."""

    position: Position
    path: str
    """The field that is meant, `spec.rules[0].backendRefs[1].weight`; empty for a whole document or file."""
    message: str
    """What is wrong and what was meant, in one line."""
    severity: Severity = "error"
    tenant: str | None = None
    """Whose tables it holds back; None where it is nobody's own, as in the Gateway document."""

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.position), self.path, self.message) if part)


class Report:
    """All problems found so far, whatever the order in which they were found."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._counts: Counter[tuple[str, str | None, Severity]] = Counter()

    def add(self, problem: Problem) -> None:
        """Remember a problem once; beyond `PROBLEMS_SHOWN` of its sort in its file, only that there are more."""
        if problem in self._problems:
            return
        sort = (problem.position.file, problem.tenant, problem.severity)
        self._counts[sort] += 1
        if self._counts[sort] == PROBLEMS_SHOWN + 1:
            more = f"there are more than {PROBLEMS_SHOWN} {problem.severity}s in this file; the others are not shown"
            problem = Problem(problem.position, "", more, problem.severity, problem.tenant)
        if self._counts[sort] <= PROBLEMS_SHOWN + 1:
            self._problems[problem] = None

    def sorted(self) -> tuple[Problem, ...]:
        """Every problem, by file, line and column."""
        return tuple(sorted(self._problems, key=lambda problem: (problem.position, problem.path)))


_COLUMN_BITS = 21
"""A line of the longest file that is read has fewer columns."""


class Places:
    """Where each field of one document stands.

    There are some dozen in each document, and tens of thousands of documents: a number takes a tenth of a `Position`,
    and the collector need not look at it.
    """

    __slots__ = ("_file", "_marks")

    def __init__(self, positions: Mapping[str, Position]) -> None:
        """Remember them.

        :param positions: by path; the empty path is the document itself.
        """
        self._file = positions[""].file
        self._marks = {
            sys.intern(path): position.line << _COLUMN_BITS | position.column
            for path, position in positions.items()
        }

    def at(self, path: str) -> Position:
        """The position of the field with this path, or of its nearest ancestor that was written."""
        while path not in self._marks:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        mark = self._marks[path]
        return Position(self._file, mark >> _COLUMN_BITS, mark & (1 << _COLUMN_BITS) - 1)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def below(path: str, key: str | int) -> str:
    """The path of a member of `path`: `spec` and `rules`, then 0, make `spec.rules[0]`.

    A key that is not a plain name is quoted: `spec.labels["example.com/app"]`.
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _NAME.fullmatch(key):
        return f'{path}["{printable(key)}"]'
    return f"{path}.{key}" if path else key


def printable(text: str) -> str:
    """Text that was written, fit for a message of one line: no control characters, at most 64 characters."""
    clean = "".join(character if character.isprintable() else "�" for character in text[:65])
    return clean if len(clean) < 65 else clean[:64] + "…"


def refused_text(text: str) -> str:
    """A text that was written where another one belongs, fit for a message: without what a URL has secrets in."""
    return printable(_QUERY.sub(r"\1…", _USER.sub("…@", text)))


_USER = re.compile(r"(?<=://)[^/?#]*@|^[^/?#@]*:[^/?#]*@")
_QUERY = re.compile(r"([?#]).+", re.DOTALL)


def suggestion(written: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """`; did you mean "model"?` where a known name is near to what was written, else nothing."""
    plain = {_plain(name): name for name in known}
    near = get_close_matches(_plain(written[:64]), plain, n=1, cutoff=0.7)
    return f'; did you mean "{plain[near[0]]}"?' if near else ""


def _plain(name: str) -> str:
    """A name without what is easily mixed up: case, hyphen, underscore."""
    return name.lower().replace("-", "").replace("_", "")
