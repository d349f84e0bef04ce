"""The resources as Kubernetes' CustomResourceDefinitions, made from the JSON Schema that editors get.

A cluster's API server takes *structural* schemas only
(kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions): every value has one type,
an object has either known members or chosen ones, expressions are RE2.  So these schemas say less than the JSON
Schema, and what the API server lets through the gateway may still refuse; what it refuses the gateway would, too,
but for numbers where text is wanted, which a manifest for Kubernetes puts in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import re2

from gateway.resources.kinds import GATEWAY, KINDS, TENANT, Kind
from gateway.resources.schema import schema_of

_OF_THE_CLUSTER = (GATEWAY, TENANT)
"""In no namespace: a tenant's own people, who may write what is in theirs, do not say who belongs to it."""

_LONGEST_REPEAT = 100
"""RE2 refuses more than 1000 repeats, nested ones multiplied; a greater bound than this becomes none where it does."""

_QUIET = re2.Options()
_QUIET.log_errors = False

_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}


def definitions(group: str) -> Iterator[dict[str, Any]]:
    """One definition for each kind that this group has."""
    for kind in KINDS.values():
        here = [version.rpartition("/") for version in kind.api_versions]
        if versions := [version for its_group, _, version in here if its_group == group]:
            yield _definition(group, kind, versions)


def _definition(group: str, kind: Kind, versions: list[str]) -> dict[str, Any]:
    """The definition of a kind.

    :param versions: all have one schema; the last is the newest, and the one that is stored.
    """
    singular = kind.name.lower()
    plural = f"{singular}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": plural,
                "singular": singular,
                "categories": ["llmgateway"],
            },
            "scope": "Cluster" if kind in _OF_THE_CLUSTER else "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[-1],
                    "additionalPrinterColumns": [*_columns(kind), _AGE],
                    "schema": {"openAPIV3Schema": _whole(kind)},
                }
                for version in versions
            ],
        },
    }


def _columns(kind: Kind) -> Iterator[dict[str, Any]]:
    """What `kubectl get` shows beside name and age."""
    if any(member.name == "host" for member in kind.spec.fields):
        yield {"name": "Host", "type": "string", "jsonPath": ".spec.host"}


def _whole(kind: Kind) -> dict[str, Any]:
    """The schema of a document.  What is in `metadata` is Kubernetes' own business."""
    return {
        "type": "object",
        "description": kind.meaning,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(schema_of(kind.spec)),
            "status": {"type": "object", **_ANYTHING},
        },
    }


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The nearest structural schema that refuses nothing more, but for numbers in place of text."""
    about = {"description": schema["description"]} if "description" in schema else {}
    given = schema.get("type", "string" if "enum" in schema else None)
    if given is None:
        return about | _ANYTHING
    made: dict[str, Any] = about | {"type": given if isinstance(given, str) else "string"}
    if given == "integer":
        made["format"] = "int64"
    for name, value in schema.items():
        match name:
            case "minimum" | "maximum" | "minItems" | "minProperties" | "maxProperties" | "required":
                made[name] = value
            case "enum":
                made["enum"] = [word for word in value if isinstance(word, str)]
            case "pattern":
                made["pattern"] = of_re2(value)
            case "items":
                made["items"] = structural(value)
            case "properties":
                made["properties"] = {member: structural(shape) for member, shape in value.items()}
            case "additionalProperties" if isinstance(value, Mapping):
                made["additionalProperties"] = structural(value)
    return made


def of_re2(pattern: str) -> str:
    """The pattern in RE2's syntax, which is the API server's.

    Where RE2 would not take that many repeats, great bounds are left out, so that the pattern matches more.
    """
    pattern = re.sub(r"\\u([0-9a-f]{4})", r"\\x{\1}", pattern)
    try:
        re2.compile(pattern, _QUIET)
    except re2.error:
        return re.sub(r"\{([01]),([0-9]+)\}", _unbounded, pattern)
    return pattern


def _unbounded(repeat: re.Match[str]) -> str:
    if int(repeat[2]) <= _LONGEST_REPEAT:
        return repeat[0]
    return "+" if repeat[1] == "1" else "*"
