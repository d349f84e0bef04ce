"""What must never reach a client, nor a log of what clients say."""

from __future__ import annotations

from gateway.snapshot.snapshot import Snapshot
from tests.fakes.conf import ChangingConf, gateway, provider, route, route_to, snapshot_of, tenant

CAPTURE = tenant("a", "capture: {request: true}")


def with_key(key: str, headers: str = "") -> str:
    return f"configs: {{defaultConfig: {{openAIConfig: {{apiKey: {key}, headers: {{{headers}}}}}}}}}"


def captured(snapshot: Snapshot, name: str = "a") -> set[bytes]:
    table = snapshot.tenants[name].capture
    assert table is not None
    return set(table.secrets.texts)


def test_of_a_tenant_all_that_it_has_written_whether_or_not_it_is_used() -> None:
    specific = "routeSpecificConfigs: {vip: {openAIConfig: {headers: {x-team: only-for-vips}}}}"
    text = (
        provider("a", with_key("key-of-a").replace("configs: {", f"configs: {{{specific}, "))
        + provider("unused", with_key("key-nobody-uses", "x-short: v2, x-long: a-long-header"))
        + route(
            "r",
            "rules: [{name: vip, backendRefs: [{providerHost: a.example}],"
            " headers: {request: {set: {x-set: set-by-the-rule}}, response: {set: {x-b: told-to-clients}}}}]",
        )
        + CAPTURE
    )
    found = captured(snapshot_of({"a/conf.yaml": text}))
    assert {b"key-of-a", b"key-nobody-uses", b"a-long-header", b"only-for-vips", b"set-by-the-rule"} <= found
    assert not {b"v2", b"told-to-clients"} & found


def test_what_came_from_outside_and_how_it_may_be_spelt() -> None:
    text = provider("a", with_key("'${KEY}'")) + CAPTURE
    found = captured(snapshot_of({"a/conf.yaml": text}, environment={"KEY": 'a/key"&so-on'}))
    assert {b'a/key"&so-on', b'a\\/key\\"&so-on', b"a%2Fkey%22%26so-on"} <= found


def test_of_others_that_it_uses() -> None:
    files = {
        "a/conf.yaml": route_to("b") + CAPTURE,
        "b/conf.yaml": provider("b", with_key("key-of-b") + "\nexportTo: [a]")
        + provider("other", with_key("other-key-of-b")),
    }
    found = captured(snapshot_of(files))
    assert b"key-of-b" in found
    assert b"other-key-of-b" not in found


FILES = {
    "a/conf.yaml": provider("a", with_key("sk-a-0123456789abcdef")) + CAPTURE,
    "b/conf.yaml": provider(
        "b", with_key("Bearer.k3y-0f-b-0123456789/and-a-s3cond-longer-one", "x-auth: t0ken-t0ken-t0ken")
    )
    + route(
        "b",
        "rules: [{name: all, backendRefs: [{providerHost: b.example}],"
        " headers: {request: {set: {x-secret: set-by-the-rule-1234, x-region: eu-central-1-zone-17}}}}]",
    ),
}
WORDS_OF_B = {
    b"k3y-0f-b-0123456789",
    b"and-a-s3cond-longer-one",
    b"t0ken-t0ken-t0ken",
    b"set-by-the-rule-1234",
}


def test_by_which_words_the_credentials_of_all_are_known() -> None:
    assert snapshot_of(FILES).credentials == {b"sk-a-0123456789abcdef", *WORDS_OF_B}


def test_and_those_of_the_gateway_itself() -> None:
    tracing = (
        "tracing: {endpoint: 'http://127.0.0.1:1', headers: {authorization: Bearer c0llector-0123456789}}"
    )
    found = snapshot_of({**FILES, "gateway.yaml": gateway(tracing)}).credentials
    assert found == {b"sk-a-0123456789abcdef", b"c0llector-0123456789", *WORDS_OF_B}


def test_where_nobody_wants_anything_kept_they_are_not_gathered() -> None:
    assert (
        snapshot_of({**FILES, "a/conf.yaml": provider("a", with_key("sk-a-0123456789abcdef"))}).credentials
        == set()
    )


def test_they_change_with_the_files() -> None:
    conf = ChangingConf()
    conf.adopt(FILES)
    changed = {**FILES, "b/conf.yaml": provider("b", with_key("an0ther-key-0123456789"))}
    found = conf.adopt(changed).snapshot.credentials
    assert found == {b"sk-a-0123456789abcdef", b"an0ther-key-0123456789"}


def test_nobody_sees_them() -> None:
    snapshot = snapshot_of(FILES)
    assert b"0123456789" not in f"{snapshot} {snapshot.tenants['a'].capture}".encode()
