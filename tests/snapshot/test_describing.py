"""What /config shows of a snapshot, and what it never shows."""

from __future__ import annotations

import json

import msgspec
from attrs import evolve

from gateway.messages import Destination, HiddenText, Secret
from gateway.resources.gateway import GATEWAY_SPEC
from gateway.resources.tracing import TracingSettings
from gateway.snapshot.describing import (
    Description,
    anonymous_hosts,
    describe,
    describe_clients,
    describe_settings,
    shown_time,
)
from gateway.snapshot.settings import GatewaySettings
from gateway.snapshot.snapshot import Snapshot
from tests.fakes.canary import BACKEND, CANARY, snapshot_of
from tests.fakes.conf import adopt_conf, gateway, provider, route, tenant
from tests.fakes.conf import snapshot_of as compiled


def described(snapshot: Snapshot) -> dict[str, Description]:
    """Every tenant's tables."""
    hosts = anonymous_hosts(snapshot)
    return {name: describe(table, hosts.get(name, ())) for name, table in snapshot.tenants.items()}


def test_the_whole() -> None:
    assert described(snapshot_of(BACKEND)) == {
        "acme": {
            "anonymousHosts": ["*.example.com", "demo-llm-server"],
            "routes": [
                {
                    "host": "demo-llm-server",
                    "name": "demo",
                    "gateways": ["a", "b"],
                    "rules": [
                        {
                            "name": "vip-route",
                            "matches": [
                                {
                                    "conditions": ["header user-type exact subscriber"],
                                    "sourceLabels": {"app": "web"},
                                    "gateways": ["egress"],
                                }
                            ],
                            "headers": {
                                "request": {"set": [], "add": [], "remove": []},
                                "response": {"set": [], "add": [], "remove": []},
                            },
                            "sticky": None,
                            "backends": [
                                {
                                    "provider": "dashscope-qwen",
                                    "providerHost": "dashscope.aliyuncs.com",
                                    "owner": "acme",
                                    "dialect": "openai",
                                    "weight": 50,
                                    "model": "qwen-turbo",
                                    "modelPolicy": "override",
                                    "stream": False,
                                    "destination": "dashscope.aliyuncs.com:443",
                                    "tls": {
                                        "sni": "dashscope.aliyuncs.com",
                                        "subjectAltNames": ["dashscope.aliyuncs.com"],
                                        "minVersion": "1.2",
                                        "insecureSkipVerify": False,
                                        "caCertificatesSet": True,
                                        "clientCertificateSet": True,
                                    },
                                    "timeouts": {
                                        "connect": 5.0,
                                        "handshake": 5.0,
                                        "headers": 300.0,
                                        "firstContent": None,
                                        "idle": 120.0,
                                        "request": 30.0,
                                    },
                                    "connectionPool": {
                                        "maxConnections": 4096,
                                        "maxPending": 1024,
                                        "pendingTimeout": 5.0,
                                        "idleTimeout": 30.0,
                                    },
                                    "outlierDetection": {
                                        "consecutiveErrors": 5,
                                        "failurePercent": None,
                                        "interval": 10.0,
                                        "leastRequests": 10,
                                        "baseEjectionTime": 5.0,
                                        "maxEjectionTime": 60.0,
                                    },
                                    "prefill": False,
                                    "apiKeySet": True,
                                    "apiKeys": [],
                                }
                            ],
                            "fallback": [],
                            "retries": {
                                "attempts": 2,
                                "retryOn": None,
                                "backoff": {"base": 0.25, "max": 8.0},
                                "perTryTimeout": None,
                                "maxWait": 5.0,
                            },
                            "fallbackOn": [],
                            "hedge": None,
                            "mirror": None,
                            "onStreamBreak": "continue",
                            "onClientDisconnect": "cancel",
                            "onAllOpen": "error",
                            "keepAlive": None,
                        }
                    ],
                }
            ],
            "healthChecks": [],
            "capture": None,
        }
    }


POOL = """
healthCheck: {operation: chat, body: {messages: [], user: "${KEY}"}}
prefill: {field: partial}
configs:
  defaultConfig:
    openAIConfig: {apiKeys: [{name: blue, key: "${KEY}", weight: 3}, {name: green, key: sk-canary-2}]}
"""


def test_what_is_asked_beside_the_chosen_backend() -> None:
    rules = """
    rules:
    - backendRefs: [{providerHost: b.example}]
      fallback: [{providerHost: a.example, model: m}]
      mirror: {providerHost: b.example, percent: 5}
      hedge: {after: 3s}
      retries: {retryOn: [reset, 429]}
      keepAlive: 15s
    """
    conf = provider("a", POOL) + provider("b") + route("demo", rules)
    snapshot = compiled(conf, environment={"KEY": "sk-canary-1"})
    shown = describe(snapshot.tenants["default"], ())
    (rule,) = next(each for each in shown["routes"] if each["host"] == "demo")["rules"]  # type: ignore[attr-defined]
    (fallback,) = rule["fallback"]
    assert (fallback["provider"], fallback["model"], fallback["prefill"]) == ("a", "m", {"field": "partial"})
    assert fallback["apiKeys"] == [{"name": "blue", "weight": 3}, {"name": "green", "weight": 1}]
    assert (rule["mirror"]["provider"], rule["mirror"]["percent"]) == ("b", 5)
    assert (rule["hedge"], rule["keepAlive"]) == ({"after": 3.0}, 15.0)
    assert rule["retries"]["retryOn"] == ["429", "reset"]
    assert shown["healthChecks"] == [
        {
            "provider": "a",
            "owner": "default",
            "operation": "chat",
            "target": "(hidden)",
            "bodySet": True,
            "interval": 10.0,
            "timeout": 5.0,
        }
    ]
    assert b"canary" not in msgspec.json.encode(shown)


