"""What is different between two generations, in words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.snapshot.differing import NAMED, Change, changes, in_words
from gateway.snapshot.generations import Generation
from tests.fakes.conf import KEYED, adopt_conf, gateway, provider, route, route_to, tenant

HASH = "sha256:" + "ab" * 32
OTHER_HASH = "sha256:" + "cd" * 32

Files = Mapping[str, str] | str


def words(before: Files, after: Files, *, tells_secrets: bool = True, **environment: str) -> list[str]:
    """The differences, as the log has them.

    :param environment: of the later generation; of the earlier one every variable is `old`.
    """
    last = adopt_conf(before, environment=dict.fromkeys(environment, "old"))
    generation = adopt_conf(after, last, environment=environment)
    return in_words(changes(last, generation, tells_secrets=tells_secrets))


def configured(config: str) -> str:
    return provider("a", f"configs: {{defaultConfig: {{openAIConfig: {config}}}}}")


def rule(name: str, more: str = "") -> str:
    return f"{{name: {name}, {more} backendRefs: [{{providerHost: a.example}}]}}"


def test_nothing() -> None:
    files = {"acme/p.yaml": provider("a") + route_to("a"), "gateway.yaml": gateway("limits: {headers: 7}")}
    generation = adopt_conf(files)
    assert changes(generation, generation) == []
    assert words(files, files) == []


def test_comments_and_order_are_no_difference() -> None:
    assert words(provider("a") + provider("b"), "# moved\n" + provider("b") + provider("a")) == []


def test_what_comes_and_goes() -> None:
    assert words(provider("a") + route_to("a"), provider("a") + provider("b")) == [
        "default: route demo removed, provider b added"
    ]


def test_tenants_that_come_and_go() -> None:
    old = {"acme/p.yaml": provider("a"), "beta/p.yaml": provider("b")}
    new = {"acme/p.yaml": provider("a"), "new/p.yaml": provider("c") + provider("d") + route_to("c")}
    assert words(old, new) == ["beta: removed", "new: added (1 route, 2 providers)"]
    assert in_words(changes(None, adopt_conf(old))) == [
        "acme: added (1 provider)",
        "beta: added (1 provider)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("host: a.example", "host: b.example", "host"),
        (KEYED, f"{KEYED}\n  path: /v2/chat/completions", "path"),
        (KEYED, f"{KEYED}\n  endpoint: {{port: 8443}}", "endpoint"),
        (KEYED, f'{KEYED}\n  exportTo: ["*"]', "exportTo"),
        (KEYED, f"{KEYED}\n  timeouts: {{idle: 1s}}", "timeouts"),
        (KEYED, f"{KEYED}\n  workloadSelector: {{labels: {{a: b}}}}", "workloadSelector"),
        ("model: plain", "model: fancy", "model"),
        ("sk-of-the-provider", "sk-another", "key"),
        ("apiKey: sk-of-the-provider", "apiKeys: [{name: a, key: sk-of-the-provider}]", "key"),
        (KEYED, f"{KEYED}\n  timeouts: {{firstContent: 1s}}", "timeouts"),
        (KEYED, f"{KEYED}\n  connectionPool: {{maxConnections: 1}}", "connectionPool"),
        (KEYED, f"{KEYED}\n  outlierDetection: {{interval: 1s}}", "outlierDetection"),
        (KEYED, f"{KEYED}\n  healthCheck: {{}}", "healthCheck"),
        (KEYED, f"{KEYED}\n  prefill: true", "prefill"),
        ("model: plain", "model: plain, parameters: {n: 2}", "parameters"),
        ("model: plain", "model: plain, headers: {x-a: b}", "headers"),
        ("model: plain", "model: plain, modelPolicy: default", "modelPolicy"),
        ("model: plain, apiKey: sk-of-the-provider", "model: fancy, apiKey: sk-another", "model, key"),
    ],
)
def test_what_of_a_provider_has_changed(old: str, new: str, word: str) -> None:
    before = provider("a")
    assert old in before
    after = before.replace(old, new)
    assert words(before, after) == [f"default: provider a changed ({word})"]


def test_what_one_rule_gives_a_provider() -> None:
    route_of_two = route("demo", f"rules: [{rule('vip', 'matches: [{headers: {a: {}}}],')}, {rule('rest')}]")
    default = "defaultConfig: {openAIConfig: {model: plain}}"

    def specific(model: str) -> str:
        configs = f"routeSpecificConfigs: {{vip: {{openAIConfig: {{model: {model}}}}}}}"
        return provider("a", f"configs: {{{default}, {configs}}}") + route_of_two

    assert words(specific("one"), specific("two")) == ["default: provider a changed (model)"]


def test_which_rules_of_a_route_have_changed() -> None:
    def routed(*rules: str) -> str:
        return provider("a") + route("demo", f"rules: [{', '.join(rules)}]")

    first = rule("first", "matches: [{headers: {a: {}}}],")
    second = rule("second", "matches: [{headers: {b: {}}}],")
    changed = rule("second", "matches: [{headers: {c: {}}}],")
    last = rule("last")
    assert words(routed(first, second, last), routed(first, changed, last)) == [
        "default: route demo changed (rule second)"
    ]
    assert words(routed(first, last), routed(first, second, last)) == [
        "default: route demo changed (rule second added)"
    ]
    assert words(routed(first, second), routed(second, first)) == [
        "default: route demo changed (order of rules)"
    ]


def test_clients() -> None:
    def acme(*clients: str) -> dict[str, str]:
        return {
            "acme/p.yaml": provider("a"),
            "acme/t.yaml": tenant("acme", f"clients: [{', '.join(clients)}]"),
        }

    ci, other = f'{{name: ci, apiKeyHash: "{HASH}"}}', f'{{name: ci, apiKeyHash: "{OTHER_HASH}"}}'
    office = "{name: office, sourceCIDRs: [10.0.0.0/8]}"
    assert words(acme(ci), acme(ci, office)) == ["acme: client office added"]
    assert words(acme(ci), acme(other)) == ["acme: client ci changed (keys)"]
    assert words({"acme/p.yaml": provider("a")}, acme(ci)) == [
        "acme: only its clients reach it now, client ci added"
    ]
    assert words(acme(ci), {"acme/p.yaml": provider("a")}) == [
        "acme: anybody reaches it now, client ci removed"
    ]


def test_capture() -> None:
    def acme(spec: str) -> dict[str, str]:
        return {"acme/p.yaml": provider("a"), "acme/t.yaml": tenant("acme", spec)}

    plain, asked, both = (
        acme("{}"),
        acme("capture: {request: true}"),
        acme("capture: {request: true, response: true}"),
    )
    assert words(plain, asked) == ["acme: capture added"]
    assert words(asked, both) == ["acme: capture changed"]
    assert words(both, plain) == ["acme: capture removed"]


def test_how_a_tenant_stands() -> None:
    good, broken = {"acme/p.yaml": provider("a")}, {"acme/p.yaml": "kind: ["}
    first = adopt_conf(good)
    second = adopt_conf(broken, first)
    assert in_words(changes(first, second)) == ["acme: goes on with its last good configuration"]
    assert in_words(changes(second, adopt_conf(good, second))) == ["acme: its files are good again"]
    missing = adopt_conf(broken)
    assert in_words(changes(adopt_conf({}), missing)) == [
        "acme: added (is not served: its files were never good)"
    ]
    assert in_words(changes(missing, adopt_conf(good, missing))) == [
        "acme: its files are good now, provider a added"
    ]


def test_the_gateway_document() -> None:
    seven, eight = gateway("limits: {headers: 7}"), gateway("limits: {headers: 8}\ntimeouts: {head: 1s}")
    assert words("# nothing", seven) == ["Gateway: added"]
    assert words(seven, eight) == ["Gateway: limits changed, timeouts changed"]
    assert words(seven, "# nothing") == ["Gateway: removed"]


def test_a_gateway_document_that_cannot_be_used() -> None:
    good, eight = gateway("limits: {headers: 7}"), gateway("limits: {headers: 8}")
    bad, worse = gateway("limits: {headers: 7, bodies: 1}"), gateway("limits: {headers: -1}")
    never = "Gateway: cannot be used, so nothing of it is set"
    assert words("# nothing", bad) == [never]
    assert words(bad, worse) == []
    assert words(bad, good) == ["Gateway: added"]
    assert words(bad, "# nothing") == ["Gateway: removed"]
    first = adopt_conf(good)
    second = adopt_conf(bad, first)
    assert in_words(changes(None, adopt_conf(bad))) == [never]
    assert in_words(changes(first, second)) == ["Gateway: keeps its last good settings"]
    assert in_words(changes(second, adopt_conf(worse, second))) == []
    assert in_words(changes(second, adopt_conf(good, second))) == ["Gateway: can be used again"]
    assert in_words(changes(second, adopt_conf(eight, second))) == [
        "Gateway: can be used again, limits changed"
    ]
    assert in_words(changes(second, adopt_conf("# nothing", second))) == ["Gateway: removed"]


def test_a_certificate_that_is_another_one() -> None:
    files = {"acme/p.yaml": provider("a", "endpoint: {tls: {caCertificates: /ca.pem}}") + provider("b")}
    first = adopt_conf(files, read_file=lambda path: b"roots")
    second = adopt_conf(files, first, read_file=lambda path: b"new roots")
    assert in_words(changes(first, second)) == ["acme: provider a changed (certificates)"]


class TestSecrets:
    CONFIG = "{apiKey: '${KEY}', headers: {x-a: '${KEY}'}, parameters: {user: '${KEY}', n: 1}}"

    def test_that_they_changed_is_told_and_their_values_are_not(self) -> None:
        conf = configured(self.CONFIG)
        (told,) = words(conf, conf, KEY="canary")
        assert told == "default: provider a changed (key, parameters, headers)"

    def test_not_to_one_who_only_proposes(self) -> None:
        conf = configured(self.CONFIG)
        assert words(conf, conf, tells_secrets=False, KEY="canary") == []
        literal = configured(self.CONFIG.replace("${KEY}", "guess"))
        named = words(conf, literal, tells_secrets=False, KEY="guess")
        assert named == words(conf, literal, tells_secrets=False, KEY="something else")

    @pytest.mark.parametrize("guess", ["old", "wrong"])
    def test_a_guess_is_answered_alike_right_or_wrong(self, guess: str) -> None:
        running = provider(
            "a", "path: /v1/${X}\nendpoint: {address: '${X}'}\n" + KEYED.replace("sk-of-the-provider", "old")
        )
        literal = running.replace("sk-of-the-provider", guess).replace("apiKey: old", f"apiKey: {guess}")
        assert words(running, literal, tells_secrets=False, X="new") == []

    @pytest.mark.parametrize("guess", ["old", "wrong"])
    def test_nor_is_one_in_a_pool_or_a_health_check(self, guess: str) -> None:
        pool = "configs: {defaultConfig: {openAIConfig: {apiKeys: [{name: a, key: '${X}'}]}}}"
        running = provider("a", f"{pool}\nhealthCheck: {{path: '/${{X}}', body: {{a: '${{X}}'}}}}")
        assert words(running, running, X="new") == ["default: provider a changed (healthCheck, key)"]
        literal = running.replace("'${X}'}]", f"{guess}}}]")
        assert words(running, literal, tells_secrets=False, X="new") == []
        body = running.replace("a: '${X}'", f"a: {guess}")
        assert words(running, body, tells_secrets=False, X="new") == [
            "default: provider a changed (healthCheck)"
        ]

    def test_whether_there_is_one_is_no_secret(self) -> None:
        assert words(configured("{apiKey: k}"), configured("{model: m}"), tells_secrets=False) == [
            "default: provider a changed (model, key)"
        ]


class TestLength:
    def test_a_tenant_with_much_to_tell(self) -> None:
        many = "".join(provider(f"p{number:03}") for number in range(NAMED + 980))
        (told,) = words(provider("z"), provider("z") + many)
        assert told.count("added") == NAMED
        assert told.startswith("default: provider p000 added, ")
        assert told.endswith(f"provider p{NAMED - 1:03} added, and 980 more")

    def test_many_tenants(self) -> None:
        found = [Change(f"t{number:04}", "removed", ()) for number in range(1000)]
        told = in_words(found)
        assert len(told) == NAMED + 1
        assert told[-1] == "and 980 more"


def test_a_generation_is_not_looked_through_where_nothing_changed() -> None:
    """The same state of a tenant is the same object, and that is all that is compared."""
    first = adopt_conf({"acme/p.yaml": provider("a")})
    second = Generation(snapshot=first.snapshot, tenants=first.tenants, gateway=first.gateway)
    assert changes(first, second) == []
