"""From a request's head to its tenant, route and rule."""

from __future__ import annotations

import pytest

from gateway.messages import Headers, RequestHead, combined_values
from gateway.snapshot.matching import route_for, rule_for, tenant_for
from tests.fakes.conf import provider, route, route_table, route_to, snapshot_of
from tests.fakes.heads import request_head


def head(*headers: tuple[bytes, bytes], host: str = "demo") -> RequestHead:
    return request_head(b"POST", b"/", b"", host, [(b"host", host.encode()), *headers], 0, False)


def rule(matches: str, *headers: tuple[bytes, bytes], listener: str = "", **labels: str) -> str | None:
    """The name of the rule that answers: `first`, with these matches, or `rest`."""
    documents = provider("a") + route(
        "demo",
        f"""
        rules:
        - {{name: first, matches: {matches}, backendRefs: [{{providerHost: a.example}}]}}
        - {{name: rest, backendRefs: [{{providerHost: a.example}}]}}
        """,
    )
    found = rule_for(route_table(snapshot_of(documents), "demo"), head(*headers), listener, labels)
    return found.name if found is not None else None


VIP = (b"user-type", b"subscriber")
IS_VIP = "{headers: {User-Type: {exact: subscriber}}}"


@pytest.mark.parametrize(
    ("matches", "headers", "outcome"),
    [
        (f"[{IS_VIP}]", [VIP], "first"),
        (f"[{IS_VIP}]", [], "rest"),
        (f"[{IS_VIP}]", [(b"user-type", b"other")], "rest"),
        (f"[{IS_VIP}, {{headers: {{x: {{}}}}}}]", [(b"x", b"")], "first"),
        ("[{headers: {user-type: {exact: subscriber}, x: {}}}]", [VIP], "rest"),
        ("[{headers: {user-type: {exact: subscriber}, x: {}}}]", [VIP, (b"x", b"1")], "first"),
        ("[{headers: {x: {exact: 'a, b'}}}]", [(b"x", b"a"), (b"y", b"c"), (b"x", b"b")], "first"),
        ("[{headers: {x: {exact: a}}}]", [(b"x", b"a"), (b"x", b"b")], "rest"),
        ("[{headers: {host: {exact: demo}}}]", [], "first"),
    ],
)
def test_headers(matches: str, headers: Headers, outcome: str) -> None:
    assert rule(matches, *headers) == outcome


def test_source_labels_are_never_ignored() -> None:
    matches = "[{sourceLabels: {app: web}}]"
    assert rule(matches) == "rest"
    assert rule(matches, app="web") == "first"
    assert rule(matches, app="batch") == "rest"
    assert rule("[{sourceLabels: {app: web, team: red}}]", app="web") == "rest"


def test_a_block_of_gateways() -> None:
    matches = "[{gateways: [egress]}]"
    assert rule(matches, listener="egress") == "first"
    assert rule(matches, listener="other") == "rest"
    assert rule(matches, listener="") == "first", "a listener without a name answers to every `gateways`"


def test_no_rule() -> None:
    documents = provider("a") + route(
        "demo", f"rules: [{{matches: [{IS_VIP}], backendRefs: [{{providerHost: a.example}}]}}]"
    )
    table = route_table(snapshot_of(documents), "demo")
    assert rule_for(table, head(), "") is None
    assert rule_for(table, head(VIP), "") is table.rules[0]


def test_the_first_rule_that_matches_wins() -> None:
    documents = provider("a") + route(
        "demo",
        f"""
        rules:
        - {{name: one, matches: [{{headers: {{x: {{}}}}}}], backendRefs: [{{providerHost: a.example}}]}}
        - {{name: two, matches: [{IS_VIP}], backendRefs: [{{providerHost: a.example}}]}}
        """,
    )
    table = route_table(snapshot_of(documents), "demo")
    assert rule_for(table, head(VIP, (b"x", b"")), "") is table.rules[0]


class TestRoutes:
    SNAPSHOT = snapshot_of(
        provider("a")
        + route(
            "named", "gateways: [egress]\nrules: [{backendRefs: [{providerHost: a.example}]}]", host="demo"
        )
        + route_to("a", "suffix", host="*.demo")
        + route_to("a", "rest", host="*")
    )

    def route(self, host: str, listener: str = "") -> str:
        found = route_for(self.SNAPSHOT.tenants["default"], host, listener)
        assert found is not None
        return found.name

    def test_the_most_specific_answers(self) -> None:
        assert self.route("demo") == "named"
        assert self.route("x.demo") == "suffix"
        assert self.route("elsewhere") == "rest"
        assert self.route("a.example") == ""

    def test_one_that_is_not_for_the_listener_leaves_the_host_to_the_next(self) -> None:
        assert self.route("demo", "egress") == "named"
        assert self.route("demo", "other") == "rest"


def test_the_tenant_is_the_one_that_names_the_host() -> None:
    snapshot = snapshot_of(
        {"acme/p.yaml": provider("a"), "other/p.yaml": provider("b") + route_to("b", host="*.x")}
    )
    for host, name in (("a.example", "acme"), ("b.example", "other"), ("y.x", "other")):
        found = tenant_for(snapshot, head(host=host))
        assert found is not None
        assert found.name == name
    assert tenant_for(snapshot, head(host="nobody")) is None


def test_lines_of_one_name_are_one_value() -> None:
    assert combined_values([(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"")]) == {
        b"a": b"1, 3, ",
        b"b": b"2",
    }
    assert combined_values([]) == {}
