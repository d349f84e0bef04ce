"""The custom resource definitions are what an API server takes, and agree with the JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import re2
import yaml

from gateway.resources.custom_resources import definitions, of_re2, structural
from gateway.resources.kinds import GROUPS, KINDS
from gateway.resources.schema import json_schema

DEFINITIONS = {
    definition["metadata"]["name"]: definition for group in GROUPS for definition in definitions(group)
}
SCHEMAS = {
    (definition["spec"]["group"], definition["spec"]["names"]["kind"], version["name"]): version["schema"][
        "openAPIV3Schema"
    ]
    for definition in DEFINITIONS.values()
    for version in definition["spec"]["versions"]
}
ALLOWED = {
    "type", "description", "format", "enum", "pattern", "minimum", "maximum", "items", "minItems", "properties",
    "additionalProperties", "required", "minProperties", "maxProperties", "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip
"""Keywords of structural schemas.  `$ref`, `propertyNames` and `patternProperties` are among those that are none."""
TYPES: dict[str, type] = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and every schema in it."""
    yield schema
    for inner in (
        *schema.get("properties", {}).values(),
        schema.get("items"),
        schema.get("additionalProperties"),
    ):
        if inner is not None:
            yield from parts(inner)


def admitted(value: Any, schema: dict[str, Any]) -> bool:
    """Tell whether an API server takes the value; members that are not known it prunes."""
    if "type" not in schema:
        return True
    if not isinstance(value, TYPES[schema["type"]]) or (
        schema["type"] == "integer" and isinstance(value, bool)
    ):
        return False
    match value:
        case str():
            return value in schema.get("enum", [value]) and bool(re2.search(schema.get("pattern", ""), value))
        case dict():
            known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
            return (
                set(schema.get("required", ())) <= set(value)
                and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value))
                and all(admitted(member, known.get(name, rest)) for name, member in value.items())
            )
        case list():
            enough = len(value) >= schema.get("minItems", 0)
            return enough and all(admitted(item, schema["items"]) for item in value)
        case int() if not isinstance(value, bool):
            return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


def test_every_kind_has_one_in_each_of_its_groups() -> None:
    assert {(group, kind, version) for group, kind, version in SCHEMAS} == {
        (*version.split("/")[:1], kind.name, version.split("/")[1])
        for kind in KINDS.values()
        for version in kind.api_versions
    }
    assert {"llmproviders.istio.alibabacloud.com", "llmroutes.istio.alibabacloud.com"} < set(DEFINITIONS)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_its_names_and_versions(name: str) -> None:
    definition = DEFINITIONS[name]
    spec = definition["spec"]
    assert definition["apiVersion"] == "apiextensions.k8s.io/v1"
    assert name == f"{spec['names']['plural']}.{spec['group']}"
    assert [version["storage"] for version in spec["versions"]].count(True) == 1
    assert spec["versions"][-1]["storage"]
    assert all(version["served"] for version in spec["versions"])


def test_who_may_write_in_a_namespace_does_not_say_who_belongs_to_it() -> None:
    scopes = {
        definition["spec"]["names"]["kind"]: definition["spec"]["scope"]
        for definition in DEFINITIONS.values()
    }
    assert scopes == {
        "LLMProvider": "Namespaced", "LLMRoute": "Namespaced", "Tenant": "Cluster", "Gateway": "Cluster",
    }  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=map("/".join, SCHEMAS))
def test_the_schema_is_structural(schema: dict[str, Any]) -> None:
    """The rules of kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions."""
    for part in parts(schema):
        assert set(part) <= ALLOWED
        assert isinstance(part.get("type"), str) or part.get("x-kubernetes-preserve-unknown-fields") is True
        assert not {"properties", "additionalProperties"} <= set(part)
        assert part.get("additionalProperties") is not False
        assert part.get("type") != "array" or "items" in part
        assert set(part.get("required", ())) <= set(part.get("properties", ()))
        if "pattern" in part:
            re2.compile(part["pattern"])
    assert schema["type"] == "object"
    assert schema["properties"]["metadata"] == {"type": "object"}


