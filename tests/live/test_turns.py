"""Turns outlive a reload, by the names of what takes them."""

from __future__ import annotations

from gateway.live.turns import Turns
from gateway.snapshot.stable_names import TurnsKey
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


def turns(state: Turns, table: RuleTable, number: int) -> str:
    return "".join(state.take(table).provider for _ in range(number))


def test_turns_are_exact() -> None:
    assert turns(Turns(), rule(a=50, b=50), 6) == "ababab"
    assert turns(Turns(), rule(a=3, b=1), 8) == "aabaaaba"
    assert turns(Turns(), rule(a=90, b=10), 10).count("b") == 1
    assert turns(Turns(), rule(a=0, b=1), 3) == "bbb"


def test_one_backend_takes_all() -> None:
    state = Turns()
    alone = rule(a=0)
    assert turns(state, alone, 2) == "aa"
    assert state.next(alone).provider == "a"


def test_asking_whose_turn_it_is_takes_none() -> None:
    state, table = Turns(), rule(a=50, b=50)
    assert [state.next(table).provider for _ in range(3)] == ["a", "a", "a"]
    assert turns(state, table, 1) == "a"
    assert state.next(table).provider == "b"
    assert turns(state, table, 1) == "b"


def test_a_reload_goes_on_where_it_was() -> None:
    state = Turns()
    assert turns(state, rule(a=50, b=50), 3) == "aba"
    assert turns(state, rule(a=50, b=50), 3) == "bab"


def test_backends_that_change_places_keep_their_turns() -> None:
    state = Turns()
    assert turns(state, rule(a=50, b=50), 1) == "a"
    assert turns(state, rule(b=50, a=50), 1) == "b"


def test_weights_may_change() -> None:
    state = Turns()
    turns(state, rule(a=50, b=50), 1)
    assert turns(state, rule(a=1, b=99), 100).count("a") <= 1


def test_a_backend_that_is_added_takes_its_turns_from_then_on() -> None:
    state = Turns()
    assert turns(state, rule(a=1, b=1), 1) == "a"
    assert sorted(turns(state, rule(a=1, b=1, c=1), 3)) == ["a", "b", "c"]


def test_a_backend_that_is_removed_leaves_the_others() -> None:
    state = Turns()
    assert turns(state, rule(a=1, b=1, c=1), 2) == "ab"
    assert sorted(turns(state, rule(a=1, b=1), 2)) == ["a", "b"]
    assert turns(state, rule(b=1), 2) == "bb"


def test_rules_have_turns_of_their_own() -> None:
    state = Turns()
    assert turns(state, rule("one", a=1, b=1), 1) == "a"
    assert turns(state, rule("two", a=1, b=1), 1) == "a"
    assert turns(state, rule("one", a=1, b=1), 1) == "b"


def test_the_turns_of_a_rule_that_is_gone_are_forgotten() -> None:
    state, table = Turns(), rule(a=1, b=1)
    turns(state, table, 1)
    state.keep({table.turns_key}.__contains__)
    assert state.next(table).provider == "b"
    state.keep(set[TurnsKey]().__contains__)
    assert state.next(table).provider == "a"


def test_what_sticks_takes_no_turn() -> None:
    state, table = Turns(), rule(a=50, b=50)
    assert turns(state, table, 1) == "a"
    stuck = {value: state.take(table, value).provider for value in (b"1", b"2", b"3", b"4")}
    assert set(stuck.values()) == {"a", "b"}
    assert {value: state.next(table, value).provider for value in stuck} == stuck
    assert turns(state, table, 1) == "b"


def test_what_sticks_does_so_after_a_restart_and_a_reload() -> None:
    values = [b"%d" % number for number in range(20)]
    before = [Turns().take(rule(a=1, b=1), value).provider for value in values]
    assert [Turns().take(rule(b=1, a=1), value).provider for value in values] == before


def test_one_backend_takes_what_sticks_too() -> None:
    state, alone = Turns(), rule(a=0)
    assert state.take(alone, b"value").provider == "a"
    assert state.next(alone, b"value").provider == "a"


def test_two_models_of_one_provider_take_turns() -> None:
    references = ", ".join(
        f"{{providerHost: a.example, model: {model}, weight: {weight}}}"
        for model, weight in (("small", 3), ("large", 1))
    )
    documents = provider("a") + route("demo", f"rules: [{{backendRefs: [{references}]}}]")
    state, table = Turns(), route_table(snapshot_of(documents), "demo").rules[0]
    assert [state.take(table).model for _ in range(4)] == ["small", "small", "large", "small"]
    assert {state.take(table, b"%d" % number).model for number in range(20)} == {"small", "large"}
