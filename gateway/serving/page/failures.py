"""The part of the page that tells of exchanges that went wrong, each with its attempts."""

from __future__ import annotations

from twisted.web.template import Tag

from gateway.serving.page.markup import Markup, badge, table, tags
from gateway.serving.page.overview import FINE_ATTEMPTS, Overview
from gateway.serving.page.wording import NOTHING, clock, moment, seconds
from gateway.telemetry.exchange_record import Tried
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.recent_failures import RecentFailure

MOST_FAILURES = 40

_CLIENTS_DOING = frozenset({Outcome.CLIENT_ERROR.value, Outcome.CLIENT_LEFT.value})


def failures_section(overview: Overview) -> Markup:
    """The newest first; a line for each, which opens."""
    ours = [each for each in overview.seen.failures if each.outcome not in _CLIENTS_DOING]
    theirs = [each for each in overview.seen.failures if each.outcome in _CLIENTS_DOING]
    told: list[Markup] = [tags.p("None since the start.", class_="fine")]
    if ours:
        note = "The last few of each outcome, the newest first. Times are UTC."
        told = [tags.p(note, class_="note"), _list(ours)]
    if theirs:
        summary = f"What clients got wrong or left: {len(theirs)} of late, the last at {clock(theirs[0].at)}"
        told.append(tags.details(tags.summary(summary), _list(theirs), **{"data-key": "theirs"}))
    return told


def _list(failures: list[RecentFailure]) -> Tag:
    return tags.div(*(_failure(failure) for failure in failures[:MOST_FAILURES]), class_="failures")


def _failure(failure: RecentFailure) -> Tag:
    kind = "warning" if failure.outcome in _CLIENTS_DOING else "bad"
    whose = " / ".join(part for part in (failure.tenant, failure.route, failure.rule) if part)
    return tags.details(
        tags.summary(
            tags.time(clock(failure.at), datetime=moment(failure.at), title=moment(failure.at)),
            " ",
            badge(kind, f"{failure.code} {failure.outcome}"),
            " ",
            tags.span(whose or "nobody known", class_="whose"),
            " ",
            tags.span(failure.error, class_="error"),
            " ",
            tags.span(_path(failure.tried), class_="note"),
        ),
        tags.dl(*_facts(failure)),
        _attempts(failure.tried),
        **{"data-key": f"{failure.request_id} {failure.at}"},
    )


def _path(tried: tuple[Tried, ...]) -> str:
    """Who was asked, one after the other: `first status 500 → second ok`."""
    return " → ".join(f"{each.provider} {_outcome(each)}" for each in tried)


def _outcome(tried: Tried) -> str:
    return f"{tried.outcome} {tried.status}" if tried.outcome == "status" else tried.outcome


def _facts(failure: RecentFailure) -> list[Tag]:
    facts = [
        ("what happened", failure.detail),
        (
            "request",
            f"{failure.method} {failure.host}{failure.path}" + (", a stream" if failure.stream else ""),
        ),
        ("request id", failure.request_id),
        ("client", failure.client),
        ("model asked for", failure.asked_model),
        ("model sent", failure.sent_model),
        ("took", seconds(failure.duration_ms / 1000)),
    ]
    return [tags.div(tags.dt(name), tags.dd(value)) for name, value in facts if value]


def _attempts(tried: tuple[Tried, ...]) -> Markup:
    if not tried:
        return tags.p("No provider was asked.", class_="note")
    rows = [
        tags.tr(
            tags.td(each.provider),
            tags.td(each.key or NOTHING),
            tags.td(badge("plain" if each.outcome in FINE_ATTEMPTS else "bad", each.outcome)),
            tags.td(str(each.status) if each.status is not None else NOTHING),
            tags.td(seconds(each.after)),
            tags.td(seconds(each.seconds)),
        )
        for each in tried
    ]
    headings = ("provider", "key", "outcome", "status", "began after", "took")
    return table(headings, rows, numbers_from=3)
