"""No tenant is opened to anybody by a file that may not be whole."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.resources import SourceFile, read
from gateway.snapshot.adopting import adopt
from gateway.snapshot.generations import Generation
from gateway.snapshot.written import Surroundings
from tests.fakes.conf import NOTHING, ROOT, any_tls, key_hash, no_such_file, provider, tenant, told

CLIENTS = f'clients: [{{name: ci, apiKeyHash: "{key_hash("sk-client-key-of-beta")}"}}]'
ACME, BETA = tenant("acme", "clients: []"), tenant("beta", CLIENTS)
FOLDERS = {"acme/p.yaml": provider("a"), "beta/p.yaml": provider("b")}


def adopted(files: Mapping[str, str], last: Generation | None = None, *, cut: str = "") -> Generation:
    """The next generation.

    :param cut: the file that is known to be cut short.
    """
    sources = [
        SourceFile(f"conf.d/{path}", path.rpartition("/")[0], text.encode(), is_cut_short=path == cut)
        for path, text in files.items()
    ]
    resources = read(sources, environment=NOTHING, read_file=no_such_file, root_namespace=ROOT)
    return adopt(resources, last, Surroundings(NOTHING, ROOT, no_such_file, any_tls))


def open_hosts(generation: Generation) -> list[str]:
    """Where anybody is answered."""
    return [host for host, _ in generation.snapshot.anonymous.items()]


def test_a_file_that_is_whole_is_believed() -> None:
    first = adopted({**FOLDERS, "t.yaml": ACME + BETA})
    assert open_hosts(first) == []
    second = adopted({**FOLDERS, "t.yaml": ACME}, first)
    assert (open_hosts(second), second.stale, second.problems) == (["b.example"], frozenset(), ())
    assert open_hosts(adopted({**FOLDERS}, first)) == ["a.example", "b.example"]


def test_one_that_was_cut_between_two_documents_is_not() -> None:
    first = adopted({**FOLDERS, "t.yaml": ACME + BETA})
    second = adopted({**FOLDERS, "t.yaml": ACME}, first, cut="t.yaml")
    assert open_hosts(second) == []
    assert second.stale == {"beta"}
    assert told(second) == [
        "conf.d/t.yaml:1:1: names the clients of tenant beta no more, and seems cut short; "
        "if that is meant, move a new file into its place, or end it with a comment"
    ]
    third = adopted({**FOLDERS, "t.yaml": ACME}, second, cut="t.yaml")
    assert open_hosts(third) == []
    healed = adopted({**FOLDERS, "t.yaml": ACME + BETA}, third)
    assert (open_hosts(healed), healed.stale, healed.problems) == ([], frozenset(), ())
    assert healed.snapshot.clients.by_key(b"sk-client-key-of-beta", 0) is not None


def test_nor_is_one_that_was_cut_within_the_document() -> None:
    """Before its clients, and still valid."""
    first = adopted({**FOLDERS, "t.yaml": ACME + BETA})
    second = adopted({**FOLDERS, "t.yaml": ACME + tenant("beta", "{}")}, first, cut="t.yaml")
    assert open_hosts(second) == []
    assert second.stale == {"beta"}


def test_nor_one_that_has_errors() -> None:
    first = adopted({**FOLDERS, "t.yaml": ACME + BETA})
    second = adopted({**FOLDERS, "t.yaml": ACME.replace("clients", "cleints")}, first)
    assert open_hosts(second) == []
    assert second.stale == {"acme", "beta"}
    assert "has errors, so that this may not be meant" in told(second)[0]


def test_a_tenant_that_is_written_elsewhere_now_is_not_in_doubt() -> None:
    first = adopted({**FOLDERS, "t.yaml": ACME + BETA})
    second = adopted({**FOLDERS, "t.yaml": ACME, "beta/t.yaml": BETA}, first, cut="t.yaml")
    assert (second.stale, second.problems) == (frozenset(), ())


def test_the_tenants_own_file_is_doubted_too() -> None:
    whole = {"beta/p.yaml": provider("b") + BETA}
    second = adopted({"beta/p.yaml": provider("b")}, adopted(whole), cut="beta/p.yaml")
    assert open_hosts(second) == []
    assert second.stale == {"beta"}


def test_a_tenant_that_stood_in_it_alone_goes_on() -> None:
    first = adopted({"t.yaml": ACME + provider("b", namespace="beta") + BETA})
    second = adopted({"t.yaml": ACME}, first, cut="t.yaml")
    assert second.stale == {"beta"}
    assert second.snapshot.tenants["beta"].routes.find("b.example") is not None


def test_who_has_an_error_of_its_own_is_told_of_that_alone() -> None:
    first = adopted({**FOLDERS, "t.yaml": ACME + BETA})
    second = adopted({**FOLDERS, "t.yaml": ACME + BETA.replace("clients", "cleints")}, first)
    assert second.stale == {"beta"}
    assert len(second.problems) == 1


def test_an_anonymous_tenant_is_in_no_doubt() -> None:
    both = provider("a", namespace="acme") + provider("b", namespace="beta")
    second = adopted({"p.yaml": provider("a", namespace="acme")}, adopted({"p.yaml": both}), cut="p.yaml")
    assert (open_hosts(second), second.problems) == (["a.example"], ())
