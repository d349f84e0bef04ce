"""What a rule says of failing providers, and what a provider says of itself, from the file to the tables."""

from __future__ import annotations

import pytest

from gateway.messages import PoolLimits, Secret
from gateway.policy.breaking import OutlierDetection
from gateway.policy.retrying import RetryPolicy
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.stable_names import BreakerName
from gateway.snapshot.tables import RuleTable
from tests.fakes.conf import (
    KEYED,
    adopt_conf,
    gateway,
    provider,
    route,
    route_table,
    route_to,
    snapshot_of,
    told,
)

PROVIDERS = provider("a") + provider("b") + provider("c", 'exportTo: ["*"]', namespace="other")


def ruled(more: str, refs: str = "[{providerHost: a.example}]") -> str:
    return PROVIDERS + route("demo", f"rules: [{{name: all, backendRefs: {refs}, {more}}}]")


def rule(more: str, refs: str = "[{providerHost: a.example}]") -> RuleTable:
    return route_table(snapshot_of(ruled(more, refs)), "demo").rules[0]


def hosts(rule: RuleTable) -> list[str]:
    return [backend.key for backend in rule.every_backend]


def test_a_rule_that_says_nothing() -> None:
    plain = rule("timeouts: {}")
    assert (plain.fallback, plain.retries, plain.fallback_on) == ((), RetryPolicy(), frozenset())
    assert (plain.continues, plain.drains, plain.tries_least_bad) == (True, False, False)
    assert (plain.hedge_after, plain.mirror, plain.keep_alive) == (None, None, None)


def test_a_rule_that_says_everything() -> None:
    full = rule(
        """
          fallback: [{providerHost: b.example, model: large}, {providerHost: c.example}],
          retries: {attempts: 3, retryOn: [5xx, 429], backoff: {base: 1s}, perTryTimeout: 9s, maxWait: 2s},
          fallbackOn: [content_filter, 404], onStreamBreak: error, onClientDisconnect: drain,
          onAllOpen: leastBad, hedge: {after: 3s}, mirror: {providerHost: c.example, percent: 7, model: m},
          keepAlive: 15s
        """
    )
    assert hosts(full) == ["a.example", "b.example/large", "c.example", "c.example/m"]
    large, shared = full.fallback
    assert (large.model, large.labels.rule, large.labels.provider) == ("large", "all", "b")
    assert (shared.owner, shared.labels.tenant) == ("other", "default")
    assert full.retries == RetryPolicy(3, frozenset({"5xx", "429"}), 1.0, 8.0, 9.0, 2.0)
    assert full.fallback_on == {"content_filter", "404"}
    assert (full.continues, full.drains, full.tries_least_bad) == (False, True, True)
    assert (full.hedge_after, full.keep_alive) == (3.0, 15.0)
    assert full.mirror is not None
    assert (full.mirror.backend.model, full.mirror.percent) == ("m", 7)


def test_nothing_is_retried_where_nothing_is_named() -> None:
    assert rule("retries: {retryOn: []}").retries.retry_on == frozenset()


def test_no_backend_is_its_own_fallback() -> None:
    refs = "[{providerHost: a.example, weight: 1}, {providerHost: b.example, weight: 1}]"
    both = rule("fallback: [{providerHost: b.example}, {providerHost: a.example}]", refs)
    a, b = both.backends
    assert [backend.key for backend in both.fallback_after(a)] == ["b.example"]
    assert [backend.key for backend in both.fallback_after(b)] == ["a.example"]
    generation = adopt_conf(ruled("fallback: [{providerHost: b.example}, {providerHost: b.example}]"))
    assert len(told(generation, "warning")) == 1
    twice = route_table(generation.snapshot, "demo").rules[0]
    assert twice.fallback_after(twice.backends[0]) == twice.fallback[:1]


def test_what_leads_nowhere_is_told_where_it_stands() -> None:
    conf = ruled(
        "fallback: [{providerHost: b.example}, {providerHost: nob.example}], mirror: {providerHost: nom.example}"
    )
    found = told(adopt_conf(conf))
    assert [line.split(": ", 1)[1] for line in found] == [
        'spec.rules[0].fallback[1].providerHost: no provider has the host nob.example; did you mean "b.example"?',
        'spec.rules[0].mirror.providerHost: no provider has the host nom.example; did you mean "c.example"?',
    ]


def test_a_fallback_of_another_tenant_goes_with_its_export() -> None:
    conf = {"x.yaml": ruled("fallback: [{providerHost: c.example}, {providerHost: b.example}]")}
    last = adopt_conf(conf)
    withdrawn = adopt_conf({"x.yaml": conf["x.yaml"].replace('exportTo: ["*"]', "exportTo: []")}, last)
    left = route_table(withdrawn.snapshot, "demo").rules[0]
    assert hosts(left) == ["a.example", "b.example"]


