"""What of a change gets in, tenant by tenant, and what stays as it was."""

from __future__ import annotations

import pytest

from gateway.snapshot.adopting import Generation
from tests.fakes.conf import (
    KEYED,
    ROOT,
    adopt_conf,
    backend,
    gateway,
    provider,
    route_table,
    route_to,
    snapshot_of,
    told,
)

BROKEN = "kind: ["
"""No YAML."""

ACME = provider("a")
OTHER = provider("b")


def hosts(generation: Generation) -> list[str]:
    return sorted(host for host, _ in generation.snapshot.anonymous.items())


def holder(generation: Generation, host: str) -> str:
    found = generation.snapshot.anonymous.find(host)
    return found.name if found is not None else ""


class TestLastGood:
    def test_a_first_good_one(self) -> None:
        generation = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": OTHER})
        assert hosts(generation) == ["a.example", "b.example"]
        assert (generation.stale, generation.missing, generation.problems) == (frozenset(), frozenset(), ())
        assert generation.good.keys() >= {"acme", "other"}

    def test_a_tenant_that_breaks_goes_on_and_the_others_move_on(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": OTHER})
        second = adopt_conf({"acme/p.yaml": BROKEN, "other/p.yaml": provider("c")}, first)
        assert hosts(second) == ["a.example", "c.example"]
        assert second.stale == {"acme"}
        assert second.missing == frozenset()
        assert [problem.tenant for problem in second.problems] == ["acme"]

    def test_it_stays_so_through_further_changes_and_heals(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME})
        second = adopt_conf({"acme/p.yaml": BROKEN}, first)
        third = adopt_conf({"acme/p.yaml": BROKEN, "other/p.yaml": OTHER}, second)
        assert hosts(third) == ["a.example", "b.example"]
        assert third.stale == {"acme"}
        healed = adopt_conf({"acme/p.yaml": provider("c"), "other/p.yaml": OTHER}, third)
        assert hosts(healed) == ["b.example", "c.example"]
        assert (healed.stale, healed.problems) == (frozenset(), ())

    def test_all_of_a_tenants_files_stand_and_fall_together(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME, "acme/q.yaml": OTHER})
        second = adopt_conf({"acme/p.yaml": provider("new"), "acme/q.yaml": BROKEN}, first)
        assert hosts(second) == ["a.example", "b.example"]

    def test_an_unresolved_reference_breaks_it_as_well(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME + route_to("a")})
        second = adopt_conf({"acme/p.yaml": provider("c") + route_to("a")}, first)
        assert hosts(second) == ["a.example", "demo"]
        assert second.stale == {"acme"}
        assert [problem.path for problem in second.problems] == ["spec.rules[0].backendRefs[0].providerHost"]

    def test_a_tenant_never_seen_good_is_missing(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME})
        second = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": BROKEN}, first)
        assert hosts(second) == ["a.example"]
        assert second.stale == frozenset()
        assert second.missing == {"other"}
        assert adopt_conf({"other/p.yaml": BROKEN}).missing == {"other"}

    def test_what_is_removed_is_gone(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME, "acme/r.yaml": route_to("a"), "other/p.yaml": OTHER})
        second = adopt_conf({"acme/p.yaml": ACME}, first)
        assert hosts(second) == ["a.example"]
        assert adopt_conf({}, second).snapshot.tenants.keys() == {"default"}

    def test_a_broken_file_that_is_removed_takes_its_tenant_along(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME})
        second = adopt_conf({"acme/p.yaml": BROKEN}, first)
        assert hosts(adopt_conf({}, second)) == []

    def test_a_broken_file_counts_for_every_tenant_that_it_held(self) -> None:
        both = {"all.yaml": provider("a", namespace="acme") + provider("b", namespace="other")}
        first = adopt_conf({**both, "third/p.yaml": provider("c")})
        second = adopt_conf({"all.yaml": BROKEN, "third/p.yaml": provider("d")}, first)
        assert hosts(second) == ["a.example", "b.example", "d.example"]
        assert second.stale >= {"acme", "other"}

    def test_and_for_one_of_which_it_held_a_part(self) -> None:
        first = adopt_conf({"all.yaml": provider("a", namespace="acme"), "acme/p.yaml": OTHER})
        second = adopt_conf({"all.yaml": BROKEN, "acme/p.yaml": provider("c")}, first)
        assert hosts(second) == ["a.example", "b.example"]

    def test_the_root_namespace_keeps_its_own(self) -> None:
        shared = provider("a", namespace=ROOT)
        first = adopt_conf({"shared.yaml": shared, "acme/r.yaml": route_to("a")})
        second = adopt_conf(
            {"shared.yaml": shared.replace("host", "hots"), "acme/r.yaml": route_to("a", "new")}, first
        )
        assert backend(second.snapshot, "new", tenant="acme").owner == ROOT
        assert second.stale == {ROOT}

    def test_turns_and_destinations_are_those_of_what_runs(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME + route_to("a")})
        second = adopt_conf({"acme/p.yaml": BROKEN}, first)
        assert second.snapshot.turns_keys == first.snapshot.turns_keys
        assert second.snapshot.destinations == first.snapshot.destinations