def test_no_field_is_lost() -> None:
    def names(schema: dict[str, Any]) -> set[str]:
        return {name for part in parts(schema) for name in part.get("properties", ())}

    for (_, kind, _), schema in SCHEMAS.items():
        written = json_schema()["$defs"][kind]["properties"]["spec"]
        assert names(schema["properties"]["spec"]) == names(_without_false(written))


def _without_false(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema without `additionalProperties: false`."""
    made = {name: value for name, value in schema.items() if value is not False}
    if "properties" in made:
        made["properties"] = {name: _without_false(value) for name, value in made["properties"].items()}
    for name in ("items", "additionalProperties"):
        if name in made:
            made[name] = _without_false(made[name])
    return made


ARTICLE = (Path(__file__).parent / "article.yaml").read_text()
MINE = """
apiVersion: llmgateway.dev/v1
kind: LLMProvider
metadata: {name: a}
spec:
  host: p.example.
  workloadSelector: {labels: {version: "2"}}
  endpoint: {port: 8080, tls: {mode: SIMPLE, minVersion: "1.3"}}
  timeouts: {idle: 1h30m}
  configs: {defaultConfig: {openAIConfig: {model: m, parameters: {temperature: 0.7, stop: [a]}, headers: {X-A: b}}}}
---
apiVersion: llmgateway.dev/v1
kind: Gateway
metadata: {name: gateway}
spec: {limits: {bodyBytes: 1099511627776}}
"""


@pytest.mark.parametrize(
    "document",
    [each for text in (ARTICLE, MINE) for each in yaml.safe_load_all(text) if each],
    ids=lambda document: f"{document['kind']} {document['metadata']['name']}",
)
def test_what_the_gateway_takes_the_api_server_takes(document: dict[str, Any]) -> None:
    group, _, version = document["apiVersion"].rpartition("/")
    if group in GROUPS:
        assert admitted(document, SCHEMAS[group, document["kind"], version])


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("LLMProvider", "{}"),
        ("LLMProvider", "host: https://a"),
        ("LLMProvider", "host: a\nendpoint: {port: 0}"),
        ("LLMProvider", "host: a\nendpoint: {tls: {mode: simple}}"),
        ("LLMProvider", "host: a\nconfigs: {defaultConfig: {}}"),
        ("LLMProvider", "host: a\nconfigs: {defaultConfig: {openAIConfig: {stream: 'no'}}}"),
        ("LLMProvider", "host: a\ntimeouts: {idle: 5}"),
        ("LLMRoute", "host: a\nrules: []"),
        ("LLMRoute", "host: a\nrules: [{backendRefs: [{providerHost: a, weight: -1}]}]"),
        ("Tenant", "clients: [{name: a, apiKeyHash: sk-in-clear}]"),
        ("Gateway", "limits: {headers: 0}"),
    ],
)
def test_what_the_api_server_refuses(kind: str, spec: str) -> None:
    document = {"apiVersion": "llmgateway.dev/v1", "kind": kind, "spec": yaml.safe_load(spec)}
    assert not admitted(document, SCHEMAS["llmgateway.dev", kind, "v1"])


@pytest.mark.parametrize(
    ("pattern", "made"),
    [
        ("^a{1,3}$", "^a{1,3}$"),
        (r"[^\u0000-\u001f\u007f]{0,256}", r"[^\x{0000}-\x{001f}\x{007f}]{0,256}"),
        ("[!-~]{1,16384}", "[!-~]+"),
        ("([a-z]{0,61}\\.){0,126}[a-z]{0,61}", "([a-z]{0,61}\\.)*[a-z]{0,61}"),
    ],
)
def test_patterns_in_the_syntax_of_re2(pattern: str, made: str) -> None:
    assert of_re2(pattern) == made


def test_what_may_be_anything_stays_so() -> None:
    assert structural({"description": "d"}) == {
        "description": "d",
        "x-kubernetes-preserve-unknown-fields": True,
    }
