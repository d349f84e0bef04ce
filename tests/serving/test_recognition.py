"""Clients who are known, and what becomes of those who are not."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.address import IPv4Address

from gateway.serving.acquaintance import Acquaintance
from gateway.snapshot.clients import ConnectedClient
from tests.fakes.client import Client, ClientTransport
from tests.fakes.conf import key_hash, provider, route, route_to, tenant
from tests.fakes.house import ANSWER, HELLO, ConversationTestCase, House, error, get, parts, post

CI, WEB, OLD, NEW = "key-of-acme-ci", "key-of-acme-web", "old-key-of-acme", "new-key-of-acme"
OTHER = "key-of-other-ci"

ACME = tenant(
    "acme",
    f"""
    clients:
    - {{name: ci, apiKeyHash: "{key_hash(CI)}"}}
    - {{name: web, apiKeyHash: "{key_hash(WEB)}", labels: {{app: web}}}}
    - name: rotating
      apiKeyHashes: [{{hash: "{key_hash(OLD)}", notAfter: 1970-01-01T00:01:40Z}}, {{hash: "{key_hash(NEW)}"}}]
    - {{name: office, sourceCIDRs: [10.1.0.0/16]}}
    """,
)


def upstream(owner: str) -> str:
    """A provider of one host in every tenant, with a key of this one's."""
    return provider(
        "llm", f"configs: {{defaultConfig: {{openAIConfig: {{model: m, apiKey: provider-key-of-{owner}}}}}}}"
    )


BY_LABEL = """
rules:
- {name: web, matches: [{sourceLabels: {app: web}}], backendRefs: [{providerHost: llm.example}]}
- {name: rest, backendRefs: [{providerHost: llm.example}]}
"""

FILES = {
    "acme/all.yaml": ACME
    + upstream("acme")
    + route("demo", BY_LABEL)
    + route_to("llm", "own", host="acme.host"),
    "other/all.yaml": tenant("other", f'clients: [{{name: ci, apiKeyHash: "{key_hash(OTHER)}"}}]')
    + upstream("other")
    + route_to("llm", "everything", host="*"),
    "closed/all.yaml": tenant("closed", "clients: []")
    + upstream("closed")
    + route_to("llm", host="closed.host"),
    "open.yaml": upstream("default") + route_to("llm", host="open.host"),
}

SCHEMES = (b"Authorization: Bearer ", b"authorization: bearer  ", b"X-Api-Key: ", b"Api-Key: ")


def bearer(key: str) -> bytes:
    return b"Authorization: Bearer " + key.encode()


