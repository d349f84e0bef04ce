"""What a rule asks of a request: its match blocks, compiled to something that can be called."""

from __future__ import annotations

from typing import Protocol, assert_never

import re2
from attrs import field, frozen

from gateway.resources.matches import RouteMatch, StringMatch


class ValueTest(Protocol):
    """A condition on one value."""

    def __call__(self, value: bytes | None, /) -> bool:
        """Tell whether it holds; the value is None where it is absent."""


@frozen
class Condition:
    """What one value of a request must be."""

    name: bytes
    """Of the header, in lower case, or of the parameter; empty where there is only one such value."""
    holds: ValueTest
    text: str
    """As an operator reads it: `header user-type exact subscriber`."""


@frozen
class Match:
    """One block of `matches`: every part of it must hold."""

    headers: tuple[Condition, ...] = ()
    """Those of `withoutHeaders` among them."""
    path: Condition | None = None
    method: Condition | None = None
    query: tuple[Condition, ...] = ()
    model: Condition | None = None
    source_labels: tuple[tuple[str, str], ...] = ()
    gateways: frozenset[str] = frozenset()
    """Names of listeners; empty for all."""
    only_headers: bool = field(init=False)
    """It asks for nothing else, as most do."""

    @only_headers.default
    def _asks_for_nothing_else(self) -> bool:
        rest = (self.path, self.method, self.query, self.model, self.source_labels, self.gateways)
        return not any(rest)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that is asked of the request itself."""
        alone = (self.path, self.method, self.model)
        return (*self.headers, *(each for each in alone if each is not None), *self.query)


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
