"""From a request's head to its tenant, route and rule."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.messages import Headers, RequestHead, combined_values
from gateway.snapshot.clients import KnownClient
from gateway.snapshot.matching import block_for, route_for, rule_for, sticky_value, tenant_for
from gateway.snapshot.stickiness import Stickiness
from tests.fakes.conf import NOTHING, provider, route, route_table, route_to, snapshot_of
from tests.fakes.heads import request_head


def head(
    *headers: tuple[bytes, bytes],
    host: str = "demo",
    method: bytes = b"POST",
    path: bytes = b"/",
    query: bytes = b"",
) -> RequestHead:
    return request_head(method, path, query, host, [(b"host", host.encode()), *headers], 0, False)


def rule(matches: str, *headers: tuple[bytes, bytes], listener: str = "", **labels: str) -> str | None:
    """The name of the rule that answers: `first`, with these matches, or `rest`."""
    return rule_of(matches, head(*headers), listener=listener, labels=labels)


def rule_of(
    matches: str,
    asked: RequestHead,
    *,
    listener: str = "",
    labels: Mapping[str, str] = NOTHING,
    model: str | None = None,
) -> str | None:
    """The same for any head and model."""
    documents = provider("a") + route(
        "demo",
        f"""
        rules:
        - {{name: first, matches: {matches}, backendRefs: [{{providerHost: a.example}}]}}
        - {{name: rest, backendRefs: [{{providerHost: a.example}}]}}
        """,
    )
    table = route_table(snapshot_of(documents), "demo")
    found = rule_for(table, asked, listener, labels, model)
    assert found is not None
    block = block_for(table.rules[0], asked, listener, labels, model)
    assert (block is not None) == (found is table.rules[0]), "explain would tell something else"
    return found.name


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


@pytest.mark.parametrize(
    ("matches", "headers", "outcome"),
    [
        ("[{withoutHeaders: {x: {}}}]", [], "first"),
        ("[{withoutHeaders: {X: {}}}]", [(b"x", b"")], "rest"),
        ("[{withoutHeaders: {x: {exact: a}}}]", [], "first"),
        ("[{withoutHeaders: {x: {exact: a}}}]", [(b"x", b"b")], "first"),
        ("[{withoutHeaders: {x: {exact: a}}}]", [(b"x", b"a")], "rest"),
        ("[{withoutHeaders: {x: {exact: a}, y: {}}}]", [(b"y", b"")], "rest"),
        (f"[{{headers: {IS_VIP[10:-1]}, withoutHeaders: {{x: {{}}}}}}]", [VIP], "first"),
        (f"[{{headers: {IS_VIP[10:-1]}, withoutHeaders: {{x: {{}}}}}}]", [VIP, (b"x", b"1")], "rest"),
    ],
)
def test_without_headers(matches: str, headers: Headers, outcome: str) -> None:
    assert rule(matches, *headers) == outcome


@pytest.mark.parametrize(
    ("matches", "path", "outcome"),
    [
        ("[{path: {exact: /v1/chat}}]", b"/v1/chat", "first"),
        ("[{path: {exact: /v1/chat}}]", b"/v1/Chat", "rest"),
        ("[{path: {exact: /v1/chat}}]", b"/v1/chat/", "rest"),
        ("[{path: {prefix: /v1}}]", b"/v10", "first"),
        ("[{path: {prefix: /v1}}]", b"/a/v1", "rest"),
        ("[{path: {regex: '/[a-z]+/v[0-9]'}}]", b"/team/v1", "first"),
        ("[{path: {regex: '/[a-z]+/v[0-9]'}}]", b"/team/v1/chat", "rest"),
    ],
)
def test_paths(matches: str, path: bytes, outcome: str) -> None:
    assert rule_of(matches, head(path=path, query=b"a=/v1/chat")) == outcome


def test_methods() -> None:
    assert rule_of("[{method: {exact: POST}}]", head()) == "first"
    assert rule_of("[{method: {regex: 'P.*'}}]", head(method=b"PUT")) == "first"
    assert rule_of("[{method: {prefix: PO}}]", head(method=b"PUT")) == "rest"


@pytest.mark.parametrize(
    ("matches", "query", "outcome"),
    [
        ("[{queryParams: {a: {}}}]", b"a", "first"),
        ("[{queryParams: {a: {}}}]", b"b=a", "rest"),
        ("[{queryParams: {a: {}}}]", b"", "rest"),
        ("[{queryParams: {a: {exact: ''}}}]", b"b&a", "first"),
        ("[{queryParams: {a: {exact: ''}}}]", b"a=1", "rest"),
        ("[{queryParams: {a: {exact: 'x&y z'}}}]", b"a=x%26y%20z", "first"),
        ("[{queryParams: {a: {exact: 'é'}}}]", b"a=%C3%A9", "first"),
        ("[{queryParams: {'a b': {exact: '1'}}}]", b"a%20b=1", "first"),
        ("[{queryParams: {a: {exact: x+y}}}]", b"a=x+y", "first"),
        ("[{queryParams: {a: {exact: b=c}}}]", b"a=b=c", "first"),
        ("[{queryParams: {a: {exact: '1'}}}]", b"a=1&a=2", "first"),
        ("[{queryParams: {a: {exact: '2'}}}]", b"a=1&a=2", "rest"),
        ("[{queryParams: {A: {}}}]", b"a=1", "rest"),
        ("[{queryParams: {a: {prefix: v}}}]", b"a=v2", "first"),
        ("[{queryParams: {a: {regex: '[0-9]+'}}}]", b"a=12", "first"),
        ("[{queryParams: {a: {regex: '[0-9]+'}}}]", b"a=12x", "rest"),
        ("[{queryParams: {a: {}, b: {}}}]", b"a=1", "rest"),
    ],
)
def test_query_parameters(matches: str, query: bytes, outcome: str) -> None:
    assert rule_of(matches, head(query=query)) == outcome


@pytest.mark.parametrize(
    ("matches", "model", "outcome"),
    [
        ("[{model: {exact: gpt-4o}}]", "gpt-4o", "first"),
        ("[{model: {exact: gpt-4o}}]", "gpt-4o-mini", "rest"),
        ("[{model: {prefix: gpt-}}]", "gpt-4o", "first"),
        ("[{model: {regex: '.*/qwen.*'}}]", "org/qwen3", "first"),
        ("[{model: {}}]", "any", "first"),
        ("[{model: {}}]", None, "rest"),
        ("[{model: {regex: '.*'}}]", None, "rest"),
        ("[{model: {exact: é}}]", "é", "first"),
        ("[{model: {exact: a}, headers: {x: {}}}]", "a", "rest"),
    ],
)
def test_models(matches: str, model: str | None, outcome: str) -> None:
    assert rule_of(matches, head(), model=model) == outcome


def test_all_of_a_block_must_hold() -> None:
    matches = "[{path: {prefix: /v1}, model: {exact: m}, queryParams: {q: {}}, sourceLabels: {app: web}}]"
    asked = {"model": "m", "labels": {"app": "web"}}
    assert rule_of(matches, head(path=b"/v1", query=b"q"), **asked) == "first"  # type: ignore[arg-type]
    assert rule_of(matches, head(path=b"/v2", query=b"q"), **asked) == "rest"  # type: ignore[arg-type]
    assert rule_of(matches, head(path=b"/v1"), **asked) == "rest"  # type: ignore[arg-type]
    assert rule_of(matches, head(path=b"/v1", query=b"q"), model="m") == "rest"
    assert rule_of(matches, head(path=b"/v1", query=b"q"), labels={"app": "web"}) == "rest"


def test_which_block_holds() -> None:
    documents = provider("a") + route(
        "demo",
        f"rules: [{{matches: [{{model: {{}}}}, {IS_VIP}], backendRefs: [{{providerHost: a.example}}]}}]",
    )
    (table,) = route_table(snapshot_of(documents), "demo").rules
    assert block_for(table, head(VIP), "") == 1
    assert block_for(table, head(VIP), "", model="m") == 0
    assert block_for(table, head(), "") is None


def test_what_a_request_sticks_by() -> None:
    by_header, by_client = Stickiness(header=b"x-session"), Stickiness(header=None)
    client = KnownClient("acme", "ci")
    assert sticky_value(by_header, head((b"x-session", b"s-1")), client, "10.0.0.1") == b"s-1"
    assert sticky_value(by_header, head(), client, "10.0.0.1") is None
    assert sticky_value(by_header, head((b"x-session", b"")), client, "10.0.0.1") is None
    assert sticky_value(by_client, head(), client, "10.0.0.1") == b"acme/ci"
    assert sticky_value(by_client, head(), None, "10.0.0.1") == b"10.0.0.1"
    assert sticky_value(by_client, head(), None, "") is None


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
