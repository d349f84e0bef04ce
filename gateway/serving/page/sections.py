"""The parts of the page.  Each is replaced by itself in browsers that look on, where it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.web.template import Tag

from gateway.live.standing import KeyStanding
from gateway.serving.page.failures import failures_section
from gateway.serving.page.findings import findings, troubles
from gateway.serving.page.markup import Markup, badge, left_out, rendered, table, tags
from gateway.serving.page.numbers import numbers_section, tokens
from gateway.serving.page.overview import (
    MOST_ROWS,
    Activity,
    BackendRow,
    Overview,
    ProviderRow,
    RuleRow,
    TenantRow,
    most_telling,
)
from gateway.serving.page.wording import NOTHING, clock, listed, moment, money, number, percent, rate, seconds

MOST_FINDINGS = 12

Sections = Mapping[str, str]
"""By the name of the part: its HTML."""


def parts(overview: Overview) -> dict[str, Markup]:
    """Every part, as elements that can be rendered once."""
    return {name: make(overview) for name, make in _PARTS.items()}


def sections(overview: Overview) -> Sections:
    """Every part as text."""
    return {name: rendered(markup) for name, markup in parts(overview).items()}


def _state(overview: Overview) -> Markup:
    """One badge for the whole."""
    seen = overview.seen
    if seen.draining:
        return badge("warning", "stopping")
    if not seen.ready:
        return badge("bad", "not serving")
    found = findings(overview)
    if any(finding.is_bad for finding in found):
        return badge("bad", "serving, with failures")
    return badge("warning", "serving, to be seen to") if found else badge("good", "serving")


def _findings(overview: Overview) -> Markup:
    found = findings(overview)
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
    rows = most_telling(overview.tenants)
    shown = [
        tags.tr(
            tags.td(tags.strong(row.name) if row.name else tags.em("nobody known")),
            tags.td(*_standing(row)),
            tags.td(number(row.routes) if row.name else NOTHING),
            *_activity(row.activity),
        )
        for row in rows
    ]
    headings = ("tenant", "runs on", "routes", *_ACTIVITY)
    return [table(headings, shown, numbers_from=2), left_out(len(rows), len(overview.tenants), "/metrics")]


def _standing(row: TenantRow) -> list[Markup]:
    if not row.standing:
        return ["what others export to it" if row.routes else NOTHING]
    kind, text = _STANDINGS[row.standing]
    told: list[Markup] = [badge(kind, text)]
    if row.since is not None:
        told += [" ", tags.span(f"since {clock(row.since)}", class_="note", title=moment(row.since))]
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


def _routes(overview: Overview) -> Markup:
    rows = most_telling(overview.rules)
    if not rows:
        return tags.p("There are no routes.", class_="note")
    shown = [
        tags.tr(
            tags.td(row.shown.route.tenant),
            tags.td(*_route(row)),
            tags.td(_backends(row)),
            *_activity(row.activity),
        )
        for row in rows
    ]
    headings = (
        "tenant",
        "host and rule",
        "backends by weight, and as observed",
        *_ACTIVITY,
    )
    return [table(headings, shown, numbers_from=3), left_out(len(rows), len(overview.rules), "/config")]


def _route(row: RuleRow) -> list[Markup]:
    route = row.shown.route
    name = tags.span(f" {route.name}", class_="note") if route.name not in ("", route.host) else ""
    rule = row.shown.rule.name
    return [tags.strong(route.host), name, tags.br(), rule or tags.span("the provider itself", class_="note")]


def _backends(row: RuleRow) -> Tag:
    return tags.ul(*(_backend(each) for each in row.backends), class_="backends")


def _backend(row: BackendRow) -> Tag:
    backend = row.backend
    name: list[Markup] = [backend.provider]
    if backend.model is not None:
        name += [" ", tags.span(backend.model, class_="note")]
    configured = row.role or percent(row.configured or 0.0)
    observed = percent(row.observed) if row.observed is not None else NOTHING
    return tags.li(
        tags.span(*name, class_="name"),
        tags.span(configured, class_="share", title="configured"),
        _bar(row.configured, row.observed),
        tags.span(observed, class_="share", title="of the answers of the last minute"),
    )


_BAR = 60
"""Its width in pixels."""


def _bar(configured: float | None, observed: float | None) -> Tag:
    """A share as it is, with a mark where it should be."""
    drawn = [tags.rect(x="0", y="2", width=str(_BAR), height="6", class_="all")]
    if observed:
        drawn.append(tags.rect(x="0", y="2", width=f"{observed * _BAR:.1f}", height="6", class_="part"))
    if configured is not None:
        place = max(0.0, configured * _BAR - 1)
        drawn.append(tags.rect(x=f"{place:.1f}", y="0", width="2", height="10", class_="mark"))
    return tags.svg(*drawn, width=str(_BAR), height="10", **{"aria-hidden": "true"})


def _providers(overview: Overview) -> Markup:
    rows = most_telling(overview.providers)
    if not rows:
        return tags.p("There are no providers.", class_="note")
    shown = [
        tags.tr(
            tags.td(*_provider(row)),
            tags.td(tags.ul(*(_key(key) for key in row.keys), class_="keys")),
            tags.td(_connections(row)),
            tags.td(_attempts(row)),
            *_activity(row.activity),
        )
        for row in rows
    ]
    headings = ("provider", "breaker and key", "connections", "attempts that failed", *_ACTIVITY)
    return [table(headings, shown, numbers_from=4), left_out(len(rows), len(overview.providers), "/config")]


def _provider(row: ProviderRow) -> list[Markup]:
    backend, place = row.backend, str(row.backend.destination)
    more = [backend.owner, backend.dialect.name, *([place] if place != backend.provider_host else [])]
    return [
        tags.strong(backend.provider),
        " ",
        tags.span(listed(more), class_="note"),
        tags.br(),
        backend.provider_host,
    ]


def _key(key: KeyStanding) -> Tag:
    told = [badge("bad" if is_bad else "warning", text) for is_bad, text in troubles(key)]
    spaced: list[Markup] = []
    for each in told or [badge("good", "closed, usable")]:
        spaced += [" ", each]
    return tags.li(key.key, *spaced)


def _connections(row: ProviderRow) -> str:
    return listed(f"{number(count)} {state}" for state, count in row.connections.items() if count) or NOTHING


def _attempts(row: ProviderRow) -> Markup:
    if not row.attempts:
        return NOTHING
    faults = row.faults
    if not faults:
        return f"none of {number(row.attempts)}"
    reasons = listed(f"{number(times)} × {fault}" for fault, times in sorted(faults.items()))
    return [badge("bad", f"{percent(row.failing)} of {number(row.attempts)}"), f" {reasons}"]


_ACTIVITY = ("requests / s", "failed", "p95", "first token p95", "tokens in + out", "cost")


def _activity(activity: Activity) -> list[Tag]:
    lately, total = activity.lately, activity.total
    failed = percent(activity.failing) if lately.requests else NOTHING
    return [
        tags.td(rate(activity.rate), title=f"{number(total.requests)} requests in all"),
        tags.td(tags.span(failed, class_="failing") if lately.failed else failed),
        tags.td(seconds(lately.duration.quantile(0.95))),
        tags.td(seconds(lately.first_token.quantile(0.95))),
        tags.td(tokens(total)),
        tags.td(money(total.costs.items())),
    ]


def _problems(overview: Overview) -> Markup:
    problems = sorted(overview.problems, key=lambda problem: problem.severity != "error")
    seen = overview.seen
    folder = [tags.p(badge("bad", "error"), " ", seen.reasons[0])] if seen.reasons and not problems else []
    if not problems:
        return folder or tags.p("None.", class_="fine")
    rows = [
        tags.tr(
            tags.td(badge("bad" if problem.severity == "error" else "warning", problem.severity)),
            tags.td(tags.code(str(problem.position))),
            tags.td(problem.tenant or NOTHING),
            tags.td(tags.code(problem.path) if problem.path else NOTHING),
            tags.td(problem.message),
        )
        for problem in problems[:MOST_ROWS]
    ]
    note = f"{MOST_ROWS} of {len(problems)} are shown; /config has all." if len(problems) > MOST_ROWS else ""
    headings = ("severity", "file, line and column", "tenant", "field", "what is wrong")
    return [table(headings, rows, numbers_from=len(headings)), tags.p(note, class_="note")]


_PARTS: Mapping[str, Callable[[Overview], Markup]] = {
    "state": _state,
    "findings": _findings,
    "numbers": numbers_section,
    "tenants": _tenants,
    "routes": _routes,
    "providers": _providers,
    "problems": _problems,
    "failures": failures_section,
}
