"""What a rule's match blocks ask, compiled to something that can be called."""

from __future__ import annotations

from typing import assert_never

import re2

from gateway.resources.route import RouteMatch, StringMatch
from gateway.snapshot.tables import HeaderMatch, HeaderTest, Match


def match_of(match: RouteMatch) -> Match:
    """Compile one block of `matches`."""
    return Match(
        headers=tuple(
            HeaderMatch(name=name.encode(), holds=_test(condition), text=_text(name, condition))
            for name, condition in match.headers.items()
        ),
        source_labels=tuple(match.source_labels.items()),
        gateways=frozenset(match.gateways),
    )


def _test(condition: StringMatch) -> HeaderTest:
    expected = condition.value.encode()
    match condition.kind:
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
            assert_never(condition.kind)


def _text(name: str, condition: StringMatch) -> str:
    return f"{name} {condition.kind}" + (f" {condition.value}" if condition.value else "")
