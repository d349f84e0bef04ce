"""From documents to tables: who sees which provider, what is refused, and where that is said."""

from __future__ import annotations

import pytest

from gateway.snapshot.settings import GatewaySettings
from tests.fakes.conf import (
    KEYED,
    ROOT,
    adopt_conf,
    backend,
    backends,
    gateway,
    key_hash,
    provider,
    route,
    route_table,
    route_to,
    snapshot_of,
    tenant,
    told,
)

TO_A = "rules: [{name: all, backendRefs: [{providerHost: a.example}]}]"


def keyed(key: str, more: str = "") -> str:
    return f"configs: {{defaultConfig: {{openAIConfig: {{apiKey: {key}}}}}}}\n{more}"


class TestVisibility:
    """Which provider a host in a backendRef means."""

    def test_a_tenants_own(self) -> None:
        snapshot = snapshot_of(provider("a") + route_to("a"))
        assert backend(snapshot, "demo").owner == "default"

    def test_another_tenants_is_unknown(self) -> None:
        generation = adopt_conf(provider("secret", namespace="acme") + route_to("secret", namespace="other"))
        assert told(generation) == [
            "conf.d/conf.yaml:14:38: spec.rules[0].backendRefs[0].providerHost: "
            "no provider has the host secret.example"
        ]
        assert generation.snapshot.tenants.keys() == {"acme"}

    @pytest.mark.parametrize("whom", ["other", "*"])
    def test_an_exported_one(self, whom: str) -> None:
        snapshot = snapshot_of(
            provider("a", f'{KEYED}\nexportTo: ["{whom}"]', namespace="acme")
            + route_to("a", namespace="other")
        )
        assert backend(snapshot, "demo", tenant="other").owner == "acme"

    def test_one_exported_to_somebody_else(self) -> None:
        generation = adopt_conf(
            provider("a", f"{KEYED}\nexportTo: [third]", namespace="acme") + route_to("a", namespace="other")
        )
        assert "other" not in generation.snapshot.tenants

    def test_the_root_namespaces_is_everybodys(self) -> None:
        snapshot = snapshot_of(
            provider("a", namespace=ROOT)
            + route_to("a", "one", namespace="one")
            + route_to("a", "two", namespace="two")
        )
        assert {backend(snapshot, name, tenant=name).owner for name in ("one", "two")} == {ROOT}
        assert ROOT not in snapshot.tenants

    def test_ones_own_shadows_the_root_namespaces(self) -> None:
        root, own = provider("a", keyed("sk-root"), namespace=ROOT), provider("a", keyed("sk-own"))
        assert backend(snapshot_of(root + route_to("a")), "demo").owner == ROOT
        assert backend(snapshot_of(root + own + route_to("a")), "demo").owner == "default"

    def test_an_export_shadows_the_root_namespaces(self) -> None:
        root = provider("a", keyed("sk-root"), namespace=ROOT)
        exported = provider("a", keyed("sk-export", "exportTo: [other]"))
        snapshot = snapshot_of(root + exported + route_to("a", namespace="other"))
        assert backend(snapshot, "demo", tenant="other").owner == "default"

    def test_one_that_is_not_loaded_shadows_nothing(self) -> None:
        exported = provider("a", keyed("sk-export", 'exportTo: ["*"]'), namespace="acme")
        own = provider("a", keyed("sk-own", "workloadSelector: {labels: {x: y}}"), namespace="other")
        wanted = exported + own + route_to("a", namespace="other")
        assert backend(snapshot_of(wanted), "demo", tenant="other").owner == "acme"

    def test_a_workload_selector_must_fit_the_labels_of_the_gateway(self) -> None:
        documents = provider("a", f"{KEYED}\nworkloadSelector: {{labels: {{istio: egress}}}}") + route_to("a")
        assert (
            backend(snapshot_of(documents, labels={"istio": "egress", "x": "y"}), "demo").owner == "default"
        )
        assert told(adopt_conf(documents, labels={"istio": "ingress"})) == [
            "conf.d/conf.yaml:15:38: spec.rules[0].backendRefs[0].providerHost: "
            "its provider is not loaded here: the workloadSelector (istio: egress) does not fit --label"
        ]

    def test_a_provider_that_is_not_loaded_does_not_answer_for_its_host(self) -> None:
        snapshot = snapshot_of(provider("a", f"{KEYED}\nworkloadSelector: {{labels: {{istio: egress}}}}"))
        assert len(snapshot.anonymous) == 0


