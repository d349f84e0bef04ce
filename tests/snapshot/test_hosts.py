from __future__ import annotations

import pytest

from gateway.snapshot.hosts import HostTable

TABLE = HostTable(
    [
        ("*", "everything"),
        ("*.example.com", "example"),
        ("*.eu.example.com", "europe"),
        ("api.example.com", "api"),
    ]
)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("api.example.com", "api"),
        ("www.example.com", "example"),
        ("a.b.example.com", "example"),
        ("a.eu.example.com", "europe"),
        ("eu.example.com", "example"),
        ("example.com", "everything"),
        ("notexample.com", "everything"),
        (".example.com", "everything"),
        ("", "everything"),
        ("127.0.0.1", "everything"),
    ],
)
def test_the_most_specific_pattern_answers(host: str, found: str) -> None:
    assert TABLE.find(host) == found


def test_without_a_star_some_hosts_have_no_answer() -> None:
    assert HostTable([("a", 1)]).find("b") is None


def test_an_entry_that_is_not_accepted_leaves_the_host_to_a_less_specific_one() -> None:
    assert TABLE.find("api.example.com", lambda value: value != "api") == "example"
    assert TABLE.find("api.example.com", lambda value: value == "everything") == "everything"
    assert TABLE.find("api.example.com", lambda value: False) is None


def test_items_gives_back_every_pattern() -> None:
    assert dict(TABLE.items()) == {
        "*": "everything",
        "*.example.com": "example",
        "*.eu.example.com": "europe",
        "api.example.com": "api",
    }
    assert len(TABLE) == 4
