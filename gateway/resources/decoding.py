"""Positioned values to typed fields, gathering problems instead of stopping at the first."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias, assert_never

from attrs import define

from gateway.messages import HiddenText, Secret
from gateway.resources.durations import MEANING as A_DURATION
from gateway.resources.durations import parse_duration
from gateway.resources.expansion import Expanded, Expansion
from gateway.resources.instants import MEANING as AN_INSTANT
from gateway.resources.instants import parse_instant
from gateway.resources.json_values import write_json
from gateway.resources.nodes import BOOLEANS, Mapped, Node, Refused, Scalar, Sequence
from gateway.resources.problems import (
    Places,
    Problem,
    Report,
    Severity,
    below,
    printable,
    refused_text,
    suggestion,
)
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
    Syntax,
    Text,
    Values,
    WholeNumber,
)

_ScalarShape: TypeAlias = (
    Text | ExpandedText | SecretText | Choice | Boolean | WholeNumber | DecimalNumber | Duration | Instant
)
_NOT_EXPANDED = (
    "cannot hold `${…}`: it is only replaced in credentials, header values, parameters, addresses and paths"
)
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_DECIMAL_NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?")


@define
class Decoder:
    """Decodes one document by its shapes."""

    places: Places
    expansion: Expansion
    report: Report
    tenant: str | None
    """Whose problems these are."""
    failures: int = 0
    """How many errors were found, those included that the document's YAML already had."""

    def decode(self, shape: Shape, node: Node, path: str) -> Any:
        """The value of a field, or None where it is wrong, which is then reported."""
        if isinstance(node, Refused):
            self.failures += 1
            return None
        match shape:
            case Record():
                return self._record(shape, node, path)
            case BooleanOr(record):
                return self.decode(record if isinstance(node, Mapped) else Boolean(), node, path)
            case ListOf():
                return self._list(shape, node, path)
            case MapOf():
                return self._map(shape, node, path)
            case Json():
                before = self.failures
                value = write_json(node, path, self._expanded, self.complain)
                return value if self.failures == before else None
            case NotBuilt():
                self.complain(path, f"{_last(path)} is not built yet in this version")
            case RefusedField(reason):
                self.complain(path, reason)
            case Ignored():
                return None
            case _:
                return self._scalar(shape, node, path)
        return None

    def complain(self, path: str, message: str, severity: Severity = "error") -> None:
        """Report a problem of the field at this path."""
        self.failures += severity == "error"
        self.report.add(Problem(self.places.at(path), path, message, severity, self.tenant))

    def _record(self, record: Record, node: Node, path: str) -> Any:
        if not isinstance(node, Mapped):
            self._wrong_type(node, path, "a mapping", "{}")
            return None
        before = self.failures
        known = {member.name: member for member in record.fields}
        decoded: dict[str, Any] = {}
        for name, entry in node.entries.items():
            member_path = below(path, name)
            if name not in known:
                self.complain(member_path, self._unknown(name, record))
            elif (value := self.decode(known[name].shape, entry.value, member_path)) is not None:
                decoded[name] = value
        written = frozenset(node.entries) & frozenset(known)
        for member in record.fields:
            if member.required and node.whole and member.name not in node.entries:
                self.complain(below(path, member.name), "is missing")
        names = _either(record.fields)
        if node.whole and len(node.entries) < record.at_least:
            self.complain(path, f"is empty: write {names}")
        if record.at_most is not None and len(written) > record.at_most:
            self.complain(
                path, f"has {len(written)} of these where only one can be: {', '.join(sorted(written))}"
            )
        for finding in record.check(Values(decoded, written)):
            self.complain(
                f"{path}.{finding.path}" if finding.path else path, finding.message, finding.severity
            )
        return record.build(Values(decoded, written)) if self.failures == before else None

    def _unknown(self, name: str, record: Record) -> str:
        names = tuple(member.name for member in record.fields if not isinstance(member.shape, NotBuilt))
        hint = suggestion(name, tuple(member.name for member in record.fields))
        return f'there is no field "{printable(name)}" here{hint or "; there are " + ", ".join(names)}'

    def _list(self, shape: ListOf, node: Node, path: str) -> tuple[Any, ...] | None:
        if not isinstance(node, Sequence):
            self._wrong_type(node, path, "a list", "[]")
            return None
        if len(node.items) < shape.at_least:
            self.complain(path, "must not be an empty list")
        # a wrong item stays as None, so that an index means the same to every later check
        return tuple(
            self.decode(shape.item, item, below(path, index)) for index, item in enumerate(node.items)
        )

    def _map(self, shape: MapOf, node: Node, path: str) -> MappingProxyType[str, Any] | None:
        if not isinstance(node, Mapped):
            self._wrong_type(node, path, "a mapping", "{}")
            return None
        before = self.failures
        decoded: dict[str, Any] = {}
        written: dict[str, str] = {}
        for name, entry in node.entries.items():
            key_path = below(path, name)
            key = self._formed(shape.key, name, key_path, "its name ", shown=True)
            if key is None:
                continue
            if key in shape.refused:
                self.complain(key_path, shape.refused[key])
            elif key in written:
                self.complain(key_path, f"is the same name as {written[key]}")
            else:
                written[key] = name
                decoded[key] = self.decode(shape.value, entry.value, key_path)
        return MappingProxyType(decoded) if self.failures == before else None

    def _scalar(
        self,
        shape: _ScalarShape,
        node: Scalar | Sequence | Mapped,
        path: str,
    ) -> Any:
        if not isinstance(node, Scalar) or node.is_null:
            self._wrong_type(node, path, _wanted(shape))
            return None
        match shape:
            case Text(syntax, mentions, shown):
                if not mentions and "${" in node.text:
                    self.complain(path, _NOT_EXPANDED)
                    return None
                return self._formed(syntax, node.text, path, shown=shown)
            case ExpandedText(syntax):
                return self._formed_of_outside(syntax, node.text, path)
            case SecretText(syntax):
                formed = self._formed_of_outside(syntax, node.text, path)
                return None if formed is None else Secret(str(formed))
            case Choice(words):
                if node.text in words:
                    return node.text
                hint = suggestion(node.text, words)
                self.complain(path, f'must be {_alternatives(words)}, not "{refused_text(node.text)}"{hint}')
            case Boolean():
                return self._boolean(node, path)
            case WholeNumber():
                return self._whole_number(shape, node, path)
            case DecimalNumber():
                return self._decimal_number(shape, node, path)
            case Duration(shortest):
                return self._parsed(partial(parse_duration, shortest=shortest), node.text, path)
            case Instant():
                return self._parsed(parse_instant, node.text, path)
            case _:
                assert_never(shape)
        return None

    def _parsed(self, parse: Callable[[str], float], text: str, path: str) -> float | None:
        try:
            return parse(text)
        except ValueError as error:
            self.complain(path, f'{error}, not "{refused_text(text)}"')
            return None

    def _formed(self, syntax: Syntax, text: str, path: str, subject: str = "", *, shown: bool) -> str | None:
        """The text in its one spelling, or None where it is not of the syntax."""
        hint = ""
        try:
            if re.fullmatch(syntax.pattern, text):
                return syntax.normalise(text)
            message = f"must be {syntax.meaning}"
            hint = suggestion(text, syntax.words)
        except ValueError as error:
            message = str(error)
        self.complain(
            path, f'{subject}{message}, not "{refused_text(text)}"{hint}' if shown else f"{subject}{message}"
        )
        return None

    def _formed_of_outside(self, syntax: Syntax, text: str, path: str) -> str | None:
        expanded = self._expanded(text, path)
        if expanded is None:
            return None
        formed = self._formed(syntax, expanded.text, path, shown=False)
        return HiddenText(formed) if formed is not None and expanded.from_outside else formed

    def _expanded(self, text: str, path: str) -> Expanded | None:
        return self.expansion.expand(text, lambda message: self.complain(path, message))

    def _boolean(self, node: Scalar, path: str) -> bool | None:
        if node.plain and node.text in BOOLEANS:
            return BOOLEANS[node.text]
        quoted = ", without quotes" if node.text in BOOLEANS else f', not "{refused_text(node.text)}"'
        self.complain(path, f"must be true or false{quoted}")
        return None

    def _whole_number(self, shape: WholeNumber, node: Scalar, path: str) -> int | None:
        if not _WHOLE_NUMBER.fullmatch(node.text):
            self.complain(path, f'must be a whole number, not "{refused_text(node.text)}"')
        elif not node.plain:
            self.complain(path, "must be a number, without quotes")
        elif not shape.minimum <= int(node.text) <= shape.maximum:
            self.complain(path, f"must be {shape.minimum} to {shape.maximum}, not {node.text}")
        else:
            return int(node.text)
        return None

    def _decimal_number(self, shape: DecimalNumber, node: Scalar, path: str) -> float | None:
        if not _DECIMAL_NUMBER.fullmatch(node.text):
            self.complain(path, f'must be a decimal number such as 0.35, not "{refused_text(node.text)}"')
        elif not node.plain:
            self.complain(path, "must be a number, without quotes")
        elif float(node.text) > shape.maximum:
            self.complain(path, f"must be 0 to {shape.maximum}, not {node.text}")
        else:
            return float(node.text)
        return None

    def _wrong_type(self, node: Node, path: str, wanted: str, empty: str = "") -> None:
        """Report that something else stands here; the value itself may be a credential in the wrong place."""
        match node:
            case Scalar() if node.is_null:
                instead = f", or write {empty} if nothing is meant" if empty else ""
                self.complain(path, f"has no value: leave the field out{instead}")
            case Scalar():
                self.complain(path, f"must be {wanted}, not a single value")
            case Sequence():
                self.complain(path, f"must be {wanted}, not a list")
            case _:
                self.complain(path, f"must be {wanted}, not a mapping")


def _wanted(shape: _ScalarShape) -> str:
    match shape:
        case Boolean():
            return "true or false"
        case WholeNumber():
            return "a whole number"
        case DecimalNumber():
            return "a decimal number"
        case Duration():
            return A_DURATION
        case Instant():
            return AN_INSTANT
        case Choice(words):
            return _alternatives(words)
        case _:
            return "text"


def _alternatives(words: tuple[str, ...]) -> str:
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def _either(fields: tuple[Field, ...]) -> str:
    return _alternatives(
        tuple(field.name for field in fields if not isinstance(field.shape, NotBuilt | RefusedField))
    )


def _last(path: str) -> str:
    return path.rpartition(".")[2]
