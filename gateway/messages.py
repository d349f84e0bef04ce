"""The nouns that all floors share.

Those made once a request are `msgspec.Struct`s: frozen, and built in C (an attrs frozen class of ten
fields costs a microsecond more).  Those made once a configuration are `attrs.frozen`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address
from typing import NoReturn, TypeAlias

import msgspec
from attrs import field, frozen

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Header lines in the order they came, names in lower case (RFC 9110 §5.1: they are case-insensitive),
values without surrounding blanks."""


def combined_values(headers: Headers) -> dict[bytes, bytes]:
    """Header values by name; lines of one name are joined by commas (RFC 9110 §5.2)."""
    values = dict(headers)
    if len(values) != len(headers):
        values = {}
        for name, value in headers:
            values[name] = values[name] + b", " + value if name in values else value
    return values


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """What a client asked, before its body.  Already judged by the wire: exactly one valid Host, a known framing."""

    method: bytes
    """Upper case: b"POST"."""
    path: bytes
    """Begins with a slash; without query.  Of an absolute-form target only its path."""
    query: bytes
    """What stood behind the question mark; empty when there was none."""
    host: str
    """Who is asked: lower case, without port, trailing dot or an IPv6 address's brackets.  An absolute-form's
    authority stands for the Host header (RFC 9112 §3.2.2)."""
    headers: Headers
    """Without Content-Length and Transfer-Encoding, which `body_length` stands for."""
    values: dict[bytes, bytes]
    """`combined_values` of `headers`.  Heads of one connection that have the same dictionary, not only an equal one,
    differ in nothing but `body_length`."""
    body_length: int | None
    """In bytes; 0 without a body; None when it comes in chunks."""
    expects_continue: bool
    """The client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1)."""

    def header(self, name: bytes) -> bytes | None:
        """The value of the header with this lower-case name, or None."""
        return self.values.get(name)


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """What a provider answered, before its body.  Hop-by-hop headers and framing are gone already."""

    status: int
    """200 to 599."""
    headers: Headers
    body_length: int | None
    """In bytes; 0 without a body; None when it is known only at its end."""

    def header(self, name: bytes) -> bytes | None:
        """The first value of the header with this lower-case name, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


MOST_TOKENS = 1_000_000_000
"""Of one answer, asked or made: a hundred times what the largest models take in.  Whoever says more has not counted,
and one such number would stand in every sum for good."""


class TokenUsage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one answer, as the provider says it has counted them."""

    input: int
    """Up to `MOST_TOKENS`, as are the others."""
    output: int
    cached_input: int = 0
    """Part of `input`: what the provider had read before."""
    reasoning: int = 0
    """Part of `output`: what the client is not shown, or shown apart."""
    estimated: bool = False
    """The provider did not say, or not of all of it; made from bytes."""
    counted_input: int = 0
    """Of an estimated one: as much of `input` as the provider has counted."""
    counted_output: int = 0
    """Likewise of `output`."""


def sum_of(usages: Sequence[TokenUsage]) -> TokenUsage:
    """What several answers have used together; estimated, if one of them is."""
    return TokenUsage(
        sum(usage.input for usage in usages),
        sum(usage.output for usage in usages),
        sum(usage.cached_input for usage in usages),
        sum(usage.reasoning for usage in usages),
        any(usage.estimated for usage in usages),
        sum(usage.counted_input if usage.estimated else usage.input for usage in usages),
        sum(usage.counted_output if usage.estimated else usage.output for usage in usages),
    )


class Secret:
    """A value that nothing prints: `repr`, `str`, f-strings, logs, JSON and tracebacks of its holder show dots.

    Equal secrets are equal, so a changed key is a changed configuration.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself.  Every caller sends it somewhere: keep this word easy to search for."""
        return self._value

    def digest(self) -> str:
        """The SHA-256 of the value, in hexadecimal: tells two secrets apart in a digest of configuration."""
        return sha256(self._value.encode()).hexdigest()

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


class HiddenText(str):
    """Text that came from the environment or from a file.  It is used like any other, and `shown` hides it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "HiddenText(…)"


def shown(text: str) -> str:
    """Text as people may read it."""
    return "(hidden)" if isinstance(text, HiddenText) else text


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@frozen(cache_hash=True)
class TlsSettings:
    """How a connection to a provider is secured, by contents, not by path: two equal settings may share connections."""

    server_name: str | None
    """The SNI to send; None sends none (IP literals, RFC 6066 §3)."""
    names: tuple[str, ...]
    """The certificate must be valid for one of these DNS names, IP addresses or URIs."""
    ca_certificates: bytes | None = None
    """PEM of the trusted roots; None trusts the system's."""
    client_certificate: bytes | None = field(default=None, repr=False)
    """PEM of our own certificate and its chain, for mutual TLS."""
    private_key: Secret | None = None
    """PEM of the key of `client_certificate`."""
    min_version: str = "1.2"
    """The lowest TLS version that is accepted: "1.2" or "1.3"."""
    verify: bool = True
    """False accepts any certificate (`insecureSkipVerify`)."""


@frozen(cache_hash=True)
class Destination:
    """Where an attempt connects to.  The key of a connection pool and of its TLS context: tenants, providers,
    addresses and TLS identities never share a connection."""

    owner: str
    """The tenant whose provider this is."""
    provider: str
    """The provider's name: how much is sent at once is each one's own."""
    address: str
    """DNS name or IP literal to connect to.  For the simulator in this process: "simulator"."""
    port: int
    """0 for the simulator in this process."""
    tls: TlsSettings | None
    """None speaks plain HTTP."""
    in_process: bool = False
    """Reached over a socket pair to the simulator of this very process."""

    def __str__(self) -> str:
        return f"{shown(self.address)}:{self.port}" if self.port else shown(self.address)


@frozen
class Timeouts:
    """How long a provider may take, in seconds.  None waits without end."""

    connect: float = 5.0
    """Name look-up and TCP connect together."""
    handshake: float = 5.0
    """The TLS handshake."""
    headers: float | None = 300.0
    """From the whole request being sent to the answer's head."""
    first_content: float | None = None
    """From the whole request being sent to the first content of the answer: what a user reads, not a first byte."""
    idle: float | None = 120.0
    """Between two reads of the answer's body."""
    request: float | None = None
    """The exchange as a whole."""


@frozen
class PoolLimits:
    """How much is sent to a provider at once."""

    max_connections: int = 4096
    """Open connections: 2,000 concurrent streams with room for as many again."""
    max_pending: int = 1024
    """Attempts that wait for a free connection."""
    pending_timeout: float = 5.0
    """Seconds that an attempt waits for one."""
    idle_timeout: float = 30.0
    """Seconds that an unused connection is kept: shorter than what providers and their load balancers keep (60 s and
    more), so that we close first."""
