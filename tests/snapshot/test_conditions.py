from __future__ import annotations

import pytest

from gateway.resources import RouteMatch, StringMatch
from gateway.resources.route import MatchKind
from gateway.snapshot.conditions import match_of


def holds(kind: MatchKind, expected: str, value: bytes | None) -> bool:
    (header,) = match_of(RouteMatch({"user-type": StringMatch(kind, expected)}, {}, ())).headers
    assert header.name == b"user-type"
    return header.holds(value)


@pytest.mark.parametrize(
    ("kind", "expected", "value", "outcome"),
    [
        ("exact", "subscriber", b"subscriber", True),
        ("exact", "subscriber", b"Subscriber", False),
        ("exact", "subscriber", b"subscribers", False),
        ("exact", "subscriber", None, False),
        ("exact", "", b"", True),
        ("exact", "", None, False),
        ("exact", "é", "é".encode(), True),
        ("prefix", "sub", b"subscriber", True),
        ("prefix", "sub", b"sub", True),
        ("prefix", "sub", b"a sub", False),
        ("prefix", "sub", None, False),
        ("regex", "sub.*", b"subscriber", True),
        ("regex", "sub", b"subscriber", False),
        ("regex", "scriber", b"subscriber", False),
        ("regex", "a|ab", b"ab", True),
        ("regex", "", b"", True),
        ("regex", "é+", "éé".encode(), True),
        ("regex", ".*", b"\xff\xfe", False),
        ("regex", "sub.*", None, False),
        ("present", "", b"", True),
        ("present", "", b"anything", True),
        ("present", "", None, False),
    ],
)
def test_a_header(kind: MatchKind, expected: str, value: bytes | None, outcome: bool) -> None:
    assert holds(kind, expected, value) is outcome


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not holds("regex", "(a*)*b", b"a" * 10_000)


def test_a_block() -> None:
    match = match_of(
        RouteMatch(
            {"a": StringMatch("prefix", "x"), "b": StringMatch("present", "")},
            {"app": "web"},
            ("egress", "two"),
        )
    )
    assert [header.text for header in match.headers] == ["a prefix x", "b present"]
    assert match.source_labels == (("app", "web"),)
    assert match.gateways == {"egress", "two"}
