"""Istio's durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resources.durations import LONGEST, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5.0), ("1h30m", 5400.0), ("250ms", 0.25), ("1.5s", 1.5), ("1m500ms", 60.5), ("8760h", LONGEST)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "0s",
        "0.1ms",
        "-5s",
        "+5s",
        "5 s",
        "inf",
        "nan",
        "1e3s",
        "5S",
        "5us",
        "8761h",
        "s",
        ".5s",
        "1s" * 40,
        "٣s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(text)


def test_a_field_may_want_more() -> None:
    assert parse_duration("1s", shortest=1.0) == 1.0
    for shortest, told in ((1.0, "1s"), (0.1, "100ms")):
        with pytest.raises(ValueError, match=f"must be at least {told}"):
            parse_duration("50ms", shortest=shortest)


@given(st.text(alphabet="0123456789.hms", max_size=12))
def test_a_duration_is_finite_and_above_nothing(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0.001 <= seconds <= LONGEST
