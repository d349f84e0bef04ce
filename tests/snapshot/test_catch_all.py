"""Clients that nobody knows, and a tenant that answers them for every host: when that is warned of."""

from __future__ import annotations

import pytest

from gateway.snapshot.generations import Generation
from tests.fakes.conf import adopt_conf, key_hash, provider, route, route_to, tenant, told

CLIENTS = f'clients: [{{name: ci, apiKeyHash: "{key_hash("sk-client-key-of-acme")}"}}]'
ACME = tenant("acme", CLIENTS) + provider("a", namespace="acme") + route_to("a", namespace="acme", host="*")
EVERYBODY = provider("b") + route_to("b", host="*")
WARNING = (
    "spec.host: answers whoever is no tenant's client: a client of tenant acme whose key is wrong or has ended gets "
    "these answers, not 401; if that is meant, say so with a Tenant document without clients"
)


def at(listeners: str, name: str, host: str = "*") -> str:
    """A route for these listeners."""
    rules = f"gateways: [{listeners}]\nrules: [{{backendRefs: [{{providerHost: {name}.example}}]}}]"
    return route("somewhere", rules, host=host)


def warned(generation: Generation) -> list[str]:
    """What is warned of, without places."""
    return [each.split(": ", 1)[1] for each in told(generation, "warning")]


def test_it_is_warned_of_at_the_route() -> None:
    generation = adopt_conf({"acme.yaml": ACME, "all.yaml": EVERYBODY})
    (warning,) = generation.problems
    assert (warning.tenant, warning.severity, warning.position.file) == (
        "default",
        "warning",
        "conf.d/all.yaml",
    )
    assert warned(generation) == [WARNING]
    assert generation.tenants["default"].problems == (warning,)


def test_it_comes_and_goes_with_the_others() -> None:
    first = adopt_conf({"all.yaml": EVERYBODY})
    assert warned(first) == []
    second = adopt_conf({"all.yaml": EVERYBODY, "acme.yaml": ACME}, first)
    assert warned(second) == [WARNING]
    assert warned(adopt_conf({"all.yaml": EVERYBODY}, second)) == []


@pytest.mark.parametrize(
    ("acme", "everybody"),
    [
        (ACME, EVERYBODY + tenant("default", "{}")),
        (ACME, EVERYBODY + tenant("default", CLIENTS.replace("acme", "all"))),
        (ACME, provider("b") + route_to("b", host="*.example")),
        (ACME, provider("b")),
        (tenant("acme", "clients: []") + provider("a", namespace="acme"), EVERYBODY),
        (tenant("acme", CLIENTS), EVERYBODY),
        (ACME.replace('"*"', '"*"\n  gateways: [inside]'), provider("b") + at("outside", "b")),
    ],
    ids=[
        "meant",
        "identified itself",
        "some hosts",
        "its own host",
        "nobody gets in",
        "nothing there",
        "apart",
    ],
)
def test_where_there_is_no_trap(acme: str, everybody: str) -> None:
    generation = adopt_conf({"acme.yaml": acme, "all.yaml": everybody})
    assert [each for each in warned(generation) if "no tenant's client" in each] == []


def test_where_they_share_a_listener() -> None:
    acme = ACME.replace('"*"', '"*"\n  gateways: [inside, both]')
    generation = adopt_conf({"acme.yaml": acme, "all.yaml": provider("b") + at("outside, both", "b")})
    assert warned(generation) == [WARNING]


def test_of_files_that_are_not_used_it_says_nothing() -> None:
    first = adopt_conf({"all.yaml": EVERYBODY})
    second = adopt_conf({"all.yaml": EVERYBODY + provider("x", "hots: 1"), "acme.yaml": ACME}, first)
    assert second.stale == {"default"}
    assert warned(second) == []
