"""LLMRoute: what it becomes, and every way to get it wrong."""

# ruff: noqa: E501 -- problems are compared as the lines that operators see
from __future__ import annotations

import pytest

from gateway.resources import BackendRef, RouteMatch, StringMatch
from tests.resources.written import route, spec_problems

ROUTES = [
    (
        "rules: []",
        ["0:1: host: is missing", "1:3: rules: must not be an empty list"],
    ),
    (
        """\
host: a
rules: []
""",
        ["2:3: rules: must not be an empty list"],
    ),
    (
        """\
host: 'a*'
rules: [{backendRefs: [{providerHost: p}]}]
""",
        ['1:3: host: must be a host alone, `*.suffix` or `*`, without scheme, port or path, not "a*"'],
    ),
    (
        """\
host: a
rules: [{}]
""",
        ["2:11: rules[0].backendRefs: is missing"],
    ),
    (
        """\
host: a
rules: [{backendRefs: []}]
""",
        ["2:12: rules[0].backendRefs: must not be an empty list"],
    ),
    (
        """\
host: a
rules: [{backendRefs: [{weight: 1}]}]
""",
        ["2:26: rules[0].backendRefs[0].providerHost: is missing"],
    ),
    (
        """\
host: a
rules:
- backendRefs:
  - {providerHost: p, weight: 50}
  - {providerHost: q}
""",
        ["5:7: rules[0].backendRefs[1].weight: is missing: of several backendRefs each needs a weight"],
    ),
    (
        """\
host: a
rules:
- backendRefs:
  - {providerHost: p, weight: 0}
  - {providerHost: q, weight: 0}
""",
        ["3:5: rules[0].backendRefs: has no weight above 0, so no backend could ever be chosen"],
    ),
    (
        """\
host: a
rules:
- backendRefs:
  - {providerHost: p, weight: 1}
  - {providerHost: P., weight: 1}
""",
        [
            "5:8: rules[0].backendRefs[1].providerHost: has the provider and the model of backendRefs[0]: add their weights instead"
        ],
    ),
    (
        """\
host: a
rules: [{backendRefs: [{providerHost: p, weight: -1}]}]
""",
        ["2:44: rules[0].backendRefs[0].weight: must be 0 to 1000000, not -1"],
    ),
    (
        """\
host: a
rules: [{backendRefs: [{providerHost: p, weight: 50%}]}]
""",
        ['2:44: rules[0].backendRefs[0].weight: must be a whole number, not "50%"'],
    ),
    (
        """\
host: a
rules: [{backendRefs: [{backendRef: {name: pool}}]}]
""",
        [
            "2:27: rules[0].backendRefs[0].backendRef: names an InferencePool, which only a gateway inside the cluster of its model servers can balance; this gateway reaches providers by host: write providerHost"
        ],
    ),
    (
        """\
host: a
rules: [{backendRefs: [{providerHost: p, weigth: 1}]}]
""",
        ['2:44: rules[0].backendRefs[0].weigth: there is no field "weigth" here; did you mean "weight"?'],
    ),
    (
        """\
host: a
rules:
- {name: x, backendRefs: [{providerHost: p}]}
- {name: x, backendRefs: [{providerHost: p}]}
""",
        ["4:6: rules[1].name: is the name of rules[0] too; a rule's name is its own"],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  matches: []
""",
        ["4:5: rules[0].matches: must not be an empty list"],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  matches: [{}]
""",
        [
            "4:15: rules[0].matches[0]: an empty block would match everything; leave `matches` out if that is meant"
        ],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  matches: [{headers: {u: {exact: a, prefix: b}, v: {regex: '('}, w: {suffix: x}, 'a b': {}, x: , y: z}}]
""",
        [
            "4:26: rules[0].matches[0].headers.u: has 2 of these where only one can be: exact, prefix",
            '4:56: rules[0].matches[0].headers.v.regex: is not a regular expression of RE2 (missing ): (), not "("',
            '4:73: rules[0].matches[0].headers.w.suffix: there is no field "suffix" here; there are exact, prefix, regex',
            '4:85: rules[0].matches[0].headers["a b"]: its name must be a header\'s name (RFC 9110 §5.6.2), not "a b"',
            "4:96: rules[0].matches[0].headers.x: has no value: leave the field out, or write {} if nothing is meant",
            "4:101: rules[0].matches[0].headers.y: must be a mapping, not a single value",
        ],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  matches: [{model: a, path: b, method: c, queryParams: d, withoutHeaders: e}]
""",
        [
            "4:16: rules[0].matches[0].model: model is not built yet in this version",
            "4:26: rules[0].matches[0].path: path is not built yet in this version",
            "4:35: rules[0].matches[0].method: method is not built yet in this version",
            "4:46: rules[0].matches[0].queryParams: queryParams is not built yet in this version",
            "4:62: rules[0].matches[0].withoutHeaders: withoutHeaders is not built yet in this version",
        ],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  fallback: []
  retries: {}
  fallbackOn: []
  onStreamBreak: x
  onClientDisconnect: x
  hedge: {}
  mirror: {}
  keepAlive: 1s
  headers: {}
  sticky: {}
""",
        [
            "4:5: rules[0].fallback: fallback is not built yet in this version",
            "5:5: rules[0].retries: retries is not built yet in this version",
            "6:5: rules[0].fallbackOn: fallbackOn is not built yet in this version",
            "7:5: rules[0].onStreamBreak: onStreamBreak is not built yet in this version",
            "8:5: rules[0].onClientDisconnect: onClientDisconnect is not built yet in this version",
            "9:5: rules[0].hedge: hedge is not built yet in this version",
            "10:5: rules[0].mirror: mirror is not built yet in this version",
            "11:5: rules[0].keepAlive: keepAlive is not built yet in this version",
            "12:5: rules[0].headers: headers is not built yet in this version",
            "13:5: rules[0].sticky: sticky is not built yet in this version",
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), ROUTES)
def test_problems_of_a_route(spec: str, expected: list[str]) -> None:
    assert spec_problems("LLMRoute", spec) == expected


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("demo-llm-server", "demo-llm-server"),
        ("'*'", "*"),
        ("'*.Example.com.'", "*.example.com"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_hosts_of_routes(written: str, host: str) -> None:
    assert route(f"host: {written}\nrules: [{{backendRefs: [{{providerHost: p}}]}}]").host == host


def test_everything_a_route_can_say() -> None:
    found = route(
        """
        host: demo
        gateways: [egress, istio-system/egress-gw]
        rules:
        - name: vip-route
          matches:
          - headers:
              User-Type: {exact: subscriber}
              tier: {prefix: "${gold"}
              zone: {regex: "cn-(a|b)"}
              any: {}
              some: {regex: "*"}
            sourceLabels: {app.example/name: web}
          - gateways: [internal]
          backendRefs:
          - {providerHost: P.example., weight: 90, hostRewrite: other.example}
          - {providerHost: p.example, weight: 10, model: qwen-turbo}
          timeouts: {idle: 5s}
        - backendRefs: [{providerHost: q.example}]
        """
    )
    assert found.gateways == ("egress", "istio-system/egress-gw")
    vip, rest = found.rules
    assert vip.name == "vip-route"
    assert vip.matches == (
        RouteMatch(
            {
                "user-type": StringMatch("exact", "subscriber"),
                "tier": StringMatch("prefix", "${gold"),
                "zone": StringMatch("regex", "cn-(a|b)"),
                "any": StringMatch("present", ""),
                "some": StringMatch("present", ""),
            },
            {"app.example/name": "web"},
            (),
        ),
        RouteMatch({}, {}, ("internal",)),
    )
    assert vip.backend_refs == (
        BackendRef("p.example", 90, "other.example", None),
        BackendRef("p.example", 10, None, "qwen-turbo"),
    )
    assert dict(vip.timeouts) == {"idle": 5.0}
    assert (rest.name, rest.matches, dict(rest.timeouts)) == (None, (), {})
    assert rest.backend_refs == (BackendRef("q.example", None, None, None),)


def test_places_know_every_field_and_fall_back_to_what_was_written() -> None:
    places = route("host: demo\nrules:\n- backendRefs:\n  - {providerHost: p.example}").places
    assert str(places.at("spec.rules[0].backendRefs[0].providerHost")) == "conf.d/x.yaml:8:8"
    assert places.at("spec.rules[0].backendRefs[0].weight") == places.at("spec.rules[0].backendRefs[0]")
    assert places.at("spec.rules[7].name") == places.at("spec.rules")
    assert str(places.at("nowhere.at[0].all")) == "conf.d/x.yaml:1:1"