def test_a_config_for_a_rule_that_falls_back_on_the_provider_is_used() -> None:
    specific = provider("s", f"{KEYED[:-1]}, routeSpecificConfigs: {{all: {{openAIConfig: {{model: x}}}}}}}}")
    for more in ("fallback: [{providerHost: s.example}]", "mirror: {providerHost: s.example}"):
        found = route_table(snapshot_of(specific + ruled(more)), "demo").rules[0]
        assert found.every_backend[1].model == "x"


def test_first_content_is_merged_like_the_other_timeouts() -> None:
    conf = (
        gateway("upstreamTimeouts: {firstContent: 1s}")
        + provider("a", "timeouts: {firstContent: 2s}")
        + provider("b")
        + route_to("b", "plain")
        + route(
            "demo",
            "rules: [{name: all, backendRefs: [{providerHost: a.example}], timeouts: {firstContent: 3s}}]",
        )
    )
    snapshot = snapshot_of(conf)
    for host, seconds in (("plain", 1.0), ("a.example", 2.0), ("demo", 3.0)):
        (backend,) = route_table(snapshot, host).rules[0].backends
        assert backend.timeouts.first_content == seconds


class TestKeys:
    POOL = """
    configs:
      defaultConfig:
        openAIConfig:
          headers: {x-team: red}
          apiKeys:
          - {name: blue, key: "${KEY}", weight: 3}
          - {name: green, key: sk-of-green}
    """

    def snapshot(self) -> Snapshot:
        return snapshot_of(provider("a", self.POOL) + route_to("a"), environment={"KEY": "sk-of-blue"})

    def test_each_has_its_head_and_its_name(self) -> None:
        (backend,) = route_table(self.snapshot(), "demo").rules[0].backends
        blue, green = backend.keys
        assert (blue.name, blue.secret, blue.weight) == ("blue", Secret("sk-of-blue"), 3)
        assert (green.name, green.secret, green.weight) == ("green", Secret("sk-of-green"), 1)
        assert backend.key_weights == (3, 1)
        assert blue.head_lines == b"host: a.example\r\nauthorization: Bearer sk-of-blue\r\nx-team: red\r\n"
        assert green.head_lines == blue.head_lines.replace(b"blue", b"green")
        assert backend.head_lines == blue.head_lines
        assert blue.breaker_name == BreakerName("default", "default", "a", "blue", Secret("sk-of-blue"))
        assert {b"sk-of-blue", b"sk-of-green"} <= set(backend.secrets)
        assert "sk-of" not in repr(backend)

    def test_names_for_live_state_outlive_a_generation(self) -> None:
        names = self.snapshot().breaker_names
        assert {name.key for name in names} == {"blue", "green"}
        assert names == self.snapshot().breaker_names
        assert "sk-of" not in repr(names)

    def test_two_keys_of_one_name_are_two(self) -> None:
        configs = (
            "configs: {defaultConfig: {openAIConfig: {apiKey: one}}, "
            "routeSpecificConfigs: {all: {openAIConfig: {apiKey: two}}, same: {openAIConfig: {model: m}}}}"
        )
        rules = "rules: [{name: same, backendRefs: [{providerHost: a.example}]}]"
        snapshot = snapshot_of(provider("a", configs) + route_to("a") + route("same", rules))
        assert {(name.key, name.secret) for name in snapshot.breaker_names} == {
            ("", Secret("one")),
            ("", Secret("two")),
        }

    def test_a_provider_without_a_key_has_one_breaker(self) -> None:
        snapshot = snapshot_of(provider("a", "") + route_to("a"))
        (backend,) = route_table(snapshot, "demo").rules[0].backends
        (only,) = backend.keys
        assert (only.name, only.secret, only.weight) == ("", None, 1)
        assert only.head_lines == b"host: a.example\r\n"
        assert snapshot.breaker_names == {BreakerName("default", "default", "a", "", None)}

    @pytest.mark.parametrize(
        ("default", "specific", "names"),
        [
            ("apiKey: k", "apiKeys: [{name: x, key: l}]", ["x"]),
            ("apiKeys: [{name: x, key: l}]", "apiKey: k", [""]),
            ("apiKeys: [{name: x, key: l}]", "model: m", ["x"]),
        ],
    )
    def test_a_specific_config_replaces_the_pool(self, default: str, specific: str, names: list[str]) -> None:
        configs = (
            f"configs: {{defaultConfig: {{openAIConfig: {{{default}}}}}, "
            f"routeSpecificConfigs: {{all: {{openAIConfig: {{{specific}}}}}}}}}"
        )
        (backend,) = (
            route_table(snapshot_of(provider("a", configs) + route_to("a")), "demo").rules[0].backends
        )
        assert [key.name for key in backend.keys] == names


