"""The JSON Schema agrees with the decoder.

Checked with a validator of our own for the few keywords that the schema uses.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.resources.schema import json_schema
from tests.resources.written import document, read_text

SCHEMA = json_schema()
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,),
    "number": (int, float),
}  # fmt: skip
KEYWORDS = {
    "$ref", "type", "enum", "pattern", "minimum", "maximum", "items", "minItems", "properties", "additionalProperties",
    "required", "minProperties", "maxProperties", "propertyNames", "not", "anyOf", "description",
    "$schema", "title", "$defs",
}  # fmt: skip


def is_type(value: object, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def valid(value: Any, schema: Any) -> bool:
    """Tell whether a value obeys a schema."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KEYWORDS
    if "$ref" in schema and not valid(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]):
        return False
    types = schema.get("type", [])
    if types and not any(is_type(value, name) for name in ([types] if isinstance(types, str) else types)):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if is_type(value, "number") and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(
            valid(item, schema.get("items", True)) for item in value
        )
    if isinstance(value, dict) and not valid_object(value, schema):
        return False
    if "not" in schema and valid(value, schema["not"]):
        return False
    return any(valid(value, option) for option in schema.get("anyOf", [True]))


def valid_object(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties", True)
    return (
        set(schema.get("required", ())) <= set(value)
        and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value))
        and all(valid(name, schema.get("propertyNames", True)) for name in value)
        and all(valid(member, known.get(name, rest)) for name, member in value.items())
    )


