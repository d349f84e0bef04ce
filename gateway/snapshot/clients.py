"""Who is asking: by certificate, else by key, else by the network that the request comes from.

A tenant whose document lists clients is *identified*: they alone reach it.  Any other tenant is anonymous.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import chain
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from attrs import evolve, frozen

from gateway.messages import RequestHead
from gateway.resources.reading import at_full_speed
from gateway.resources.tenant import Client, Tenant, ways_in
from gateway.snapshot.keys import digest_of

ClaimKind: TypeAlias = Literal["key", "certificate", "network", "host"]


@frozen
class KnownClient:
    """Who was recognised."""

    tenant: str
    name: str
    labels: Mapping[str, str] = MappingProxyType({})


class Claim(NamedTuple):
    """What at most one tenant may hold."""

    kind: ClaimKind
    value: str
    """A key's SHA-256 in hexadecimal, a subjectAltName, a CIDR block, or a host pattern; in its one spelling."""


def claims_of(tenant: Tenant) -> Iterator[tuple[Claim, str]]:
    """What a Tenant document claims, each with the path of the field that does."""
    for kind, value, path in ways_in(tenant.clients or ()):
        yield Claim(kind, value), f"spec.{path}"


def known_clients(tenant: Tenant | None) -> tuple[KnownClient, ...] | None:
    """Who a tenant's clients are; None for an anonymous tenant.

    :param tenant: its document, or None without one.
    """
    if tenant is None or tenant.clients is None:
        return None
    return tuple(_known(tenant, client) for client in tenant.clients)


def key_of(head: RequestHead) -> bytes | None:
    """The key that a request shows: the first of `Authorization: Bearer`, `x-api-key` and `api-key` that is there."""
    values = head.values
    authorization = values.get(b"authorization")
    # Of a scheme's name case does not matter (RFC 9110 §11.1).
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].lstrip(b" ")
    key = values.get(b"x-api-key")
    return key if key is not None else values.get(b"api-key")


class _Key(NamedTuple):
    digest: bytes
    not_after: float
    client: KnownClient


_DIGEST_INDEX = 16
"""Bytes of a digest by which its key is found; the whole is left to compare."""

_NEVER = float("inf")


