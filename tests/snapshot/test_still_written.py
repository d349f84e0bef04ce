"""What is taken away is gone at once, also where the last good tables stay."""

from __future__ import annotations

import pytest

from gateway.snapshot.generations import Generation
from tests.fakes.conf import KEYED, adopt_conf, key_hash, provider, route_to, tenant

OLD, NEW = b"llmgw-old-0123456789abc", b"llmgw-new-0123456789abc"
BROKEN = "kind: ["


def keyed(*keys: bytes) -> str:
    hashes = ", ".join(f"{{hash: '{key_hash(key.decode())}'}}" for key in keys)
    return tenant("acme", f"clients: [{{name: c, apiKeyHashes: [{hashes}]}}]")


WAYS = tenant(
    "acme",
    "clients: [{name: c, certificate: {subjectAltName: Client.Corp}}, {name: d, sourceCIDRs: [10.1.0.0/16]}]",
)


def lets_in(generation: Generation, key: bytes | None = None, name: str = "", address: str = "") -> bool:
    return generation.snapshot.clients.identify([name], key, address, 0.0) is not None


def stale(newest: dict[str, str], first: dict[str, str] | None = None) -> Generation:
    """What comes of files that cannot be used, after the first good ones."""
    good = first or {"acme/t.yaml": keyed(OLD, NEW), "acme/p.yaml": provider("a")}
    generation = adopt_conf(newest, adopt_conf(good))
    assert generation.stale == {"acme"}
    return generation


@pytest.mark.parametrize(
    "document",
    [
        keyed(NEW),
        keyed(NEW) + BROKEN,
        keyed(NEW).replace("clients:", "cleints:"),
        keyed(NEW).replace("name: c", "nmae: c"),
        keyed(NEW) + f"# {key_hash(OLD.decode())}\nno: yes: at all",
        keyed(NEW).upper().replace("'SHA256", "'sha256") + BROKEN,
    ],
    ids=["valid", "beside a broken one", "in the wrong place", "wrong", "no YAML", "in capitals"],
)
def test_a_key_that_no_longer_stands_in_the_document(document: str) -> None:
    generation = stale({"acme/t.yaml": document, "acme/p.yaml": BROKEN})
    assert not lets_in(generation, OLD)
    assert lets_in(generation, NEW)


def test_a_document_that_is_removed_lets_nobody_in() -> None:
    generation = stale({"acme/p.yaml": BROKEN})
    assert not lets_in(generation, OLD)
    table = generation.snapshot.tenants["acme"]
    assert not table.is_anonymous
    assert not len(generation.snapshot.anonymous)


def test_an_empty_file_takes_nothing_away() -> None:
    """It is about to be written, or the disk is full."""
    shared = provider("a", f"{KEYED}\nexportTo: [beta]")
    conf = {"acme/t.yaml": keyed(OLD), "acme/p.yaml": shared, "beta/r.yaml": route_to("a")}
    generation = stale({**conf, "acme/t.yaml": "", "acme/p.yaml": ""}, conf)
    assert lets_in(generation, OLD)
    assert generation.snapshot.anonymous.find("a.example") is None
    assert generation.tenants["beta"].standing == "current"


def test_one_that_moves_to_another_file_is_still_there() -> None:
    generation = stale({"acme/new.yaml": keyed(OLD).replace("name: c", "nmae: c"), "acme/p.yaml": BROKEN})
    assert lets_in(generation, OLD)
    assert not lets_in(generation, NEW)


def test_names_and_networks() -> None:
    first = {"acme/t.yaml": WAYS, "acme/p.yaml": provider("a")}
    same = stale({"acme/t.yaml": WAYS + BROKEN, "acme/p.yaml": provider("a")}, first)
    assert lets_in(same, name="client.corp")
    assert lets_in(same, address="10.1.2.3")
    gone = WAYS.replace("Client.Corp", "other.corp").replace("10.1.0.0", "10.2.0.0")
    without = stale({"acme/t.yaml": gone + BROKEN, "acme/p.yaml": provider("a")}, first)
    assert not lets_in(without, name="client.corp")
    assert not lets_in(without, address="10.1.2.3")


def test_what_comes_in_addition_waits_for_the_rest() -> None:
    first = {"acme/t.yaml": keyed(OLD), "acme/p.yaml": provider("a")}
    generation = stale({"acme/t.yaml": keyed(OLD, NEW), "acme/p.yaml": BROKEN}, first)
    assert lets_in(generation, OLD)
    assert not lets_in(generation, NEW)


def test_a_tenant_without_files_is_gone() -> None:
    first = adopt_conf({"acme/t.yaml": keyed(OLD), "acme/p.yaml": provider("a")})
    second = adopt_conf({"other/p.yaml": provider("b") + route_to("b")}, first)
    assert not lets_in(second, OLD)
    assert "acme" not in second.tenants
