"""`headers` of a rule: what is changed in the heads of requests and answers.

Istio's `Headers` and `HeaderOperations`
(https://istio.io/latest/docs/reference/config/networking/virtual-service/#Headers-HeaderOperations): remove goes
first, then set, then add, as in Envoy, which Istio hands them to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from attrs import field, frozen

from gateway.messages import Secret
from gateway.resources import syntax
from gateway.resources.own_headers import OF_ANSWERS, OF_REQUESTS_OF_A_RULE
from gateway.resources.shapes import Field, Finding, ListOf, MapOf, Record, SecretText, Text, Values

_NOTHING: Mapping[str, Secret] = MappingProxyType({})


@frozen
class HeaderOperations:
    """What is done to one head; names in lower case."""

    set: Mapping[str, Secret] = _NOTHING
    """In place of what there is of that name."""
    add: Mapping[str, Secret] = _NOTHING
    """Behind what there is of that name."""
    remove: tuple[str, ...] = ()


@frozen
class HeaderChanges:
    """What a rule does to the heads that pass by it."""

    request: HeaderOperations = field(factory=HeaderOperations)
    """To what a provider is sent."""
    response: HeaderOperations = field(factory=HeaderOperations)
    """To what a provider has answered."""


def _operations(owned: Mapping[str, str]) -> Record:
    """The shape of the operations on a head.

    :param owned: names that they must leave alone, each with the reason.
    """

    def findings(values: Values) -> Iterator[Finding]:
        for index, name in enumerate(values["remove"] or ()):
            if name in owned:
                yield Finding(f"remove[{index}]", f"{name} {owned[name]}")

    lines = MapOf(syntax.HEADER_NAME, SecretText(syntax.HEADER_VALUE), owned)
    return Record(
        (
            Field("set", lines, "In place of what there is, by name."),
            Field("add", lines, "Behind what there is, by name."),
            Field("remove", ListOf(Text(syntax.HEADER_NAME)), "Names."),
        ),
        at_least=1,
        check=findings,
        build=lambda values: HeaderOperations(
            values["set"] or _NOTHING, values["add"] or _NOTHING, values["remove"] or ()
        ),
    )


HEADERS = Record(
    (
        Field("request", _operations(OF_REQUESTS_OF_A_RULE), "Done to what a provider is sent."),
        Field("response", _operations(OF_ANSWERS), "Done to what a provider answers."),
    ),
    at_least=1,
    build=lambda values: HeaderChanges(
        values["request"] or HeaderOperations(), values["response"] or HeaderOperations()
    ),
)