class TestImplicitRoutes:
    """A provider without a route answers on its own host."""

    def test_with_its_default_configuration(self) -> None:
        snapshot = snapshot_of(provider("a"))
        table = route_table(snapshot, "a.example")
        assert (table.name, table.rules[0].name, table.rules[0].matches) == ("", "", ())
        only = backend(snapshot, "a.example")
        assert only.model == "plain"
        assert (only.labels.route, only.labels.rule, only.labels.provider) == ("", "", "a")

    def test_a_route_for_its_host_takes_its_place(self) -> None:
        snapshot = snapshot_of(provider("a") + provider("b") + route_to("b", host="a.example"))
        assert backend(snapshot, "a.example").provider == "b"

    def test_an_exported_provider_answers_for_its_owner_alone(self) -> None:
        snapshot = snapshot_of(
            provider("a", f'{KEYED}\nexportTo: ["*"]', namespace="acme")
            + route_to("a", "mine", namespace="other")
        )
        assert [host for host, _ in snapshot.tenants["other"].routes.items()] == ["mine"]

    def test_those_of_the_root_namespace_answer_for_the_default_tenant(self) -> None:
        snapshot = snapshot_of(provider("a", namespace=ROOT))
        assert backend(snapshot, "a.example").owner == ROOT
        found = snapshot.anonymous.find("a.example")
        assert found is not None
        assert found.name == "default"


class TestRules:
    """What becomes of a route's rules."""

    def test_names_matches_and_turns(self) -> None:
        snapshot = snapshot_of(
            provider("a")
            + route(
                "demo",
                """
                gateways: [egress]
                rules:
                - name: vip
                  matches: [{headers: {user-type: {exact: subscriber}}}]
                  backendRefs: [{providerHost: a.example}]
                - backendRefs: [{providerHost: a.example}]
                """,
            )
        )
        table = route_table(snapshot, "demo")
        assert table.gateways == {"egress"}
        assert [rule.name for rule in table.rules] == ["vip", "rules[1]"]
        assert [rule.turns_key for rule in table.rules] == [
            ("default", "demo", "vip"),
            ("default", "demo", "rules[1]"),
        ]
        assert all(snapshot.names_turns(rule.turns_key) for rule in table.rules)
        (condition,) = table.rules[0].matches[0].conditions
        assert condition.text == "header user-type exact subscriber"

    def test_weights(self) -> None:
        snapshot = snapshot_of(
            provider("a")
            + provider("b")
            + route(
                "demo",
                """
                rules:
                - matches: [{headers: {x: {}}}]
                  backendRefs: [{providerHost: a.example, weight: 90}, {providerHost: b.example, weight: 10}]
                - backendRefs: [{providerHost: a.example}]
                """,
            )
        )
        shared, alone = route_table(snapshot, "demo").rules
        assert shared.weights == (90, 10)
        assert alone.weights == (1,)

    def test_one_provider_twice_with_two_models(self) -> None:
        snapshot = snapshot_of(
            provider("a")
            + route(
                "demo",
                """
                rules:
                - backendRefs:
                  - {providerHost: a.example, weight: 1, model: small}
                  - {providerHost: a.example, weight: 1, model: large}
                  - {providerHost: a.example, weight: 1}
                """,
            )
        )
        three = backends(snapshot, "demo")
        assert [each.key for each in three] == ["a.example/small", "a.example/large", "a.example"]
        assert [each.model for each in three] == ["small", "large", "plain"]

    def test_a_rule_that_is_never_reached_is_a_warning(self) -> None:
        generation = adopt_conf(
            provider("a")
            + route(
                "demo",
                """
                rules:
                - {name: first, backendRefs: [{providerHost: a.example}]}
                - {name: second, backendRefs: [{providerHost: a.example}]}
                """,
            )
        )
        assert told(generation, "warning") == [
            "conf.d/conf.yaml:17:5: spec.rules[1]: is never reached: a rule above it matches everything"
        ]
        assert told(generation, "error") == []

    def test_an_unknown_provider_is_told_with_the_name_that_was_meant(self) -> None:
        generation = adopt_conf(provider("dashscope") + route_to("dashscop"))
        assert told(generation) == [
            "conf.d/conf.yaml:14:38: spec.rules[0].backendRefs[0].providerHost: "
            'no provider has the host dashscop.example; did you mean "dashscope.example"?'
        ]

    def test_every_unknown_provider_is_told(self) -> None:
        generation = adopt_conf(route_to("x", "one") + route_to("y", "two"))
        assert len(told(generation)) == 2


