"""Who is asking."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.messages import Headers
from gateway.resources import Client, KeyHash, Tenant
from gateway.resources.problems import Places, Position
from gateway.snapshot.clients import (
    NO_CLIENTS,
    Claim,
    ClientIndex,
    ConnectedClient,
    KnownClient,
    claims_of,
    key_of,
    known_clients,
)
from tests.fakes.heads import request_head

NOW = 1_800_000_000.0


def hashed(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def tenant(name: str, *clients: Client) -> Tenant:
    return Tenant(name, clients, Places({"": Position("conf.d/x.yaml", 1, 1)}))


def keyed(name: str, *keys: str) -> Client:
    return Client(name, keys=tuple(KeyHash(hashed(key)) for key in keys))


ACME = tenant(
    "acme",
    Client("ci", keys=(KeyHash(hashed("key-of-ci")),), labels={"app": "web"}),
    Client("rotating", keys=(KeyHash(hashed("old"), NOW), KeyHash(hashed("new")))),
    Client("batch", certificates=("spiffe://corp/batch",)),
    Client("office", networks=("10.1.0.0/16", "2001:db8::/32")),
)
OTHER = tenant(
    "other",
    keyed("ci", "key-of-other"),
    Client("desk", networks=("10.1.2.0/24", "10.1.2.3/32")),
    Client("all", certificates=("10.9.9.9", "batch.corp"), networks=("0.0.0.0/0",)),
)
INDEX = ClientIndex([ACME, OTHER])


def identified(
    names: tuple[str, ...] = (), key: str | None = None, address: str = "", now: float = NOW - 1
) -> str | None:
    """Tenant and client."""
    found = INDEX.identify(names, key.encode() if key is not None else None, address, now)
    return f"{found.tenant}/{found.name}" if found is not None else None


@pytest.mark.parametrize(
    ("names", "key", "address", "client"),
    [
        ((), None, "", None),
        ((), "key-of-ci", "", "acme/ci"),
        ((), "key-of-other", "", "other/ci"),
        ((), "key-of-c", "", None),
        ((), "", "", None),
        ((), hashed("key-of-ci"), "", None),
        (("spiffe://corp/batch",), None, "", "acme/batch"),
        (("spiffe://corp/BATCH",), None, "", None),
        (("spiffe://corp/batch/x",), None, "", None),
        (("unknown", "batch.corp"), None, "", "other/all"),
        (("batch.corp", "spiffe://corp/batch"), None, "", "other/all"),
        ((), None, "10.1.200.1", "acme/office"),
        ((), None, "10.1.2.4", "other/desk"),
        ((), None, "10.1.2.3", "other/desk"),
        ((), None, "::ffff:10.1.200.1", "acme/office"),
        ((), None, "192.0.2.1", "other/all"),
        ((), None, "2001:db8:1::1", "acme/office"),
        ((), None, "2001:db8:1::1%eth0", "acme/office"),
        ((), None, "2001:db9::1", None),
        # certificate before key before address; what is not known is passed over
        (("spiffe://corp/batch",), "key-of-other", "192.0.2.1", "acme/batch"),
        (("stranger",), "key-of-other", "10.1.200.1", "other/ci"),
        (("stranger",), "wrong", "10.1.200.1", "acme/office"),
    ],
)
def test_who_it_is(names: tuple[str, ...], key: str | None, address: str, client: str | None) -> None:
    assert identified(names, key, address) == client


def test_a_key_ends() -> None:
    assert identified(key="old", now=NOW - 0.001) == "acme/rotating"
    assert identified(key="old", now=NOW) is None
    assert identified(key="old", address="10.1.200.1", now=NOW) == "acme/office"
    assert identified(key="new", now=NOW + 1e9) == "acme/rotating"


def test_the_whole_digest_counts() -> None:
    half = Client("half", keys=(KeyHash(hashed("key-of-ci")[:32] + "0" * 32),))
    index = ClientIndex([tenant("thief", half), ACME])
    assert index.identify((), b"key-of-ci", "", NOW) == KnownClient("acme", "ci", {"app": "web"})
    assert ClientIndex([tenant("thief", half)]).identify((), b"key-of-ci", "", NOW) is None


def test_what_is_known_of_the_client() -> None:
    assert INDEX.identify((), b"key-of-ci", "", NOW) == KnownClient("acme", "ci", {"app": "web"})


def test_what_is_left_out_lets_nobody_in() -> None:
    left_out = {
        ("acme", Claim("key", hashed("key-of-ci"))),
        ("acme", Claim("certificate", "spiffe://corp/batch")),
        ("acme", Claim("network", "10.1.0.0/16")),
        ("acme", Claim("key", hashed("key-of-other"))),
    }
    index = ClientIndex([ACME], left_out)
    assert index.identify(("spiffe://corp/batch",), b"key-of-ci", "10.1.0.1", NOW) is None
    assert index.identify((), b"new", "", NOW) == KnownClient("acme", "rotating")
    assert index.identify((), None, "2001:db8::1", NOW) == KnownClient("acme", "office")
    assert ClientIndex([OTHER], left_out).identify((), b"key-of-other", "", NOW) is not None
    assert (len(INDEX), len(ClientIndex([ACME])), len(index)) == (12, 6, 3)


def test_the_clients_of_a_missing_tenant_are_known_where_nobody_else_is() -> None:
    missing = tenant(
        "missing",
        keyed("theirs", "key-of-missing"),
        keyed("ours", "key-of-ci"),
        Client("all", certificates=("x", "spiffe://corp/batch"), networks=("0.0.0.0/0",)),
    )
    index = ClientIndex([ACME], missing=[missing, Tenant("open", None, ACME.places)])
    assert index.identify((), b"key-of-missing", "", NOW) == KnownClient("missing", "theirs")
    assert index.identify((), b"key-of-ci", "", NOW) == KnownClient("acme", "ci", {"app": "web"})
    assert index.identify(("x",), None, "", NOW) == KnownClient("missing", "all")
    assert index.identify(("spiffe://corp/batch",), None, "", NOW) == KnownClient("acme", "batch")
    assert index.identify((), None, "192.0.2.1", NOW) is None
    assert index.identified == {"acme", "missing"}


def test_who_is_identified() -> None:
    anonymous = Tenant("open", None, ACME.places)
    closed = tenant("closed")
    index = ClientIndex([anonymous, closed])
    assert (len(index), index.identified) == (0, frozenset({"closed"}))
    assert (len(NO_CLIENTS), NO_CLIENTS.identified) == (0, frozenset())
    assert known_clients(None) is None
    assert known_clients(anonymous) is None
    assert known_clients(closed) == ()
    assert known_clients(ACME) == (
        KnownClient("acme", "ci", {"app": "web"}),
        KnownClient("acme", "rotating"),
        KnownClient("acme", "batch"),
        KnownClient("acme", "office"),
    )


def test_what_a_document_claims() -> None:
    assert list(claims_of(tenant("x", Client("a", (KeyHash("d1"),), ("n",), ("10.0.0.0/8",))))) == [
        (Claim("key", "d1"), "spec.clients[0].apiKeyHash"),
        (Claim("certificate", "n"), "spec.clients[0].certificate.subjectAltName"),
        (Claim("network", "10.0.0.0/8"), "spec.clients[0].sourceCIDRs[0]"),
    ]
    assert list(claims_of(Tenant("open", None, ACME.places))) == []


class CountingIndex(ClientIndex):
    """Counts how often it is asked for what a connection tells."""

    asked = 0

    def by_certificate(self, names: object) -> KnownClient | None:
        self.asked += 1
        return None

    def by_address(self, address: str) -> KnownClient | None:
        self.asked += 1
        return super().by_address(address)


def test_a_connection_is_looked_up_once() -> None:
    index = CountingIndex([ACME])
    connected = ConnectedClient(index, ("x",), "10.1.0.1")
    assert index.asked == 1
    for _ in range(3):
        assert connected.identify(b"key-of-ci", NOW) == KnownClient("acme", "ci", {"app": "web"})
    assert index.asked == 1, "nobody asked for the address"
    for _ in range(3):
        assert connected.identify(b"wrong", NOW) == KnownClient("acme", "office")
    assert index.asked == 2
    assert connected.identify(b"key-of-ci", NOW) == KnownClient("acme", "ci", {"app": "web"})


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        ([(b"authorization", b"Bearer k")], b"k"),
        ([(b"authorization", b"bEARER   k")], b"k"),
        ([(b"authorization", b"Basic k")], None),
        ([(b"authorization", b"Bearer")], None),
        ([(b"authorization", b"Bearerk")], None),
        ([(b"x-api-key", b"k")], b"k"),
        ([(b"api-key", b"k")], b"k"),
        ([(b"api-key", b"a"), (b"x-api-key", b"b")], b"b"),
        ([(b"x-api-key", b"a"), (b"authorization", b"Bearer b")], b"b"),
        ([(b"authorization", b"Basic a"), (b"x-api-key", b"b")], b"b"),
        ([(b"x-api-key", b"a"), (b"x-api-key", b"b")], b"a, b"),
        ([(b"proxy-authorization", b"Bearer k")], None),
        ([(b"cookie", b"api-key=k")], None),
    ],
)
def test_where_the_key_stands(headers: Headers, key: bytes | None) -> None:
    assert key_of(request_head(b"POST", b"/", b"key=k", "demo", headers, 0, False)) == key


def networks_around(address: IPv4Address | IPv6Address) -> st.SearchStrategy[IPv4Network | IPv6Network]:
    """Networks that an address may be in, often."""
    lengths = st.integers(0, address.max_prefixlen)
    return lengths.map(lambda length: ip_network((address, length), strict=False))


ADDRESSES = st.sampled_from(
    ["10.1.2.3", "10.1.2.4", "10.200.0.1", "203.0.113.9", "2001:db8::1", "::a01:203"]
).map(ip_address)


@given(st.lists(ADDRESSES.flatmap(networks_around), unique=True, max_size=6), ADDRESSES)
@example([ip_network("0.0.0.0/0"), ip_network("::/0")], ip_address("10.1.2.3"))
def test_the_smallest_network_counts(
    networks: list[IPv4Network | IPv6Network], address: IPv4Address | IPv6Address
) -> None:
    index = ClientIndex([tenant("t", *(Client(str(each), networks=(str(each),)) for each in networks))])
    around = [each for each in networks if address in each]
    expected = str(max(around, key=lambda each: each.prefixlen)) if around else None
    found = index.by_address(str(address))
    assert (found.name if found is not None else None) == expected
    if isinstance(address, IPv4Address):
        assert index.by_address(f"::ffff:{address}") == found