class TestCertificates:
    """What a certificate's file holds belongs to what is good, too."""

    FILES = {"acme/p.yaml": provider("a", "endpoint: {tls: {caCertificates: /ca.pem}}")}  # noqa: RUF012

    def gone(self, path: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", path)

    def test_a_file_that_is_gone_leaves_the_tenant_as_it_was(self) -> None:
        first = adopt_conf(self.FILES, read_file=lambda path: b"roots")
        second = adopt_conf(self.FILES, first, read_file=self.gone)
        assert second.snapshot.destinations == first.snapshot.destinations
        assert second.stale == {"acme"}
        assert [problem.path for problem in second.problems] == ["spec.endpoint.tls.caCertificates"]
        third = adopt_conf({**self.FILES, "x/p.yaml": OTHER}, second, read_file=self.gone)
        assert third.snapshot.destinations > first.snapshot.destinations

    def test_a_file_that_openssl_refuses_does_so_too(self) -> None:
        def prepare(settings: object) -> None:
            if "rubbish" in repr(settings):
                raise ValueError("caCertificates holds no certificate")

        first = adopt_conf(self.FILES, read_file=lambda path: b"roots", prepare_tls=prepare)
        second = adopt_conf(self.FILES, first, read_file=lambda path: b"rubbish", prepare_tls=prepare)
        assert second.snapshot.destinations == first.snapshot.destinations
        assert second.stale == {"acme"}

    def test_the_owner_of_the_provider_is_to_blame(self) -> None:
        exported = provider("a", 'exportTo: ["*"]\nendpoint: {tls: {caCertificates: /ca.pem}}')
        first = adopt_conf(
            {"acme/p.yaml": exported, "other/r.yaml": route_to("a")}, read_file=lambda path: b"roots"
        )
        second = adopt_conf(
            {"acme/p.yaml": exported, "other/r.yaml": route_to("a", "new")}, first, read_file=self.gone
        )
        assert second.stale == {"acme"}
        assert backend(second.snapshot, "new", tenant="other").destination.owner == "acme"

    def test_a_new_file_is_another_destination(self) -> None:
        first = adopt_conf(self.FILES, read_file=lambda path: b"roots")
        second = adopt_conf(self.FILES, first, read_file=lambda path: b"new roots")
        assert not first.snapshot.destinations & second.snapshot.destinations


class TestGatewayDocument:
    GOOD = gateway("limits: {headers: 7}")

    @pytest.mark.parametrize(
        "broken", [gateway("limits: {headers: many}"), gateway("limits: {heders: 9}"), BROKEN, GOOD + GOOD]
    )
    def test_it_keeps_its_last_good(self, broken: str) -> None:
        first = adopt_conf({"gateway.yaml": self.GOOD, "acme/p.yaml": ACME})
        second = adopt_conf({"gateway.yaml": broken, "acme/p.yaml": OTHER}, first)
        assert second.snapshot.settings.headers == 7
        assert hosts(second) == ["b.example"]
        assert told(second, "error")

    def test_it_stays_last_good(self) -> None:
        generation = adopt_conf({"gateway.yaml": self.GOOD})
        for _ in range(2):
            generation = adopt_conf({"gateway.yaml": BROKEN}, generation)
        assert generation.snapshot.settings.headers == 7

    def test_removed_it_is_gone(self) -> None:
        assert adopt_conf({}, adopt_conf(self.GOOD)).snapshot.settings.headers is None

    def test_changed_it_counts(self) -> None:
        second = adopt_conf(self.GOOD.replace("7", "8"), adopt_conf(self.GOOD))
        assert second.snapshot.settings.headers == 8

    def test_broken_at_the_start_it_is_none(self) -> None:
        generation = adopt_conf({"gateway.yaml": gateway("limits: {headers: many}"), "acme/p.yaml": ACME})
        assert generation.snapshot.settings.headers is None
        assert hosts(generation) == ["a.example"]


class TestClashes:
    """Two anonymous tenants that name one host: nobody could tell their clients apart."""

    def test_the_newcomer_is_refused(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME})
        second = adopt_conf({"acme/p.yaml": ACME, "aaa/p.yaml": provider("x", host="a.example")}, first)
        assert holder(second, "a.example") == "acme"
        assert second.missing == {"aaa"}
        assert told(second) == [
            "conf.d/aaa/p.yaml:6:3: spec.host: a.example is answered for by tenant acme "
            "(conf.d/acme/p.yaml:6:3) too, and no client of theirs can be told apart"
        ]

    def test_a_newcomer_keeps_what_it_had(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": OTHER})
        second = adopt_conf(
            {"acme/p.yaml": ACME, "other/p.yaml": OTHER + route_to("b", host="a.example")}, first
        )
        assert hosts(second) == ["a.example", "b.example"]
        assert holder(second, "a.example") == "acme"
        assert second.stale == {"other"}

    def test_at_a_cold_start_both_are_refused(self) -> None:
        generation = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": ACME, "third/p.yaml": OTHER})
        assert hosts(generation) == ["b.example"]
        assert generation.missing == {"acme", "other"}
        assert [problem.tenant for problem in generation.problems] == ["acme", "other"]

    def test_a_host_may_move(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME + route_to("a")})
        second = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": OTHER + route_to("b")}, first)
        assert holder(second, "demo") == "other"
        assert second.problems == ()

    def test_one_that_runs_on_its_last_good_still_holds_its_host(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME})
        second = adopt_conf({"acme/p.yaml": BROKEN, "other/p.yaml": provider("x", host="a.example")}, first)
        assert holder(second, "a.example") == "acme"
        assert second.stale == {"acme"}
        assert second.missing == {"other"}

    def test_a_pattern_and_a_name_that_it_covers_do_not_clash(self) -> None:
        snapshot = snapshot_of(
            {"acme/p.yaml": ACME + route_to("a", host="*.example"), "other/p.yaml": OTHER + route_to("b")}
        )
        assert route_table(snapshot, "any.example", "acme").name == "demo"
        found = snapshot.anonymous.find("b.example")
        assert found is not None
        assert found.name == "other"

    def test_a_root_provider_and_a_tenant_at_one_host(self) -> None:
        shared = provider("a", namespace=ROOT)
        first = adopt_conf({"shared.yaml": shared})
        second = adopt_conf({"shared.yaml": shared, "acme/p.yaml": ACME}, first)
        assert holder(second, "a.example") == "default"
        assert second.missing == {"acme"}


