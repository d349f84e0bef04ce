"""What is wrong now, in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.live.standing import BreakerStanding, KeyStanding
from gateway.serving.page.counts import Sizes
from gateway.serving.page.findings import Finding, findings
from gateway.serving.page.overview import overview
from gateway.snapshot.stable_names import SeriesLabels
from gateway.telemetry.outcomes import Outcome
from tests.fakes.conf import adopt_conf, provider, route_to
from tests.serving.page.seen import counts, recent, seen

CONF = provider("first") + route_to("first")
LABELS = SeriesLabels(tenant="default", route="demo", rule="all", provider="first", model="plain")


def found(**more: Any) -> list[tuple[bool, str]]:
    more.setdefault("text", CONF)
    return [(finding.is_bad, finding.text) for finding in findings(overview(seen(**more)))]


def test_nothing() -> None:
    assert found(backends={LABELS: counts(ok=100, client_error=50, attempts={"ok": 100})}) == []


def test_a_tenant_that_keeps_what_was_good() -> None:
    good = adopt_conf({"acme/a.yaml": CONF})
    broken = {"acme/a.yaml": CONF.replace("first.example}", "frist.example}")}
    stale = adopt_conf(broken, good)
    assert found(generation=stale) == [
        (False, "Tenant acme goes on with its last good files: 1 error in the new ones.")
    ]
    assert found(generation=adopt_conf(broken)) == [
        (True, "Tenant acme has nothing to run on: 1 error in its files.")
    ]


def test_not_ready() -> None:
    assert found(ready=False, reasons=("why",)) == [(True, "No request is served: why")]
    assert found(draining=True, ready=False) == [(False, "The gateway is stopping.")]


def test_a_key_that_cannot_be_used() -> None:
    standings = [
        KeyStanding("default", "first", "", BreakerStanding.OPEN, True, admits_in=3.0),
        KeyStanding("default", "first", "main", BreakerStanding.CLOSED, False, usable_in=2.0),
        KeyStanding("default", "first", "other", BreakerStanding.CLOSED, False, refused_with=403),
    ]
    assert found(standings=standings) == [
        (True, "Provider first of tenant default: breaker open, tried again in 3 s."),
        (True, "Provider first of tenant default, key other: key refused with 403."),
        (False, "Provider first of tenant default, key main: key at its limit for 2 s."),
    ]


@pytest.mark.parametrize(("failed", "expected"), [(2, []), (5, [False, False]), (60, [True, True])])
def test_requests_and_attempts_that_fail(failed: int, expected: list[bool]) -> None:
    backends = {LABELS: counts(ok=40, provider_failed=failed, attempts={"ok": 40, "status 401": failed})}
    said = found(backends=backends)
    assert [is_bad for is_bad, _ in said] == expected
    if failed == 5:
        assert said[0][1] == (
            "Provider first of tenant default fails at 11 % of its attempts: 5 × status 401."
        )
        assert said[1][1] == "11 % of the requests of tenant default to demo (rule all) fail."


def test_what_a_provider_blames_on_the_request_is_not_held_against_it() -> None:
    answers = counts(provider_error=60, attempts={"status 400": 60}, codes={Outcome.PROVIDER_ERROR: 400})
    assert found(backends={LABELS: answers}) == []


def test_providers_of_one_name_are_told_apart() -> None:
    conf = {"acme/a.yaml": CONF, "globex/a.yaml": CONF.replace("demo", "other").replace(".example", ".test")}
    standings = [KeyStanding("globex", "first", "", BreakerStanding.OPEN, True, admits_in=3.0)]
    assert found(generation=adopt_conf(conf), standings=standings) == [
        (True, "Provider first of tenant globex: breaker open, tried again in 3 s.")
    ]


def test_what_is_bad_comes_first_and_leads_to_more() -> None:
    standings = [KeyStanding("default", "first", "", BreakerStanding.PROBING, True)]
    backends = {LABELS: counts(provider_failed=60)}
    both = findings(overview(seen(CONF, standings=standings, backends=backends)))
    assert [finding.is_bad for finding in both] == [True, False]
    assert isinstance(both[0], Finding)
    assert [finding.section for finding in both] == ["failures", "providers"]


def test_a_late_event_loop_and_logs_with_holes() -> None:
    lost = {"lines_dropped": 7, "captured_lines_dropped": 8, "spans_lost": 9000}
    made = recent({}, lag=Sizes((0.1, 1.0), [0, 100, 100]), **lost)
    assert found(recent=made) == [
        (False, "The event loop is late by 955 ms (95th percentile): this machine is too busy."),
        (False, "The access log has lost 7 lines in the last minute."),
        (False, "The capture log has lost 8 lines in the last minute."),
        (False, "The tracing collector has not taken 9,000 spans in the last minute."),
    ]
