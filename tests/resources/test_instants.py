"""Moments in time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources.instants import SYNTAX, parse_instant


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2027-01-31T00:00:00Z", 1801353600),
        ("2027-01-31t08:00:00+08:00", 1801353600),
        ("2027-01-30T23:59:59.5-00:00", 1801353599.5),
        ("2027-01-31T00:00:00.000000001z", 1801353600),
    ],
)
def test_what_they_mean(text: str, seconds: float) -> None:
    assert parse_instant(text) == seconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2027-01-31", "must be a date and time with its offset from UTC"),
        ("2027-01-31 00:00:00Z", "must be a date and time with its offset from UTC"),
        ("2027-01-31T00:00:00", "must be a date and time with its offset from UTC"),
        ("2027-01-31T00:00Z", "must be a date and time with its offset from UTC"),
        ("1801353600", "must be a date and time with its offset from UTC"),
        ("2027-02-29T00:00:00Z", "must be a date and time that exists"),
        ("2027-01-31T24:00:00Z", "must be a date and time that exists"),
        ("2027-01-31T00:00:00+25:00", "must be a date and time that exists"),
        ("0000-01-01T00:00:00Z", "must be a date and time that exists"),
    ],
)
def test_what_is_none(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_instant(text)


@given(st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.just(UTC)))
def test_as_python_writes_them(moment: datetime) -> None:
    assert parse_instant(moment.isoformat()) == moment.timestamp()


@given(st.one_of(st.text(max_size=40), st.from_regex(SYNTAX, fullmatch=True)))
def test_any_text_is_one_or_is_refused(text: str) -> None:
    if re.fullmatch(SYNTAX, text):
        try:
            assert isinstance(parse_instant(text), float)
        except ValueError as error:
            assert str(error) == "must be a date and time that exists"  # noqa: PT017
    else:
        with pytest.raises(ValueError, match="must be a date and time with its offset"):
            parse_instant(text)
