"""What of a change gets in, tenant by tenant, and what stays as it was."""

from __future__ import annotations

import pytest

from gateway.snapshot.generations import Generation
from tests.fakes.conf import (
    KEYED,
    ROOT,
    ChangingConf,
    adopt_conf,
    backend,
    backends,
    gateway,
    provider,
    route,
    route_table,
    route_to,
    snapshot_of,
    tenant,
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
        assert generation.tenants.keys() >= {"acme", "other"}

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
        assert adopt_conf({}, second).snapshot.tenants.keys() == set()

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
        assert second.snapshot.tenants["acme"].turns_keys == first.snapshot.tenants["acme"].turns_keys
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
        assert third.snapshot.destinations.keys() > first.snapshot.destinations.keys()

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
        assert not first.snapshot.destinations.keys() & second.snapshot.destinations.keys()


class TestGatewayDocument:
    GOOD = gateway("limits: {headers: 7}")

    @pytest.mark.parametrize(
        "broken", [gateway("limits: {headers: many}"), gateway("limits: {heders: 9}"), BROKEN, GOOD + GOOD]
    )
    def test_it_keeps_its_last_good(self, broken: str) -> None:
        first = adopt_conf({"gateway.yaml": self.GOOD, "acme/p.yaml": ACME})
        second = adopt_conf({"gateway.yaml": broken, "acme/p.yaml": OTHER}, first)
        assert (second.snapshot.settings.headers, second.gateway_standing) == (7, "last_good")
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
        assert (generation.snapshot.settings.headers, generation.gateway_standing) == (None, "missing")
        assert hosts(generation) == ["a.example"]

    def test_of_two_at_the_start_the_first_counts(self) -> None:
        generation = adopt_conf({"gateway.yaml": self.GOOD + self.GOOD.replace("7", "8")})
        assert told(generation, "error")
        assert (generation.snapshot.settings.headers, generation.gateway_standing) == (7, "current")


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

    def test_at_a_cold_start_the_host_alone_is_left_out(self) -> None:
        generation = adopt_conf(
            {"acme/p.yaml": ACME + route_to("a"), "other/p.yaml": ACME, "third/p.yaml": OTHER}
        )
        assert hosts(generation) == ["b.example", "demo"]
        assert [host for host, _ in generation.snapshot.withheld.items()] == ["a.example"]
        assert (generation.stale, generation.missing) == (frozenset(), frozenset())
        assert [problem.tenant for problem in generation.problems] == ["acme", "other"]
        assert "tenant other (conf.d/other/p.yaml:6:3) too" in generation.problems[0].message

    def test_it_stays_left_out_and_goes_to_who_claims_it_alone(self) -> None:
        first = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": ACME})
        second = adopt_conf({"acme/p.yaml": ACME + route_to("a"), "other/p.yaml": ACME}, first)
        assert hosts(second) == ["demo"]
        third = adopt_conf({"acme/p.yaml": OTHER, "other/p.yaml": ACME}, second)
        assert (holder(third, "a.example"), third.problems) == ("other", ())
        fourth = adopt_conf({"acme/p.yaml": ACME, "other/p.yaml": ACME}, third)
        assert (holder(fourth, "a.example"), sorted(fourth.stale)) == ("other", ["acme"])

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
        both = "rules: [{backendRefs: [{providerHost: a.example, weight: 1}, {providerHost: own.example, weight: 1}]}]"
        users = route_to("a") + route("both", both) + provider("own")
        first = adopt_conf({"acme/p.yaml": shared, "other/r.yaml": users})
        second = adopt_conf({"acme/p.yaml": ACME, "other/r.yaml": users}, first)
        assert backends(second.snapshot, "demo", tenant="other") == ()
        assert [each.provider for each in backends(second.snapshot, "both", tenant="other")] == ["own"]
        assert second.stale == {"other"}
        assert all("no provider has the host a.example" in problem.message for problem in second.problems)

    @pytest.mark.parametrize(
        "newest",
        [
            provider("a", f"{KEYED}\nexportTo: [x]"),
            provider("a", f"{KEYED}\nexportTo: [x]\nhots: 1"),
            provider("new", f"{KEYED}\nexportTo: [x]", host="a.example"),
            provider("other", KEYED),
        ],
        ids=["elsewhere", "in a broken document", "under another name", "with the provider"],
    )
    def test_so_is_one_of_an_exporter_whose_files_cannot_be_used(self, newest: str) -> None:
        shared = provider("a", f'{KEYED}\nexportTo: ["*"]') + route_to("a")
        first = adopt_conf(
            {"acme/p.yaml": shared, "x/r.yaml": route_to("a", "x"), "y/r.yaml": route_to("a", "y")}
        )
        second = adopt_conf(
            {
                "acme/p.yaml": newest,
                "acme/q.yaml": BROKEN,
                "x/r.yaml": route_to("a", "x"),
                "y/r.yaml": route_to("a", "y"),
            },
            first,
        )
        assert backend(second.snapshot, "demo", tenant="acme").provider_host == "a.example"
        assert backends(second.snapshot, "y", tenant="y") == ()
        assert len(backends(second.snapshot, "x", tenant="x")) == ("other" not in newest)

    def test_a_refused_exporter_may_cure_an_importer(self) -> None:
        shared = provider("a", f'{KEYED}\nexportTo: ["*"]')
        moved = provider("a", f'{KEYED}\nexportTo: ["*"]', host="moved.example")
        first = adopt_conf({"acme/p.yaml": shared, "other/r.yaml": route_to("a")})
        second = adopt_conf(
            {"acme/p.yaml": moved + route_to("nowhere"), "other/r.yaml": route_to("a", "new")}, first
        )
        assert second.stale == {"acme"}
        assert backend(second.snapshot, "new", tenant="other").provider_host == "a.example"

    def test_a_provider_in_files_that_are_not_used_is_not_unknown(self) -> None:
        shared = provider("a", f'{KEYED}\nexportTo: ["*"]')
        generation = adopt_conf({"acme/p.yaml": shared + route_to("nowhere"), "other/r.yaml": route_to("a")})
        assert generation.missing == {"acme", "other"}
        assert generation.problems[1].message == (
            "the provider with the host a.example cannot be used: the files of acme have errors"
        )

    def test_so_is_one_whose_tenant_is_gone(self) -> None:
        shared = provider("a", f'{KEYED}\nexportTo: ["*"]')
        first = adopt_conf({"acme/p.yaml": shared, "other/r.yaml": route_to("a")})
        second = adopt_conf({"other/r.yaml": BROKEN}, first)
        assert backends(second.snapshot, "demo", tenant="other") == ()

    def test_a_stale_exporter_still_exports(self) -> None:
        shared = provider("a", f'{KEYED}\nexportTo: ["*"]')
        first = adopt_conf({"acme/p.yaml": shared, "other/r.yaml": route_to("a")})
        second = adopt_conf({"acme/p.yaml": BROKEN, "other/r.yaml": route_to("a", "new")}, first)
        assert backend(second.snapshot, "new", tenant="other").owner == "acme"


class TestTwoExportersOfOneHost:
    """Nothing tells which of them is meant; so nobody takes over anybody's requests."""

    A = provider("a", f'{KEYED}\nexportTo: ["*"]', host="x.example")
    B = provider("b", f"{KEYED}\nexportTo: [user]", host="x.example")

    def files(self, **more: str) -> dict[str, str]:
        return {
            "user/r.yaml": route_to("x"),
            "one/p.yaml": self.A,
            "one/t.yaml": tenant("one", "clients: []"),
            **more,
        }

    def test_who_uses_one_stays_with_it(self) -> None:
        first = adopt_conf(self.files())
        second = adopt_conf(
            {**self.files(), "aaa/p.yaml": self.B, "aaa/t.yaml": tenant("aaa", "clients: []")}, first
        )
        assert second.problems == ()
        assert backend(second.snapshot, "demo", tenant="user").owner == "one"

    def test_who_uses_none_gets_none(self) -> None:
        generation = adopt_conf(
            {**self.files(), "aaa/p.yaml": self.B, "aaa/t.yaml": tenant("aaa", "clients: []")}
        )
        assert generation.missing == {"user"}
        (message,) = (problem.message for problem in generation.problems)
        assert message.startswith(
            "tenants aaa (conf.d/aaa/p.yaml:6:3) and one (conf.d/one/p.yaml:6:3) export"
        )

    def test_its_own_is_meant_before_any_other(self) -> None:
        own = route_to("x") + provider("own", host="x.example")
        generation = adopt_conf(
            {**self.files(), "user/r.yaml": own, "aaa/p.yaml": self.B.replace("user", "x")}
        )
        assert backend(generation.snapshot, "demo", tenant="user").owner == "user"


class TestUnchanged:
    """What has not changed is not made again, and what it was made from is all that counts."""

    SHARED = provider("a", f'{KEYED}\nexportTo: ["*"]\nendpoint: {{tls: {{caCertificates: /ca.pem}}}}')
    FILES = {"acme/p.yaml": SHARED, "other/r.yaml": route_to("a"), "third/p.yaml": OTHER}  # noqa: RUF012

    def conf(self) -> tuple[ChangingConf, dict[str, bytes]]:
        contents = {"/ca.pem": b"roots"}
        return ChangingConf(read_file=lambda path: contents[path]), contents

    def changed(self, conf: ChangingConf, before: Generation, files: dict[str, str]) -> list[str]:
        """Whose tables are others now."""
        after = conf.adopt(files)
        assert after.problems == ()
        return [
            name for name, state in after.tenants.items() if before.tenants[name].table is not state.table
        ]

    def test_nothing_has(self) -> None:
        conf, _ = self.conf()
        first, second = conf.adopt(self.FILES), conf.adopt(dict(self.FILES))
        assert all(second.tenants[name] is state for name, state in first.tenants.items())

    def test_one_tenant_has(self) -> None:
        conf, _ = self.conf()
        assert self.changed(conf, conf.adopt(self.FILES), {**self.FILES, "third/p.yaml": provider("c")}) == [
            "third"
        ]

    def test_an_exporter_has(self) -> None:
        conf, _ = self.conf()
        files = {**self.FILES, "acme/p.yaml": self.SHARED.replace("model: plain", "model: other")}
        assert self.changed(conf, conf.adopt(self.FILES), files) == ["acme", "other"]

    def test_its_certificate_has(self) -> None:
        conf, contents = self.conf()
        first = conf.adopt(self.FILES)
        contents["/ca.pem"] = b"new roots"
        assert self.changed(conf, first, self.FILES) == ["acme", "other"]

    def test_the_gateways_timeouts_have(self) -> None:
        conf, _ = self.conf()
        first = conf.adopt(self.FILES)
        files = {**self.FILES, "gateway.yaml": gateway("upstreamTimeouts: {idle: 7s}")}
        assert self.changed(conf, first, files) == ["acme", "other", "third"]
        assert self.changed(conf, first, {**files, "gateway.yaml": gateway("limits: {headers: 7}")}) != []

    def test_one_whose_files_cannot_be_used_is_made_once_more_and_stays(self) -> None:
        conf, _ = self.conf()
        conf.adopt(self.FILES)
        broken = {**self.FILES, "other/r.yaml": BROKEN}
        second, third = conf.adopt(broken), conf.adopt({**broken, "third/p.yaml": provider("c")})
        assert second.stale == {"other"}
        assert third.tenants["other"] is second.tenants["other"]

    def test_a_digest_tells_what_a_tenant_runs_on(self) -> None:
        conf, _ = self.conf()
        first = {name: state.digest for name, state in conf.adopt(self.FILES).tenants.items()}
        assert len(set(first.values())) == 3
        fresh, _ = self.conf()
        assert {name: state.digest for name, state in fresh.adopt(self.FILES).tenants.items()} == first
        changed = conf.adopt({**self.FILES, "acme/p.yaml": "# a comment\n" + self.SHARED})
        assert [name for name, state in changed.tenants.items() if state.digest != first[name]] == [
            "acme",
            "other",
        ]
        broken = conf.adopt({**self.FILES, "acme/p.yaml": BROKEN})
        assert broken.tenants["acme"].digest == changed.tenants["acme"].digest
        assert adopt_conf({"acme/p.yaml": BROKEN}).tenants["acme"].digest == ""


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


def test_a_provider_that_cannot_tell_its_host_is_the_only_problem() -> None:
    """Who misspells `host` has made one mistake, whoever names that host."""
    broken = provider("a").replace("host: a.example", "hots: a.example")
    problems = adopt_conf({"acme/a.yaml": broken + route_to("a", "demo")}).problems
    assert [problem.path for problem in problems] == ["spec.host", "spec.hots"]
    elsewhere = adopt_conf({"acme/a.yaml": broken, "globex/b.yaml": route_to("a", "demo")})
    messages = [problem.message for problem in elsewhere.problems if problem.tenant == "globex"]
    assert messages == ["no provider has the host a.example"]
