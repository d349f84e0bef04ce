"""What an answer must not carry to the client."""

from __future__ import annotations

import time

import pytest

from tests.whole.clients import Client, ask, request
from tests.whole.documents import KEY
from tests.whole.misbehaving import COMPLETION
from tests.whole.providers import Conversation, Provider, answer, saying
from tests.whole.running import Gateway


def test_headers_that_are_not_the_client_s_are_removed(gateway: Gateway, liar: Provider) -> None:
    withheld = {
        "Set-Cookie": "session=1",
        "Location": "https://elsewhere.test/",
        "x-api-key": "another",
        "x-goog-api-key": "another",
        "openai-organization": "org-1",
        "X-Echo": f"Bearer {KEY}",
        "Connection": "X-Hop",
        "X-Hop": "1",
        "Proxy-Authenticate": "Basic",
        "Server": "provider/1.0",
    }
    given = {"X-RateLimit-Remaining-Requests": "9", "x-request-id": "of-the-provider"}
    liar.answering = saying(answer(COMPLETION, "200 Fine, Thank You", **withheld, **given))
    with Client(gateway.address) as client:
        client.send(request(host="liar.test", x_request_id="mine", Connection="close"))
        head, _, body = client.rest().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert status == "HTTP/1.1 200 OK"
    assert headers["x-ratelimit-remaining-requests"] == "9"
    assert headers["x-request-id"] == "mine"
    assert headers.pop("connection") == "close"
    assert not {name.lower() for name in withheld} & headers.keys()
    assert body == COMPLETION.encode()
    assert gateway.exchange("mine")["provider_request_id"] == "of-the-provider"


@pytest.mark.parametrize("at", [0, 5, 30], ids=lambda at: f"cut at {at}")
def test_a_key_that_is_echoed_in_an_error_is_overwritten(at: int, gateway: Gateway, liar: Provider) -> None:
    body = f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'
    whole = answer(body, "401 Unauthorized")
    cut_at = len(whole) - len(body) + body.index(KEY) + at - 5

    def converse(conversation: Conversation) -> None:
        conversation.send(whole[:cut_at])
        time.sleep(0.05)
        conversation.send(whole[cut_at:])

    liar.answering = converse
    reply = ask(gateway.address, host="liar.test")
    assert reply.status == 401
    assert reply.headers["x-llmgateway-error-source"] == "provider"
    assert reply.body.decode() == body.replace(KEY, "*" * len(KEY))


def test_a_redirect_is_not_followed(gateway: Gateway, liar: Provider) -> None:
    with Provider(saying(answer("{}"))) as elsewhere:
        liar.answering = saying(
            answer("{}", "302 Found", Location=f"http://127.0.0.1:{elsewhere.port}/?key={KEY}")
        )
        reply = ask(gateway.address, host="liar.test")
    assert reply.status == 302
    assert "location" not in reply.headers
    assert elsewhere.connections == 0


def test_an_error_of_the_provider_is_its_own(gateway: Gateway, liar: Provider) -> None:
    body = '{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
    liar.answering = saying(answer(body, "429 Too Many Requests", Retry_After="7"))
    reply = ask(gateway.address, host="liar.test")
    assert (reply.status, reply.body.decode(), reply.headers["retry-after"]) == (429, body, "7")
    assert reply.headers["x-llmgateway-error-source"] == "provider"
