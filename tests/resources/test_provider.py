"""LLMProvider: what it becomes, and every way to get it wrong."""

# ruff: noqa: E501 -- problems are compared as the lines that operators see
from __future__ import annotations

import pytest

from gateway.messages import Secret
from gateway.resources import ApiKey, Endpoint, HealthCheck, ProviderConfig, TlsOptions
from gateway.resources.prefill import Prefill
from gateway.resources.shapes import JsonText
from tests.resources.written import document, provider, read_text, spec_problems

ENVIRONMENT = {"EMPTY": "", "LINE": "a\nb", "SPACE": "/secret path"}
FILES = {"/crlf": b"k\r\n", "/binary": b"\xff", "/empty": b"\n", "/large": b"x" * 70_000}

IN_CONFIG = "host: p.example\nconfigs:\n  defaultConfig:\n    openAIConfig:\n      "

PROVIDERS = [
    (
        "{}",
        ["0:1: host: is missing"],
    ),
    (
        "host: https://p.example/v1",
        [
            '1:3: host: must be a host alone: a DNS name or an IP address, without scheme, port or path, not "https://p.example/v1"'
        ],
    ),
    (
        "host: 'https://user:sk-1@p.example/v1?key=sk-2'",
        [
            '1:3: host: must be a host alone: a DNS name or an IP address, without scheme, port or path, not "https://…@p.example/v1?…"'
        ],
    ),
    (
        "host: 'user:sk-1@p.example#sk-2'",
        [
            '1:3: host: must be a host alone: a DNS name or an IP address, without scheme, port or path, not "…@p.example#…"'
        ],
    ),
    (
        "host: p.example:443",
        [
            '1:3: host: must be a host alone: a DNS name or an IP address, without scheme, port or path, not "p.example:443"'
        ],
    ),
    (
        "host: '*.example'",
        [
            '1:3: host: must be a host alone: a DNS name or an IP address, without scheme, port or path, not "*.example"'
        ],
    ),
    (
        "host: 127.1",
        ['1:3: host: is neither a DNS name nor an IP address in its usual form, not "127.1"'],
    ),
    (
        "host: ''",
        [
            '1:3: host: must be a host alone: a DNS name or an IP address, without scheme, port or path, not ""'
        ],
    ),
    (
        "host:",
        ["1:3: host: has no value: leave the field out"],
    ),
    (
        "host: [a]",
        ["1:3: host: must be text, not a list"],
    ),
    (
        "host: ${HOST}",
        [
            "1:3: host: cannot hold `${…}`: it is only replaced in credentials, header values, parameters, addresses and paths"
        ],
    ),
    (
        """\
host: p.example
path: v1
""",
        [
            "2:3: path: must be a path that begins with a slash, without query, fragment, blanks and characters beyond ASCII"
        ],
    ),
    (
        """\
host: p.example
path: /v1?x=1
""",
        [
            "2:3: path: must be a path that begins with a slash, without query, fragment, blanks and characters beyond ASCII"
        ],
    ),
    (
        """\
host: p.example
path: /v1/../x
""",
        ["2:3: path: must not contain the segments `.` and `..`"],
    ),
    (
        """\
host: p.example
path: //x
""",
        ["2:3: path: must not begin with two slashes"],
    ),
    (
        """\
host: p.example
path: ${NONE}/x
""",
        ["2:3: path: the environment variable NONE is not set"],
    ),
    (
        """\
host: p.example
path: ${SPACE}
""",
        [
            "2:3: path: must be a path that begins with a slash, without query, fragment, blanks and characters beyond ASCII"
        ],
    ),
    (
        "hsot: p.example",
        ["0:1: host: is missing", '1:3: hsot: there is no field "hsot" here; did you mean "host"?'],
    ),
    (
        """\
host: p.example
retrys: {}
""",
        [
            '2:3: retrys: there is no field "retrys" here; there are host, path, workloadSelector, configs, endpoint, exportTo, timeouts, connectionPool, outlierDetection, healthCheck, prefill, pricing'
        ],
    ),
    (
        """\
host: p.example
pricing: 1
""",
        [
            "2:3: pricing: must be a mapping, not a single value",
        ],
    ),
    (
        """\
host: p.example
connectionPool: {maxConnections: 0, maxPending: -1, idleTimeout: 30, pendingTimeout: 0s, tcp: {}}
outlierDetection: {consecutiveErrors: -1, failurePercent: 101, interval: 100ms, baseEjectionTime: 50ms, consecutive5xxErrors: 5}
""",
        [
            "2:20: connectionPool.maxConnections: must be 1 to 1000000, not 0",
            "2:39: connectionPool.maxPending: must be 0 to 1000000, not -1",
            '2:55: connectionPool.idleTimeout: must be a duration with its unit, such as 5s, 250ms or 1h30m, not "30"',
            '2:72: connectionPool.pendingTimeout: must be at least 1ms, not "0s"',
            '2:92: connectionPool.tcp: there is no field "tcp" here; there are maxConnections, maxPending, pendingTimeout, idleTimeout',
            "3:22: outlierDetection.consecutiveErrors: must be 0 to 1000, not -1",
            "3:45: outlierDetection.failurePercent: must be 1 to 100, not 101",
            '3:66: outlierDetection.interval: must be at least 1s, not "100ms"',
            '3:83: outlierDetection.baseEjectionTime: must be at least 100ms, not "50ms"',
            '3:107: outlierDetection.consecutive5xxErrors: there is no field "consecutive5xxErrors" here; did you mean "consecutiveErrors"?',
        ],
    ),
    (
        """\
host: p.example
prefill: partial
""",
        ['2:3: prefill: must be true or false, not "partial"'],
    ),
    (
        """\
host: p.example
prefill: []
""",
        ["2:3: prefill: must be true or false, not a list"],
    ),
    (
        """\
host: p.example
prefill: {}
""",
        ["2:3: prefill.field: is missing"],
    ),
    (
        """\
host: p.example
prefill: {field: content}
""",
        ['2:13: prefill.field: must be a field beside role and content, not "content"'],
    ),
    (
        """\
host: p.example
healthCheck: {operation: chat, interval: 500ms, timeout: 1}
""",
        [
            "2:3: healthCheck.body: is missing: chat is asked with one",
            '2:34: healthCheck.interval: must be at least 1s, not "500ms"',
            '2:51: healthCheck.timeout: must be a duration with its unit, such as 5s, 250ms or 1h30m, not "1"',
        ],
    ),
    (
        """\
host: p.example
healthCheck: {operation: chat, path: /health, body: {a: no}}
""",
        [
            "2:34: healthCheck.path: stands beside operation: one of them says where to ask",
            '2:56: healthCheck.body.a: "no" means different things to different readers of YAML: write true or false, or put quotes around the word',
        ],
    ),
    (
        """\
host: p.example
healthCheck: {body: {n: 1}}
""",
        ["2:17: healthCheck.body: has no effect: models is asked without one"],
    ),
    (
        """\
host: p.example
healthCheck: {operation: models, body: {n: 1}}
""",
        ["2:36: healthCheck.body: has no effect: models is asked without one"],
    ),
    (
        """\
host: p.example
healthCheck: {operation: ping}
""",
        ['2:17: healthCheck.operation: must be models, chat, completions or embeddings, not "ping"'],
    ),
    (
        """\
host: p.example
exportTo: ['*', '-a']
""",
        ['2:19: exportTo[1]: must be a tenant\'s name, or "*" for all, not "-a"'],
    ),
    (
        """\
host: p.example
exportTo: all
""",
        ["2:3: exportTo: must be a list, not a single value"],
    ),
    (
        """\
host: p.example
endpoint: {port: 99999, address: a b}
""",
        [
            "2:14: endpoint.port: must be 1 to 65535, not 99999",
            "2:27: endpoint.address: must be a host alone: a DNS name or an IP address, without scheme, port or path",
        ],
    ),
    (
        """\
host: p.example
endpoint: {port: '443'}
""",
        ["2:14: endpoint.port: must be a number, without quotes"],
    ),
    (
        """\
host: p.example
endpoint: {port: 0443}
""",
        ['2:14: endpoint.port: must be a whole number, not "0443"'],
    ),
    (
        """\
host: p.example
endpoint: {tls: {mode: MUTUAL}}
""",
        [
            "2:14: endpoint.tls.clientCertificate: is missing: mode MUTUAL needs clientCertificate and privateKey",
            "2:14: endpoint.tls.privateKey: is missing: mode MUTUAL needs clientCertificate and privateKey",
        ],
    ),
    (
        """\
host: p.example
endpoint: {tls: {mode: ISTIO_MUTUAL}}
""",
        [
            '2:20: endpoint.tls.mode: must be SIMPLE, MUTUAL or DISABLE, not "ISTIO_MUTUAL"; did you mean "MUTUAL"?'
        ],
    ),
    (
        """\
host: p.example
endpoint: {tls: {mode: simple}}
""",
        ['2:20: endpoint.tls.mode: must be SIMPLE, MUTUAL or DISABLE, not "simple"; did you mean "SIMPLE"?'],
    ),
    (
        """\
host: p.example
endpoint: {tls: {mode: DISABLE, sni: x.example}}
""",
        ["2:35: endpoint.tls.sni: has no effect with mode DISABLE, which speaks plain HTTP"],
    ),
    (
        """\
host: p.example
endpoint: {tls: {clientCertificate: /a, privateKey: b}}
""",
        [
            "2:20: endpoint.tls.clientCertificate: has no effect with mode SIMPLE; write mode MUTUAL to present a certificate",
            "2:43: endpoint.tls.privateKey: must be the absolute path of a file",
            "2:43: endpoint.tls.privateKey: has no effect with mode SIMPLE; write mode MUTUAL to present a certificate",
        ],
    ),
    (
        """\
host: p.example
endpoint: {tls: {insecureSkipVerify: true, caCertificates: /a}}
""",
        [
            "2:20: endpoint.tls.insecureSkipVerify: any certificate is accepted: whoever is on the way to this provider can read its key",
            "2:46: endpoint.tls.caCertificates: has no effect with insecureSkipVerify, which checks nothing",
        ],
    ),
    (
        """\
host: p.example
endpoint: {tls: {sni: 10.0.0.1, subjectAltNames: [], minVersion: 1.1}}
""",
        [
            '2:20: endpoint.tls.sni: must be a DNS name (RFC 6066 §3), not "10.0.0.1"',
            "2:35: endpoint.tls.subjectAltNames: must not be an empty list",
            '2:56: endpoint.tls.minVersion: must be 1.2 or 1.3, not "1.1"',
        ],
    ),
    (
        """\
host: p.example
timeouts: {connect: 5, headers: 0s, idle: .inf, request: 9999h, firstContent: 1s, total: 3s}
""",
        [
            '2:14: timeouts.connect: must be a duration with its unit, such as 5s, 250ms or 1h30m, not "5"',
            '2:26: timeouts.headers: must be at least 1ms, not "0s"',
            '2:39: timeouts.idle: must be a duration with its unit, such as 5s, 250ms or 1h30m, not ".inf"',
            '2:51: timeouts.request: must be a year at most (8760h), not "9999h"',
            '2:85: timeouts.total: there is no field "total" here; there are connect, headers, firstContent, idle, request',
        ],
    ),
    (
        """\
host: p.example
workloadSelector: {matchLabels: {a: b}}
""",
        ['2:22: workloadSelector.matchLabels: there is no field "matchLabels" here; did you mean "labels"?'],
    ),
    (
        """\
host: p.example
configs: {defaultConfig: {}}
""",
        ["2:13: configs.defaultConfig: is empty: write openAIConfig or simulatorConfig"],
    ),
    (
        """\
host: p.example
configs:
  defaultConfig:
    simulatorConfig: {misbehave: "status=500, dealy=2s"}
  routeSpecificConfigs:
    a: {simulatorConfig: {misbehave: "cut-after=3, no-done", headers: {X-Llmgateway-Misbehave: stall}}}
    b: {simulatorConfig: {misbehave: ""}}
    d: {openAIConfig: {misbehave: stall}}
""",
        [
            "4:25: configs.defaultConfig.simulatorConfig.misbehave: 'dealy' is unknown; did you mean 'delay'?",
            "6:29: configs.routeSpecificConfigs.a.simulatorConfig.misbehave: 'no-done' changes nothing beside 'cut-after'",
            "6:74: configs.routeSpecificConfigs.a.simulatorConfig.headers.X-Llmgateway-Misbehave: is how the gateway tells the simulator what `misbehave` of a provider's config says",
            "7:29: configs.routeSpecificConfigs.b.simulatorConfig.misbehave: must be directives of the simulator in one line of ASCII, such as cut-after=3",
            '8:26: configs.routeSpecificConfigs.d.openAIConfig.misbehave: there is no field "misbehave" here; there are model, stream, apiKey, modelPolicy, parameters, headers, apiKeys',
        ],
    ),
    (
        """\
host: p.example
configs: {defaultConfig: {openAIConfig: {}, simulatorConfig: {}}}
""",
        ["2:13: configs.defaultConfig: has 2 of these where only one can be: openAIConfig, simulatorConfig"],
    ),
    (
        """\
host: p.example
configs: {defaultConfig: {anthropicConfig: {}}}
""",
        ["2:29: configs.defaultConfig.anthropicConfig: anthropicConfig is not built yet in this version"],
    ),
    (
        """\
host: p.example
configs: {defaultConfig: {openaiConfig: {}}}
""",
        [
            '2:29: configs.defaultConfig.openaiConfig: there is no field "openaiConfig" here; did you mean "openAIConfig"?'
        ],
    ),
]

