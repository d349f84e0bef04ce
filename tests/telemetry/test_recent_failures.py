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
from gateway.telemetry.recent_failures import KEPT, RecentFailures


def failures() -> RecentFailures:
    times = iter(range(10_000))
    return RecentFailures(lambda: float(next(times)))


def test_the_newest_comes_first() -> None:
    recent = failures()
    for name in ("a", "b", "c"):
        recent.remember(NO_NAMES, ExchangeRecord(request_id=name, outcome="provider_failed"))
    assert [each.request_id for each in recent.newest_first()] == ["c", "b", "a"]
    assert [each.at for each in recent.newest_first()] == [2.0, 1.0, 0.0]


def test_what_is_frequent_does_not_push_out_what_is_rare() -> None:
    recent = failures()
    recent.remember(NO_NAMES, ExchangeRecord(request_id="rare", outcome="provider_failed"))
    for _ in range(10 * KEPT):
        recent.remember(NO_NAMES, ExchangeRecord(outcome="client_error"))
    kept = recent.newest_first()
    assert len(kept) == KEPT + 1
    assert kept[-1].request_id == "rare"


def test_texts_are_cut_and_the_record_is_not_kept() -> None:
    recent = failures()
    tried = [Tried("first", "", "status", 500, 0.2)]
    names = ExchangeNames(path="/" + "p" * 10_000)
    record = ExchangeRecord(
        asked_model="m" * 10_000,
        detail="d" * 10_000,
        tried=tried,
        outcome="answer_cut",
    )
    recent.remember(names, record)
    tried.clear()
    [kept] = recent.newest_first()
    assert (len(kept.path), len(kept.asked_model), len(kept.detail)) == (
        LONGEST_TEXT,
        LONGEST_TEXT,
        LONGEST_DETAIL,
    )
    assert kept.tried == (Tried("first", "", "status", 500, 0.2),)
    assert len(names.path) == 10_001
