"""A block of a rule's `matches`: what must hold of a request, with Istio's meaning of each field.

https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPMatchRequest and its `StringMatch`;
`path` is Istio's `uri`, and `model` is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

import re2
from attrs import frozen

from gateway.resources import syntax
from gateway.resources.shapes import Field, Finding, ListOf, MapOf, Record, Syntax, Text, Values

MatchKind: TypeAlias = Literal["exact", "prefix", "regex", "present"]


@frozen
class StringMatch:
    """What a value must be."""

    kind: MatchKind
    value: str
    """Empty for `present`.  A regex is RE2's and meant for the whole value."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@frozen
class RouteMatch:
    """One block of `matches`: all of it must hold."""

    headers: Mapping[str, StringMatch] = _NOTHING
    """Names in lower case."""
    without_headers: Mapping[str, StringMatch] = _NOTHING
    """What none of these headers may be; names in lower case."""
    path: StringMatch | None = None
    """Of the path as it was sent, without the query."""
    method: StringMatch | None = None
    query_params: Mapping[str, StringMatch] = _NOTHING
    """Names and values without their percent-encoding."""
    model: StringMatch | None = None
    """Of the model that the client asked for in a JSON body."""
    source_labels: Mapping[str, str] = _NOTHING
    gateways: tuple[str, ...] = ()
    """Names of listeners; empty for all."""


_RE2 = re2.Options()
_RE2.log_errors = False


def _compiled(pattern: str) -> str:
    """The pattern, if RE2 can compile it."""
    try:
        re2.compile(pattern, _RE2)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "unknown reason"
        raise ValueError(f"is not a regular expression of RE2 ({reason})") from None
    return pattern


def _compiled_or_any(pattern: str) -> str:
    # Istio takes this one for presence (its canBeConvertedToPresentMatch); RE2 knows no such pattern.
    return pattern if pattern == "*" else _compiled(pattern)


def _string_match_of(values: Values) -> StringMatch:
    for kind, value in values.decoded.items():
        if kind == "regex" and value == "*":
            break
        return StringMatch(cast(MatchKind, kind), value)
    return StringMatch("present", "")


_LINE = r"[^\u0000-\u001f\u007f]{1,1024}"
_PREFIX = Syntax("text of one line, 1 to 1024 characters (write {} for any value)", _LINE)
_REGEX = "a regular expression of one line, at most 1024 characters"
_METHOD = Syntax("a method or its beginning, in capitals", r"[A-Z]{1,16}")


def _string_match(exact: Syntax, prefix: Syntax, *, may_be_absent: bool) -> Record:
    """The shape of a StringMatch.

    :param may_be_absent: `{}`, and Istio's other spelling of it, ask for presence.
    """
    regex = Syntax(_REGEX, _LINE, _compiled_or_any if may_be_absent else _compiled)
    return Record(
        (
            Field("exact", Text(exact, mentions=True), "The whole value."),
            Field("prefix", Text(prefix, mentions=True), "How the value begins."),
            Field("regex", Text(regex, mentions=True), "RE2 for the whole value."),
        ),
        at_least=0 if may_be_absent else 1,
        at_most=1,
        build=_string_match_of,
    )


_VALUE = _string_match(syntax.MATCHED, _PREFIX, may_be_absent=True)
_PATH = _string_match(syntax.URL_PATH, syntax.URL_PATH, may_be_absent=False)
_METHOD_VALUE = _string_match(_METHOD, _METHOD, may_be_absent=False)


_FRAMING = MappingProxyType(
    dict.fromkeys(
        ("content-length", "transfer-encoding"),
        "says how the body is sent, which the gateway keeps to itself: no rule can match it",
    )
)
_HEADERS = MapOf(syntax.HEADER_NAME, _VALUE, refused=_FRAMING)


def _findings(values: Values) -> Iterator[Finding]:
    if not any(values.decoded.values()) and len(values.decoded) == len(values.written):
        yield Finding("", "an empty block would match everything; leave `matches` out if that is meant")
    method: StringMatch | None = values["method"]
    if method is not None and method.kind == "exact" and method.value != "POST":
        yield Finding(
            "method.exact", "never holds: whatever a rule is chosen for is asked with POST", "warning"
        )


def _match_of(values: Values) -> RouteMatch:
    return RouteMatch(
        headers=values["headers"] or _NOTHING,
        without_headers=values["withoutHeaders"] or _NOTHING,
        path=values["path"],
        method=values["method"],
        query_params=values["queryParams"] or _NOTHING,
        model=values["model"],
        source_labels=values["sourceLabels"] or _NOTHING,
        gateways=values["gateways"] or (),
    )


MATCH = Record(
    (
        Field("headers", _HEADERS, "By name; {} asks for presence."),
        Field("withoutHeaders", _HEADERS, "What no header may be; {} asks for absence."),
        Field("path", _PATH, "The path that the client asked for, without the query."),
        Field("method", _METHOD_VALUE, "The client's method."),
        Field("queryParams", MapOf(syntax.WORD, _VALUE), "Parameters of the query, by name."),
        Field("model", _VALUE, "The model that the client asked for; {} for any."),
        Field("sourceLabels", MapOf(syntax.WORD, Text(syntax.LABEL_VALUE)), "The calling client's labels."),
        Field("gateways", ListOf(Text(syntax.WORD)), "Names of listeners; all unless written."),
    ),
    check=_findings,
    build=_match_of,
)  # fmt: skip
