"""Numbers, times and strangers' texts as people read them."""

from __future__ import annotations

import pytest

from gateway.serving.page.wording import money, number, percent, rate, seconds, stranger


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (7, "7"),
        (1234, "1,234"),
        (9999, "9,999"),
        (10_000, "10.0 k"),
        (123_456, "123 k"),
        (1_234_567, "1.2 M"),
        (5e9, "5.0 G"),
        (5e13, "50,000 G"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.001, "<0.01"), (0.05, "0.05"), (0.25, "0.2"), (3.14, "3.1"), (12345, "12.3 k")],
)
def test_rates(value: float, shown: str) -> None:
    assert rate(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.9999, ">99 %"), (1, "100 %")]
)
def test_shares(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.000_012, "12 µs"),
        (0.0123, "12.3 ms"),
        (0.9999, "1 s"),
        (1.25, "1.2 s"),
        (42, "42 s"),
        (180, "3 min"),
        (7300, "2 h"),
        (500_000, "6 d"),
    ],
)
def test_durations(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_money() -> None:
    assert money([]) == "–"
    assert money([("USD", 0.0)]) == "–"
    assert money([("USD", 1234.5), ("CNY", 0.00421)]) == "0.0042 CNY, 1,234.50 USD"
    assert money([("USD", 1e-9)]) == "<0.0001 USD"


def test_what_is_not_seen_is_shown() -> None:
    assert stranger("a\x00b\u202ec\ud800d\u200be") == "a\\u0000b\\u202ec\\ud800d\\u200be"
    assert stranger("Grüße, 你好 🙂") == "Grüße, 你好 🙂"