EXAMPLES = [
    *filter(None, (Path(__file__).parent / "article.yaml").read_text().split("\n---\n")),
    document(
        "LLMProvider",
        """
        host: P.example.
        path: ${PATH_OF_IT}
        workloadSelector: {labels: {version: 2}}
        exportTo: ["*"]
        timeouts: {connect: 5s, firstContent: 30s, idle: 1h30m}
        connectionPool: {maxConnections: 8, maxPending: 0, pendingTimeout: 1s, idleTimeout: 1m}
        outlierDetection: {consecutiveErrors: 0, failurePercent: 50, interval: 1s, baseEjectionTime: 200ms}
        healthCheck: {operation: embeddings, body: {input: a}, interval: 1m, timeout: 2s}
        prefill: {field: partial}
        endpoint: {port: 8080, tls: {mode: MUTUAL, clientCertificate: /a, privateKey: /b, minVersion: 1.3}}
        configs:
          defaultConfig:
            simulatorConfig: {model: 1.5, stream: true, parameters: {temperature: 0.7, stop: [a]}, headers: {X-A: b}}
          routeSpecificConfigs:
            x: {openAIConfig: {apiKeys: [{name: blue, key: "${PATH_OF_IT}"}, {name: red, key: k, weight: 2}]}}
        """,
    ),
    document("LLMProvider", "host: a\nprefill: true"),
    document(
        "LLMRoute",
        """
        host: "*.example"
        gateways: [a]
        rules:
        - name: x
          matches: [{headers: {a: {}, b: {exact: 1}, c: {regex: "x+"}}, sourceLabels: {app: web}}, {gateways: [b]}]
          backendRefs: [{providerHost: p, weight: 1, model: m}, {providerHost: "::1", weight: 0, hostRewrite: h}]
          fallback: [{providerHost: q, model: m}]
          retries:
            attempts: 3
            retryOn: [5xx, 429, "503", overloaded, context_length_exceeded]
            backoff: {base: 1s, max: 2s}
            perTryTimeout: 3s
            maxWait: 4s
          fallbackOn: [content_filter, 404]
          onStreamBreak: error
          onClientDisconnect: drain
          onAllOpen: leastBad
          hedge: {after: 1s}
          mirror: {providerHost: q, percent: 0}
          keepAlive: 1s
        """,
    ),
    document(
        "Gateway",
        "limits: {bodyBytes: 2048, connections: 9}\ntimeouts: {head: 10s}\nupstreamTimeouts: {idle: 1ms}",
    ),
    document(
        "Tenant",
        f"""
        clients:
        - {{name: a, apiKeyHash: "SHA256:{"A" * 64}", labels: {{app: web}}}}
        - {{name: b, apiKeyHashes: [{{hash: "sha256:{"b" * 64}", notAfter: "2027-01-31T00:00:00Z"}}]}}
        - {{name: c, certificate: {{subjectAltName: "spiffe://corp/batch"}}, sourceCIDRs: [10.0.0.0/8, "::1"]}}
        """,
        "Acme_1",
    ),
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_the_decoder_accepts_the_schema_accepts(text: str) -> None:
    environment = {"PATH_OF_IT": "/v1", "dashscope的API_KEY": "k", "Moonshot的API_KEY": "k"}
    found = read_text(text, environment=environment)
    assert [str(problem) for problem in found.problems if problem.severity == "error"] == []
    for value in yaml.safe_load_all(text):
        assert value is None or valid(value, SCHEMA)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("LLMProvider", "{}"),
        ("LLMProvider", "host: https://a"),
        ("LLMProvider", "host: a\nhsot: b"),
        ("LLMProvider", "host: a\npricing: {}"),
        ("LLMProvider", "host: a\nhealthCheck: {operation: ping}"),
        ("LLMProvider", "host: a\nprefill: {}"),
        ("LLMProvider", "host: a\nprefill: 'true'"),
        ("LLMProvider", "host: a\nprefill: {field: 'a b'}"),
        ("LLMProvider", "host: a\nconfigs: {defaultConfig: {openAIConfig: {apiKeys: [{name: a}]}}}"),
        ("LLMRoute", "host: a\nrules: [{backendRefs: [{providerHost: a}], fallback: []}]"),
        ("LLMRoute", "host: a\nrules: [{backendRefs: [{providerHost: a}], retries: {retryOn: [re-set]}}]"),
        ("LLMRoute", "host: a\nrules: [{backendRefs: [{providerHost: a}], hedge: {}}]"),
        ("LLMProvider", "host: a\nendpoint: {port: 0}"),
        ("LLMProvider", "host: a\nendpoint: {tls: {mode: simple}}"),
        ("LLMProvider", "host: a\nconfigs: {defaultConfig: {}}"),
        ("LLMProvider", "host: a\nconfigs: {defaultConfig: {openAIConfig: {stream: 'no'}}}"),
        ("LLMProvider", "host: a\nconfigs: {defaultConfig: {openAIConfig: {parameters: {messages: []}}}}"),
        ("LLMProvider", "host: a\ntimeouts: {idle: 5}"),
        ("LLMRoute", "host: a\nrules: []"),
        ("LLMRoute", "host: a\nrules: [{backendRefs: [{providerHost: a, weight: -1}]}]"),
        ("LLMRoute", "host: a\nrules: [{backendRefs: [{backendRef: {name: x}}]}]"),
        (
            "LLMRoute",
            "host: a\nrules: [{backendRefs: [{providerHost: a}], matches: [{headers: {a: {exact: x, regex: y}}}]}]",
        ),
        ("Gateway", "limits: {headers: 0}"),
        ("Tenant", "clients: [{name: a, apiKeyHash: a-plain-key}]"),
        ("Tenant", "clients: [{name: a, apiKey: a-plain-key}]"),
        ("Tenant", "clients: [{name: a, sourceCIDRs: []}]"),
        ("Tenant", "clients: [{name: a, apiKeyHashes: [{notAfter: '2027-01-31T00:00:00Z'}]}]"),
        ("Tenant", "limits: {}"),
    ],
)
def test_what_the_schema_refuses_the_decoder_refuses(kind: str, spec: str) -> None:
    text = document(kind, spec)
    assert not valid(yaml.safe_load(text), SCHEMA)
    assert any(problem.severity == "error" for problem in read_text(text).problems)


def test_it_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
