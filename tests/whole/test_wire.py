"""What clients may send, on the real port: everything else is refused, the connection closed, nothing forwarded."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from select import select

import pytest

from tests.whole.clients import CHAT, Client, ask, request
from tests.whole.documents import documents, provider, route, rule, settings
from tests.whole.providers import Conversation, Provider, answer
from tests.whole.running import PATIENCE, ROOT, Gateway

CORPUS = ROOT / "tests" / "wire" / "data" / "llhttp_requests.json"
HEAD_SECONDS = 0.4
BODY_BYTES = 3 * 1024 * 1024
LATE = 0.75
"""Seconds by which a deadline may be missed: a sweep, and a busy machine."""


def echo(conversation: Conversation) -> None:
    """Tell what was asked: its path, its Host, and how long its body was."""
    asked = conversation.request
    slow = b'"slow"' in asked.body
    if slow:
        time.sleep(0.3)
    told = {"path": asked.target, "host": asked.header("Host"), "length": len(asked.body), "slow": slow}
    conversation.send(answer(json.dumps(told)))


@pytest.fixture(scope="module")
def backend() -> Iterator[Provider]:
    with Provider(echo) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(backend: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    conf = documents(
        provider("provider.test", backend.port),
        route("*", rule("all", "provider.test")),
        settings(
            limits={"bodyBytes": BODY_BYTES, "headers": 50, "headBytes": 16384},
            timeouts={
                "head": f"{HEAD_SECONDS}s",
                "body": f"{HEAD_SECONDS}s",
                "keepAlive": f"{HEAD_SECONDS}s",
            },
        ),
    )
    with Gateway(tmp_path_factory.mktemp("wire"), {"a.yaml": conf}, "--access-log=-") as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Client]:
    with Client(gateway.address) as client:
        yield client


# -- refused --------------------------------------------------------------------------------------------

SMUGGLED = b"POST /smuggled HTTP/1.1\r\nHost: provider.test\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"34\r\n" + CHAT + b"\r\n0\r\n\r\n"


def chat(*lines: bytes, first: bytes = b"POST /v1/chat/completions HTTP/1.1", host: bool = True) -> bytes:
    """The head of a chat request with further header lines."""
    return b"\r\n".join([first, *([b"Host: provider.test"] if host else []), *lines, b"", b""])


LENGTH = b"Content-Length: %d" % len(CHAT)

REFUSED = {
    "length and chunks": (400, chat(LENGTH, b"Transfer-Encoding: chunked") + CHUNKED + SMUGGLED),
    "chunks and length": (400, chat(b"Transfer-Encoding: chunked", LENGTH) + CHUNKED + SMUGGLED),
    "chunks and no length": (400, chat(b"transfer-encoding: Chunked", b"Content-Length: 0") + SMUGGLED),
    "two lengths": (400, chat(LENGTH, b"Content-Length: 0") + CHAT),
    "one length twice": (400, chat(LENGTH, LENGTH) + CHAT),
    "lengths in a list": (400, chat(b"Content-Length: 52, 52") + CHAT),
    "+ before a length": (400, chat(b"Content-Length: +52") + CHAT),
    "length in hexadecimal": (400, chat(b"Content-Length: 0x34") + CHAT),
    "length of 5,000 digits": (400, chat(b"Content-Length: " + b"9" * 5000) + CHAT),
    "chunked twice": (501, chat(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKED),
    "identity": (400, chat(b"Transfer-Encoding: identity", LENGTH) + CHAT),
    "gzip, chunked": (501, chat(b"Transfer-Encoding: gzip, chunked") + CHUNKED),
    "VT before chunked": (400, chat(b"Transfer-Encoding: \x0bchunked") + CHUNKED),
    "chunks in HTTP/1.0": (
        400,
        chat(b"Transfer-Encoding: chunked", first=b"POST /v1/chat/completions HTTP/1.0") + CHUNKED,
    ),
    "no host": (400, chat(LENGTH, host=False) + CHAT),
    "two hosts": (400, chat(b"Host: other.test", LENGTH) + CHAT),
    "one host twice": (400, chat(b"Host: provider.test", LENGTH) + CHAT),
    "host that is none": (400, chat(b"Host: a/b@c", LENGTH, host=False) + CHAT),
    "two keys": (400, chat(b"Authorization: Bearer a", b"Authorization: Bearer b", LENGTH) + CHAT),
    "folded line": (400, chat(b"X: a", b" Content-Length: 0", LENGTH) + CHAT),
    "folded first line": (400, b"POST / HTTP/1.1\r\n Host: provider.test\r\n\r\n"),
    "bare LF": (400, chat(LENGTH).replace(b"\r\n", b"\n") + CHAT),
    "bare CR": (400, chat(b"X: a\rContent-Length: 0", LENGTH) + CHAT),
    "NUL": (400, chat(b"X: a\0b", LENGTH) + CHAT),
    "blank before the colon": (400, chat(b"Content-Length : 52") + CHAT),
    "no colon": (400, chat(b"Content-Length 52", LENGTH) + CHAT),
    "name in 8 bits": (400, chat(b"X\xe9: a", LENGTH) + CHAT),
    "51 headers": (431, chat(*[b"X: y"] * 49, LENGTH) + CHAT),
    "long head": (431, chat(b"X: " + b"y" * 17_000, LENGTH) + CHAT),
    "long target": (414, chat(LENGTH, first=b"POST /" + b"x" * 17_000 + b" HTTP/1.1") + CHAT),
    "dot segments": (400, chat(LENGTH, first=b"POST /v1/../admin HTTP/1.1") + CHAT),
    "hidden slash": (400, chat(LENGTH, first=b"POST /v1%2fchat/completions HTTP/1.1") + CHAT),
    "empty segment": (400, chat(LENGTH, first=b"POST //v1/chat/completions HTTP/1.1") + CHAT),
    "fragment": (400, chat(LENGTH, first=b"POST /v1/chat/completions#x HTTP/1.1") + CHAT),
    "@ as target": (400, chat(LENGTH, first=b"POST @evil.test/ HTTP/1.1") + CHAT),
    "another authority": (400, chat(LENGTH, first=b"POST http://other.test/v1/chat/completions HTTP/1.1") + CHAT),
    "asterisk": (400, chat(first=b"OPTIONS * HTTP/1.1")),
    "TRACE": (405, chat(first=b"TRACE / HTTP/1.1")),
    "lower-case method": (400, chat(LENGTH, first=b"post /v1/chat/completions HTTP/1.1") + CHAT),
    "HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/1.2": (505, chat(LENGTH, first=b"POST /v1/chat/completions HTTP/1.2") + CHAT),
    "HTTP/0.9": (505, b"GET /\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 506),
    "expectation": (417, chat(b"Expect: a-miracle", LENGTH)),
    "chunk size in hexadecimal": (400, chat(b"Transfer-Encoding: chunked") + b"0x34\r\n" + CHAT + b"\r\n0\r\n\r\n"),
    "signed chunk size": (400, chat(b"Transfer-Encoding: chunked") + b"+34\r\n" + CHAT + b"\r\n0\r\n\r\n"),
    "endless chunk size": (400, chat(b"Transfer-Encoding: chunked") + b"1" * 1000 + b"\r\n"),
    "chunk without its end": (400, chat(b"Transfer-Encoding: chunked") + b"33\r\n" + CHAT + b"\r\n0\r\n\r\n"),
    "LF behind a chunk": (400, chat(b"Transfer-Encoding: chunked") + b"34\n" + CHAT + b"\n0\n\n"),
    "long extension": (400, chat(b"Transfer-Encoding: chunked") + b"34;" + b"x" * 2000 + b"\r\n"),
    "length in the trailers": (
        400,
        chat(b"Transfer-Encoding: chunked") + b"34\r\n" + CHAT + b"\r\n0\r\nContent-Length: 5\r\n\r\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("status", "sent"), REFUSED.values(), ids=REFUSED.keys())
def test_who_could_be_misunderstood_is_refused(
    status: int, sent: bytes, client: Client, backend: Provider
) -> None:
    before = len(backend.requests)
    began = time.monotonic()
    client.send(sent)
    reply = client.reply()
    assert (reply.status, reply.whole) == (status, True)
    assert reply.headers["connection"] == "close"
    assert reply.headers["x-request-id"]
    assert reply.error
    assert client.is_closed()
    assert time.monotonic() - began < HEAD_SECONDS, "not at once, but at a deadline"
    assert len(backend.requests) == before


def test_connect_is_refused_with_a_sentence(client: Client) -> None:
    client.send(b"CONNECT provider.test:443 HTTP/1.1\r\nHost: provider.test:443\r\n\r\n")
    reply = client.reply()
    assert (reply.status, reply.error) == (405, "method_not_allowed")
    assert "already encrypted" in reply.json()["error"]["message"]
    assert client.is_closed()


def test_what_llhttp_s_own_tests_refuse_is_refused_here(gateway: Gateway, backend: Provider) -> None:
    cases = json.loads(CORPUS.read_text())["cases"]
    refused = [case for case in cases if case["expect"] == "error"]
    assert len(refused) > 50
    before = len(backend.requests)
    with ExitStack() as room:
        clients = [room.enter_context(Client(gateway.address)) for _ in refused]
        for client, case in zip(clients, refused, strict=True):
            client.send(base64.b64decode(case["raw_b64"]))
        for client, case in zip(clients, refused, strict=True):
            said = client.rest()
            assert said == b"" or 400 <= int(said.split(b" ")[1]) < 600, case["name"]
            assert b"HTTP/1.1 2" not in said, case["name"]
    assert len(backend.requests) == before


def test_bodies_that_are_none(gateway: Gateway, backend: Provider) -> None:
    before = len(backend.requests)
    deep = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for body in (
        b"",
        b"null",
        b"[]",
        b'{"messages": []',
        b'{"messages": []} x',
        b"\xef\xbb\xbf" + CHAT,
        CHAT.decode().encode("utf-16"),
        b'{"messages": ["\xff"]}',
        b'{"messages": [], "n": NaN}',
        b'{"messages": [], "model": "a", "model": "b"}',
        b'{"messages": [], "mod\\u0065l": "a", "model": "b"}',
        deep,
    ):
        reply = ask(gateway.address, body)
        assert (reply.status, reply.error) == (400, "invalid_body"), body[:40]
    assert ask(gateway.address, b"\x1f\x8b", Content_Encoding="gzip").status == 415
    assert len(backend.requests) == before


# -- too slow, too much ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [b"POST /v1/chat", chat(LENGTH)[:-2], chat(LENGTH), chat(b"Transfer-Encoding: chunked") + b"5\r\n{"],
)
def test_who_is_too_slow_is_told_so(sent: bytes, client: Client, backend: Provider) -> None:
    before = len(backend.requests)
    began = time.monotonic()
    client.send(sent)
    reply = client.reply()
    took = time.monotonic() - began
    assert (reply.status, reply.error) == (408, "request_timeout")
    assert HEAD_SECONDS <= took < HEAD_SECONDS + LATE
    assert client.is_closed()
    assert len(backend.requests) == before


def test_dripping_does_not_put_a_deadline_off(client: Client) -> None:
    began = time.monotonic()
    for byte in chat(b"X: " + b"y" * 1000, LENGTH):
        client.send(bytes([byte]))
        answered, _, _ = select([client.socket], [], [], 0.02)
        if answered:
            break
    assert client.reply().status == 408
    assert time.monotonic() - began < HEAD_SECONDS + LATE


def test_who_says_nothing_is_closed_without_a_word(client: Client) -> None:
    assert client.is_closed()


def test_who_is_idle_after_an_answer_is_closed(client: Client) -> None:
    client.send(request())
    assert client.reply().status == 200
    began = time.monotonic()
    assert client.is_closed()
    assert HEAD_SECONDS <= time.monotonic() - began < HEAD_SECONDS + LATE


def test_a_body_that_would_be_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    client.send(chat(b"Expect: 100-continue", b"Content-Length: %d" % (BODY_BYTES + 1)))
    reply = client.reply()
    assert (reply.status, reply.error) == (413, "body_too_large")
    assert client.is_closed()


def test_a_body_that_grows_too_large_is_refused_where_it_does(client: Client, backend: Provider) -> None:
    """The client goes on sending, and can read the refusal all the same."""
    before = len(backend.requests)
    client.send(chat(b"Transfer-Encoding: chunked"))
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _ in range(BODY_BYTES // 65536 + 4):
        client.send(piece)
    assert client.reply().error == "body_too_large"
    assert client.is_closed()
    assert len(backend.requests) == before


def test_a_body_is_called_for_when_it_is_wanted(client: Client) -> None:
    client.send(chat(b"Expect: 100-continue", LENGTH))
    assert client.reply().status == 100
    client.send(CHAT)
    assert client.reply().status == 200


def test_a_body_that_nobody_wants_is_not_called_for(client: Client) -> None:
    client.send(chat(b"Expect: 100-continue", b"Content-Encoding: gzip", LENGTH))
    assert client.reply().status == 415
    assert client.is_closed()


# -- served ---------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order_one_at_a_time(client: Client, backend: Provider) -> None:
    before = len(backend.requests)
    bodies = [b'{"messages": ["%b"]}' % (b"slow" if number == 0 else b"x" * number) for number in range(12)]
    client.send(b"".join(request(body) for body in bodies))
    backend.wait_until(lambda: len(backend.requests) == before + 1)
    time.sleep(0.1)
    assert len(backend.requests) == before + 1
    replies = [client.reply().json() for _ in bodies]
    lengths = [reply["length"] for reply in replies]
    assert replies[0]["slow"]
    assert [length - lengths[1] for length in lengths[1:]] == list(range(11))


def test_every_byte_may_come_alone(client: Client) -> None:
    sent = chat(b"Transfer-Encoding: chunked") + CHUNKED
    for byte in sent:
        client.send(bytes([byte]))
    assert client.reply().status == 200


def test_a_large_body(client: Client, backend: Provider) -> None:
    """2 MB, in chunks and with a length."""
    body = b'{"messages": [{"role": "user", "content": "' + b"x" * 2_000_000 + b'"}]}'
    client.send(request(body))
    told = client.reply().json()
    assert told["length"] > 2_000_000
    client.send(chat(b"Transfer-Encoding: chunked"))
    for at in range(0, len(body), 100_000):
        piece = body[at : at + 100_000]
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    client.send(b"0\r\n\r\n")
    assert client.reply().json() == told
    assert b"x" * 2_000_000 in backend.requests[-1].body


def test_an_absolute_target_is_that_path_of_that_host(client: Client) -> None:
    client.send(
        b"POST http://provider.test/v1/chat/completions?a=b HTTP/1.1\r\nHost: provider.test\r\n%b\r\n\r\n%b"
        % (LENGTH, CHAT)
    )
    reply = client.reply()
    assert (reply.status, reply.json()["path"]) == (200, "/v1/chat/completions?a=b")
    assert reply.json()["host"] == "provider.test"


def test_as_an_http_proxy(gateway: Gateway) -> None:
    proxied = urllib.request.build_opener(urllib.request.ProxyHandler({"http": gateway.url}))
    with proxied.open("http://provider.test/v1/chat/completions", CHAT, timeout=PATIENCE) as opened:
        assert json.load(opened)["path"] == "/v1/chat/completions"


def test_a_client_of_http_1_0_is_served_and_closed(client: Client) -> None:
    client.send(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
    reply = client.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert client.is_closed()


def test_an_offer_to_upgrade_is_overheard(client: Client, backend: Provider) -> None:
    for _ in range(2):
        client.send(
            chat(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk", LENGTH)
            + CHAT
        )
        assert client.reply().status == 200
    assert backend.requests[-1].header("Upgrade") is None
    assert backend.requests[-1].header("HTTP2-Settings") is None


def test_a_client_that_says_close_is_closed(client: Client) -> None:
    client.send(request(Connection="foo, Close"))
    reply = client.reply()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert client.is_closed()


def test_what_connection_names_is_removed_and_our_own_headers_are_not(
    client: Client, backend: Provider
) -> None:
    client.send(
        request(Connection="authorization, content-length, content-type, host, x-hop", X_Hop="1", X_Kept="1")
    )
    assert client.reply().status == 200
    sent = backend.requests[-1]
    assert sent.header("Authorization")
    assert sent.header("Content-Type") == "application/json"
    assert sent.header("Host") == "provider.test"
    assert sent.header("X-Hop") is None
    assert sent.header("X-Kept") == "1"


def test_the_gateway_knows_its_own_requests(gateway: Gateway) -> None:
    """A provider that is this very gateway: the loop ends at its first turn."""
    port = int(gateway.address.rpartition(":")[2])
    conf = documents(provider("loop.test", port), provider("loop-too.test", port))
    gateway.apply({"loop.yaml": conf})
    reply = ask(gateway.address, host="loop.test")
    assert reply.status == 508
    assert reply.headers["x-llmgateway-error-source"] == "provider"


def test_nothing_went_unnoticed(gateway: Gateway) -> None:
    """The last of this file: whatever was done above, the gateway has not lost its countenance."""
    assert "Traceback" not in gateway.log
    assert "Unhandled" not in gateway.log
    assert gateway.count("llmgateway_requests_in_flight") == 0
