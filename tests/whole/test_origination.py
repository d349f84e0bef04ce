"""TLS towards providers through the whole gateway: whom it believes, and that nobody else gets a byte.

The matrix of certificates is in test_certificates.py; here is what becomes of a refusal.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.fakes.certificates import DAY, Identity, root
from tests.whole.clients import Client, ask, request
from tests.whole.documents import KEY, documents, provider
from tests.whole.providers import Provider, answer, saying, server_context
from tests.whole.running import Gateway

TRUSTED = root("trusted root")
UNTRUSTED = root("untrusted root")
NAME = x509.DNSName("provider.test")
GOOD = TRUSTED.issue(NAME)

Write = Callable[[str, bytes | str], str]
"""Puts content into a file of this name and returns its path."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("origination")
    (folder / "roots.pem").write_bytes(TRUSTED.certificate_pem)
    environment = {"SSL_CERT_FILE": str(folder / "roots.pem")}
    with Gateway(folder / "run", {}, "--access-log=-", environment=environment) as gateway:
        yield gateway


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, content: bytes | str) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return written


def secured(identity: Identity, folder: Path) -> Provider:
    return Provider(saying(answer('{"id": "c"}')), server_context(identity, folder))


def use(gateway: Gateway, *each: dict[str, Any]) -> None:
    gateway.apply({"a.yaml": documents(*each)})


def test_the_host_is_the_name_that_is_asked_for_and_checked(gateway: Gateway, tmp_path: Path) -> None:
    with secured(GOOD, tmp_path) as running:
        use(gateway, provider("provider.test", running.port, tls={"mode": "SIMPLE"}))
        assert ask(gateway.address).json() == {"id": "c"}
        assert ask(gateway.address).json() == {"id": "c"}
    (first, second) = running.requests
    assert first.server_name == second.server_name == "provider.test"
    assert first.header("Authorization") == f"Bearer {KEY}"
    assert running.connections == 1


REFUSED = {
    "expired": (TRUSTED.issue(NAME, since=-3 * DAY, until=-DAY), "expired on "),
    "not yet valid": (TRUSTED.issue(NAME, since=DAY, until=2 * DAY), "is not valid before "),
    "another name": (TRUSTED.issue(x509.DNSName("other.test")), "other.test"),
    "no subjectAltName": (TRUSTED.issue(common_name="provider.test"), "no usable subjectAltName"),
    "another authority": (UNTRUSTED.issue(NAME), "CN=untrusted root"),
    "the authority itself": (TRUSTED, "no usable subjectAltName"),
}


@pytest.mark.parametrize(("identity", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_certificate_is_a_502_and_the_provider_hears_nothing(
    identity: Identity, reason: str, gateway: Gateway, tmp_path: Path
) -> None:
    with secured(identity, tmp_path) as running:
        use(gateway, provider("provider.test", running.port, tls={"mode": "SIMPLE"}))
        request_id = f"refused-{running.port}"
        reply = ask(gateway.address, x_request_id=request_id)
        exchange = gateway.exchange(request_id)
    assert (reply.status, reply.error) == (502, "provider_tls_failed")
    assert exchange["outcome"] == "provider_failed"
    assert reason in reply.json()["error"]["message"] + exchange["detail"]
    assert exchange["attempts"] == 1
    assert running.connections == 1
    assert running.requests == []
    assert KEY not in gateway.log


def test_roots_of_ones_own_replace_the_system_s(gateway: Gateway, tmp_path: Path, write: Write) -> None:
    with secured(UNTRUSTED.issue(NAME), tmp_path) as running:
        tls = {"mode": "SIMPLE", "caCertificates": write("ca.pem", UNTRUSTED.certificate_pem)}
        use(gateway, provider("provider.test", running.port, tls=tls))
        assert ask(gateway.address).status == 200
        tls = {"mode": "SIMPLE", "caCertificates": write("other.pem", TRUSTED.certificate_pem)}
        use(gateway, provider("provider.test", running.port, tls=tls))
        assert ask(gateway.address).error == "provider_tls_failed"
    assert len(running.requests) == 1


def test_roots_that_change_in_their_file_count_at_the_next_look(
    gateway: Gateway, tmp_path: Path, write: Write
) -> None:
    with secured(UNTRUSTED.issue(NAME), tmp_path) as running:
        tls = {"mode": "SIMPLE", "caCertificates": write("ca.pem", TRUSTED.certificate_pem)}
        use(gateway, provider("provider.test", running.port, tls=tls))
        assert ask(gateway.address).error == "provider_tls_failed"
        write("ca.pem", UNTRUSTED.certificate_pem)
        gateway.apply({"touched.yaml": "# touched\n"})
        assert ask(gateway.address).status == 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "no PEM certificate"), (b"none", "no PEM certificate"), (None, "No such file")],
    ids=["empty", "no PEM", "missing"],
)
def test_roots_that_cannot_be_read_are_a_problem_with_a_place(
    content: bytes | None, reason: str, gateway: Gateway, tmp_path: Path, write: Write
) -> None:
    """And the last good configuration stays: it never falls back to the system's roots, or to no check."""
    path = str(tmp_path / "ca.pem") if content is None else write("ca.pem", content)
    with secured(GOOD, tmp_path) as running:
        use(gateway, provider("provider.test", running.port, tls={"mode": "SIMPLE"}))
        use(gateway, provider("provider.test", 1, tls={"mode": "SIMPLE", "caCertificates": path}))
        (problem,) = json.loads(gateway.admin("/config"))["problems"]
        assert ask(gateway.address).status == 200
    assert problem.startswith("conf.d/a.yaml:")
    assert "spec.endpoint.tls" in problem
    assert "caCertificates" in problem
    assert reason in problem


