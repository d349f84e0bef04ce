"""How long providers ask to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.retry_after import http_date, retry_after

NOW = 784_111_777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, of RFC 9110's examples."""

REQUESTS, TOKENS = b"x-ratelimit-reset-requests", b"x-ratelimit-reset-tokens"
REQUESTS_LEFT, TOKENS_LEFT = b"x-ratelimit-remaining-requests", b"x-ratelimit-remaining-tokens"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0.0),
        (b"5", 5.0),
        (b"2.5", 2.5),
        (b".5", 0.5),
        (b"Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        (b"Sunday, 06-Nov-94 08:49:47 GMT", 10.0),
        (b"Sun Nov  6 08:49:47 1994", 10.0),
        (b"Sun, 06 Nov 1994 08:49:27 GMT", 0.0),
    ],
)
def test_retry_after(value: bytes, seconds: float) -> None:
    assert retry_after([(b"retry-after", value)], NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [b"", b"-1", b"+1", b"nan", b"inf", b"1e9", b"1_0", b"5s", b"5, 5", b"soon", b"9" * 400, b"0x5", b"\xff"],
)
def test_what_cannot_be_read_is_passed_over(value: bytes) -> None:
    assert retry_after([(b"retry-after", value), (b"retry-after-ms", value)], NOW) is None
    assert retry_after([(b"retry-after-ms", value), (b"retry-after", b"3")], NOW) == 3


def test_milliseconds_come_first() -> None:
    assert retry_after([(b"retry-after", b"1"), (b"retry-after-ms", b"250")], NOW) == 0.25
    assert retry_after([(b"retry-after", b"1"), (b"retry-after", b"2"), (REQUESTS, b"9s")], NOW) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"6m0s", 360.0),
        (b"20ms", 0.02),
        (b"1h2m3.5s", 3723.5),
        (b"2m59.56s", 179.56),
        (b"7", 7.0),
        ("5µs".encode(), 5e-6),
        ("5μs".encode(), 5e-6),
        (b"3ns", 3e-9),
        (b"0s", 0.0),
        (b"", None),
        (b"s", None),
        (b"6m0", None),
        (b"-5s", None),
        (b"5 s", None),
        (b"1d", None),
        (b"2026-11-22T00:00:00Z", None),
    ],
)
def test_durations(value: bytes, seconds: float | None) -> None:
    assert retry_after([(REQUESTS, value)], NOW) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([(REQUESTS, b"1s"), (TOKENS, b"6m0s")], 360.0),
        ([(REQUESTS, b"1s"), (REQUESTS_LEFT, b"0"), (TOKENS, b"6m0s"), (TOKENS_LEFT, b"100")], 1.0),
        ([(REQUESTS, b"1s"), (REQUESTS_LEFT, b"9"), (TOKENS, b"6m0s"), (TOKENS_LEFT, b"0")], 360.0),
        ([(REQUESTS, b"1s"), (REQUESTS_LEFT, b"0"), (TOKENS, b"6s"), (TOKENS_LEFT, b"0")], 6.0),
        ([(REQUESTS, b"1s"), (REQUESTS_LEFT, b"0"), (TOKENS, b"6s")], 1.0),
        ([(REQUESTS, b"1s"), (REQUESTS_LEFT, b"?"), (TOKENS, b"6s"), (TOKENS_LEFT, b"1")], 1.0),
        ([(REQUESTS, b"1s"), (REQUESTS_LEFT, b"9"), (TOKENS, b"6s"), (TOKENS_LEFT, b"9")], None),
        ([(REQUESTS_LEFT, b"0")], None),
    ],
)
def test_the_limit_that_was_hit(headers: list[tuple[bytes, bytes]], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)))
def test_dates_in_all_three_forms(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    written = moment.timestamp()
    assert http_date(format_datetime(moment, usegmt=True).encode(), NOW) == written
    assert http_date(moment.ctime().encode(), NOW) == written
    year_ahead = moment.year - datetime.fromtimestamp(written - 86400 * 366, UTC).year
    assert year_ahead in (1, 2)
    short = moment.strftime("%A, %d-%b-%y %H:%M:%S GMT").encode()
    assert http_date(short, written) == written


@pytest.mark.parametrize(("year", "read"), [(b"44", 2044), (b"45", 1945), (b"94", 1994), (b"00", 2000)])
def test_years_of_two_digits(year: bytes, read: int) -> None:
    moment = http_date(b"Sunday, 06-Nov-" + year + b" 08:49:37 GMT", NOW)
    assert moment is not None
    assert datetime.fromtimestamp(moment, UTC).year == read


@pytest.mark.parametrize(
    "value",
    [
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49:37 +0000",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 06 nov 1994 08:49:37 GMT",
        b"Sun, 31 Feb 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:49:37 GMT",
        b"Sun, 06 Nov 1994 08:60:37 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun Nov 06 08:49:37 1994 GMT",
        b" Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_no_dates(value: bytes) -> None:
    assert http_date(value, NOW) is None


def test_a_leap_second() -> None:
    assert http_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == datetime(2017, 1, 1, tzinfo=UTC).timestamp()
