"""The parts of the page.  Each is replaced by itself in browsers that look on, where it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVarTuple, Unpack

from gateway.resources.problems import Problem
from gateway.serving.page.failures import failures_section
from gateway.serving.page.findings import Finding, findings
from gateway.serving.page.markup import Html, Markup, badge, html, table, tags
from gateway.serving.page.numbers import numbers_section
from gateway.serving.page.overview import Overview, Seen, TenantRow
from gateway.serving.page.providers import providers_section
from gateway.serving.page.routes import routes_section
from gateway.serving.page.tables import MOST_ROWS, Shown, long_table, shown
from gateway.serving.page.wording import DAY, NOTHING, clock, listed, moment, number

Told = TypeVarTuple("Told")

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
        seen, found = overview.seen, findings(overview)
        day = int(seen.time // DAY) * DAY  # of times of another day the date is told
        return {
            "state": html(_state(seen, found)),
            "findings": html(_findings(found)),
            "numbers": html(numbers_section(overview)),
            "failures": self._made_of("failures", failures_section, seen.failures, day),
            "routes": self._made_of("routes", routes_section, shown(overview.rules)),
            "providers": self._made_of("providers", providers_section, shown(overview.providers)),
            "tenants": self._made_of("tenants", _tenants, shown(overview.tenants), day),
            "problems": self._made_of("problems", _problems, overview.problems, seen.reasons),
        }

    def _made_of(self, name: str, make: Callable[[Unpack[Told]], Markup], *told: *Told) -> Html:
        """The part that this makes of what there is to be told; that of last time, if it is equal."""
        known = self._made.get(name)
        if known is not None and known[0] == told:
            return known[1]
        made = html(make(*told))
        self._made[name] = (told, made)
        return made


def _state(seen: Seen, found: list[Finding]) -> Markup:
    """One badge for the whole."""
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
            badge(finding.severity, finding.severity),
            " ",
            tags.a(finding.text, href=f"#{finding.section}"),
        )
        for finding in found[:MOST_FINDINGS]
    ]
    if len(found) > MOST_FINDINGS:
        shown.append(tags.li(f"and {len(found) - MOST_FINDINGS} more of the kind", class_="note"))
    return tags.ul(*shown, class_="findings")


def _tenants(tenants: Shown[TenantRow], now: float) -> Markup:
    def cells(row: TenantRow) -> tuple[str, tuple[Markup, ...]]:
        name = tags.strong(row.name) if row.name else tags.em("nobody known")
        routes = number(row.routes) if row.name else NOTHING
        return row.name, (name, _standing(row, now), routes)

    headings = ("tenant", "runs on", "routes")
    return long_table("tenants", headings, tenants, cells, noun="tenants", where="/metrics")


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


def _problems(problems: Sequence[Problem], reasons: Sequence[str]) -> Markup:
    if not problems:
        if reasons:
            return tags.p(badge("bad", "error"), " ", reasons[0])
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
        for problem in sorted(problems, key=lambda problem: problem.severity != "error")[:MOST_ROWS]
    ]
    note = f"{MOST_ROWS} of {len(problems)} are shown; /config has all." if len(problems) > MOST_ROWS else ""
    headings = ("severity", "file, line and column", "tenant", "field", "what is wrong")
    return [table(headings, rows, numbers_from=len(headings)), tags.p(note, class_="note")]
