"""The parts of the page.  Each is replaced by itself in browsers that look on, where it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from gateway.serving.page.failures import failures_section
from gateway.serving.page.findings import Finding, findings
from gateway.serving.page.markup import Html, Markup, badge, html, table, tags
from gateway.serving.page.numbers import numbers_section
from gateway.serving.page.overview import Overview, TenantRow
from gateway.serving.page.providers import providers_section
from gateway.serving.page.routes import routes_section
from gateway.serving.page.tables import MOST_ROWS, long_table
from gateway.serving.page.wording import NOTHING, clock, listed, moment, number

MOST_FINDINGS = 12

Sections = Mapping[str, Html]
"""By the name of the part: its HTML."""


class SectionMaker:
    """Makes the parts, and knows them until it makes the next ones: what would be as it was is not made again."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, Html]] = {}
        """What each part was made from, and what came of it."""

    def sections(self, overview: Overview) -> Sections:
        """Every part."""
        found = findings(overview)
        return {
            "state": html(_state(overview, found)),
            "findings": html(_findings(found)),
            "numbers": html(numbers_section(overview)),
            **{name: self._part(name, part, overview) for name, part in _PARTS.items()},
        }

    def _part(self, name: str, part: _Part, overview: Overview) -> Html:
        made_from = part.made_from(overview)
        known = self._made.get(name)
        if known is not None and known[0] == made_from:
            return known[1]
        made = html(part.make(overview))
        self._made[name] = (made_from, made)
        return made


def _state(overview: Overview, found: list[Finding]) -> Markup:
    """One badge for the whole."""
    seen = overview.seen
    if seen.draining:
        return badge("warning", "stopping")
    if not seen.ready:
        return badge("bad", "not serving")
    if any(finding.is_bad for finding in found):
        return badge("bad", "serving, with failures")
    return badge("warning", "serving, to be seen to") if found else badge("good", "serving")


def _findings(found: list[Finding]) -> Markup:
    if not found:
        return tags.p("Nothing is wrong that the gateway knows of.", class_="fine")
    shown = [
        tags.li(
            badge("bad" if finding.is_bad else "warning", "bad" if finding.is_bad else "see to"),
            " ",
            tags.a(finding.text, href=f"#{finding.section}"),
        )
        for finding in found[:MOST_FINDINGS]
    ]
    if len(found) > MOST_FINDINGS:
        shown.append(tags.li(f"and {len(found) - MOST_FINDINGS} more of the kind", class_="note"))
    return tags.ul(*shown, class_="findings")


def _tenants(overview: Overview) -> Markup:
    def cells(row: TenantRow) -> tuple[str, tuple[Markup, ...]]:
        name = tags.strong(row.name) if row.name else tags.em("nobody known")
        routes = number(row.routes) if row.name else NOTHING
        return row.name, (name, _standing(row, overview.seen.time), routes)

    headings = ("tenant", "runs on", "routes")
    return long_table("tenants", headings, overview.tenants, cells, noun="tenants", where="/metrics")


def _standing(row: TenantRow, now: float) -> Markup:
    if not row.standing:
        return "what others export to it" if row.routes else NOTHING
    kind, text = _STANDINGS[row.standing]
    told: list[Markup] = [badge(kind, text)]
    if row.since is not None:
        told += [" ", tags.span(f"since {clock(row.since, now)}", class_="note", title=moment(row.since))]
    problems = [(row.errors, "error", "errors"), (row.warnings, "warning", "warnings")]
    counted = [f"{count} {one if count == 1 else several}" for count, one, several in problems if count]
    if counted:
        told += [" ", tags.a(listed(counted), href="#problems")]
    return told


_STANDINGS = {
    "current": ("good", "its files"),
    "last_good": ("warning", "its last good files"),
    "missing": ("bad", "nothing"),
}


def _problems(overview: Overview) -> Markup:
    problems = sorted(overview.problems, key=lambda problem: problem.severity != "error")
    seen = overview.seen
    if not problems:
        if seen.reasons:
            return tags.p(badge("bad", "error"), " ", seen.reasons[0])
        return tags.p("None.", class_="fine")
    rows = [
        (
            f"{problem.position} {problem.path} {problem.message}",
            (
                badge("bad" if problem.severity == "error" else "warning", problem.severity),
                tags.code(str(problem.position)),
                problem.tenant or NOTHING,
                tags.code(problem.path) if problem.path else NOTHING,
                problem.message,
            ),
        )
        for problem in problems[:MOST_ROWS]
    ]
    note = f"{MOST_ROWS} of {len(problems)} are shown; /config has all." if len(problems) > MOST_ROWS else ""
    headings = ("severity", "file, line and column", "tenant", "field", "what is wrong")
    return [table(headings, rows, numbers_from=len(headings)), tags.p(note, class_="note")]


@frozen
class _Part:
    """One that is mostly as it was."""

    make: Callable[[Overview], Markup]
    made_from: Callable[[Overview], object]
    """All that it shows; values that are equal where nothing has changed."""


_PARTS: Mapping[str, _Part] = {
    "failures": _Part(failures_section, lambda overview: (overview.seen.failures, overview.seen.day)),
    "routes": _Part(routes_section, lambda overview: overview.rules),
    "providers": _Part(providers_section, lambda overview: overview.providers),
    "tenants": _Part(_tenants, lambda overview: (overview.tenants, overview.seen.day)),
    "problems": _Part(_problems, lambda overview: (overview.problems, overview.seen.reasons)),
}
