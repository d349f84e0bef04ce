"""The resources as JSON Schema 2020-12, for editors, from the declarations that the decoder reads."""

from __future__ import annotations

from typing import Any, assert_never

from gateway.resources.durations import SYNTAX as DURATION
from gateway.resources.instants import SYNTAX as INSTANT
from gateway.resources.kinds import GROUPS, KINDS
from gateway.resources.shapes import (
    Boolean,
    BooleanOr,
    Choice,
    DecimalNumber,
    Duration,
    ExpandedText,
    Field,
    Ignored,
    Instant,
    Json,
    ListOf,
    MapOf,
    NotBuilt,
    Record,
    RefusedField,
    SecretText,
    Shape,
    Text,
    WholeNumber,
)

_TEXT = ["string", "number", "boolean"]
"""A plain scalar keeps its text here: `version: 2` is text to a field that wants text."""


def json_schema() -> dict[str, Any]:
    """One schema for every document of conf.d, those of other groups included, which are skipped."""
    ours = "^(" + "|".join(group.replace(".", "\\.") for group in GROUPS) + ")/"
    foreign = {
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"apiVersion": {"type": "string", "not": {"pattern": ours}}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Resources of llmgateway",
        "anyOf": [*({"$ref": f"#/$defs/{name}"} for name in KINDS), foreign],
        "$defs": {name: schema_of(kind.document) for name, kind in KINDS.items()},
    }


def schema_of(shape: Shape) -> dict[str, Any]:
    """What a field of this shape may hold."""
    match shape:
        case Text(syntax):
            return {"type": _TEXT, "pattern": _whole(syntax.pattern)}
        case ExpandedText() | SecretText():
            return {"type": _TEXT}  # what `${…}` stands for is not known here
        case Choice(words):
            return {"enum": [*words, *(float(word) for word in words if _is_number(word))]}
        case Boolean():
            return {"type": "boolean"}
        case WholeNumber(minimum, maximum):
            return {"type": "integer", "minimum": minimum, "maximum": maximum}
        case DecimalNumber(maximum):
            return {"type": "number", "minimum": 0, "maximum": maximum}
        case Duration():
            return {"type": "string", "pattern": _whole(DURATION)}
        case Instant():
            return {"type": "string", "pattern": _whole(INSTANT)}
        case Json() | Ignored():
            return {}
        case ListOf(item, at_least):
            return {"type": "array", "items": schema_of(item), "minItems": at_least}
        case MapOf(key, value, refused):
            names: dict[str, Any] = {"pattern": _whole(key.pattern)}
            if refused:
                names["not"] = {"enum": sorted(refused)}
            return {"type": "object", "propertyNames": names, "additionalProperties": schema_of(value)}
        case Record():
            return _record(shape)
        case BooleanOr(record):
            return {"anyOf": [schema_of(Boolean()), _record(record)]}
        case NotBuilt() | RefusedField():
            return {"not": {}}
        case _:
            assert_never(shape)


def _record(record: Record) -> dict[str, Any]:
    known = [member for member in record.fields if not isinstance(member.shape, NotBuilt | RefusedField)]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {member.name: _member(member) for member in known},
        "additionalProperties": False,
    }
    if required := [member.name for member in known if member.required]:
        schema["required"] = required
    if record.at_least:
        schema["minProperties"] = record.at_least
    if record.at_most is not None:
        schema["maxProperties"] = record.at_most
    return schema


def _member(member: Field) -> dict[str, Any]:
    schema = schema_of(member.shape)
    return {"description": member.meaning, **schema} if member.meaning else schema


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).isdigit()
