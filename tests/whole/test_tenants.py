"""Tenants who are told apart: keys, certificates, addresses, and what a stranger is told.

Two tenants have a provider of one and the same host, each its own with its own key.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from openai import AuthenticationError, NotFoundError, OpenAI, PermissionDeniedError

from tests.fakes.certificates import Identity, root
from tests.whole.clients import CHAT, Client, ask, request
from tests.whole.documents import documents, key_hash, owned, provider, route, rule, tenant
from tests.whole.providers import Provider, answer, saying
from tests.whole.running import PATIENCE, Gateway

CI, WEB, OLD, NEW = "llmgw-acme-ci-key", "llmgw-acme-web-key", "llmgw-acme-old-key", "llmgw-acme-new-key"
OTHER = "llmgw-other-ci-key"
KEYS = (CI, WEB, OLD, NEW, OTHER)

COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}


def saying_who(name: str) -> Provider:
    """A provider whose answers have its name for a model."""
    return Provider(saying(answer(json.dumps({**COMPLETION, "model": name}))))


def keyed(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "apiKeyHash": key_hash(key), **more}


CLIENTS = (
    keyed("ci", CI),
    keyed("web", WEB, labels={"app": "web"}),
    {"name": "office", "sourceCIDRs": ["127.0.1.2"]},
    {"name": "floor", "sourceCIDRs": ["127.0.1.0/29"]},
)


def acme(port: int, *clients: Mapping[str, Any]) -> str:
    """The tenant acme; who has the label `app: web` gets another model."""
    by_label = {"matches": [{"sourceLabels": {"app": "web"}}]}
    return documents(
        tenant("acme", *clients),
        *owned(
            "acme",
            provider("llm.test", port, model="acme-small", key="provider-key-of-acme"),
            route(
                "*",
                rule("web", {"providerHost": "llm.test", "model": "acme-web"}, **by_label),
                rule("rest", "llm.test"),
            ),
        ),
    )


def other(port: int, *clients: Mapping[str, Any]) -> str:
    """The tenant other, with a host of its own."""
    return documents(
        tenant("other", *clients),
        *owned(
            "other",
            provider("llm.test", port, model="other-small", key="provider-key-of-other"),
            route("other.test", rule("all", "llm.test")),
        ),
    )


class House:
    """The gateway and the two tenants' providers."""

    def __init__(self, gateway: Gateway, acme_s: Provider, other_s: Provider, open_s: Provider) -> None:
        self.gateway = gateway
        self.acme, self.other, self.open = acme_s, other_s, open_s

    def sdk(self, key: str, address: str = "127.0.0.1") -> OpenAI:
        """OpenAI's SDK at this address, closed with its transport."""
        transport = httpx2.HTTPTransport(local_address=address)
        return OpenAI(
            base_url=f"{self.gateway.url}/v1",
            api_key=key,
            max_retries=0,
            timeout=PATIENCE,
            http_client=httpx2.Client(transport=transport),
        )

    def chat(self, key: str, address: str = "127.0.0.1", **headers: str) -> str:
        """Ask by the SDK, and return which provider has answered.

        :param headers: further ones, `_` for `-`.
        """
        further = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.sdk(key, address) as sdk:
            completion = sdk.chat.completions.create(
                model="any", messages=[{"role": "user", "content": "Hello"}], extra_headers=further
            )
        return completion.model


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tenants")
    with (
        saying_who("acme's") as acme_s,
        saying_who("other's") as other_s,
        saying_who("everybody's") as open_s,
    ):
        conf = {
            "acme.yaml": acme(acme_s.port, *CLIENTS),
            "other.yaml": other(other_s.port, keyed("ci", OTHER)),
            "open.yaml": documents(provider("open.test", open_s.port, key="provider-key-of-all")),
        }
        with Gateway(folder, conf, "--access-log=-") as gateway:
            yield House(gateway, acme_s, other_s, open_s)
            shown = gateway.log + gateway.admin("/metrics") + gateway.admin("/config")
            assert not [key for key in KEYS if key in shown or key_hash(key)[7:] in shown]
            assert "Traceback" not in gateway.log


def test_a_key_of_an_sdk(house: House) -> None:
    assert house.chat(CI, X_Request_Id="by-key") == "acme's"
    sent = house.acme.requests[-1]
    assert sent.header("authorization") == "Bearer provider-key-of-acme"
    assert CI.encode() not in sent.raw
    assert json.loads(sent.body)["model"] == "acme-small"
    exchange = house.gateway.exchange("by-key")
    assert (exchange["tenant"], exchange["client"], exchange["rule"]) == ("acme", "ci", "rest")
    assert house.gateway.count("llmgateway_requests_total", tenant="acme", client="ci", code="200") == 1


