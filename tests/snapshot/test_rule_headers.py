"""What a rule does to heads, from the file to the backends."""

from __future__ import annotations

from gateway.messages import Secret
from gateway.snapshot.backends import Backend
from gateway.snapshot.tables import RuleTable
from tests.fakes.conf import adopt_conf, provider, route, route_table, snapshot_of, told

OWN = "configs: {defaultConfig: {openAIConfig: {apiKey: sk-of-the-provider, headers: {x-own: theirs}}}}"


def documents(headers: str, spec: str = OWN) -> str:
    return provider("a", spec) + route(
        "demo", f"rules: [{{name: all, headers: {headers}, backendRefs: [{{providerHost: a.example}}]}}]"
    )


def rule(headers: str, environment: dict[str, str] | None = None) -> RuleTable:
    """The rule that does this."""
    return route_table(snapshot_of(documents(headers), environment=environment or {}), "demo").rules[0]


def backend(headers: str, environment: dict[str, str] | None = None) -> Backend:
    (only,) = rule(headers, environment).backends
    return only


def test_set_stands_in_place_of_the_clients() -> None:
    found = backend("{request: {set: {X-Team: search}}}")
    assert found.headers[-1] == (b"x-team", Secret("search"))
    assert found.head_lines.endswith(b"x-own: theirs\r\nx-team: search\r\n")
    assert b"x-team" in found.header_names & found.header_names_beside_json


def test_add_leaves_the_clients() -> None:
    found = backend("{request: {add: {x-tag: a}}}")
    assert found.added == ((b"x-tag", Secret("a")),)
    assert found.added_lines == b"x-tag: a\r\n"
    assert b"x-tag" not in found.header_names
    assert b"x-tag" not in found.head_lines


def test_remove_takes_the_clients() -> None:
    found = backend("{request: {remove: [X-Debug]}}")
    assert b"x-debug" in found.header_names & found.header_names_beside_json
    assert b"x-debug" not in found.head_lines


def test_what_the_provider_sets_stands_and_is_told() -> None:
    conf = documents("{request: {set: {x-own: ours}, remove: [x-own]}}")
    (warning,) = told(adopt_conf(conf))
    assert warning.endswith(
        "spec.rules[0].headers.request: leaves x-own as provider a has it, which sets it itself"
    )
    (found,) = route_table(adopt_conf(conf).snapshot, "demo").rules[0].backends
    assert found.head_lines.count(b"x-own: ") == 1
    assert b"x-own: theirs\r\n" in found.head_lines


def test_a_rule_cannot_take_the_providers_authentication() -> None:
    found = backend("{request: {set: {x-a: b}, remove: [cookie]}}")
    assert b"authorization: Bearer sk-of-the-provider\r\n" in found.head_lines


def test_a_rule_without_any_changes_nothing() -> None:
    assert backend("{response: {remove: [x]}}").head_lines.endswith(b"x-own: theirs\r\n")
    assert backend("{request: {remove: [x]}}").answer_edit is None


def test_what_is_done_to_answers() -> None:
    edit = backend("{response: {set: {A: '1'}, add: {B: '2'}, remove: [C]}}").answer_edit
    assert edit is not None
    assert edit.dropped == {b"a", b"c"}
    assert edit.lines == ((b"a", b"1"), (b"b", b"2"))


def test_what_a_provider_is_sent_is_kept_from_clients() -> None:
    headers = """{
      request: {set: {x-token: 'Token ${TOKEN}', x-version: v2}, add: {x-key: a-long-literal-value}},
      response: {set: {x-shown: '${SHOWN}'}}}"""
    environment = {"TOKEN": "eight-or", "SHOWN": "of-the-answer"}
    found = backend(headers, environment)
    assert {b"Token eight-or", b"eight-or", b"a-long-literal-value"} <= set(found.secrets)
    assert b"v2" not in found.secrets
    assert b"of-the-answer" not in found.secrets
    assert found.answer_edit is not None
    for holder in (found, found.answer_edit, rule(headers, environment).headers):
        assert "eight-or" not in repr(holder)
        assert "of-the-answer" not in repr(holder)
