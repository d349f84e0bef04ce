from __future__ import annotations

import pytest

from gateway.resources import RouteMatch, StringMatch
from gateway.resources.matches import MatchKind
from gateway.snapshot.conditions import match_of


def holds(kind: MatchKind, expected: str, value: bytes | None) -> bool:
    (header,) = match_of(RouteMatch(headers={"user-type": StringMatch(kind, expected)})).headers
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
    (unwanted,) = match_of(RouteMatch(without_headers={"user-type": StringMatch(kind, expected)})).headers
    assert unwanted.name == b"user-type"
    assert unwanted.holds(value) is not outcome


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not holds("regex", "(a*)*b", b"a" * 10_000)


def test_a_block() -> None:
    match = match_of(
        RouteMatch(
            headers={"a": StringMatch("prefix", "x"), "b": StringMatch("present", "")},
            without_headers={"c": StringMatch("exact", "y")},
            path=StringMatch("prefix", "/v1/"),
            method=StringMatch("exact", "POST"),
            query_params={"tier": StringMatch("regex", "g.*")},
            model=StringMatch("present", ""),
            source_labels={"app": "web"},
            gateways=("egress", "two"),
        )
    )
    assert [condition.text for condition in match.conditions] == [
        "header a prefix x",
        "header b present",
        "without header c exact y",
        "path prefix /v1/",
        "method exact POST",
        "model present",
        "parameter tier regex g.*",
    ]
    assert match.source_labels == (("app", "web"),)
    assert match.gateways == {"egress", "two"}
    assert not match.only_headers


@pytest.mark.parametrize(
    ("block", "outcome"),
    [
        (RouteMatch(headers={"a": StringMatch("present", "")}), True),
        (RouteMatch(without_headers={"a": StringMatch("present", "")}), True),
        (RouteMatch(path=StringMatch("prefix", "/")), False),
        (RouteMatch(method=StringMatch("prefix", "P")), False),
        (RouteMatch(query_params={"a": StringMatch("present", "")}), False),
        (RouteMatch(model=StringMatch("present", "")), False),
        (RouteMatch(source_labels={"a": ""}), False),
        (RouteMatch(gateways=("a",)), False),
    ],
)
def test_a_block_that_asks_only_for_headers(block: RouteMatch, outcome: bool) -> None:
    assert match_of(block).only_headers is outcome
