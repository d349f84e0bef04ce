"""The part of the page that tells of exchanges that went wrong, each kind once, with the attempts of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from gateway.serving.page.counts import FINE_ATTEMPTS, how_it_ended
from gateway.serving.page.markup import Html, Markup, badge, folded, table, tags
from gateway.serving.page.wording import NOTHING, clock, moment, number, seconds
from gateway.telemetry.exchange_record import Tried
from gateway.telemetry.outcomes import has_failed
from gateway.telemetry.recent_failures import Failures, Kind, RecentFailure

SHOWN_AT_ONCE = 8
"""Kinds; the others are folded away."""


def failures_section(failures: Sequence[Failures], now: float) -> Markup:
    """A line for each kind, which opens; that of which there was one last comes first.

    :param now: seconds of Unix time: of another day a date is told.
    """
    ours = [each for each in failures if _is_ours(each.kind)]
    theirs = [each for each in failures if not _is_ours(each.kind)]
    told: list[Markup] = [tags.p("None since the start.", class_="fine")]
    if ours:
        note = "Those that are alike are told once, the newest first. Times are UTC."
        told = [tags.p(note, class_="note"), _list(ours[:SHOWN_AT_ONCE], now)]
        if len(ours) > SHOWN_AT_ONCE:
            rest = ours[SHOWN_AT_ONCE:]
            told.append(folded("more failures", f"{len(rest)} more kinds of failures", _list(rest, now)))
    if theirs:
        times, last = number(sum(each.number for each in theirs)), clock(theirs[0].last[0].at, now)
        summary = f"What clients got wrong or left: {times} of late, the last at {last}"
        told.append(folded("theirs", summary, _list(theirs, now)))
    return told


def _is_ours(kind: Kind) -> bool:
    return has_failed(kind.code, kind.outcome)


def _list(failures: Sequence[Failures], now: float) -> Html:
    return tags.div(*(_alike(each, now) for each in failures), class_="failures")


def _alike(failures: Failures, now: float) -> Html:
    kind, newest = failures.kind, failures.last[0]
    whose = " / ".join(part for part in (kind.tenant, kind.route, kind.rule) if part)
    summary = [
        _time(newest.at, now),
        " ",
        badge("bad" if _is_ours(kind) else "warning", f"{kind.code} {kind.outcome}"),
        " ",
        tags.strong(f"{number(failures.number)} × " if failures.number > 1 else ""),
        tags.span(whose or "nobody known", class_="whose"),
        " ",
        tags.span(kind.error, class_="error"),
        " ",
        tags.span(_path(newest.tried), class_="note"),
    ]
    key = " ".join((kind.outcome, str(kind.code), kind.error, whose, kind.provider))
    before = failures.last[1:]
    return folded(
        key,
        summary,
        tags.dl(*(tags.div(tags.dt(name), tags.dd(value)) for name, value in _facts(failures, now) if value)),
        _attempts(newest.tried),
        [tags.p("Those before it", class_="note"), _before(before, now)] if before else "",
    )


def _time(at: float, now: float) -> Html:
    return tags.time(clock(at, now), datetime=moment(at), title=moment(at))


def _path(tried: Sequence[Tried]) -> str:
    """Who was asked, one after the other: `2 × first status 500 → second ok`."""
    told = [
        (text, len(list(alike)))
        for text, alike in groupby(f"{each.provider} {_ended(each)}" for each in tried)
    ]
    return " → ".join(f"{times} × {text}" if times > 1 else text for text, times in told)


def _ended(tried: Tried) -> str:
    how = how_it_ended(tried.outcome, tried.status)
    return f"{how} {tried.code}" if tried.code else how


def _facts(failures: Failures, now: float) -> list[tuple[str, Markup]]:
    """Of the newest one."""
    newest = failures.last[0]
    how_often = f"{number(failures.number)} times since {clock(failures.first_at, now)}"
    stream = ", a stream" if newest.stream else ""
    return [
        ("how often", how_often if failures.number > 1 else ""),
        ("what happened", newest.detail),
        ("request", f"{newest.method} {newest.host}{newest.path}{stream}"),
        ("request id", newest.request_id),
        ("client", newest.client),
        ("model asked for", newest.asked_model),
        ("model sent", newest.sent_model),
        ("took", seconds(newest.duration_ms / 1000)),
    ]


def _attempts(tried: Sequence[Tried]) -> Markup:
    if not tried:
        return tags.p("No provider was asked.", class_="note")
    headings = ("provider", "key", "outcome", "status", "provider's code", "began after", "took")
    rows = [
        (
            str(index),
            (
                each.provider,
                each.key or NOTHING,
                badge(
                    "plain" if how_it_ended(each.outcome, each.status) in FINE_ATTEMPTS else "bad",
                    each.outcome,
                ),
                str(each.status) if each.status is not None else NOTHING,
                each.code or NOTHING,
                "at once" if each.after == 0 else _to_the_millisecond(each.after),
                _to_the_millisecond(each.seconds if each.after is not None else None),
            ),
        )
        for index, each in enumerate(tried)
    ]
    return table(headings, rows, numbers_from=5)


def _to_the_millisecond(duration: float | None) -> str:
    """A duration of which no more is known: None for what never began."""
    return "<1 ms" if duration == 0 else seconds(duration)


def _before(failures: Sequence[RecentFailure], now: float) -> Html:
    headings = ("at", "request id", "client", "attempts", "took")
    rows = [
        (
            f"{each.request_id} {each.at}",
            (
                _time(each.at, now),
                each.request_id or NOTHING,
                each.client or NOTHING,
                _path(each.tried) or NOTHING,
                seconds(each.duration_ms / 1000),
            ),
        )
        for each in failures
    ]
    return table(headings, rows, numbers_from=4)
