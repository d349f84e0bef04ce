"""What is wrong now, in sentences: the first thing that an engineer on call reads."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gateway.live.standing import BreakerStanding, KeyStanding
from gateway.serving.page.history import Recent
from gateway.serving.page.overview import Overview, ProviderRow
from gateway.serving.page.wording import faults_told, number, percent, seconds

FAILING_SHARE = 0.05
"""From this share of failures on, of requests or attempts of the last minute, something is said."""

FAILING_BADLY = 0.5
"""From this share on it is bad."""

FAILING_NUMBER = 3
"""Fewer failures say nothing."""

LATE_SECONDS = 0.25
"""From so much on the event loop counts as late."""


@frozen
class Finding:
    """One thing that is wrong."""

    is_bad: bool
    """Requests fail for it, or cannot be served; else it is to be seen to."""
    text: str
    section: str
    """The part of the page that says more."""

    @property
    def severity(self) -> str:
        """In one word, which is that of its badge, too."""
        return "bad" if self.is_bad else "warning"


def findings(overview: Overview) -> list[Finding]:
    """All of them, what is bad first."""
    return sorted(_found(overview), key=lambda finding: not finding.is_bad)


def _found(overview: Overview) -> Iterator[Finding]:
    seen = overview.seen
    if seen.draining:
        yield Finding(False, "The gateway is stopping.", "problems")
    elif not seen.ready:
        reason = seen.reasons[0] if seen.reasons else "it has not said why"
        yield Finding(True, f"No request is served: {reason}", "problems")
    for tenant in overview.tenants:
        if tenant.standing == "missing":
            text = f"Tenant {tenant.name} has nothing to run on: {_errors(tenant.errors)} in its files."
            yield Finding(True, text, "problems")
        elif tenant.standing == "last_good":
            text = f"Tenant {tenant.name} goes on with its last good files: {_errors(tenant.errors)} in the new ones."
            yield Finding(False, text, "problems")
    nobodys = sum(each.tenant is None and each.severity == "error" for each in overview.problems)
    if nobodys:
        yield Finding(False, f"{_errors(nobodys)} in files that are no tenant's.", "problems")
    for provider in overview.providers:
        yield from _about(provider)
    for rule in overview.rules:
        activity = rule.activity
        if activity.ended.failed >= FAILING_NUMBER and activity.failing >= FAILING_SHARE:
            route = rule.shown.route
            where = f"{route.host} (rule {rule.shown.rule.name})" if route.name else route.host
            text = f"{percent(activity.failing)} of the requests of tenant {route.tenant} to {where} fail."
            yield Finding(activity.failing >= FAILING_BADLY, text, "failures")
    if seen.recent is not None:
        yield from _of_the_process(seen.recent)


def _of_the_process(recent: Recent) -> Iterator[Finding]:
    late = recent.now.lag.since(recent.before.lag).quantile(0.95)
    if late is not None and late > LATE_SECONDS:
        text = f"The event loop is late by {seconds(late)} (95th percentile): this machine is too busy."
        yield Finding(late > 4 * LATE_SECONDS, text, "numbers")
    for name, text in _LOSSES.items():
        lost = getattr(recent.now, name) - getattr(recent.before, name)
        if lost > 0:
            yield Finding(False, f"{text.format(number(lost))} in the last minute.", "numbers")


_LOSSES = {
    "lines_dropped": "The access log has lost {} lines",
    "own_lines_dropped": "The gateway's own log has lost {} lines",
    "captured_lines_dropped": "The capture log has lost {} lines",
    "spans_lost": "The tracing collector has not taken {} spans",
}
"""By the field of a reading."""


def _about(provider: ProviderRow) -> Iterator[Finding]:
    name = f"Provider {provider.backend.provider} of tenant {provider.backend.owner}"
    for key in provider.keys:
        who = f"{name}, key {key.key}" if key.key else name
        for is_bad, trouble in troubles(key):
            yield Finding(is_bad, f"{who}: {trouble}.", "providers")
    faults = provider.activity.ended.faults
    if sum(faults.values()) >= FAILING_NUMBER and provider.failing >= FAILING_SHARE:
        text = f"{name} fails at {percent(provider.failing)} of its attempts: {faults_told(faults)}."
        yield Finding(provider.failing >= FAILING_BADLY, text, "providers")


def troubles(key: KeyStanding) -> Iterator[tuple[bool, str]]:
    """What is held against a key, and whether that is bad."""
    match key.breaker:
        case BreakerStanding.OPEN:
            yield True, f"breaker open, tried again in {seconds(key.admits_in)}"
        case BreakerStanding.PROBING:
            yield False, "breaker probing: one request tries it again"
    if key.refused_with is not None:
        yield True, f"key refused with {key.refused_with}"
    elif not key.is_usable:
        yield False, f"key at its limit for {seconds(key.usable_in)}"


def _errors(count: int) -> str:
    return "1 error" if count == 1 else f"{count} errors"