def test_what_a_provider_says_of_itself() -> None:
    spec = """
    prefill: {field: partial}
    outlierDetection: {consecutiveErrors: 3, failurePercent: 50, interval: 20s, baseEjectionTime: 2s}
    connectionPool: {maxConnections: 8, maxPending: 2, pendingTimeout: 1s, idleTimeout: 9s}
    """
    snapshot = snapshot_of(provider("a", spec) + provider("b", "prefill: true") + provider("c"))
    a, b, c = (route_table(snapshot, f"{name}.example").rules[0].backends[0] for name in "abc")
    assert (a.prefill, a.prefill_field, a.name) == (True, "partial", ("default", "a"))
    assert a.outlier == OutlierDetection(3, 50, 20.0, base_ejection_time=2.0)
    assert a.pool == PoolLimits(8, 2, 1.0, 9.0)
    assert (b.prefill, b.prefill_field) == (True, None)
    assert (c.prefill, c.outlier, c.pool) == (False, OutlierDetection(), PoolLimits())


class TestHealthChecks:
    def test_the_models_unless_something_else_is_asked(self) -> None:
        check = snapshot_of(provider("a", f"{KEYED}\nhealthCheck: {{}}")).health_checks["default", "a"]
        assert (check.target, check.body, check.interval, check.timeout) == (b"/v1/models", None, 10.0, 5.0)
        assert check.backend.head_lines.endswith(b"authorization: Bearer sk-of-the-provider\r\n")

    def test_an_operation_is_given_the_model_of_the_config(self) -> None:
        asked = "operation: chat, interval: 1m, body: {messages: [], max_tokens: 1}"
        check = snapshot_of(provider("a", f"{KEYED}\nhealthCheck: {{{asked}}}")).health_checks["default", "a"]
        assert (check.target, check.interval) == (b"/v1/chat/completions", 60.0)
        assert check.body == b'{"messages":[],"max_tokens":1,"model":"plain"}'
        named = asked.replace("max_tokens: 1", "model: tiny")
        check = snapshot_of(provider("a", f"{KEYED}\nhealthCheck: {{{named}}}")).health_checks["default", "a"]
        assert check.body == b'{"messages":[],"model":"tiny"}'

    def test_a_path_is_asked_as_it_stands(self) -> None:
        asked = "{path: /health, body: {deep: true}}"
        check = snapshot_of(provider("a", f"{KEYED}\nhealthCheck: {asked}")).health_checks["default", "a"]
        assert (check.operation, check.target, check.body) == (None, b"/health", b'{"deep":true}')
        assert not check.is_hidden

    def test_what_came_from_outside_is_known(self) -> None:
        for asked in ('{path: "/${X}"}', '{path: /h, body: {a: "${X}"}}'):
            spec = f"{KEYED}\nhealthCheck: {asked}"
            snapshot = snapshot_of(provider("a", spec), environment={"X": "canary"})
            check = snapshot.health_checks["default", "a"]
            assert check.is_hidden
            assert "canary" not in repr(check)

    def test_a_provider_that_several_use_is_asked_once(self) -> None:
        shared = provider("a", f'{KEYED}\nhealthCheck: {{}}\nexportTo: ["*"]', namespace="acme")
        snapshot = snapshot_of(
            shared + route_to("a", "one", namespace="one") + route_to("a", "two", namespace="two")
        )
        assert list(snapshot.health_checks) == [("acme", "a")]

    def test_it_is_asked_with_the_default_configuration(self) -> None:
        spec = f"""
        healthCheck: {{}}
        {KEYED[:-1]}, routeSpecificConfigs: {{all: {{openAIConfig: {{apiKey: sk-of-the-rule}}}}}}}}
        """
        snapshot = snapshot_of(provider("a", spec) + route_to("a"))
        assert b"sk-of-the-provider" in snapshot.health_checks["default", "a"].backend.head_lines

    def test_a_body_that_no_provider_could_read_is_told(self) -> None:
        conf = provider("a", "healthCheck: {operation: chat, body: {model: 5}}")
        assert told(adopt_conf(conf)) == [
            "conf.d/conf.yaml:7:34: spec.healthCheck.body: `model` must be a string."
        ]
