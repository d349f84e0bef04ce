"""Turns outlive a reload, by the names of what takes them."""

from __future__ import annotations

from gateway.live import Live
from gateway.snapshot.tables import RuleTable
from tests.fakes.conf import provider, route, route_table, snapshot_of


def rule(name: str = "shared", **weights: int) -> RuleTable:
    """A rule as a new snapshot has it: provider -> weight."""
    references = ", ".join(
        f"{{providerHost: {host}.example, weight: {weight}}}" for host, weight in weights.items()
    )
    documents = "".join(provider(host) for host in weights)
    documents += route("demo", f"rules: [{{name: {name}, backendRefs: [{references}]}}]")
    return route_table(snapshot_of(documents), "demo").rules[0]


def turns(live: Live, table: RuleTable, number: int) -> str:
    return "".join(live.take_turn(table).provider for _ in range(number))


def test_turns_are_exact() -> None:
    assert turns(Live(), rule(a=50, b=50), 6) == "ababab"
    assert turns(Live(), rule(a=3, b=1), 8) == "aabaaaba"
    assert turns(Live(), rule(a=90, b=10), 10).count("b") == 1
    assert turns(Live(), rule(a=0, b=1), 3) == "bbb"


def test_one_backend_takes_all() -> None:
    live = Live()
    alone = rule(a=0)
    assert turns(live, alone, 2) == "aa"
    assert live.next_backend(alone).provider == "a"


def test_asking_whose_turn_it_is_takes_none() -> None:
    live, table = Live(), rule(a=50, b=50)
    assert [live.next_backend(table).provider for _ in range(3)] == ["a", "a", "a"]
    assert turns(live, table, 1) == "a"
    assert live.next_backend(table).provider == "b"
    assert turns(live, table, 1) == "b"


def test_a_reload_goes_on_where_it_was() -> None:
    live = Live()
    assert turns(live, rule(a=50, b=50), 3) == "aba"
    assert turns(live, rule(a=50, b=50), 3) == "bab"


def test_backends_that_change_places_keep_their_turns() -> None:
    live = Live()
    assert turns(live, rule(a=50, b=50), 1) == "a"
    assert turns(live, rule(b=50, a=50), 1) == "b"


def test_weights_may_change() -> None:
    live = Live()
    turns(live, rule(a=50, b=50), 1)
    assert turns(live, rule(a=1, b=99), 100).count("a") <= 1


def test_a_backend_that_is_added_takes_its_turns_from_then_on() -> None:
    live = Live()
    assert turns(live, rule(a=1, b=1), 1) == "a"
    assert sorted(turns(live, rule(a=1, b=1, c=1), 3)) == ["a", "b", "c"]


def test_a_backend_that_is_removed_leaves_the_others() -> None:
    live = Live()
    assert turns(live, rule(a=1, b=1, c=1), 2) == "ab"
    assert sorted(turns(live, rule(a=1, b=1), 2)) == ["a", "b"]
    assert turns(live, rule(b=1), 2) == "bb"


def test_rules_have_turns_of_their_own() -> None:
    live = Live()
    assert turns(live, rule("one", a=1, b=1), 1) == "a"
    assert turns(live, rule("two", a=1, b=1), 1) == "a"
    assert turns(live, rule("one", a=1, b=1), 1) == "b"


def test_the_turns_of_a_rule_that_is_gone_are_forgotten() -> None:
    live, table = Live(), rule(a=1, b=1)
    turns(live, table, 1)
    live.keep(frozenset({table.turns_key}))
    assert live.next_backend(table).provider == "b"
    live.keep(frozenset())
    assert live.next_backend(table).provider == "a"