class TestTwins:
    """Names and hosts are unique within a tenant; both places are told."""

    def test_two_providers_of_one_name(self) -> None:
        generation = adopt_conf({"a.yaml": provider("a"), "b.yaml": provider("a", host="other.example")})
        assert told(generation) == [
            "conf.d/b.yaml:4:12: metadata.name: a provider named a is at conf.d/a.yaml:4:12 too"
        ]

    def test_two_providers_of_one_host(self) -> None:
        generation = adopt_conf({"a.yaml": provider("a"), "b.yaml": provider("b", host="a.example")})
        assert told(generation) == [
            "conf.d/b.yaml:6:3: spec.host: provider a at conf.d/a.yaml:6:3 has the host a.example too"
        ]

    def test_two_routes_of_one_name_or_host(self) -> None:
        generation = adopt_conf(
            provider("a")
            + route("r", TO_A, host="one")
            + route("r", TO_A, host="two")
            + route("s", TO_A, host="one")
        )
        messages = [problem.message for problem in generation.problems]
        assert messages == [
            "a route named r is at conf.d/conf.yaml:11:12 too",
            "route r at conf.d/conf.yaml:13:3 has the host one too",
        ]

    def test_two_tenants_may_use_the_same_names(self) -> None:
        snapshot_of(
            {
                "one/p.yaml": provider("a", host="a.one")
                + route("r", TO_A.replace("a.example", "a.one"), host="one"),
                "two/p.yaml": provider("a", host="a.two")
                + route("r", TO_A.replace("a.example", "a.two"), host="two"),
            }
        )


class TestUnusedConfigs:
    """A routeSpecificConfig that no rule reaches is most likely a misspelt name."""

    SPECIFIC = (
        "configs:\n"
        "  defaultConfig: {openAIConfig: {model: plain}}\n"
        "  routeSpecificConfigs: {vip: {openAIConfig: {model: large}}}"
    )

    def test_is_a_warning(self) -> None:
        generation = adopt_conf(provider("a", self.SPECIFIC) + route_to("a"))
        assert told(generation) == [
            "conf.d/conf.yaml:9:28: spec.configs.routeSpecificConfigs.vip: no rule named vip refers to this provider"
        ]

    def test_is_none_where_a_rule_of_that_name_refers_to_it(self) -> None:
        snapshot = snapshot_of(provider("a", self.SPECIFIC) + route_to("a").replace("name: all", "name: vip"))
        assert backend(snapshot, "demo").model == "large"

    def test_a_rule_that_refers_to_another_tenants_provider_of_that_name_is_no_use(self) -> None:
        generation = adopt_conf(
            {
                "acme/p.yaml": provider("a", f'{KEYED}\nexportTo: ["*"]', host="foreign.example"),
                "other/p.yaml": provider("a", self.SPECIFIC)
                + route_to("foreign").replace("name: all", "name: vip"),
            }
        )
        assert [problem.path for problem in generation.problems] == ["spec.configs.routeSpecificConfigs.vip"]

    def test_a_provider_that_is_not_loaded_is_not_asked(self) -> None:
        assert (
            told(adopt_conf(provider("a", f"{self.SPECIFIC}\nworkloadSelector: {{labels: {{x: y}}}}"))) == []
        )


class TestClientsWithoutAnythingToReach:
    """A Tenant document of a misspelt name leaves the tenant that was meant open to anybody."""

    ROUTED = provider("a", namespace="acme") + route_to("a", namespace="acme")

    def test_are_a_warning(self) -> None:
        generation = adopt_conf(tenant("acmee", "clients: []") + self.ROUTED)
        assert told(generation) == []
        clients = f"clients: [{{name: ci, apiKeyHash: '{key_hash('k' * 20)}'}}]"
        generation = adopt_conf(tenant("acmee", clients) + self.ROUTED)
        assert told(generation) == [
            "conf.d/conf.yaml:4:12: metadata.name: "
            "tenant acmee has no route and no provider, so its clients reach nothing"
        ]
        assert generation.problems[0].severity == "warning"
        assert told(adopt_conf(tenant("acme", clients) + self.ROUTED)) == []


