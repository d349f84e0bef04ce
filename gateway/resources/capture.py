"""`capture` of a tenant: whether what its clients ask, and what they are answered, is kept."""

from __future__ import annotations

from collections.abc import Iterator

import re2
from attrs import frozen

from gateway.resources.shapes import (
    Boolean,
    Field,
    Finding,
    ListOf,
    Record,
    Syntax,
    Text,
    Values,
    WholeNumber,
)

DEFAULT_BYTES = 65_536
MOST_BYTES = 262_144

MOST_STEPS = 5_000
"""Of all own patterns: at worst RE2 goes through all of them for each byte, which takes half a second for 64 KiB."""


@frozen
class Capture:
    """What is kept."""

    request: bool
    response: bool
    max_bytes: int
    """Of each of the two, when it is redacted."""
    percent: int
    """Of the exchanges."""
    redact: tuple[str, ...]
    """RE2's patterns, beside the built-in ones."""


def _findings(values: Values) -> Iterator[Finding]:
    if not (values["request"] or values["response"]) and not values.written - {*values.decoded}:
        yield Finding("", "keeps nothing: set request or response to true, or leave it out")
    pattern = "|".join(f"(?:{each})" for each in values["redact"] or ())
    if reason := _why_not_compiled(pattern) or _why_too_slow(pattern):
        yield Finding("redact", f"is too much in all ({reason})")


def _capture_of(values: Values) -> Capture:
    percent: int | None = values["samplePercent"]
    return Capture(
        request=values["request"] is True,
        response=values["response"] is True,
        max_bytes=values["maxBytes"] or DEFAULT_BYTES,
        percent=100 if percent is None else percent,
        redact=values["redact"] or (),
    )


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def _why_not_compiled(pattern: str) -> str | None:
    try:
        re2.compile(pattern.encode(), _OPTIONS)
    except re2.error as error:
        return error.args[0].decode(errors="replace") if error.args else "unknown reason"
    return None


def _why_too_slow(pattern: str) -> str | None:
    steps = re2.compile(pattern.encode(), _OPTIONS).programsize
    return f"{steps} steps of RE2's, of at most {MOST_STEPS}" if steps > MOST_STEPS else None


def _usable(pattern: str) -> str:
    """The pattern, if it can be looked for."""
    reason = _why_not_compiled(pattern)
    if reason is None:
        compiled = re2.compile(pattern.encode(), _OPTIONS)
        if compiled.groupindex:
            reason = "it names a group; write (?:…)"
        elif compiled.search(b"") is not None:
            reason = "it is content with nothing"
    if reason is not None:
        raise ValueError(f"is not a regular expression of RE2 that finds something ({reason})")
    return pattern


_PATTERN = Syntax(
    "a regular expression of one line, at most 1024 characters", r"[^\u0000-\u001f\u007f]{1,1024}", _usable
)

CAPTURE = Record(
    (
        Field("request", Boolean(), "Whether the bodies of requests are kept; false unless written."),
        Field("response", Boolean(), "Whether answers are kept; false unless written."),
        Field(
            "maxBytes",
            WholeNumber(256, MOST_BYTES),
            "Of a request, and of an answer, that are kept; 65536 unless written.",
        ),
        Field("samplePercent", WholeNumber(0, 100), "Of the exchanges; 100 unless written."),
        Field(
            "redact",
            ListOf(Text(_PATTERN, mentions=True)),
            "RE2 for what is taken out, beside keys, e-mail addresses, telephone and card numbers.",
        ),
    ),
    check=_findings,
    build=_capture_of,
)
