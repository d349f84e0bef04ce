"""What two tenants claim and only one can hold."""

from __future__ import annotations

import pytest

from gateway.snapshot.generations import Generation
from tests.fakes.conf import adopt_conf, key_hash, provider, route_to, tenant, told

KEY = b"llmgw-0123456789abcdef"

CLAIMS = {
    "key": f"apiKeyHash: '{key_hash(KEY.decode())}'",
    "certificate": "certificate: {subjectAltName: client.corp}",
    "network": "sourceCIDRs: [10.1.0.0/16]",
}


def client(claim: str, name: str = "c") -> str:
    return f"clients: [{{name: {name}, {claim}}}]"


def found(generation: Generation) -> str:
    """Whose client somebody is who shows all that there is to show."""
    known = generation.snapshot.clients.identify(["client.corp"], KEY, "10.1.2.3", 0.0)
    return known.tenant if known is not None else ""


def files(**tenants: str) -> dict[str, str]:
    return {
        f"{name}/all.yaml": tenant(name, spec) + provider("a") + route_to("a")
        for name, spec in tenants.items()
    }


@pytest.mark.parametrize("kind", CLAIMS)
class TestClash:
    def test_the_holder_keeps_it_and_the_newcomer_is_refused(self, kind: str) -> None:
        spec = client(CLAIMS[kind])
        first = adopt_conf(files(one=spec))
        second = adopt_conf(files(one=spec, aaa=spec), first)
        assert (found(second), sorted(second.missing), sorted(second.stale)) == ("one", ["aaa"], [])
        (problem,) = second.problems
        assert (problem.tenant, problem.position.file) == ("aaa", "conf.d/aaa/all.yaml")
        assert "tenant one (conf.d/one/all.yaml:" in problem.message

    def test_a_newcomer_keeps_what_it_had(self, kind: str) -> None:
        spec = client(CLAIMS[kind])
        first = adopt_conf(files(one=spec, two=client("sourceCIDRs: [192.168.0.0/16]")))
        second = adopt_conf(files(one=spec, two=spec), first)
        assert (found(second), sorted(second.stale)) == ("one", ["two"])
        known = second.snapshot.clients.identify([], None, "192.168.0.1", 0.0)
        # Its newest document does not name that network any more: what is taken away is gone at once.
        assert known is None

    def test_at_a_cold_start_nobody_gets_it_and_the_rest_runs(self, kind: str) -> None:
        spec = client(CLAIMS[kind])
        generation = adopt_conf(files(one=spec, two=spec))
        assert (found(generation), generation.missing) == ("", frozenset())
        assert [problem.tenant for problem in generation.problems] == ["one", "two"]
        assert generation.snapshot.tenants.keys() >= {"one", "two"}

    def test_it_goes_to_who_claims_it_alone(self, kind: str) -> None:
        spec = client(CLAIMS[kind])
        first = adopt_conf(files(one=spec, two=spec))
        second = adopt_conf(files(one="clients: []", two=spec), first)
        assert (found(second), second.problems) == ("two", ())


def test_no_message_shows_a_hash() -> None:
    spec = client(CLAIMS["key"])
    generation = adopt_conf(files(one=spec, two=spec))
    assert key_hash(KEY.decode()).removeprefix("sha256:") not in str(told(generation))


def test_identified_tenants_may_have_the_same_hosts() -> None:
    generation = adopt_conf(files(one="clients: []", two="clients: []"))
    assert told(generation) == []
    assert not len(generation.snapshot.anonymous)


def test_two_documents_of_one_tenant() -> None:
    generation = adopt_conf(
        {"a.yaml": tenant("acme", "clients: []"), "b.yaml": tenant("acme", "clients: []") + provider("a")}
    )
    assert told(generation) == [
        "conf.d/b.yaml:4:12: metadata.name: a Tenant named acme is at conf.d/a.yaml:4:12 too"
    ]
    assert generation.missing == {"acme"}
