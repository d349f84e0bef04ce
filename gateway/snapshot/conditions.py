"""What a rule asks of a request: its match blocks, compiled to something that can be called, and what sticks."""

from __future__ import annotations

from typing import assert_never

import re2

from gateway.resources.matches import RouteMatch, StringMatch
from gateway.resources.route import StickToClient, StickToHeader, Sticky
from gateway.snapshot.tables import Condition, Match, Stickiness, ValueTest


def match_of(match: RouteMatch) -> Match:
    """Compile one block of `matches`."""
    return Match(
        headers=(
            *(_condition("header", wanted, name) for name, wanted in match.headers.items()),
            *(_inverted(name, unwanted) for name, unwanted in match.without_headers.items()),
        ),
        path=_condition("path", match.path) if match.path is not None else None,
        method=_condition("method", match.method) if match.method is not None else None,
        query=tuple(_condition("parameter", wanted, name) for name, wanted in match.query_params.items()),
        model=_condition("model", match.model) if match.model is not None else None,
        source_labels=tuple(match.source_labels.items()),
        gateways=frozenset(match.gateways),
    )


def stickiness_of(sticky: Sticky | None) -> Stickiness | None:
    """Compile a rule's `sticky`."""
    match sticky:
        case None:
            return None
        case StickToHeader(name):
            return Stickiness(header=name.encode())
        case StickToClient():
            return Stickiness(header=None)
        case _:
            assert_never(sticky)


def _condition(subject: str, wanted: StringMatch, name: str = "") -> Condition:
    """What is asked of a value.

    :param name: which of the subjects it is, where there are several.
    """
    words = (subject, name, wanted.kind, wanted.value)
    return Condition(name=name.encode(), holds=_test(wanted), text=" ".join(word for word in words if word))


def _inverted(name: str, unwanted: StringMatch) -> Condition:
    """Holds where the header is not there, or is anything else (Istio's `withoutHeaders`)."""
    unmet = _condition("header", unwanted, name)
    return Condition(
        name=unmet.name, holds=lambda value: not unmet.holds(value), text=f"without {unmet.text}"
    )


def _test(wanted: StringMatch) -> ValueTest:
    expected = wanted.value.encode()
    match wanted.kind:
        case "exact":
            return lambda value: value == expected
        case "prefix":
            return lambda value: value is not None and value.startswith(expected)
        case "regex":
            # RE2 takes time linear in the value, so a tenant's pattern cannot stall the reactor.
            whole = re2.compile(expected).fullmatch
            return lambda value: value is not None and whole(value) is not None
        case "present":
            return lambda value: value is not None
        case _:
            assert_never(wanted.kind)