CONFIGS = [
    (
        "model: ''",
        ['1:9: model: must be text of one line, 1 to 256 characters, not ""'],
    ),
    (
        "model: ' x'",
        ['1:9: model: must not begin or end with a blank, not " x"'],
    ),
    (
        "stream: no",
        ['1:9: stream: must be true or false, not "no"'],
    ),
    (
        "stream: 'true'",
        ["1:9: stream: must be true or false, without quotes"],
    ),
    (
        "stream: 1",
        ['1:9: stream: must be true or false, not "1"'],
    ),
    (
        "apiKey: [sk-secret]",
        ["1:9: apiKey: must be text, not a list"],
    ),
    (
        "apiKey: ${NONE}",
        ["1:9: apiKey: the environment variable NONE is not set"],
    ),
    (
        "apiKey: ${EMPTY}",
        ["1:9: apiKey: the environment variable EMPTY is empty"],
    ),
    (
        "apiKey: ${LINE}",
        ["1:9: apiKey: must be one line of ASCII without blanks and control characters, not empty"],
    ),
    (
        "apiKey: ''",
        ["1:9: apiKey: must be one line of ASCII without blanks and control characters, not empty"],
    ),
    (
        "apiKey: a b",
        ["1:9: apiKey: must be one line of ASCII without blanks and control characters, not empty"],
    ),
    (
        "apiKey: '${unclosed'",
        ["1:9: apiKey: has a `${` without its closing brace; write `$${` for the two characters themselves"],
    ),
    (
        "apiKey: '${}'",
        ["1:9: apiKey: has a `${}`, which names nothing; write `$${` for the two characters themselves"],
    ),
    (
        "apiKey: '${file:relative}'",
        ["1:9: apiKey: `${file:relative}` needs an absolute path"],
    ),
    (
        "apiKey: ${file:/none}",
        ["1:9: apiKey: the file /none cannot be read: No such file or directory"],
    ),
    (
        "apiKey: ${file:/crlf}",
        ["1:9: apiKey: must be one line of ASCII without blanks and control characters, not empty"],
    ),
    (
        "apiKey: ${file:/binary}",
        ["1:9: apiKey: the file /binary is not valid UTF-8"],
    ),
    (
        "apiKey: ${file:/empty}",
        ["1:9: apiKey: the file /empty is empty"],
    ),
    (
        "apiKey: ${file:/large}",
        ["1:9: apiKey: the file /large has more than 65,536 bytes"],
    ),
    (
        "apiKeys: []",
        ["1:9: apiKeys: must not be an empty list"],
    ),
    (
        "apiKeys: [{name: a, key: 'a b'}, {name: b}, {key: ${EMPTY}, weight: -1}]".replace(
            "${EMPTY}", "'${EMPTY}'"
        ),
        [
            "1:29: apiKeys[0].key: must be one line of ASCII without blanks and control characters, not empty",
            "1:42: apiKeys[1].key: is missing",
            "1:53: apiKeys[2].name: is missing",
            "1:54: apiKeys[2].key: the environment variable EMPTY is empty",
            "1:71: apiKeys[2].weight: must be 0 to 1000000, not -1",
        ],
    ),
    (
        "apiKeys: [{name: a, key: k, weight: 0}, {name: a, key: l, weight: 0}]",
        [
            "1:9: apiKeys: has no weight above 0, so no key could ever be used",
            "1:50: apiKeys[1].name: is the name of apiKeys[0] too",
        ],
    ),
    (
        "{apiKey: k, apiKeys: [{name: a, key: l}]}",
        ["1:21: apiKeys: stands beside apiKey: of several keys all are written here"],
    ),
    (
        "api_key: x",
        ['1:9: api_key: there is no field "api_key" here; did you mean "apiKey"?'],
    ),
    (
        "modelPolicy: always",
        ['1:9: modelPolicy: must be override or default, not "always"'],
    ),
    (
        "parameters: {messages: [], model: a, stream: true, stream_options: {}}",
        [
            "1:22: parameters.messages: is what the client asks; it cannot have a default",
            "1:36: parameters.model: is not a parameter: the field `model` of this config sets it",
            "1:46: parameters.stream: is not a parameter: the field `stream` of this config sets it",
            "1:60: parameters.stream_options: is set by the gateway itself, which needs the usage that it asks for",
        ],
    ),
    (
        "parameters: {a: no, b: 010, c: .inf, d: 0x1f, e: 1e999, f: , g: [{h: '${NONE}'}]}",
        [
            '1:22: parameters.a: "no" means different things to different readers of YAML: write true or false, or put quotes around the word',
            '1:29: parameters.b: "010" is not the same number to every reader: write it in decimal without leading zeros, or put quotes around it',
            '1:37: parameters.c: ".inf" is not the same number to every reader: write it in decimal without leading zeros, or put quotes around it',
            '1:46: parameters.d: "0x1f" is not the same number to every reader: write it in decimal without leading zeros, or put quotes around it',
            "1:55: parameters.e: is too large a number",
            '1:65: parameters.f: has no value: write null, "" or a value',
            "1:75: parameters.g[0].h: the environment variable NONE is not set",
        ],
    ),
    (
        "parameters: {a: ${NONE}}",
        ["1:26: `${…}` inside {…} or […] needs quotes around it"],
    ),
    (
        "headers: {Host: a, Transfer-Encoding: b, Authorization: c, 'a b': d, X: '${LINE}', Y: '', A: 1, a: 2}",
        [
            "1:19: headers.Host: is the provider's host; a backendRef's `hostRewrite` changes it",
            "1:28: headers.Transfer-Encoding: belongs to one connection or to the framing of a body; the gateway sets it itself",
            "1:50: headers.Authorization: is set from `apiKey`",
            '1:68: headers["a b"]: its name must be a header\'s name (RFC 9110 §5.6.2), not "a b"',
            "1:78: headers.X: must be one line of ASCII without control characters, not empty, without blanks around it (RFC 9110 §5.5)",
            "1:92: headers.Y: must be one line of ASCII without control characters, not empty, without blanks around it (RFC 9110 §5.5)",
            "1:105: headers.a: is the same name as A",
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), PROVIDERS)
def test_problems_of_a_provider(spec: str, expected: list[str]) -> None:
    assert spec_problems("LLMProvider", spec, environment=ENVIRONMENT, files=FILES) == expected


@pytest.mark.parametrize(("setting", "expected"), CONFIGS)
def test_problems_of_a_config(setting: str, expected: list[str]) -> None:
    found = spec_problems("LLMProvider", IN_CONFIG + setting, environment=ENVIRONMENT, files=FILES)
    path = "configs.defaultConfig.openAIConfig."
    assert [line.replace(path, "") for line in found] == ["5:" + line.removeprefix("1:") for line in expected]


def test_only_a_host_is_needed() -> None:
    found = provider("")
    assert (found.name, found.tenant, found.host) == ("a", "default", "p.example")
    assert (found.path, found.endpoint, found.default_config, found.export_to) == (None, None, None, ())
    assert not any((found.workload_labels, found.timeouts, found.route_configs))


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("API.Example.COM.", "api.example.com"),
        ("localhost", "localhost"),
        ("my_service-1", "my_service-1"),
        ("10.0.0.1", "10.0.0.1"),
        ("'::1'", "::1"),
        ("'[2001:DB8:0::1]'", "2001:db8::1"),
    ],
)
def test_a_host_has_one_spelling(written: str, host: str) -> None:
    (found,) = read_text(document("LLMProvider", f"host: {written}")).providers
    assert found.host == host


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "1.2.3", "999.1.1.1", "':::'", "a..b", "-a"]
)
def test_an_odd_spelling_of_an_address_is_no_host(host: str) -> None:
    assert read_text(document("LLMProvider", f"host: {host}")).providers == ()