class RecognitionTests(ConversationTestCase):
    def open_from(self, address: str) -> tuple[House, Client]:
        """A house and a client with an address."""
        house = self.house(FILES)
        transport = ClientTransport(IPv4Address("TCP", address, 5555))
        return house, Client(house.reception, factory=house.factory, transport=transport, clock=house.clock)

    def served(self, house: House, client: Client, request: bytes) -> tuple[str, str, str]:
        """Who is said to have asked whom by which rule, after a good answer."""
        self.assertEqual(client.sends(request), b"")
        ((asked, sent),) = ((each, data) for each in house.network.providers if (data := each.received()))
        asked.answers(ANSWER)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 200 "))
        owner = house.names.tenant
        self.assertEqual(parts(sent)[1][b"authorization"], f"Bearer provider-key-of-{owner}".encode())
        self.assertEqual(asked.connection.destination.owner, owner)
        return house.names.tenant, house.names.client, house.names.rule

    def test_by_key_in_every_header_that_sdks_use(self) -> None:
        house, client = self.open(FILES)
        for scheme in SCHEMES:
            request = post(HELLO, scheme + CI.encode())
            self.assertEqual(self.served(house, client, request), ("acme", "ci", "rest"))
        self.assertEqual(house.number("llmgateway_requests_total", tenant="acme", client="ci"), len(SCHEMES))

    def test_no_credential_of_a_client_reaches_a_provider(self) -> None:
        house, client = self.open(FILES)
        lines = [bearer(CI), b"X-Api-Key: " + WEB.encode(), b"Api-Key: " + NEW.encode()]
        client.sends(post(HELLO, *lines))
        sent = house.provider.received()
        for key in (CI, WEB, NEW):
            self.assertNotIn(key.encode(), sent)
        house.provider.answers(ANSWER)

    def test_one_connection_may_carry_several_clients(self) -> None:
        house, client = self.open(FILES)
        self.assertEqual(self.served(house, client, post(HELLO, bearer(CI))), ("acme", "ci", "rest"))
        self.assertEqual(self.served(house, client, post(HELLO, bearer(OTHER))), ("other", "ci", "all"))
        self.assertEqual(self.served(house, client, post(HELLO, bearer(WEB))), ("acme", "web", "web"))

    def test_labels_choose_the_rule(self) -> None:
        house, client = self.open(FILES)
        self.assertEqual(self.served(house, client, post(HELLO, bearer(WEB))), ("acme", "web", "web"))
        self.assertEqual(self.served(house, client, post(HELLO, bearer(CI))), ("acme", "ci", "rest"))

    def test_a_key_is_rotated_without_a_gap(self) -> None:
        house, client = self.open(FILES)
        for key in (OLD, NEW):
            self.assertEqual(self.served(house, client, post(HELLO, bearer(key)))[:2], ("acme", "rotating"))
        house.waits(100)
        client = house.client()
        self.assertEqual(error(client.sends(post(HELLO, bearer(OLD))))["code"], "invalid_api_key")
        self.assertEqual(self.served(house, client, post(HELLO, bearer(NEW)))[:2], ("acme", "rotating"))

    def test_by_address_where_no_key_is_known(self) -> None:
        house, client = self.open_from("10.1.2.3")
        self.assertEqual(self.served(house, client, post(HELLO)), ("acme", "office", "rest"))
        self.assertEqual(
            self.served(house, client, post(HELLO, bearer("of an SDK"))), ("acme", "office", "rest")
        )
        self.assertEqual(self.served(house, client, post(HELLO, bearer(OTHER))), ("other", "ci", "all"))

    def test_by_certificate_before_all(self) -> None:
        document = tenant(
            "acme", "clients: [{name: batch, certificate: {subjectAltName: spiffe://corp/batch}}]"
        )
        house = self.house({**FILES, "acme/all.yaml": document + upstream("acme") + route_to("llm")})
        client = house.client()
        client.connection.__dict__["certificate_names"] = ("spiffe://corp/batch",)
        self.assertEqual(self.served(house, client, post(HELLO, bearer(OTHER))), ("acme", "batch", "all"))

    def test_an_anonymous_tenant_ignores_keys(self) -> None:
        house, client = self.open(FILES)
        for lines in ([], [bearer("sk-anything")]):
            request = post(HELLO, *lines, host=b"open.host")
            self.assertEqual(self.served(house, client, request), ("default", "", "all"))

    def test_a_known_client_reaches_its_own_tenant_alone(self) -> None:
        house, client = self.open(FILES)
        self.assertEqual(
            self.served(house, client, post(HELLO, bearer(OTHER), host=b"open.host"))[0], "other"
        )
        for host in (b"open.host", b"nowhere", b"closed.host"):
            received = client.sends(post(HELLO, bearer(CI), host=host))
            self.assertTrue(received.startswith(b"HTTP/1.1 403 "))
            self.assertEqual(
                error(received),
                {
                    "message": f"The client has no access to the host {host.decode()}.",
                    "type": "permission_error",
                    "param": None,
                    "code": "host_not_allowed",
                },
            )
            self.assertEqual((house.names.tenant, house.names.client), ("acme", "ci"))
        self.assertEqual(
            house.number("llmgateway_requests_total", tenant="acme", client="ci", route="", code="403"), 3
        )

    def test_nobody_gets_into_a_tenant_without_clients(self) -> None:
        house, client = self.open(FILES)
        received = client.sends(post(HELLO, host=b"closed.host"))
        self.assertEqual(error(received)["code"], "invalid_api_key")
        self.assertEqual(house.network.providers, [])

    def test_a_tenant_that_has_no_table_answers_503_to_its_own(self) -> None:
        house, client = self.open(FILES)
        snapshot = house.current.snapshot
        assert snapshot is not None
        house.current.snapshot = evolve(
            snapshot, tenants={name: each for name, each in snapshot.tenants.items() if name != "acme"}
        )
        received = client.sends(post(HELLO, bearer(CI)))
        self.assertTrue(received.startswith(b"HTTP/1.1 503 "))
        self.assertEqual(error(received)["code"], "host_misconfigured")
        self.assertEqual((house.names.tenant, house.names.client), ("acme", "ci"))

    def test_without_any_tenant_document_an_unknown_host_is_404(self) -> None:
        _, client = self.open({"open.yaml": FILES["open.yaml"]})
        self.assertEqual(error(client.sends(post(HELLO, bearer(CI), host=b"nobody")))["code"], "no_route")

    def test_the_models_of_a_route_are_for_its_clients(self) -> None:
        house, client = self.open(FILES)
        self.assertTrue(client.sends(get(b"/v1/models")).startswith(b"HTTP/1.1 401 "))
        self.assertTrue(client.sends(get(b"/v1/models", bearer(WEB))).startswith(b"HTTP/1.1 200 "))
        self.assertEqual((house.names.tenant, house.names.client), ("acme", "web"))


