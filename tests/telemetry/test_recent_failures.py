"""The exchanges of late that did not go well."""

from __future__ import annotations

from gateway.telemetry.exchange_record import (
    LONGEST_DETAIL,
    LONGEST_TEXT,
    NO_NAMES,
    ExchangeNames,
    ExchangeRecord,
    Tried,
)
from gateway.telemetry.recent_failures import KEPT, KINDS, RecentFailures


def failures() -> RecentFailures:
    times = iter(range(10_000))
    return RecentFailures(lambda: float(next(times)))


def ids(recent: RecentFailures) -> list[list[str]]:
    """Of each kind those that are kept."""
    return [[each.request_id for each in alike.last] for alike in recent.newest_first()]


def test_the_newest_comes_first() -> None:
    recent = failures()
    for name, code in (("a", 500), ("b", 503), ("c", 500)):
        recent.remember(NO_NAMES, ExchangeRecord(request_id=name, outcome="provider_error", code=code))
    assert ids(recent) == [["c", "a"], ["b"]]
    assert [each.last[0].at for each in recent.newest_first()] == [2.0, 1.0]


def test_those_that_are_alike_are_counted_and_the_last_few_kept() -> None:
    recent = failures()
    for number in range(2 * KEPT):
        names = ExchangeNames(tenant="acme", route="chat", rule="all", client=f"client {number}")
        record = ExchangeRecord(request_id=str(number), outcome="gateway_error", code=503, error="draining")
        recent.remember(names, record)
    [alike] = recent.newest_first()
    assert (alike.number, alike.first_at) == (2 * KEPT, 0.0)
    assert (alike.kind.tenant, alike.kind.error, alike.kind.code) == ("acme", "draining", 503)
    assert [each.at for each in alike.last] == [9.0, 8.0, 7.0, 6.0, 5.0]


def test_whoever_asked_elsewhere_is_of_another_kind() -> None:
    recent = failures()
    for tenant in ("acme", "globex"):
        recent.remember(ExchangeNames(tenant=tenant), ExchangeRecord(outcome="provider_failed"))
    assert [each.number for each in recent.newest_first()] == [1, 1]


def test_what_is_frequent_does_not_push_out_what_is_rare() -> None:
    recent = failures()
    recent.remember(NO_NAMES, ExchangeRecord(request_id="rare", outcome="provider_failed"))
    for number in range(10 * KINDS):
        recent.remember(ExchangeNames(tenant=str(number)), ExchangeRecord(outcome="client_error"))
    kept = recent.newest_first()
    assert len(kept) == KINDS + 1
    assert kept[0].kind.tenant == str(10 * KINDS - 1)
    assert kept[-1].last[0].request_id == "rare"


def test_texts_are_cut_and_the_record_is_not_kept() -> None:
    recent = failures()
    tried = (Tried("first", "", "status", 500, 0.2),)
    names = ExchangeNames(path="/" + "p" * 10_000)
    record = ExchangeRecord(
        asked_model="m" * 10_000,
        detail="d" * 10_000,
        tried=tried,
        outcome="answer_cut",
    )
    recent.remember(names, record)
    [alike] = recent.newest_first()
    [kept] = alike.last
    assert (len(kept.path), len(kept.asked_model), len(kept.detail)) == (
        LONGEST_TEXT,
        LONGEST_TEXT,
        LONGEST_DETAIL,
    )
    assert kept.tried == tried
    assert len(names.path) == 10_001
