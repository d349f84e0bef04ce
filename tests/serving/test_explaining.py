"""What `explain` tells, which is what the data plane does."""

from __future__ import annotations

from gateway.live import Live
from gateway.serving.explaining import explain
from tests.fakes.conf import KEYED, adopt_conf, provider, route, route_to, snapshot_of
from tests.fakes.heads import request_head

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


def told(
    conf: str = CONF,
    *headers: tuple[bytes, bytes],
    method: bytes = b"POST",
    path: bytes = b"/v1/chat/completions",
    host: str = "demo",
    body: bytes = b'{"messages": []}',
    environment: dict[str, str] | None = None,
) -> list[str]:
    head = request_head(method, path, b"", host, [(b"host", host.encode()), *headers], len(body), False)
    return list(explain(snapshot_of(conf, environment=environment or {}), Live(), head, body, ""))


def test_one_backend() -> None:
    lines = told(CONF, (b"user-type", b"subscriber"))
    assert lines[:5] == [
        "tenant     default",
        "route      demo, host demo",
        "operation  chat",
        "rule       vip",
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


def test_a_providers_own_host() -> None:
    lines = told(provider("a"), host="a.example")
    assert "route      (the provider itself), host a.example" in lines
    assert "rule       (every request)" in lines


def test_models() -> None:
    assert told(method=b"GET", path=b"/v1/models")[-1] == "answered   from the route: plain"
    nothing = provider("a", "") + route_to("a")
    assert (
        told(nothing, method=b"GET", path=b"/v1/models")[-1]
        == "answered   from the route: no model is configured"
    )


def test_a_file() -> None:
    form = (b"content-type", b"multipart/form-data; boundary=x")
    lines = told(CONF, form, path=b"/v1/audio/transcriptions", body=b"--x")
    assert "operation  transcriptions" in lines
    assert lines[-1] == "  (the client's body, unread)"


def test_a_refusal_is_told() -> None:
    assert told(host="nobody") == ["refused    404 no_route: No route answers for the host nobody."]
    assert told(body=b"{")[-1].startswith("refused    400 invalid_body: ")


def test_how_it_is_secured() -> None:
    def line(endpoint: str) -> str:
        return next(each for each in told(provider("a", endpoint) + route_to("a")) if each.startswith("to "))

    assert line("endpoint: {address: 10.0.0.1}") == (
        "to 10.0.0.1:443, TLS, SNI a.example, certificate for a.example:"
    )
    assert line("configs: {defaultConfig: {simulatorConfig: {}}}") == "to simulator in this process:"


def test_a_certificate_that_is_not_checked_is_told() -> None:
    head = request_head(b"POST", b"/", b"", "a.example", [], 0, False)
    unchecked = adopt_conf(provider("a", "endpoint: {tls: {insecureSkipVerify: true}}")).snapshot
    lines = list(explain(unchecked, Live(), head, b'{"messages": []}', ""))
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
        told(provider("a", KEYED) + route_to("a"), (b"authorization", b"Bearer theirs"))
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
