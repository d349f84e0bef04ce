"""Tenant: who is asking.

A client is told apart by a certificate, a key or the network that it comes from.  A key is never written here,
only its hash; so no message repeats what stands in a hash's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

from attrs import field, frozen

from gateway.resources import syntax
from gateway.resources.capture import CAPTURE, Capture
from gateway.resources.problems import Places
from gateway.resources.shapes import (
    Field,
    Finding,
    Instant,
    ListOf,
    MapOf,
    NotBuilt,
    Record,
    RefusedField,
    Syntax,
    Text,
    Values,
)

WayIn: TypeAlias = Literal["key", "certificate", "network"]


@frozen
class KeyHash:
    """One key of a client, by its hash."""

    digest: str
    """The SHA-256 of the key, in lower-case hexadecimal."""
    not_after: float | None = None
    """Seconds of Unix time; from then on nobody knows the key.  None where it does not expire."""
    written_in: str = "apiKeyHash"
    """The field of the client that holds it: `apiKeyHashes[1].hash`."""


@frozen
class Client:
    """One client; any of its ways in will do."""

    name: str
    keys: tuple[KeyHash, ...] = ()
    certificates: tuple[str, ...] = ()
    """subjectAltNames in their one spelling, of which a certificate must have one."""
    networks: tuple[str, ...] = ()
    """CIDR blocks in their one spelling: `10.1.0.0/16`."""
    labels: Mapping[str, str] = MappingProxyType({})


@frozen
class Tenant:
    """What a Tenant document says of the tenant that it is named after."""

    name: str
    clients: tuple[Client, ...] | None
    """Who alone reaches the tenant; none does where it is empty.  None where nothing was written: anonymous."""
    capture: Capture | None = field(kw_only=True, default=None)
    """What is kept of what its clients ask and are answered; None keeps nothing."""
    places: Places = field(eq=False, repr=False)


def ways_in(clients: Iterable[Client | None]) -> Iterator[tuple[WayIn, str, str]]:
    """By what each client is known: the kind, the value, and the path of the field below `spec`.

    :param clients: in the order written; None for one that was wrong.
    """
    for index, client in enumerate(clients):
        if client is None:
            continue
        path = f"clients[{index}]"
        for key in client.keys:
            yield "key", key.digest, f"{path}.{key.written_in}"
        for name in client.certificates:
            yield "certificate", name, f"{path}.certificate.subjectAltName"
        for number, network in enumerate(client.networks):
            yield "network", network, f"{path}.sourceCIDRs[{number}]"


_NOTHING: Mapping[str, str] = MappingProxyType({})
_HASH_PREFIX = "sha256:"

_HASH = Syntax(
    f"`{_HASH_PREFIX}` and 64 hexadecimal digits, which `llmgateway hash-key` makes of a key",
    r"[sS][hH][aA]256:[0-9A-Fa-f]{64}",
    str.lower,
)
_KEY_HASH = Text(_HASH, shown=False)
_NO_KEYS_HERE = (
    "a key itself is not written here, only its hash: `llmgateway hash-key` makes it, for apiKeyHash"
)

_DATED_HASH = Record(
    (
        Field("hash", _KEY_HASH, "`sha256:…`, from `llmgateway new-key` or `hash-key`.", required=True),
        Field("notAfter", Instant(), "When the key ends; never unless written."),
    ),
)

_CERTIFICATE = Record(
    (
        Field(
            "subjectAltName",
            Text(syntax.SUBJECT_ALT_NAME),
            "A DNS name, URI, e-mail or IP address that the client's certificate has.",
            required=True,
        ),
    ),
)

_WAYS_IN = ("apiKeyHash", "apiKeyHashes", "certificate", "sourceCIDRs")


def _client_findings(values: Values) -> Iterator[Finding]:
    if not values.written & {*_WAYS_IN, "apiKey"}:
        yield Finding("", f"is known by nothing: write {', '.join(_WAYS_IN[:-1])} or {_WAYS_IN[-1]}")
    if {"apiKeyHash", "apiKeyHashes"} <= values.written:
        yield Finding("apiKeyHashes", "stands beside apiKeyHash: of several keys all are written here")


def _client_of(values: Values) -> Client:
    hashes: Sequence[Values] = values["apiKeyHashes"] or ()
    only: str | None = values["apiKeyHash"]
    keys = [KeyHash(only.removeprefix(_HASH_PREFIX))] if only is not None else []
    keys += (
        KeyHash(each["hash"].removeprefix(_HASH_PREFIX), each["notAfter"], f"apiKeyHashes[{index}].hash")
        for index, each in enumerate(hashes)
    )
    certificate: Values | None = values["certificate"]
    return Client(
        name=values["name"],
        keys=tuple(keys),
        certificates=(certificate["subjectAltName"],) if certificate is not None else (),
        networks=values["sourceCIDRs"] or (),
        labels=values["labels"] or _NOTHING,
    )


_CLIENT = Record(
    (
        Field("name", Text(syntax.WORD), "In metrics and log; unique in its tenant.", required=True),
        Field("apiKeyHash", _KEY_HASH, "`sha256:…`, from `llmgateway new-key` or `hash-key`."),
        Field("apiKeyHashes", ListOf(_DATED_HASH, at_least=1), "Several keys, to change them without a gap."),
        Field("apiKey", RefusedField(_NO_KEYS_HERE)),
        Field("certificate", _CERTIFICATE, "What the certificate says that it comes with."),
        Field("sourceCIDRs", ListOf(Text(syntax.CIDR), at_least=1), "The networks that it comes from."),
        Field("labels", MapOf(syntax.WORD, Text(syntax.LABEL_VALUE)), "For `sourceLabels` of rules."),
    ),
    check=_client_findings,
    build=_client_of,
)


def _spec_findings(values: Values) -> Iterator[Finding]:
    clients: Sequence[Client | None] = values["clients"] or ()
    names: dict[str, int] = {}
    for index, client in enumerate(clients):
        if client is not None and (earlier := names.setdefault(client.name, index)) != index:
            yield Finding(f"clients[{index}].name", f"is the name of clients[{earlier}] too")
    first: dict[tuple[WayIn, str], str] = {}
    for kind, value, path in ways_in(clients):
        place = first.setdefault((kind, value), path)
        if place != path:
            yield Finding(path, f"is the {kind} of {place} too; it can tell one client only")


TENANT_SPEC = Record(
    (
        Field("clients", ListOf(_CLIENT), "Who alone reaches the tenant; anybody unless written."),
        Field("capture", CAPTURE, "What is kept of what they ask and are answered; nothing unless written."),
        Field("limits", NotBuilt()),
    ),
    check=_spec_findings,
)


def tenant_of(name: str, values: Values, places: Places) -> Tenant:
    """The tenant that a whole and valid spec describes."""
    return Tenant(name, values["clients"], places, capture=values["capture"])