def test_a_plain_provider_without_a_key() -> None:
    local = evolve(
        BACKEND,
        destination=Destination(
            owner="acme", provider="a", address="simulator", port=0, tls=None, in_process=True
        ),
        model=None,
        overrides_model=False,
        keys=(evolve(BACKEND.keys[0], secret=None),),
    )
    text = json.dumps(described(snapshot_of(local)))
    assert '"tls": null' in text
    assert '"destination": "simulator"' in text
    assert '"apiKeySet": false' in text
    assert '"modelPolicy": "default"' in text
    assert '"model": null' in text


def test_nothing_secret_is_shown() -> None:
    shown = msgspec.json.encode(described(snapshot_of(BACKEND)))
    assert CANARY.encode() not in shown
    assert Secret(CANARY).digest().encode() not in shown


def test_clients_and_by_what_they_are_known() -> None:
    until = 'notAfter: "2027-01-31T00:00:00Z"'
    hashes = f'[{{hash: "sha256:{"ab" * 32}", {until}}}, {{hash: "sha256:{"cd" * 32}"}}]'
    clients = f"""
    clients:
    - {{name: ci, labels: {{app: web}}, apiKeyHashes: {hashes}}}
    - {{name: batch, certificate: {{subjectAltName: "spiffe://corp/batch"}}, sourceCIDRs: [10.1.0.0/16]}}
    """
    generation = adopt_conf({"acme/t.yaml": tenant("acme", clients), "acme/p.yaml": provider("a")})
    good = generation.tenants["acme"].good
    assert good is not None
    assert describe_clients(good.document) == [
        {
            "name": "ci",
            "labels": {"app": "web"},
            "keys": [
                {"hash": "sha256:abababab…", "notAfter": "2027-01-31T00:00:00Z"},
                {"hash": "sha256:cdcdcdcd…", "notAfter": None},
            ],
            "certificates": [],
            "sourceCIDRs": [],
        },
        {
            "name": "batch",
            "labels": {},
            "keys": [],
            "certificates": ["spiffe://corp/batch"],
            "sourceCIDRs": ["10.1.0.0/16"],
        },
    ]
    assert describe_clients(None) is None


def test_settings_that_were_written() -> None:
    assert describe_settings(GatewaySettings()) == {}
    assert describe_settings(GatewaySettings(body_bytes=1000)) == {"limits": {"bodyBytes": 1000}}
    assert describe_settings(GatewaySettings(attempt_headers=False)) == {"attemptHeaders": False}


def test_settings_are_spelt_and_nested_as_in_the_gateway_document() -> None:
    spec = """
        limits: {bodyBytes: 1024, allBodiesBytes: 4096, headBytes: 2048, headers: 3, connections: 4}
        timeouts: {head: 5s, body: 6s, keepAlive: 7s}
        attemptHeaders: true
        metrics: {genAi: [v1.41]}
        tracing: {endpoint: "http://collector:4318", sampleRatio: 0.5}
        """
    described = describe_settings(compiled(gateway(spec)).settings)
    assert described == {
        "limits": {
            "bodyBytes": 1024,
            "allBodiesBytes": 4096,
            "headBytes": 2048,
            "headers": 3,
            "connections": 4,
        },
        "timeouts": {"head": 5, "body": 6, "keepAlive": 7},
        "attemptHeaders": True,
        "metrics": {"genAi": ["v1.41"]},
        "tracing": {"endpoint": "http://collector:4318", "headers": [], "sampleRatio": 0.5},
    }
    # Those of providers are shown where they count, with each backend.
    assert {field.name for field in GATEWAY_SPEC.fields} - {"upstreamTimeouts"} == described.keys()


def test_a_time() -> None:
    assert shown_time(1795345205.9) == "2026-11-22T11:00:05Z"
    assert (shown_time(-1e12), shown_time(1e12)) == ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


def test_an_address_from_outside_is_not_shown() -> None:
    spec = 'endpoint: {address: "${HOST}"}'
    snapshot = compiled(provider("a", spec), environment={"HOST": "canary.internal"})
    assert b"canary" not in msgspec.json.encode(described(snapshot))
    (destination,) = snapshot.destinations
    assert str(destination) == "(hidden):443"
    assert "canary" not in repr(destination)


def test_where_spans_go_without_what_is_secret_of_it() -> None:
    tracing = TracingSettings(HiddenText(f"https://{CANARY}"), {"x-key": Secret(CANARY)}, 0.5)
    shown = describe_settings(GatewaySettings(tracing=tracing))["tracing"]
    assert shown == {"endpoint": "(hidden)", "headers": ["x-key"], "sampleRatio": 0.5}