def test_names_to_check_may_be_others_than_the_host(gateway: Gateway, tmp_path: Path) -> None:
    with secured(TRUSTED.issue(x509.DNSName("inner.test")), tmp_path) as running:
        tls = {"mode": "SIMPLE", "sni": "shown.test", "subjectAltNames": ["inner.test"]}
        use(gateway, provider("provider.test", running.port, tls=tls))
        assert ask(gateway.address).status == 200
    assert running.requests[0].server_name == "shown.test"
    assert running.requests[0].header("Host") == "provider.test"


def mutual(folder: Path) -> Provider:
    """A provider that wants to see a certificate of our trusted root."""
    context = server_context(GOOD, folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=TRUSTED.certificate_pem.decode())
    return Provider(saying(answer('{"id": "c"}')), context)


def test_mutual(gateway: Gateway, tmp_path: Path, write: Write) -> None:
    ours = TRUSTED.issue(x509.DNSName("gateway.test"), for_clients=True)
    tls = {
        "mode": "MUTUAL",
        "clientCertificate": write("client.pem", ours.chain_pem),
        "privateKey": write("client-key.pem", ours.key_pem),
    }
    with mutual(tmp_path) as running:
        use(gateway, provider("provider.test", running.port, tls=tls))
        assert ask(gateway.address).status == 200


def test_a_client_certificate_that_is_missing_is_a_502_with_a_reason(
    gateway: Gateway, tmp_path: Path
) -> None:
    with mutual(tmp_path) as running:
        use(gateway, provider("provider.test", running.port, tls={"mode": "SIMPLE"}))
        reply = ask(gateway.address, x_request_id="no-certificate")
    assert (reply.status, reply.error) == (502, "provider_tls_failed")
    assert "MUTUAL" in str(gateway.exchange("no-certificate"))
    assert running.requests == []


def test_without_verification_there_is_a_warning(gateway: Gateway, tmp_path: Path) -> None:
    with secured(UNTRUSTED.issue(x509.DNSName("other.test")), tmp_path) as running:
        tls = {"mode": "SIMPLE", "insecureSkipVerify": True}
        use(gateway, provider("provider.test", running.port, tls=tls))
        assert ask(gateway.address).status == 200
        (warning,) = json.loads(gateway.admin("/config"))["warnings"]
    assert "any certificate is accepted" in warning
    assert warning in gateway.log


def test_identities_do_not_share_connections(gateway: Gateway, tmp_path: Path, write: Write) -> None:
    """Three providers at one address, with roots of their own: each connects and checks for itself."""

    def trusting(host: str, file: str, *roots: Identity) -> dict[str, Any]:
        bundle = write(file, b"".join(each.certificate_pem for each in roots))
        tls = {"mode": "SIMPLE", "sni": "provider.test", "subjectAltNames": ["provider.test"]}
        return provider(host, running.port, tls={**tls, "caCertificates": bundle})

    with secured(GOOD, tmp_path) as running:
        use(
            gateway,
            trusting("one.test", "one.pem", TRUSTED),
            trusting("two.test", "two.pem", TRUSTED, UNTRUSTED),
            trusting("three.test", "three.pem", UNTRUSTED),
        )
        for _ in range(2):
            assert ask(gateway.address, host="one.test").status == 200
            assert ask(gateway.address, host="two.test").status == 200
            assert ask(gateway.address, host="three.test").status == 502
    assert len(running.requests) == 4
    assert running.connections == 2 + 2


def test_a_provider_that_ignores_our_close_is_left_all_the_same(gateway: Gateway, tmp_path: Path) -> None:
    """The client leaves; TLS would wait for the provider's close_notify, which never comes."""
    asked: list[bool] = []
    with Provider(
        lambda each: asked.append(each.wait_until_left()), server_context(GOOD, tmp_path)
    ) as running:
        use(gateway, provider("provider.test", running.port, tls={"mode": "SIMPLE"}))
        with Client(gateway.address) as client:
            client.send(request())
            running.wait_until(lambda: len(running.requests) == 1)
        running.wait_until(lambda: asked == [True])
