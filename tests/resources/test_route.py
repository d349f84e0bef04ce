"""LLMRoute: what it becomes, and every way to get it wrong."""

# ruff: noqa: E501 -- problems are compared as the lines that operators see
from __future__ import annotations

import pytest

from gateway.resources import BackendRef, Mirror, Retries, RouteMatch, StringMatch
from gateway.resources.header_changes import HeaderChanges
from gateway.resources.route import StickToClient, StickToHeader
from tests.resources.written import route, spec_problems

NOT_RETRIED = (
    "must be one of 5xx, gateway-error, reset, reset-before-request, connect-failure, retriable-4xx, refused-stream,"
    " a status from 400 to 599, or a provider's error code in lower case"
)

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
  sticky: {}
- backendRefs: [{providerHost: p}]
  sticky: {header: x, client: true}
- backendRefs: [{providerHost: p}]
  sticky: {client: false}
- backendRefs: [{providerHost: p}]
  sticky: {header: "a b"}
""",
        [
            "4:5: rules[0].sticky: is empty: write header or client",
            "6:5: rules[1].sticky: has 2 of these where only one can be: client, header",
            "8:14: rules[2].sticky.client: can only be true: leave `sticky` out for backends that take turns",
            '10:14: rules[3].sticky.header: must be a header\'s name (RFC 9110 §5.6.2), not "a b"',
        ],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  fallback: []
  fallbackOn: []
  onStreamBreak: x
  onClientDisconnect: drian
  onAllOpen: least-bad
  hedge: {}
  mirror: {percent: 101}
  keepAlive: 500ms
""",
        [
            "4:5: rules[0].fallback: must not be an empty list",
            "5:5: rules[0].fallbackOn: must not be an empty list",
            '6:5: rules[0].onStreamBreak: must be continue or error, not "x"',
            '7:5: rules[0].onClientDisconnect: must be cancel or drain, not "drian"; did you mean "drain"?',
            '8:5: rules[0].onAllOpen: must be error or leastBad, not "least-bad"; did you mean "leastBad"?',
            "9:5: rules[0].hedge.after: is missing",
            "10:5: rules[0].mirror.providerHost: is missing",
            "10:14: rules[0].mirror.percent: must be 0 to 100, not 101",
            '11:5: rules[0].keepAlive: must be at least 1s, not "500ms"',
        ],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  retries:
    attempts: 0
    retryOn: [5xx, conect-failure, "429", 301, gateway_error, Rate_Limit, retriable-status-codes, resett]
    backoff: {base: 1s, max: 500ms}
    perTryTimeout: 5
    maxWait: 0s
  fallbackOn: [content_filter, "404", reset-before-request, 5xx]
""",
        [
            "5:7: rules[0].retries.attempts: must be 1 to 10, not 0",
            f'6:22: rules[0].retries.retryOn[1]: {NOT_RETRIED}, not "conect-failure"; did you mean "connect-failure"?',
            f'6:45: rules[0].retries.retryOn[3]: {NOT_RETRIED}, not "301"',
            '6:50: rules[0].retries.retryOn[4]: must be written gateway-error, not "gateway_error"',
            f'6:65: rules[0].retries.retryOn[5]: {NOT_RETRIED}, not "Rate_Limit"',
            f'6:77: rules[0].retries.retryOn[6]: {NOT_RETRIED}, not "retriable-status-codes"',
            '6:101: rules[0].retries.retryOn[7]: is taken for a provider\'s error code; did you mean "reset"?',
            "7:27: rules[0].retries.backoff.max: is shorter than base",
            '8:7: rules[0].retries.perTryTimeout: must be a duration with its unit, such as 5s, 250ms or 1h30m, not "5"',
            '9:7: rules[0].retries.maxWait: must be at least 1ms, not "0s"',
            '10:41: rules[0].fallbackOn[2]: must be a provider\'s error code in lower case, or a status from 400 to 599, not "reset-before-request"',
            '10:63: rules[0].fallbackOn[3]: must be a provider\'s error code in lower case, or a status from 400 to 599, not "5xx"',
        ],
    ),
    (
        """\
host: a
rules:
- backendRefs: [{providerHost: p}]
  fallback:
  - {weight: 1}
  - {providerHost: q, weight: 1}
  - {providerHost: q, model: m}
  - {providerHost: Q.}
  - {providerHost: P}