class UnknownTests(ConversationTestCase):
    def refusal(self, *lines: bytes, host: bytes = b"demo", conf: object = FILES) -> tuple[bytes, bytes]:
        """What a client is told, but for the id and the date."""
        house, client = self.open(conf)  # type: ignore[arg-type]
        status, headers, body = parts(client.sends(post(HELLO, *lines, b"X-Request-Id: same", host=host)))
        self.assertEqual(headers[b"www-authenticate"], b"Bearer")
        self.assertEqual(headers[b"x-llmgateway-error-source"], b"gateway")
        self.assertEqual(house.network.providers, [])
        self.assertEqual(house.counted, {("401", "client_error"): 1})
        self.assertEqual((house.names.tenant, house.names.client, house.names.route), ("", "", ""))
        del headers[b"date"]
        return status + b"%r" % sorted(headers.items()), body

    def test_the_answer_is_the_same_for_every_reason(self) -> None:
        absent = self.refusal()
        self.assertTrue(absent[0].startswith(b"HTTP/1.1 401 Unauthorized"))
        self.assertEqual(
            absent[1],
            b'{"error":{"message":"No client is known by this key, certificate or address.",'
            b'"type":"authentication_error","param":null,"code":"invalid_api_key"}}',
        )
        for lines, host in (
            ([bearer("wrong")], b"demo"),
            ([bearer("wrong")], b"acme.host"),
            ([bearer(key_hash(CI))], b"demo"),
            ([b"Authorization: Basic " + CI.encode()], b"closed.host"),
            ([], b"nobody"),
            ([b"X-Forwarded-For: 10.1.2.3"], b"demo"),
        ):
            self.assertEqual(self.refusal(*lines, host=host), absent)

    def test_an_expired_key_is_one_that_nobody_knows(self) -> None:
        house, client = self.open(FILES)
        house.waits(100)
        client = house.client()
        expired = client.sends(post(HELLO, bearer(OLD), b"X-Request-Id: same"))
        self.assertEqual(expired, client.sends(post(HELLO, bearer("wrong"), b"X-Request-Id: same")))

    def test_the_body_is_not_asked_for(self) -> None:
        _, client = self.open(FILES)
        head = post(HELLO, bearer("wrong"), b"Expect: 100-continue").partition(b"\r\n\r\n")[0]
        self.assertTrue(client.sends(head + b"\r\n\r\n").startswith(b"HTTP/1.1 401 "))

    def test_it_is_asked_for_where_the_client_is_known(self) -> None:
        house, client = self.open(FILES)
        head, _, body = post(HELLO, bearer(CI), b"Expect: 100-continue").partition(b"\r\n\r\n")
        self.assertEqual(client.sends(head + b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sends(body)
        house.provider.answers(ANSWER)


class ConnectionTests(ConversationTestCase):
    """What a connection tells of its client is looked up once, and again after a reload."""

    def ask(self, house: House, client: Client) -> tuple[str, object]:
        client.sends(get(b"/v1/models"))
        known = client.connection.remembered
        assert isinstance(known, Acquaintance)
        return house.names.client, known.client

    def test_it_is_remembered(self) -> None:
        house = self.house(FILES)
        transport = ClientTransport(IPv4Address("TCP", "10.1.2.3", 5555))
        client = Client(house.reception, factory=house.factory, transport=transport, clock=house.clock)
        name, remembered = self.ask(house, client)
        self.assertEqual(name, "office")
        self.assertIsInstance(remembered, ConnectedClient)
        self.assertIs(self.ask(house, client)[1], remembered)

        house.reads({**FILES, "acme/all.yaml": FILES["acme/all.yaml"].replace("name: office", "name: floor")})
        name, another = self.ask(house, client)
        self.assertEqual(name, "floor")
        self.assertIsNot(another, remembered)

    def test_nothing_is_looked_up_where_nobody_could_be_known(self) -> None:
        house, client = self.open({"open.yaml": FILES["open.yaml"]})
        self.assertEqual(self.ask(house, client), ("", None))


class IsolationTests(ConversationTestCase):
    """One host and one address in two tenants, each with its own key."""

    def test_a_connection_is_one_tenant_s(self) -> None:
        house, client = self.open(FILES)
        for key, owner, connections in (
            (CI, "acme", 1),
            (OTHER, "other", 2),
            (CI, "acme", 2),
            (OTHER, "other", 2),
        ):
            client.sends(post(HELLO, bearer(key)))
            self.assertEqual(len(house.network.providers), connections)
            provider = house.network.providers[0 if owner == "acme" else 1]
            self.assertEqual(provider.connection.destination.owner, owner)
            self.assertIn(f"provider-key-of-{owner}".encode(), provider.received())
            provider.answers(ANSWER)
            client.received()
        acme, other = (each.connection.destination for each in house.network.providers)
        self.assertEqual(evolve(acme, owner="other"), other, "they differ in nothing but their owner")

    def test_a_turn_is_one_tenant_s(self) -> None:
        rules = """
        rules:
        - {name: all, backendRefs: [{providerHost: a.example, weight: 50}, {providerHost: b.example, weight: 50}]}
        """
        shared = provider("a") + provider("b") + route("demo", rules)
        files = {
            name: tenant(name, f'clients: [{{name: ci, apiKeyHash: "{key_hash("key-of-" + name)}"}}]')
            for name in ("one", "two")
        }
        house, client = self.open({f"{name}/all.yaml": text + shared for name, text in files.items()})
        told = []
        for name in ("one", "one", "two", "one", "two", "two"):
            client.sends(post(HELLO, bearer(f"key-of-{name}")))
            (asked,) = (each for each in house.network.providers if each.received())
            asked.answers(ANSWER)
            client.received()
            told.append((house.names.tenant, house.names.provider))
        self.assertEqual([provider for tenant, provider in told if tenant == "one"], ["a", "b", "a"])
        self.assertEqual([provider for tenant, provider in told if tenant == "two"], ["a", "b", "a"])

    def test_an_exported_provider_is_its_owner_s_connection_for_all(self) -> None:
        shared = provider(
            "shared", "exportTo: [acme]\nconfigs: {defaultConfig: {openAIConfig: {apiKey: k-of-owner}}}"
        )
        files = {
            "owner/all.yaml": shared,
            "acme/all.yaml": ACME + route_to("shared"),
        }
        house, client = self.open(files)
        client.sends(post(HELLO, bearer(CI)))
        self.assertEqual(house.provider.connection.destination.owner, "owner")
        self.assertIn(b"authorization: Bearer k-of-owner", house.provider.received())
        house.provider.answers(ANSWER)
        self.assertEqual((house.names.tenant, house.names.client), ("acme", "ci"))