@pytest.mark.parametrize("header", ["authorization", "x_api_key", "api_key"])
def test_every_header_that_carries_a_key(house: House, header: str) -> None:
    scheme = "Bearer " if header == "authorization" else ""
    reply = ask(house.gateway.address, CHAT, "other.test", **{header: scheme + OTHER})
    assert reply.json()["model"] == "other's"
    assert OTHER.encode() not in house.other.requests[-1].raw


def test_a_label_chooses_the_rule(house: House) -> None:
    assert house.chat(WEB) == "acme's"
    assert json.loads(house.acme.requests[-1].body)["model"] == "acme-web"


def test_a_wrong_key(house: House) -> None:
    with pytest.raises(AuthenticationError) as caught:
        house.chat("llmgw-nobody-has-this-key")
    refused = caught.value
    assert (refused.status_code, refused.code, refused.type) == (
        401,
        "invalid_api_key",
        "authentication_error",
    )
    assert refused.response.headers["www-authenticate"] == "Bearer"
    assert refused.response.headers["x-llmgateway-error-source"] == "gateway"
    for word in ("acme", "other", "open", "nobody-has"):
        assert word not in refused.response.text


def test_a_wrong_host(house: House) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        house.chat(OTHER, Host="open.test")
    assert (caught.value.status_code, caught.value.code) == (403, "host_not_allowed")


def test_an_anonymous_tenant_takes_any_key(house: House) -> None:
    assert house.chat("sk-anything", Host="open.test") == "everybody's"
    assert house.open.requests[-1].header("authorization") == "Bearer provider-key-of-all"


def test_the_smallest_network_around_an_address(house: House) -> None:
    for address, client in (("127.0.1.2", "office"), ("127.0.1.3", "floor")):
        assert house.chat("not-a-key-of-ours", address, X_Request_Id=client) == "acme's"
        exchange = house.gateway.exchange(client)
        assert (exchange["tenant"], exchange["client"]) == ("acme", client)
        assert exchange["peer"].startswith(f"{address}:")
    with pytest.raises(AuthenticationError):
        house.chat("not-a-key-of-ours", "127.0.1.8")


def test_a_key_is_known_before_an_address(house: House) -> None:
    assert house.chat(OTHER, "127.0.1.2", Host="other.test") == "other's"


def test_tenants_share_no_connection(house: House) -> None:
    """Twenty requests on one connection of a client, keys by turns."""
    before = (house.acme.connections, house.other.connections)
    with Client(house.gateway.address) as client:
        for turn in range(20):
            key, owner = ((CI, "acme"), (OTHER, "other"))[turn % 2]
            client.send(request(host="other.test", authorization=f"Bearer {key}"))
            assert client.reply().json()["model"] == f"{owner}'s"
            asked = house.acme if owner == "acme" else house.other
            assert asked.requests[-1].header("authorization") == f"Bearer provider-key-of-{owner}"
    assert house.acme.connections - before[0] <= 1
    assert house.other.connections - before[1] <= 1


def test_the_body_of_a_stranger_is_not_asked_for(house: House) -> None:
    with Client(house.gateway.address) as client:
        client.send(
            request(host="nobody", expect="100-continue", authorization="Bearer no").partition(b"\r\n\r\n")[0]
            + b"\r\n\r\n"
        )
        assert client.reply().status == 401


def test_a_key_is_rotated_without_a_gap_and_taken_away_at_once(house: House) -> None:
    def rotating(*hashes: Mapping[str, str]) -> str:
        return acme(house.acme.port, *CLIENTS, {"name": "rotating", "apiKeyHashes": list(hashes)})

    far = "2999-12-31T00:00:00+08:00"
    house.gateway.apply({"acme.yaml": rotating({"hash": key_hash(OLD), "notAfter": far})})
    assert house.chat(OLD) == "acme's"
    with house.sdk(OLD) as kept:
        ask_again = kept.chat.completions.with_raw_response.create
        messages: Any = [{"role": "user", "content": "Hello"}]
        assert ask_again(model="any", messages=messages).status_code == 200

        both = rotating({"hash": key_hash(OLD), "notAfter": far}, {"hash": key_hash(NEW)})
        house.gateway.apply({"acme.yaml": both})
        assert (house.chat(OLD), house.chat(NEW)) == ("acme's", "acme's")

        ended = rotating({"hash": key_hash(OLD), "notAfter": "2020-01-01T00:00:00Z"}, {"hash": key_hash(NEW)})
        house.gateway.apply({"acme.yaml": ended})
        with pytest.raises(AuthenticationError):
            ask_again(model="any", messages=messages)
    assert house.chat(NEW) == "acme's"

    house.gateway.apply({"acme.yaml": acme(house.acme.port, *CLIENTS)})
    with pytest.raises(AuthenticationError):
        house.chat(NEW)
    assert house.chat(CI) == "acme's"


