"""What a field may hold, as data.

`decoding.py` reads these declarations to decode a document, `schema.py` reads the same ones to describe it to
editors: what one accepts the other accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from attrs import field, frozen

from gateway.resources.durations import SHORTEST
from gateway.resources.problems import Severity

NOTHING_REFUSED: Mapping[str, str] = MappingProxyType({})


def unchanged(text: str) -> str:
    """A text that has only one spelling."""
    return text


@frozen
class Syntax:
    """What a text must look like."""

    meaning: str
    """Completes "must be …"."""
    pattern: str
    """A regular expression for the whole text, in what Python and ECMA-262 share."""
    normalise: Callable[[str], str] = unchanged
    """The one spelling of what was written; raises ValueError with a sentence for what a pattern cannot tell."""
    words: tuple[str, ...] = ()
    """Some texts of this syntax, of which one may have been meant by what is none."""


@frozen
class Text:
    """Text as it stands: a name, a host, a label.  Becomes a str."""

    syntax: Syntax
    mentions: bool = False
    """True takes `${` for itself, as in a regular expression; elsewhere it would be a reference that nobody
    expands, so it is a problem."""
    shown: bool = True
    """False where a credential may stand by mistake: no message repeats what was written."""


@frozen
class ExpandedText:
    """Text with `${…}` replaced.  Becomes a str, which no message shows."""

    syntax: Syntax


@frozen
class SecretText:
    """A credential or a header's value, `${…}` replaced.  Becomes a Secret."""

    syntax: Syntax


@frozen
class Choice:
    """One of a few words.  Becomes a str."""

    words: tuple[str, ...]


@frozen
class Boolean:
    """`true` or `false`.  Becomes a bool."""


@frozen
class WholeNumber:
    """A decimal number.  Becomes an int."""

    minimum: int
    maximum: int


@frozen
class DecimalNumber:
    """`0.35`, not below 0.  Becomes a float."""

    maximum: int


@frozen
class Duration:
    """`1h30m`.  Becomes seconds, a float."""

    shortest: float = SHORTEST
    """In seconds."""


@frozen
class Instant:
    """`2027-01-31T00:00:00Z`.  Becomes seconds of Unix time, a float."""


@frozen
class JsonText:
    """A value written as JSON, compactly."""

    data: bytes = field(repr=False)
    from_outside: bool
    """Something in it came from the environment or a file."""


@frozen
class Json:
    """Whatever JSON can say, `${…}` replaced in its texts.  Becomes a JsonText."""


@frozen
class ListOf:
    """A list.  Becomes a tuple."""

    item: Shape
    at_least: int = 0


@frozen
class MapOf:
    """A mapping with names that operators choose.  Becomes a mapping proxy."""

    key: Syntax
    value: Shape
    refused: Mapping[str, str] = NOTHING_REFUSED
    """Names, as normalised, that cannot be chosen, each with the reason."""


@frozen
class NotBuilt:
    """A field that the contract names and this version does not have."""


@frozen
class RefusedField:
    """A field of the originals that makes no sense here."""

    reason: str


@frozen
class Ignored:
    """A field that others write and read; anything may stand in it."""


@frozen
class Field:
    """One member of a record."""

    name: str
    shape: Shape
    meaning: str = ""
    """For those who hover over it in an editor."""
    required: bool = False


@frozen
class Values:
    """The members of a record that could be decoded."""

    decoded: Mapping[str, Any]
    written: frozenset[str]
    """The members that were given, rightly or wrongly."""

    def __getitem__(self, name: str) -> Any:
        """The value of a member, or None."""
        return self.decoded.get(name)


@frozen
class Finding:
    """Something that is wrong between the members of a record."""

    path: str
    """Below the record: `backendRefs[1].weight`; empty for the record itself."""
    message: str
    severity: Severity = "error"


def nothing_to_find(_values: Values) -> Iterable[Finding]:
    """Members that have nothing to do with one another."""
    return ()


def as_values(values: Values) -> Any:
    """Leave the members for the record around this one to use."""
    return values


def as_mapping(values: Values) -> Any:
    """The members that were written, by name."""
    return MappingProxyType(dict(values.decoded))


def as_settings(values: Values) -> Any:
    """The members that were written, by their names in Python: `firstContent` is `first_content`."""
    return MappingProxyType(
        {
            _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name): value
            for name, value in values.decoded.items()
        }
    )


_CAPITAL = re.compile("[A-Z]")


def operators_word(name: str) -> str:
    """A name in Python as operators write it: `first_content` is `firstContent`."""
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


@frozen
class Record:
    """A mapping with known names."""

    fields: tuple[Field, ...]
    at_least: int = 0
    """How many of its members must be written."""
    at_most: int | None = None
    """How many of its members may be written together."""
    check: Callable[[Values], Iterable[Finding]] = nothing_to_find
    """What must hold between members.  Members that were wrong are missing, so that one mistake is told once."""
    build: Callable[[Values], Any] = as_values
    """What it becomes; called only when nothing in it is wrong."""


@frozen
class BooleanOr:
    """`true` or `false`, or a mapping that says more than `true`.  Becomes a bool, or what the record becomes."""

    record: Record


Shape: TypeAlias = (
    Text
    | ExpandedText
    | SecretText
    | Choice
    | Boolean
    | WholeNumber
    | DecimalNumber
    | Duration
    | Instant
    | Json
    | ListOf
    | MapOf
    | Record
    | BooleanOr
    | NotBuilt
    | RefusedField
    | Ignored
)