class TestExports:
    """What is taken away is gone at once."""

    def test_an_export_that_is_taken_back(self) -> None:
        shared = provider("a", f'{KEYED}\nexportTo: ["*"]')
        users = route_to("a") + provider("own")
        first = adopt_conf({"acme/p.yaml": shared, "other/r.yaml": users})
        second = adopt_conf({"acme/p.yaml": ACME, "other/r.yaml": users}, first)
        assert "demo" not in hosts(second)
        assert [problem.tenant for problem in second.problems] == ["other"]

    def test_a_stale_exporter_still_exports(self) -> None:
        shared = provider("a", f'{KEYED}\nexportTo: ["*"]')
        first = adopt_conf({"acme/p.yaml": shared, "other/r.yaml": route_to("a")})
        second = adopt_conf({"acme/p.yaml": BROKEN, "other/r.yaml": route_to("a", "new")}, first)
        assert backend(second.snapshot, "new", tenant="other").owner == "acme"


def test_problems_of_every_kind_are_told_in_order() -> None:
    generation = adopt_conf(
        {"b/p.yaml": route_to("x"), "a/p.yaml": provider("y", "hots: 1"), "c.yaml": BROKEN, "d/p.yaml": ACME}
    )
    assert [problem.position.file for problem in generation.problems] == [
        "conf.d/a/p.yaml", "conf.d/b/p.yaml", "conf.d/c.yaml",
    ]  # fmt: skip
    assert generation.missing == {"a", "b", "default"}
    assert hosts(generation) == ["a.example"]


def test_errors_of_reference_are_told_beside_those_of_form() -> None:
    generation = adopt_conf(
        {
            "acme/p.yaml": provider("broken", "hots: 1")
            + route_to("broken", "blameless")
            + route_to("missing", "blamed")
        }
    )
    messages = [problem.message for problem in generation.problems]
    assert len(messages) == 2
    assert 'no field "hots"' in messages[0]
    assert messages[1] == "no provider has the host missing.example"
