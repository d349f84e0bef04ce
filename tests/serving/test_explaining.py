"""What `explain` tells, which is what the data plane does."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.live import Live
from gateway.serving.explaining import explain
from gateway.serving.explanation import Decision, Explanation, Refusal
from gateway.serving.questions import Question
from gateway.wire.limits import DownstreamLimits
from tests.fakes.conf import KEYED, adopt_conf, provider, route, route_to, tenant

CONF = (
    provider("a")
    + provider("b", "endpoint: {tls: {mode: DISABLE}}")
    + route(
        "demo",
        """
    rules:
    - name: vip
      matches: [{headers: {user-type: {exact: subscriber}}}]
      backendRefs: [{providerHost: a.example}]
    - name: rest
      backendRefs: [{providerHost: a.example, weight: 3}, {providerHost: b.example, weight: 1}]
    """,
    )
)


def explained(
    conf: str = CONF,
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    host: str = "demo",
    data: str = '{"messages": []}',
    client_address: str = "",
    client_certificate: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    **headers: str,
) -> Explanation:
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    question = Question(
        host=host,
        path=path,
        method=method,
        headers=written,
        data=data,
        client_address=client_address,
        client_certificate=client_certificate,
    )
    snapshot = adopt_conf(conf, environment=environment or {}).snapshot
    return explain(snapshot, Live(), question, DownstreamLimits())


def told(conf: str = CONF, **asked: Any) -> list[str]:
    return explained(conf, **asked).text().splitlines()


def test_one_backend() -> None:
    lines = told(user_type="subscriber")
    assert lines[:6] == [
        "tenant     default",
        "route      demo, host demo",
        "operation  chat",
        "rule       vip",
        "matched    matches[0]: header user-type exact subscriber",
        "backend    a.example, provider a, share all",
    ]
    assert "to a.example:443, TLS, SNI a.example, certificate for a.example:" in lines
    assert "  POST /v1/chat/completions HTTP/1.1" in lines
    assert "  authorization: (hidden)" in lines
    assert lines[-1] == '  {"messages":[],"model":"plain"}'


def test_several_with_their_shares() -> None:
    lines = told()
    assert "backend    a.example, provider a, share 3/4  <- its turn at first" in lines
    assert "backend    b.example, provider b, share 1/4" in lines
    assert "to b.example:80, plain HTTP:" in lines


def test_what_is_asked_beside_the_chosen_backend() -> None:
    pool = "configs: {defaultConfig: {openAIConfig: {apiKeys: [{name: x, key: sk-1}, {name: y, key: sk-2}]}}}"
    rules = """
    rules:
    - backendRefs: [{providerHost: a.example}]
      fallback: [{providerHost: b.example}, {providerHost: a.example, model: m}]
      hedge: {after: 2500ms}
      mirror: {providerHost: b.example, percent: 5}
      retries: {attempts: 3, retryOn: [reset, 429]}
    """
    lines = told(provider("a") + provider("b", pool) + route("demo", rules))
    assert lines[4:10] == [
        "backend    a.example, provider a, share all",
        "fallback   b.example, provider b, keys x, y",
        "fallback   a.example, provider a, model m",
        "hedge      the next backend too, without content for 2.5 s",
        "mirror     b.example, provider b, keys x, y, 5% of the requests",
        "retries    3 tries of a backend at most, on 429, reset",
    ]
    assert len([line for line in lines if line.startswith("to ")]) == 4
    assert "sk-" not in "".join(lines)


def test_a_providers_own_host() -> None:
    lines = told(provider("a"), host="a.example")
    assert "route      (the provider itself), host a.example" in lines
    assert "rule       (every request)" in lines


def test_models() -> None:
    assert told(method="GET", path="/v1/models", data="")[-1] == "answered   from the route: plain"
    nothing = provider("a", "") + route_to("a")
    assert (
        told(nothing, method="GET", path="/v1/models", data="")[-1]
        == "answered   from the route: no model is configured"
    )


def test_a_file() -> None:
    form = "multipart/form-data; boundary=x"
    lines = told(path="/v1/audio/transcriptions", data="--x", content_type=form)
    assert "operation  transcriptions" in lines
    assert lines[-1] == "  (the client's body, unread)"


def test_a_refusal_is_told() -> None:
    assert told(host="nobody") == ["refused    404 no_route: No route answers for the host nobody."]
    assert told(data="{")[-1].startswith("refused    400 invalid_body: ")


def test_how_it_is_secured() -> None:
    def line(endpoint: str) -> str:
        return next(each for each in told(provider("a", endpoint) + route_to("a")) if each.startswith("to "))

    assert line("endpoint: {address: 10.0.0.1}") == (
        "to 10.0.0.1:443, TLS, SNI a.example, certificate for a.example:"
    )
    assert line("configs: {defaultConfig: {simulatorConfig: {}}}") == "to simulator in this process:"


def test_a_certificate_that_is_not_checked_is_told() -> None:
    lines = told(provider("a", "endpoint: {tls: {insecureSkipVerify: true}}"), host="a.example")
    assert "to a.example:443, TLS, SNI a.example, certificate NOT checked:" in lines


def test_no_secret_is_told() -> None:
    parameters = "{user: '${USER}', metadata: {a: ['${USER}']}, n: 2}"
    config = f"{{apiKey: '${{KEY}}', headers: {{x-token: '${{TOKEN}}'}}, parameters: {parameters}}}"
    conf = provider("a", f"configs: {{defaultConfig: {{openAIConfig: {config}}}}}") + route_to("a")
    text = "\n".join(told(conf, environment={"KEY": "canary-1", "TOKEN": "canary-2", "USER": "canary-3"}))
    assert "canary" not in text
    assert "x-token: (hidden)" in text
    assert '"user":"(hidden)"' in text
    assert '"n":2' in text


def test_the_clients_credentials_are_not_sent() -> None:
    assert "theirs" not in "\n".join(
        told(provider("a", KEYED) + route_to("a"), authorization="Bearer theirs")
    )


def test_what_came_from_outside_is_not_shown() -> None:
    spec = """
    path: /v1/${CANARY}
    endpoint: {address: "${HOST}", tls: {mode: DISABLE}}
    configs: {defaultConfig: {openAIConfig: {model: m, parameters: {user: "${CANARY}"}}}}
    """
    environment = {"CANARY": "canary-from-outside", "HOST": "canary.internal"}
    lines = told(provider("a", spec), host="a.example", environment=environment)
    assert "canary" not in "\n".join(lines)
    assert "to (hidden):80, plain HTTP:" in lines
    assert "  POST (hidden) HTTP/1.1" in lines


def test_as_a_value() -> None:
    explanation = explained(user_type="subscriber")
    assert explanation.refusal is None
    assert Decision("rule", "vip") in explanation.decisions
    (request,) = explanation.requests
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert ("host", "a.example") in request.headers
    assert msgspec.json.decode(msgspec.json.encode(explanation), type=Explanation) == explanation


def test_a_refusal_tells_what_was_decided_before_it() -> None:
    explanation = explained(path="/v1/files", data='{"a": 1}')
    assert [decision.about for decision in explanation.decisions] == ["tenant", "route"]
    sentence = "/v1/files serves only requests with `messages` in their body."
    assert explanation.refusal == Refusal(404, "no_route", sentence)
    assert explanation.text().endswith(f"\nrefused    404 no_route: {sentence}")


def test_before_the_first_configuration() -> None:
    explanation = explain(None, Live(), Question(host="a"), DownstreamLimits())
    assert explanation.text() == "refused    503 not_ready: The gateway has no configuration yet."


RULES = provider("a") + route(
    "demo",
    """
    rules:
    - name: trial
      matches:
      - model: {prefix: gpt-}
      - path: {prefix: /trial/}
        withoutHeaders: {x-test: {}}
        queryParams: {plan: {exact: free}}
        gateways: [egress]
      headers:
        request: {set: {x-plan: "${PLAN}"}, add: {x-tag: b}, remove: [x-debug, x-all]}
        response: {set: {cache-control: "${PLAN}"}}
      backendRefs: [{providerHost: a.example}]
    - name: session
      matches: [{headers: {x-session: {}}}]
      sticky: {header: x-session}
      backendRefs:
      - {providerHost: a.example, model: small, weight: 1}
      - {providerHost: a.example, model: large, weight: 1}
    - name: client
      sticky: {client: true}
      backendRefs:
      - {providerHost: a.example, model: small, weight: 1}
      - {providerHost: a.example, model: large, weight: 1}
    """,
)
PLAN = {"PLAN": "canary-plan"}


def test_the_block_that_matched() -> None:
    lines = told(RULES, data='{"model": "gpt-4o", "messages": []}', environment=PLAN)
    assert lines[3:5] == ["rule       trial", "matched    matches[0]: model prefix gpt-"]
    lines = told(RULES, path="/trial/v1/chat/completions?plan=free", environment=PLAN)
    assert lines[4] == (
        "matched    matches[1]: without header x-test present, path prefix /trial/, parameter plan exact free, "
        "listener egress"
    )


def test_what_a_rule_does_to_heads() -> None:
    lines = told(RULES, data='{"model": "gpt-4o", "messages": []}', environment=PLAN, x_tag="a", x_debug="1")
    assert "request    remove x-all, x-debug; set x-plan; add x-tag" in lines
    assert "answer     set cache-control" in lines
    assert "  x-plan: (hidden)" in lines
    assert [line for line in lines if line.startswith("  x-tag")] == ["  x-tag: a", "  x-tag: (hidden)"]
    assert not any(line.startswith("  x-debug") for line in lines)
    assert "canary" not in "\n".join(lines)


def test_what_sticks() -> None:
    lines = told(RULES, environment=PLAN, x_session="2")
    assert "sticky     by header x-session" in lines
    assert "backend    a.example, provider a, model small, share 1/2" in lines
    assert "backend    a.example, provider a, model large, share 1/2  <- sticks to it" in lines
    lines = told(RULES, environment=PLAN, client_address="10.0.0.1")
    assert "sticky     by address 10.0.0.1" in lines
    assert sum(line.endswith("<- sticks to it") for line in lines) == 1


def test_what_would_stick_and_is_not_there() -> None:
    lines = told(RULES, environment=PLAN, x_session="")
    assert "sticky     by header x-session, which is not there: by turns" in lines
    assert "backend    a.example, provider a, model small, share 1/2  <- its turn at first" in lines
    assert "sticky     by address, which is not there: by turns" in told(RULES, environment=PLAN)


def test_who_is_asking() -> None:
    clients = "clients: [{name: ci, sourceCIDRs: [10.0.0.0/8], labels: {app: web}}]"
    conf = tenant("acme", clients) + route(
        "demo",
        """
        rules:
        - name: web
          matches: [{sourceLabels: {app: web}}]
          sticky: {client: true}
          backendRefs: [{providerHost: a.example, weight: 1}, {providerHost: b.example, weight: 1}]
        """,
        namespace="acme",
    )
    conf += provider("a", namespace="acme") + provider("b", namespace="acme")
    lines = told(conf, client_address="10.0.0.1")
    assert lines[:2] == ["client     ci", "tenant     acme"]
    assert "matched    matches[0]: label app exact web" in lines
    assert "sticky     by client ci" in lines
    assert told(conf, client_address="10.0.0.300") == [
        "refused    400 malformed_request: The client's address is not an IP address."
    ]


def test_a_client_is_known_by_its_certificate_too() -> None:
    conf = tenant("acme", 'clients: [{name: ci, certificate: {subjectAltName: "spiffe://corp/ci"}}]')
    conf += provider("a", namespace="acme") + route_to("a", "demo", namespace="acme")
    assert told(conf, client_certificate=("spiffe://corp/ci",))[0] == "client     ci"
    assert told(conf)[0].startswith("refused    401")