def test_everything_a_provider_can_say() -> None:
    found = provider(
        """
        path: /compatible-mode/v1/chat/completions
        workloadSelector: {labels: {istio: egressgateway, version: 2}}
        exportTo: ["*", acme]
        timeouts: {connect: 500ms, headers: 1m30s, firstContent: 20s, idle: 1.5s, request: 1h}
        connectionPool: {maxConnections: 20, maxPending: 0, pendingTimeout: 2s, idleTimeout: 1m}
        outlierDetection: {consecutiveErrors: 0, failurePercent: 50, interval: 30s, baseEjectionTime: 1m}
        healthCheck: {operation: chat, body: {messages: [], user: "${KEY}"}, interval: 20s, timeout: 1s}
        prefill: {field: partial}
        endpoint:
          address: ${ADDRESS}
          port: 8443
          tls:
            mode: MUTUAL
            sni: Other.example
            subjectAltNames: [other.example, "spiffe://corp/llm"]
            caCertificates: /ca.pem
            clientCertificate: /cert.pem
            privateKey: /key.pem
            minVersion: 1.3
        configs:
          defaultConfig:
            openAIConfig:
              model: 010
              stream: false
              apiKey: ${KEY}
              modelPolicy: default
              parameters: {temperature: 0.70, stop: ["a", "no"], seed: 3, x: {y: null, z: "${KEY}"}}
              headers: {X-Title: "hello ${KEY}"}
          routeSpecificConfigs:
            vip-route:
              simulatorConfig: {}
            pool:
              openAIConfig: {apiKeys: [{name: blue, key: "${KEY}", weight: 0}, {name: red, key: sk-2}]}
        """,
        environment={"ADDRESS": "Inner.example", "KEY": "sk-1"},
    )
    assert found.path == "/compatible-mode/v1/chat/completions"
    assert dict(found.workload_labels) == {"istio": "egressgateway", "version": "2"}
    assert found.export_to == ("*", "acme")
    assert dict(found.timeouts) == {
        "connect": 0.5,
        "headers": 90.0,
        "first_content": 20.0,
        "idle": 1.5,
        "request": 3600.0,
    }
    assert dict(found.connection_pool) == {
        "max_connections": 20,
        "max_pending": 0,
        "pending_timeout": 2.0,
        "idle_timeout": 60.0,
    }
    assert dict(found.outlier_detection) == {
        "consecutive_errors": 0,
        "failure_percent": 50,
        "interval": 30.0,
        "base_ejection_time": 60.0,
    }
    check = found.health_check
    assert check is not None
    assert (check.operation, check.path, check.interval, check.timeout) == ("chat", None, 20.0, 1.0)
    assert check.body is not None
    assert check.body["user"] == JsonText(b'"sk-1"', from_outside=True)
    assert found.prefill == Prefill("partial")
    assert found.endpoint == Endpoint(
        "inner.example",
        8443,
        TlsOptions(
            "MUTUAL",
            "other.example",
            ("other.example", "spiffe://corp/llm"),
            "/ca.pem",
            "/cert.pem",
            "/key.pem",
            "1.3",
        ),
    )
    config = found.default_config
    assert config is not None
    assert config.model == "010"
    assert config.stream is False
    assert config.api_keys == (ApiKey("", Secret("sk-1")),)
    assert config.model_policy == "default"
    assert dict(config.parameters or {}) == {
        "temperature": b"0.70",
        "stop": b'["a","no"]',
        "seed": b"3",
        "x": b'{"y":null,"z":"sk-1"}',
    }
    assert config.hidden_parameters == {"x"}
    assert dict(config.headers or {}) == {"x-title": Secret("hello sk-1")}
    assert dict(found.route_configs) == {
        "vip-route": ProviderConfig("simulatorConfig"),
        "pool": ProviderConfig(
            "openAIConfig",
            api_keys=(ApiKey("blue", Secret("sk-1"), weight=0), ApiKey("red", Secret("sk-2"), weight=1)),
        ),
    }
    assert "sk-1" not in repr(found)


@pytest.mark.parametrize(("written", "becomes"), [("true", Prefill()), ("false", None)])
def test_prefill_in_one_word(written: str, becomes: Prefill | None) -> None:
    assert provider(f"prefill: {written}").prefill == becomes


def test_a_health_check_asks_for_the_models_unless_it_says_something_else() -> None:
    assert provider("healthCheck: {}").health_check == HealthCheck("models", None, None)
    assert provider("healthCheck: {path: /health}").health_check == HealthCheck(None, "/health", None)


def test_certificates_that_nobody_checks_are_a_warning_at_every_load() -> None:
    found = provider("endpoint: {tls: {insecureSkipVerify: true}}")
    assert found.endpoint == Endpoint(None, None, TlsOptions(insecure_skip_verify=True))
    resources = read_text(document("LLMProvider", "host: a\nendpoint: {tls: {insecureSkipVerify: true}}"))
    assert [problem.severity for problem in resources.problems] == ["warning"]


def test_a_document_at_another_place_is_the_same_provider() -> None:
    text = document("LLMProvider", "host: a")
    assert read_text(text).providers == read_text("\n\n" + text).providers