class ClientIndex:
    """Finds the client.  Made with a snapshot, never changed."""

    __slots__ = ("_certificates", "_keys", "_networks", "identified", "made_of", "ways")

    def __init__(
        self,
        documents: Sequence[Tenant],
        left_out: Collection[tuple[str, Claim]] = (),
        missing: Sequence[Tenant] = (),
        pace: Callable[[], None] = at_full_speed,
    ) -> None:
        """Make the index.

        :param left_out: claims, each with the name of the tenant that is not granted it.
        :param missing: documents of tenants that have nothing to run on.  Their clients are to be told so, and are
            known by key and certificate where nobody else is; not by network, or their traffic would be everybody's.
        :param pace: called after each document; it may wait.
        """
        self.made_of = (documents, left_out, missing)
        """Where these are the same, the index is."""
        self._certificates: dict[str, KnownClient] = {}
        self._keys: dict[bytes, tuple[_Key, ...]] = {}
        networks: dict[tuple[int, int], dict[int, KnownClient]] = {}
        identified: set[str] = set()
        self.ways = 0
        """How many ways in there are: 0 where nobody can be recognised."""
        unreachable = (_without_networks(tenant) for tenant in missing)
        for tenant in chain(documents, unreachable):
            if tenant.clients is None:
                continue
            identified.add(tenant.name)
            for client in tenant.clients:
                self._take(tenant, client, networks, left_out)
            pace()
        self.identified = frozenset(identified)
        """The tenants that nobody but their clients reaches."""
        self._networks = sorted(networks.items(), key=lambda entry: -entry[0][1])
        """By IP version and prefix length, the longest first: the clients by the bits of their prefix."""

    def _take(
        self,
        tenant: Tenant,
        client: Client,
        networks: dict[tuple[int, int], dict[int, KnownClient]],
        left_out: Collection[tuple[str, Claim]],
    ) -> None:
        known = _known(tenant, client)
        for key in client.keys:
            if (tenant.name, Claim("key", key.digest)) not in left_out:
                digest = bytes.fromhex(key.digest)
                not_after = key.not_after if key.not_after is not None else _NEVER
                alike = self._keys.get(digest[:_DIGEST_INDEX], ())
                # What comes first counts, as everywhere; who writes half of another's digest takes nothing from it.
                self._keys[digest[:_DIGEST_INDEX]] = (*alike, _Key(digest, not_after, known))
                self.ways += 1
        for name in client.certificates:
            if (tenant.name, Claim("certificate", name)) not in left_out:
                self._certificates.setdefault(name, known)
                self.ways += 1
        for network in client.networks:
            if (tenant.name, Claim("network", network)) not in left_out:
                block = ip_network(network)
                prefix = int(block.network_address) >> (block.max_prefixlen - block.prefixlen)
                networks.setdefault((block.version, block.prefixlen), {}).setdefault(prefix, known)
                self.ways += 1

    def __len__(self) -> int:
        return self.ways

    def identify(
        self, names: Sequence[str], key: bytes | None, address: str, now: float
    ) -> KnownClient | None:
        """The client, or None where nobody knows it.

        :param names: the subjectAltNames of its verified certificate, in order; the first that is known counts.
        :param key: as `key_of` finds it.
        :param address: its IP address without port; empty where it has none.
        :param now: seconds of Unix time.
        """
        return ConnectedClient(self, names, address).identify(key, now)

    def by_certificate(self, names: Sequence[str]) -> KnownClient | None:
        """Who has a certificate with one of these names."""
        for name in names:
            client = self._certificates.get(name)
            if client is not None:
                return client
        return None

    def by_key(self, key: bytes, now: float) -> KnownClient | None:
        """Whose key this is, if it has not ended.

        It is found by half of its digest, and the whole is compared in a time that tells nothing.
        """
        digest = digest_of(key)
        for found in self._keys.get(digest[:_DIGEST_INDEX], ()):
            if compare_digest(found.digest, digest):
                return found.client if now < found.not_after else None
        return None

    def by_address(self, address: str) -> KnownClient | None:
        """Whose network it comes from; of several the smallest counts."""
        if not self._networks or not address:
            return None
        parsed = ip_address(address)
        if isinstance(parsed, IPv6Address):
            parsed = parsed.ipv4_mapped or parsed
        number, version, bits = int(parsed), parsed.version, parsed.max_prefixlen
        for (of_version, length), clients in self._networks:
            if of_version == version:
                client = clients.get(number >> (bits - length))
                if client is not None:
                    return client
        return None


class ConnectedClient:
    """What a connection tells of its client, looked up once for all of its requests."""

    __slots__ = ("_address", "_by_address", "_by_certificate", "index")

    def __init__(self, index: ClientIndex, names: Sequence[str], address: str) -> None:
        """Look the certificate up.

        :param names: as `ClientIndex.identify` takes them, and `address` too.
        """
        self.index = index
        """What this was looked up in: another index may know the client by another name."""
        self._by_certificate = index.by_certificate(names)
        self._address: str | None = address
        """None once it has been looked up."""
        self._by_address: KnownClient | None = None

    def identify(self, key: bytes | None, now: float) -> KnownClient | None:
        """The client of one request, as `ClientIndex.identify` tells it."""
        if self._by_certificate is not None:
            return self._by_certificate
        if key is not None:
            client = self.index.by_key(key, now)
            if client is not None:
                return client
        if self._address is not None:
            self._by_address = self.index.by_address(self._address)
            self._address = None
        return self._by_address


NO_CLIENTS = ClientIndex(())
"""Where every tenant is anonymous."""


def _without_networks(tenant: Tenant) -> Tenant:
    clients = tuple(evolve(client, networks=()) for client in tenant.clients or ())
    return evolve(tenant, clients=clients if tenant.clients is not None else None)


def _known(tenant: Tenant, client: Client) -> KnownClient:
    return KnownClient(tenant.name, client.name, client.labels)