- backendRefs: [{providerHost: p, weight: 1}, {providerHost: q, weight: 1}]
  fallback: [{providerHost: q}, {providerHost: p}]
- backendRefs: [{providerHost: p}]
  hedge: {after: 3s}
""",
        [
            "5:7: rules[0].fallback[0].providerHost: is missing",
            "6:25: rules[0].fallback[1].weight: has no effect: fallbacks are tried in order",
            "8:8: rules[0].fallback[3].providerHost: is not tried: it has the provider and the model of fallback[1]",
            "9:8: rules[0].fallback[4].providerHost: is not tried: it has the provider and the model of backendRefs[0]",
            "13:5: rules[2].hedge: has no effect without `fallback`: there is no backend to ask as well",
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
          sticky: {header: X-Session}
          backendRefs:
          - {providerHost: P.example., weight: 90, hostRewrite: other.example}
          - {providerHost: p.example, weight: 10, model: qwen-turbo}
          timeouts: {firstContent: 10s, idle: 5s}
          fallback: [{providerHost: q.example, model: moonshot-v1-8k}, {providerHost: r.example}]
          retries:
            attempts: 3
            retryOn: [gateway-error, "429", 529, overloaded_error]
            backoff: {base: 100ms, max: 2s}
            perTryTimeout: 20s
            maxWait: 10s
          fallbackOn: [content_filter, 404]
          onStreamBreak: error
          onClientDisconnect: drain
          onAllOpen: leastBad
          hedge: {after: 3s}
          mirror: {providerHost: q.example, percent: 5, model: m, hostRewrite: r.example}
          keepAlive: 15s
        - backendRefs: [{providerHost: q.example}]
          sticky: {client: true}
        """
    )
    assert found.gateways == ("egress", "istio-system/egress-gw")
    vip, rest = found.rules
    assert vip.name == "vip-route"
    assert vip.matches == (
        RouteMatch(
            headers={
                "user-type": StringMatch("exact", "subscriber"),
                "tier": StringMatch("prefix", "${gold"),
                "zone": StringMatch("regex", "cn-(a|b)"),
                "any": StringMatch("present", ""),
                "some": StringMatch("present", ""),
            },
            source_labels={"app.example/name": "web"},
        ),
        RouteMatch(gateways=("internal",)),
    )
    assert vip.sticky == StickToHeader("x-session")
    assert vip.backend_refs == (
        BackendRef("p.example", 90, "other.example", None),
        BackendRef("p.example", 10, None, "qwen-turbo"),
    )
    assert dict(vip.timeouts) == {"first_content": 10.0, "idle": 5.0}
    assert vip.fallback == (
        BackendRef("q.example", None, None, "moonshot-v1-8k"),
        BackendRef("r.example", None, None, None),
    )
    assert vip.retries == Retries(
        3, ("gateway-error", "429", "529", "overloaded_error"), 0.1, 2.0, 20.0, 10.0
    )
    assert vip.fallback_on == ("content_filter", "404")
    assert (vip.on_stream_break, vip.on_client_disconnect, vip.on_all_open) == ("error", "drain", "leastBad")
    assert (vip.hedge_after, vip.keep_alive) == (3.0, 15.0)
    assert vip.mirror == Mirror(BackendRef("q.example", None, "r.example", "m"), 5)
    assert (rest.name, rest.matches, dict(rest.timeouts)) == (None, (), {})
    assert (rest.sticky, rest.headers) == (StickToClient(), HeaderChanges())
    assert (rest.fallback, rest.retries, rest.fallback_on, rest.mirror) == ((), Retries(), (), None)
    assert (rest.on_stream_break, rest.on_client_disconnect, rest.on_all_open) == (
        "continue",
        "cancel",
        "error",
    )
    assert rest.backend_refs == (BackendRef("q.example", None, None, None),)


def test_places_know_every_field_and_fall_back_to_what_was_written() -> None:
    places = route("host: demo\nrules:\n- backendRefs:\n  - {providerHost: p.example}").places
    assert str(places.at("spec.rules[0].backendRefs[0].providerHost")) == "conf.d/x.yaml:8:8"
    assert places.at("spec.rules[0].backendRefs[0].weight") == places.at("spec.rules[0].backendRefs[0]")
    assert places.at("spec.rules[7].name") == places.at("spec.rules")
    assert str(places.at("nowhere.at[0].all")) == "conf.d/x.yaml:1:1"
