"""What tests of pursuits share: a rule with several providers, and who was asked what."""

from __future__ import annotations

import json

from tests.fakes.client import Client
from tests.fakes.conf import provider, route
from tests.fakes.house import (
    HELLO,
    LAST_CHUNK,
    ConversationTestCase,
    House,
    answer,
    event,
    parts,
    post,
    unchunked,
)
from tests.fakes.upstreams import Provider

STREAMED = {**HELLO, "stream": True}

MODELS = {
    name: f"configs: {{defaultConfig: {{openAIConfig: {{model: {name}-1, apiKey: sk-of-{name}-123}}}}}}"
    for name in "abc"
}


def failing(rule: str = "", providers: str = "ab", more: str = "") -> str:
    """A route to provider `a`, with the others as fallbacks in order.

    :param rule: further fields of the rule.
    :param more: further fields of every provider.
    """
    documents = "".join(provider(name, f"{MODELS[name]}\n{more}") for name in providers)
    fallback = ", ".join(f"{{providerHost: {name}.example}}" for name in providers[1:])
    fields = [f"fallback: [{fallback}]"] if fallback else []
    fields += [rule] if rule else []
    fields += ["backendRefs: [{providerHost: a.example}]"]
    return documents + route("demo", f"rules: [{{name: all, {', '.join(fields)}}}]")


def error_answer(status: int, code: str = "", *lines: bytes, message: str = "Simulated.") -> bytes:
    """A provider's error."""
    body = json.dumps({"error": {"message": message, "type": "simulated", "code": code or None}}).encode()
    return answer(body, *lines, status=b"%d Simulated" % status)


def said(text: str, **more: object) -> bytes:
    """A chunk of a streamed chat that says this."""
    return event(
        {
            "id": "first",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}}],
            **more,
        }
    )


def stopped(**more: object) -> bytes:
    """The chunk that says why a streamed chat ends."""
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return event({"id": "first", "created": 1, "model": "m", "choices": [choice], **more})


DONE = event(b"[DONE]") + LAST_CHUNK


class PursuitTestCase(ConversationTestCase):
    """Conversations with one client and several providers."""

    def asked(self, house: House) -> str:
        """The providers that were asked since this was called last, one letter for each request."""
        letters = ""
        for each in house.network.providers:
            for _ in range(each.received().count(b"POST ")):
                letters += each.connection.destination.address[0]
        return letters

    def at(self, house: House, name: str) -> Provider:
        """The newest connection to this provider."""
        return [each for each in house.network.providers if each.connection.destination.address[0] == name][
            -1
        ]

    def client_of(self, conf: str, body: object = HELLO, **options: object) -> tuple[House, Client]:
        """A client that has asked for something."""
        house, client = self.open(conf, **options)
        client.sends(post(body))
        return house, client

    def assert_answered(self, house: House, client: Client, *, by: str, attempts: int) -> None:
        """The client has the whole answer."""
        status, headers, _ = parts(client.received())
        self.assertEqual(status, b"HTTP/1.1 200 OK")
        self.assertEqual(headers[b"x-llmgateway-backend"], by.encode())
        self.assertEqual(headers[b"x-llmgateway-attempts"], b"%d" % attempts)
        self.assertEqual((house.names.provider, house.record.attempts), (by, attempts))
        self.assertEqual(house.counted, {("200", "ok"): 1})

    def tried(self, house: House) -> list[tuple[str, str]]:
        """What the log says of attempts: provider and outcome."""
        return [(each.provider, each.outcome) for each in house.record.tried]

    def assert_nothing_is_left(self, house: House) -> None:
        """Every probe is given back, every connection idle or gone."""
        for pool in house.pools.by_destination.values():
            self.assertEqual((len(pool.pending), len(pool.open) - len(pool.idle)), (0, 0))


def text_of(received: bytes) -> tuple[str, list[str], bool, bool]:
    """What a client makes of a stream: its text, the ids of its events, whether it ended well, whether it broke."""
    text, ids, done, failed = "", [], False, False
    for each in unchunked(received).removesuffix(b"<end>").split(b"\n\n"):
        data = each.removeprefix(b"data: ")
        if not each.startswith(b"data: "):
            continue
        if data == b"[DONE]":
            done = True
            continue
        value = json.loads(data)
        if "error" in value:
            failed = True
            continue
        ids.append(value.get("id"))
        for choice in value["choices"]:
            text += choice["delta"].get("content") or ""
    return text, ids, done, failed
