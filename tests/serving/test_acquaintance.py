"""A head that comes again is not read again, unless it could mean something else by now."""

from __future__ import annotations

from gateway.serving.acquaintance import Acquaintance, HeadReading
from tests.fakes.client import Client
from tests.fakes.conf import key_hash, provider, route, tenant
from tests.fakes.house import ANSWER, HELLO, ConversationTestCase, House, error, parts, post

MODEL = "configs: {defaultConfig: {openAIConfig: {model: m, apiKey: sk-one}}}"
BY_HEADER = """
rules:
- {name: web, matches: [{headers: {x-app: {exact: web}}}], backendRefs: [{providerHost: a.example}]}
- {name: rest, backendRefs: [{providerHost: b.example}]}
"""
BY_MODEL = """
rules:
- {name: small, matches: [{model: {exact: small}}], backendRefs: [{providerHost: a.example}]}
- {name: rest, backendRefs: [{providerHost: b.example}]}
"""
CONF = provider("a", MODEL) + provider("b", MODEL)
WEB = b"X-App: web"


class AcquaintanceTests(ConversationTestCase):
    def asks(self, house: House, client: Client, request: bytes) -> dict[bytes, bytes]:
        """The head that the provider gets."""
        self.assertEqual(client.sends(request), b"")
        ((asked, sent),) = ((each, data) for each in house.network.providers if (data := each.received()))
        asked.answers(ANSWER)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 200 "))
        return parts(sent)[1]

    def reading(self, client: Client) -> HeadReading | None:
        known = client.connection.remembered
        assert isinstance(known, Acquaintance)
        return known.reading

    def test_a_head_that_comes_again_is_read_once(self) -> None:
        house, client = self.open(CONF + route("demo", BY_HEADER))
        self.asks(house, client, post(HELLO, WEB))
        first = self.asks(house, client, post(HELLO, WEB))
        reading = self.reading(client)
        second = self.asks(house, client, post({**HELLO, "temperature": 0.5}, WEB))
        self.assertTrue(self.reading(client) is reading)
        for own in (b"x-request-id", b"content-length"):
            self.assertNotEqual(first.pop(own), second.pop(own))
        self.assertEqual(first, second)
        self.assertEqual(house.names.rule, "web")

    def test_another_head_is_read(self) -> None:
        house, client = self.open(CONF + route("demo", BY_HEADER))
        for head, rule in ((WEB, "web"), (b"X-App: bew", "rest"), (WEB, "web"), (b"X-Tag: a", "rest")):
            sent = self.asks(house, client, post(HELLO, head))
            name, _, value = head.lower().partition(b": ")
            self.assertEqual(sent[name], value)
            self.assertEqual(house.names.rule, rule)

    def test_a_rule_that_depends_on_the_body_is_looked_for_each_time(self) -> None:
        house, client = self.open(CONF + route("demo", BY_MODEL))
        for model, rule in ((b"small", "small"), (b"large", "rest"), (b"small", "small")):
            self.asks(house, client, post(b'{"model":"%b","messages":[]}' % model))
            self.assertEqual(house.names.rule, rule)

    def test_a_new_configuration_is_looked_at(self) -> None:
        house, client = self.open(CONF + route("demo", BY_HEADER))
        for _ in range(3):
            self.asks(house, client, post(HELLO, WEB))
        house.reads(
            CONF.replace("sk-one", "sk-two") + route("demo", BY_HEADER.replace("name: web", "name: new"))
        )
        self.assertEqual(self.asks(house, client, post(HELLO, WEB))[b"authorization"], b"Bearer sk-two")
        self.assertEqual(house.names.rule, "new")
        house.reads(CONF + route("demo", BY_HEADER, host="elsewhere"))
        self.assertEqual(error(client.sends(post(HELLO, WEB)))["code"], "no_route")

    def test_a_key_that_has_ended_is_refused_under_the_same_head(self) -> None:
        keys = f'[{{hash: "{key_hash("secret")}", notAfter: 1970-01-01T00:01:40Z}}]'
        acme = tenant("acme", f"clients: [{{name: ci, apiKeyHashes: {keys}}}]")
        house, client = self.open({"acme/all.yaml": acme + CONF + route("demo", BY_HEADER)})
        house.waits(90)
        client = house.client()
        for _ in range(3):
            self.asks(house, client, post(HELLO, b"Authorization: Bearer secret"))
        house.waits(10)
        self.assertEqual(
            error(client.sends(post(HELLO, b"Authorization: Bearer secret")))["code"], "invalid_api_key"
        )

    def test_what_was_refused_is_read_again(self) -> None:
        house, client = self.open(CONF + route("demo", BY_HEADER, host="elsewhere"))
        self.assertEqual(error(client.sends(post(HELLO)))["code"], "no_route")
        house.reads(CONF + route("demo", BY_HEADER))
        client = house.client()
        self.asks(house, client, post(HELLO))