def test_a_certificate_that_is_not_checked_is_one_warning() -> None:
    generation = adopt_conf(provider("a", f"{KEYED}\nendpoint: {{tls: {{insecureSkipVerify: true}}}}"))
    (warning,) = generation.problems
    assert warning.severity == "warning"
    assert warning.path == "spec.endpoint.tls.insecureSkipVerify"
    assert not backend(generation.snapshot, "a.example").destination.tls.verify  # type: ignore[union-attr]


class TestTimeouts:
    """Gateway, then provider, then rule: field by field, the nearest counts."""

    def test_merged(self) -> None:
        snapshot = snapshot_of(
            gateway("upstreamTimeouts: {connect: 1s, headers: 1s, idle: 1s}")
            + provider("a", f"{KEYED}\ntimeouts: {{headers: 2s, idle: 2s}}")
            + route("demo", TO_A.replace("name: all", "name: all, timeouts: {idle: 3s, request: 3s}"))
        )
        timeouts = backend(snapshot, "demo").timeouts
        assert (timeouts.connect, timeouts.headers, timeouts.idle, timeouts.request) == (1, 2, 3, 3)
        assert timeouts.handshake == 5

    def test_a_provider_reached_by_its_own_host_has_no_rules(self) -> None:
        timeouts = backend(
            snapshot_of(provider("a", f"{KEYED}\ntimeouts: {{idle: 2s}}")), "a.example"
        ).timeouts
        assert (timeouts.connect, timeouts.idle, timeouts.request) == (5, 2, None)


def test_the_settings_of_the_gateway_document() -> None:
    assert snapshot_of({}).settings == GatewaySettings()
    snapshot = snapshot_of(
        gateway(
            """
            limits: {bodyBytes: 2048, allBodiesBytes: 8192, headBytes: 4096, headers: 10, connections: 5}
            timeouts: {head: 1s, body: 2s, keepAlive: 3s}
            """
        )
    )
    assert snapshot.settings == GatewaySettings(2048, 4096, 10, 5, 1.0, 2.0, 3.0, 8192)


@pytest.mark.parametrize("conf", ["", "# nothing", gateway("limits: {headers: 50}")])
def test_where_no_tenant_has_written_anything_there_is_none(conf: str) -> None:
    snapshot = snapshot_of({"conf.yaml": conf} if conf else {})
    assert list(snapshot.tenants) == []
    assert len(snapshot.anonymous) == 0
    assert snapshot.destinations == {}


def test_the_default_tenant_is_there_where_it_has_something_to_answer_with() -> None:
    assert list(snapshot_of({"acme/p.yaml": provider("a")}).tenants) == ["acme"]
    assert list(snapshot_of({"p.yaml": provider("a", namespace="acme")}).tenants) == ["acme"]
    shared = {"acme/p.yaml": provider("a"), "root.yaml": provider("b", namespace=ROOT)}
    assert list(snapshot_of(shared).tenants) == ["acme", "default"]


def test_a_route_in_the_root_namespace_is_an_error() -> None:
    generation = adopt_conf(provider("a", namespace=ROOT) + route_to("a", namespace=ROOT))
    (problem,) = generation.problems
    assert problem.path == "metadata.namespace"
    assert problem.tenant == ROOT


class TestDestinations:
    """Tenants never share a connection."""

    def test_two_tenants_at_one_address(self) -> None:
        local = f"{KEYED}\nendpoint: {{address: 10.0.0.1, port: 80, tls: {{mode: DISABLE}}}}"
        snapshot = snapshot_of({"one/p.yaml": provider("a", local), "two/p.yaml": provider("b", local)})
        places = {(each.owner, str(each), each.tls) for each in snapshot.destinations}
        assert places == {("one", "10.0.0.1:80", None), ("two", "10.0.0.1:80", None)}

    def test_one_exported_provider_is_one_destination(self) -> None:
        snapshot = snapshot_of(
            provider("a", f'{KEYED}\nexportTo: ["*"]', namespace="acme")
            + route_to("a", "x", namespace="x")
            + route_to("a", "y", namespace="y")
        )
        assert len(snapshot.destinations) == 1
