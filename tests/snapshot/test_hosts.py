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


@pytest.mark.parametrize(
    ("gone", "come"),
    [
        (["api.example.com"], []),
        (["*"], [("*.org", "organisations")]),
        (["*.example.com", "*"], [("*", "all"), ("new.example.com", "new")]),
        ([], [("api.example.com", "another"), ("*.example.com", "other")]),
        (["nowhere"], []),
    ],
)
def test_a_changed_table_is_one_made_anew(gone: list[str], come: list[tuple[str, str]]) -> None:
    before = dict(TABLE.items())
    anew = HostTable([*(entry for entry in before.items() if entry[0] not in gone), *come])
    changed = TABLE.changed(gone, come)
    assert dict(changed.items()) == dict(anew.items())
    assert dict(TABLE.items()) == before
    for host in ("api.example.com", "a.example.com", "a.eu.example.com", "x.org", "new.example.com"):
        assert changed.find(host) == anew.find(host)


def test_a_pattern_is_there_by_its_own_spelling() -> None:
    assert all(pattern in TABLE for pattern, _ in TABLE.items())
    assert "www.example.com" not in TABLE
    assert "*.org" not in TABLE