def test_an_export_is_for_whom_it_names(tmp_path: Path) -> None:
    with saying_who("shared") as shared:
        owner = documents(
            *owned("owner", provider("shared.test", shared.port, key="key-of-owner", exportTo=["acme"]))
        )
        conf = {"owner.yaml": owner}
        for name, key in (("acme", CI), ("other", OTHER)):
            routes = owned(name, route("*", rule("all", "shared.test")))
            conf[f"{name}.yaml"] = documents(tenant(name, keyed("ci", key)), *routes)
        with Gateway(tmp_path / "gateway", conf, "--access-log=-") as gateway:
            reply = ask(gateway.address, host="any", authorization=f"Bearer {CI}", x_request_id="export")
            assert reply.json()["model"] == "shared"
            assert shared.requests[-1].header("authorization") == "Bearer key-of-owner"
            assert gateway.exchange("export")["tenant"] == "acme"
            refused = ask(gateway.address, host="any", authorization=f"Bearer {OTHER}")
            assert (refused.status, refused.error) == (503, "host_misconfigured")


def test_without_tenants_a_stranger_s_host_is_not_found(tmp_path: Path) -> None:
    with saying_who("everybody's") as open_s:
        conf = {"open.yaml": documents(provider("open.test", open_s.port))}
        with Gateway(tmp_path / "gateway", conf) as gateway:
            sdk = OpenAI(base_url=f"{gateway.url}/v1", api_key=CI, max_retries=0)
            with sdk, pytest.raises(NotFoundError):
                sdk.chat.completions.create(model="any", messages=[{"role": "user", "content": "Hello"}])


@pytest.fixture(scope="module")
def authority() -> Identity:
    return root("clients")


@pytest.fixture(scope="module")
def certified(
    authority: Identity, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, Path]]:
    """A listener that asks clients for certificates, and lets in those who have none; and a folder."""
    folder = tmp_path_factory.mktemp("certificates")
    server = root("servers").issue(x509.DNSName("localhost"))
    for name, content in (
        ("server.pem", server.chain_pem),
        ("server.key", server.key_pem.encode()),
        ("clients.pem", authority.certificate_pem),
    ):
        (folder / name).write_bytes(content)
    listen = (
        f"tls:0:interface=127.0.0.1:certificate={folder}/server.pem:privateKey={folder}/server.key"
        f":clientCA={folder}/clients.pem:clientAuth=request"
    )
    batch = {"name": "batch", "certificate": {"subjectAltName": "spiffe://corp/batch"}}
    with saying_who("acme's") as acme_s, saying_who("other's") as other_s:
        conf = {
            "acme.yaml": acme(acme_s.port, batch),
            "other.yaml": other(other_s.port, keyed("ci", OTHER)),
        }
        with Gateway(folder / "gateway", conf, "--access-log=-", listen=(listen,)) as gateway:
            yield gateway, folder


def ask_by(
    gateway: Gateway, folder: Path, identity: Identity | None, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Send two requests on one connection; both are answered alike."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if identity is not None:
        (folder / "client.pem").write_bytes(identity.chain_pem + identity.key_pem.encode())
        context.load_cert_chain(folder / "client.pem")
    replies = []
    with Client(gateway.address, context) as client:
        for _ in range(2):
            client.send(request(CHAT, "other.test", **headers))
            reply = client.reply()
            replies.append((reply.status, reply.json()))
    assert replies[0] == replies[1]
    return replies[0]


def test_the_name_of_a_certificate(certified: tuple[Gateway, Path], authority: Identity) -> None:
    names = (x509.DNSName("batch"), x509.UniformResourceIdentifier("spiffe://corp/batch"))
    identity = authority.issue(*names, for_clients=True)
    status, body = ask_by(*certified, identity, authorization=f"Bearer {OTHER}", x_request_id="certified")
    assert (status, body["model"]) == (200, "acme's"), "a certificate is looked at before a key"
    exchange = certified[0].exchange("certified")
    assert (exchange["tenant"], exchange["client"]) == ("acme", "batch")


def test_an_unknown_certificate_leaves_it_to_the_key(
    certified: tuple[Gateway, Path], authority: Identity
) -> None:
    identity = authority.issue(x509.UniformResourceIdentifier("spiffe://corp/other"), for_clients=True)
    assert ask_by(*certified, identity)[0] == 401
    assert ask_by(*certified, identity, authorization=f"Bearer {OTHER}")[1]["model"] == "other's"


def test_no_certificate(certified: tuple[Gateway, Path]) -> None:
    assert ask_by(*certified, None)[0] == 401
    assert ask_by(*certified, None, authorization=f"Bearer {OTHER}")[1]["model"] == "other's"


def test_a_certificate_of_another_authority_gets_no_connection(certified: tuple[Gateway, Path]) -> None:
    identity = root("clients").issue(x509.UniformResourceIdentifier("spiffe://corp/batch"), for_clients=True)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask_by(*certified, identity)
