"""`prefill`: that a provider goes on with words that are given to it as the beginning of its answer."""

from __future__ import annotations

from attrs import frozen

from gateway.resources.shapes import BooleanOr, Field, Record, Syntax, Text


@frozen
class Prefill:
    """It does."""

    field: str | None = None
    """What marks the message to go on with, set to true; None where being the last one is enough."""


def _own_field(name: str) -> str:
    if name in ("role", "content"):
        raise ValueError("must be a field beside role and content")
    return name


_MARK = Syntax("the name of a message's field", "[A-Za-z_][A-Za-z0-9_]{0,63}", _own_field)

PREFILL = BooleanOr(
    Record(
        (
            Field(
                "field",
                Text(_MARK),
                "Set to true in the message to go on with: partial, prefix.",
                required=True,
            ),
        ),
        build=lambda values: Prefill(values["field"]),
    )
)


def prefill_of(written: bool | Prefill | None) -> Prefill | None:
    """What was written of it; None where the provider cannot be asked to go on."""
    return Prefill() if written is True else written or None
