"""TLS towards clients: a real gateway, and the TLS of curl, of openssl and of Python against it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import frozen
from cryptography import x509
from openai import APIConnectionError, DefaultHttpxClient, OpenAI

from tests.fakes.certificates import DAY, Identity, root
from tests.whole.clients import CHAT, STREAM, Client, Reply, request
from tests.whole.documents import documents, provider, route, rule, settings, simulated
from tests.whole.misbehaving import EVENT
from tests.whole.providers import Conversation, Provider, answer, chunk, stream_head
from tests.whole.running import PATIENCE, Gateway

AUTHORITY = root("authority")
STRANGE = root("strange")
LOCALHOST = x509.DNSName("localhost")
NAME = x509.UniformResourceIdentifier("spiffe://corp/batch")

CLIENT = AUTHORITY.issue(NAME, for_clients=True)
REFUSED = {
    "strange": (STRANGE.issue(NAME, for_clients=True), "was issued by an authority that is not trusted"),
    "expired": (AUTHORITY.issue(NAME, for_clients=True, since=-3 * DAY, until=-DAY), "expired on "),
    "a server's": (AUTHORITY.issue(NAME, for_servers=True), "is not for clients"),
}

FILES = "certificate=server.pem:privateKey=server.key"
LISTEN = (
    f"required=tls:0:interface=127.0.0.1:{FILES}:clientCA=ca.pem",
    f"requested=tls:0:interface=127.0.0.1:{FILES}:clientCA=ca.pem:clientAuth=request",
    f"plain=tls:0:interface=127.0.0.1:{FILES}",
    f"newest=tls:0:interface=127.0.0.1:{FILES}:minVersion=1.3",
)

CONF = documents(simulated("simulated.test"), route("*", rule("all", "simulated.test")))

MEGABYTE = 1_000_000


@frozen
class House:
    """A gateway, its listeners by name, and the provider behind it."""

    gateway: Gateway
    provider: Provider
    folder: Path

    def at(self, listener: str) -> str:
        """Where a listener is."""
        return self.gateway.wait_for_log(rf"[ ,]{listener}=(127\.0\.0\.1:\d+)")[1]

    def url(self, listener: str) -> str:
        return f"https://localhost:{self.at(listener).rpartition(':')[2]}"

    def client(self, listener: str, context: ssl.SSLContext) -> Client:
        return Client(self.at(listener), context)

    def failure(self, clause: str, times: int = 1) -> None:
        """Wait until the log knows why a handshake failed."""
        self.gateway.wait_for_log(rf"#warn\] TLS with 127\.0\.0\.1:\d+ failed on [^\n]*{clause}", times)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("gateway")
    AUTHORITY.issue(LOCALHOST, common_name="first").write(folder, "server")
    AUTHORITY.write(folder, "ca")
    with Provider(lambda conversation: conversation.send(answer("{}"))) as backend:
        conf = documents(
            simulated("simulated.test"),
            provider("provider.test", backend.port),
            route("*", rule("all", "simulated.test")),
            settings(limits={"bodyBytes": 3 * MEGABYTE}),
        )
        admin = f"tls:0:interface=127.0.0.1:{FILES}:clientCA=ca.pem"
        with Gateway(folder, {"a.yaml": conf}, "--access-log=-", listen=LISTEN, admin=admin) as gateway:
            yield House(gateway, backend, folder)
            assert not re.search("Traceback|Unhandled|PRIVATE KEY", gateway.log)


def believing(identity: Identity | None = None, folder: Path | None = None) -> ssl.SSLContext:
    """A context for clients that believe our authority alone.

    :param identity: what they show.
    :param folder: where its files can be written.
    """
    context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
    if identity is not None:
        assert folder is not None
        context.load_cert_chain(*identity.write(folder, "client"))
    return context


def asked(house: House, listener: str, context: ssl.SSLContext, body: bytes = CHAT) -> Reply:
    with house.client(listener, context) as client:
        client.send(request(body))
        return client.reply()


# -- who is let in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["required", "requested", "plain", "newest"])
def test_who_shows_a_good_certificate_is_served(listener: str, house: House, tmp_path: Path) -> None:
    with house.client(listener, believing(CLIENT, tmp_path)) as client:
        for _ in range(3):
            client.send(request())
            assert client.reply().status == 200


@pytest.mark.parametrize("listener", ["requested", "plain", "newest"])
def test_who_shows_none_is_served_where_none_is_required(listener: str, house: House) -> None:
    assert asked(house, listener, believing()).status == 200


def test_who_shows_none_is_refused_where_one_is_required(house: House) -> None:
    with house.client("required", believing()) as client, pytest.raises(ssl.SSLError, match="REQUIRED"):
        client.socket.recv(1)
    house.failure("it showed no certificate")


@pytest.mark.parametrize("listener", ["required", "requested"])
@pytest.mark.parametrize(("identity", "clause"), REFUSED.values(), ids=REFUSED.keys())
def test_who_shows_a_bad_one_is_refused(
    identity: Identity, clause: str, listener: str, house: House, tmp_path: Path
) -> None:
    context = believing(identity, tmp_path)
    with house.client(listener, context) as client, pytest.raises(ssl.SSLError, match="ALERT"):
        client.socket.recv(1)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="ALERT"):
        house.client(listener, context)


def test_the_log_knows_why(tmp_path: Path) -> None:
    """On a gateway of its own: a listener tells ten a minute."""
    AUTHORITY.issue(LOCALHOST).write(tmp_path, "server")
    AUTHORITY.write(tmp_path, "ca")
    with Gateway(tmp_path, {}, listen=[LISTEN[0]]) as gateway:
        for identity, clause in REFUSED.values():
            with (
                Client(gateway.address, believing(identity, tmp_path)) as client,
                pytest.raises(ssl.SSLError),
            ):
                client.socket.recv(1)
            gateway.wait_for_log(rf"#warn\] TLS with 127\.0\.0\.1:\d+ failed on \S+ its certificate {clause}")
        for _ in range(30):
            with Client(gateway.address) as client:
                client.send(b"garbage")
                client.is_closed()
        assert gateway.log.count("#warn] TLS with") == 10
        assert "Traceback" not in gateway.log


def test_nothing_of_the_refused_is_an_exchange(house: House) -> None:
    before = house.gateway.log.count('"request_id"')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked(house, "required", believing())
    assert asked(house, "plain", believing()).status == 200
    assert house.gateway.log.count('"request_id"') <= before + 1


def test_a_resumed_session_is_a_new_handshake(house: House, tmp_path: Path) -> None:
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = believing(CLIENT, tmp_path)
        context.maximum_version = version
        host, _, port = house.at("required").rpartition(":")
        session = None
        for _ in range(3):
            raw = socket.create_connection((host, int(port)), PATIENCE)
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as secured:
                secured.sendall(request(Connection="close"))
                assert secured.recv(12) == b"HTTP/1.1 200"
                assert not secured.session_reused
                session = secured.session


# -- other programs' TLS --------------------------------------------------------------------------------

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not there")


def curl(house: House, listener: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(
                "curl",
                "--silent",
                "--show-error",
                "--max-time",
                str(PATIENCE),
                "--cacert",
                house.folder / "ca.pem",
            ),
            *("--data", CHAT.decode(), *options, house.url(listener) + "/v1/chat/completions"),
        ],
        capture_output=True,
        text=True,
    )


@needs_curl
def test_curl(house: House, tmp_path: Path) -> None:
    certificate, key = CLIENT.write(tmp_path, "client")
    shows = "--cert", str(certificate), "--key", str(key)
    for listener, options in ("required", shows), ("requested", shows), ("requested", ()), ("plain", ()):
        for versions in ("--tls-max", "1.2"), ("--tlsv1.3",):
            ran = curl(house, listener, *options, *versions)
            assert json.loads(ran.stdout)["object"] == "chat.completion", ran.stderr
    assert curl(house, "required").returncode != 0
    assert curl(house, "newest", "--tls-max", "1.2").returncode != 0
    assert curl(house, "plain", "--http2").returncode == 0


def s_client(house: House, listener: str, *options: str) -> str:
    ran = subprocess.run(
        ["openssl", "s_client", "-connect", house.at(listener), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return ran.stdout + ran.stderr


@needs_openssl
def test_openssl(house: House) -> None:
    ca = str(house.folder / "ca.pem")
    said = s_client(house, "requested", "-CAfile", ca, "-alpn", "h2,http/1.1", "-tls1_2")
    for line in (
        "Verify return code: 0 (ok)",
        "ALPN protocol: http/1.1",
        "Compression: NONE",
        "CN = authority",
    ):
        assert line in said
    assert "No ALPN negotiated" in s_client(house, "plain")
    assert "no application protocol" in s_client(house, "plain", "-alpn", "h2")
    for version in "-tls1", "-tls1_1":
        assert "alert protocol version" in s_client(house, "plain", version, "-cipher", "ALL:@SECLEVEL=0")


def test_the_openai_sdk_with_a_certificate(house: House, tmp_path: Path) -> None:
    url = house.url("required") + "/v1"
    with OpenAI(
        base_url=url,
        api_key="unused",
        max_retries=0,
        http_client=DefaultHttpxClient(verify=believing(CLIENT, tmp_path)),
    ) as client:
        completion = client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Hello"}]
        )
        assert completion.choices[0].message.content == "I am small. You said: Hello"
        pieces = client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        words = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert words == completion.choices[0].message.content
    with (
        OpenAI(
            base_url=url, api_key="unused", max_retries=0, http_client=DefaultHttpxClient(verify=believing())
        ) as client,
        pytest.raises(APIConnectionError),
    ):
        client.models.list()


def test_the_admin_port(house: House, tmp_path: Path) -> None:
    for path in "/healthz", "/metrics":
        with Client(house.gateway.admin_address, believing(CLIENT, tmp_path)) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            assert client.rest().startswith(b"HTTP/1.1 200 ")
    with Client(house.gateway.admin_address, believing()) as client, pytest.raises(ssl.SSLError):
        client.socket.recv(1)


def test_a_plain_client_on_a_tls_port_is_closed(house: House) -> None:
    with Client(house.at("newest")) as client:
        client.send(request())
        assert b"HTTP" not in client.rest()
    house.failure("it spoke plain HTTP")


# -- bytes through TLS ----------------------------------------------------------------------------------


def test_each_event_of_a_stream_leaves_at_once(house: House) -> None:
    taken: list[bytes] = []

    def converse(conversation: Conversation) -> None:
        conversation.send(stream_head())
        for number in range(5):
            conversation.send(chunk(b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number))
            house.provider.wait_until(lambda: len(taken) > number)  # noqa: B023 - called at once
        conversation.send(chunk(b"data: [DONE]\n\n") + chunk(b""))

    house.provider.answering = converse
    with house.client("plain", believing()) as client:
        client.send(request(STREAM))
        assert client.head()[0] == 200
        while piece := client.chunk():
            with house.provider._changed:
                taken.append(piece)
                house.provider._changed.notify_all()
    assert piece == b""
    assert taken[-1].endswith(b"[DONE]\n\n")


def test_large_bodies_both_ways(house: House) -> None:
    body = b"x" * (2 * MEGABYTE)
    house.provider.answering = lambda conversation: conversation.send(
        answer(bytes(conversation.request.body))
    )
    sent = b'{"messages": [], "padding": "' + body + b'"}'
    reply = asked(house, "plain", believing(), sent)
    assert reply.whole
    assert body in reply.body


def test_a_client_that_takes_nothing_holds_the_provider_back(house: House) -> None:
    pieces = 2000
    sent = 0

    def converse(conversation: Conversation) -> None:
        nonlocal sent
        conversation.send(stream_head())
        for _ in range(pieces):
            conversation.send(chunk(b": " + b"x" * 32_000 + b"\n\n"))
            sent += 1
        conversation.send(chunk(b"data: [DONE]\n\n") + chunk(b""))

    house.provider.answering = converse
    with house.client("plain", believing()) as client:
        client.send(request(STREAM))
        client.head()
        before = -1
        while sent != before:  # until every buffer on the way is full
            before = sent
            time.sleep(0.3)
        assert sent < pieces
        received = 0
        while piece := client.chunk():
            received += len(piece)
        assert piece == b""
        assert received >= pieces * 32_000


def test_a_refusal_reaches_a_client_that_is_still_sending(house: House) -> None:
    """Nothing on TLS can be closed half; the connection lingers all the same."""
    with house.client("plain", believing()) as client:
        head = request(b"").replace(b"Content-Length: 0", b"Content-Length: %d" % (9 * MEGABYTE))
        client.send(head + b"x" * (MEGABYTE // 2))
        reply = client.reply()
        assert (reply.status, reply.error) == (413, "body_too_large")
        assert client.is_closed()


def test_a_client_that_leaves_without_a_word_is_noticed(house: House) -> None:
    left: list[bool] = []

    def converse(conversation: Conversation) -> None:
        conversation.send(stream_head() + chunk(EVENT))
        left.append(conversation.wait_until_left())

    house.provider.answering = converse
    with house.client("plain", believing()) as client:
        client.send(request(STREAM))
        client.head()
    house.provider.wait_until(lambda: left == [True])


# -- files that change ----------------------------------------------------------------------------------


def shown(connection: ssl.SSLSocket) -> x509.Certificate:
    """The certificate that the gateway has shown."""
    certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate)


def serial(house: House, context: ssl.SSLContext) -> int:
    """Of the certificate that a new connection gets."""
    with house.client("plain", context) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return shown(client.socket).serial_number


def becomes(house: House, context: ssl.SSLContext, expected: int) -> None:
    """Wait until new connections get this certificate."""
    until = time.monotonic() + PATIENCE
    while serial(house, context) != expected:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_new_files_are_for_new_connections(house: House) -> None:
    context = believing()
    old = serial(house, context)
    house.provider.answering = lambda conversation: conversation.send(answer("{}"))
    with house.client("plain", context) as kept:
        kept.send(request())
        assert kept.reply().status == 200
        second = AUTHORITY.issue(LOCALHOST, common_name="second")
        second.write(house.folder, "server")
        becomes(house, context, second.certificate.serial_number)
        assert second.certificate.serial_number != old

        third = AUTHORITY.issue(LOCALHOST, common_name="third")
        (house.folder / "server.pem").write_bytes(third.chain_pem)
        fault = r"#error\] new TLS files cannot be used, the ones before them stay in use: privateKey \S+ does not"
        until = time.monotonic() + PATIENCE
        while not re.search(fault, house.gateway.log) and time.monotonic() < until:
            assert serial(house, context) == second.certificate.serial_number
            time.sleep(0.1)
        house.gateway.wait_for_log(fault)
        (house.folder / "server.key").write_text(third.key_pem)
        becomes(house, context, third.certificate.serial_number)
        kept.send(request())
        assert kept.reply().status == 200
        assert isinstance(kept.socket, ssl.SSLSocket)
        assert shown(kept.socket).serial_number == old


def test_whoever_has_files_looked_at_hears_of_a_certificate_before_any_client_does(tmp_path: Path) -> None:
    AUTHORITY.issue(LOCALHOST).write(tmp_path, "server")
    proves = f"tls:0:interface=127.0.0.1:{FILES}"
    with Gateway(tmp_path, {"a.yaml": CONF}, listen=[proves]) as gateway:
        ends_at = gateway.count("llmgateway_certificate_expiry_timestamp_seconds", file="server.pem")
        assert 6 * 86400 < ends_at - time.time() < 8 * 86400
        (tmp_path / "server.pem").write_text("garbage")
        for times in (1, 2):
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for_log(r"#error\] new TLS files cannot be used, the ones before them", times)
            gateway.wait_for_log("nothing has changed in conf.d", times)
        AUTHORITY.issue(LOCALHOST, until=timedelta(hours=2)).write(tmp_path, "server")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log(
            r"#warn\] \S+server.pem has to be renewed: its certificate, or one of its chain, ends on"
        )
        soon = gateway.count("llmgateway_certificate_expiry_timestamp_seconds", file="server.pem")
        assert 0 < soon - time.time() < 86400


def test_an_authority_that_is_taken_away_is_believed_no_more(tmp_path: Path) -> None:
    AUTHORITY.issue(LOCALHOST).write(tmp_path, "server")
    STRANGE.write(tmp_path, "ca")
    known, _ = REFUSED["strange"]
    context = believing(known, tmp_path)
    with (
        Gateway(tmp_path, {"a.yaml": CONF}, listen=[LISTEN[0]]) as gateway,
        Client(gateway.address, context) as kept,
    ):
        kept.send(request())
        assert kept.reply().status == 200
        AUTHORITY.write(tmp_path, "ca")
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                with Client(gateway.address, context) as client:
                    client.send(request())
                    client.reply()
            except (ssl.SSLError, ConnectionError):
                break
            time.sleep(0.1)
        gateway.wait_for_log("failed on .* its certificate was issued by an authority that is not trusted")
        kept.send(request())
        assert kept.reply().status == 200


# -- start and stop -------------------------------------------------------------------------------------

LAST_EVENTS = (
    b'data: {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


def test_streams_end_before_the_gateway_does(tmp_path: Path) -> None:
    AUTHORITY.issue(LOCALHOST).write(tmp_path, "server")
    stopping: list[bool] = []

    def converse(conversation: Conversation) -> None:
        conversation.send(stream_head() + chunk(EVENT))
        backend.wait_until(lambda: stopping == [True])
        conversation.send(chunk(LAST_EVENTS) + chunk(b""))

    listen = [f"tls:0:interface=127.0.0.1:{FILES}"]
    with (
        Provider(converse) as backend,
        Gateway(tmp_path, {"a.yaml": backend.manifest()}, listen=listen) as gateway,
    ):
        with Client(gateway.address, believing()) as idle, Client(gateway.address, believing()) as client:
            client.send(request(STREAM))
            client.head()
            client.chunk()
            gateway.process.terminate()
            assert idle.is_closed()
            with backend._changed:
                stopping.append(True)
                backend._changed.notify_all()
            assert client.chunk() == LAST_EVENTS
            assert client.chunk() == b""
        assert gateway.process.wait(PATIENCE) == 0


def test_who_is_warned_of(tmp_path: Path) -> None:
    AUTHORITY.issue(LOCALHOST).write(tmp_path, "server")
    AUTHORITY.write(tmp_path, "ca")
    proves = f"tls:0:{FILES}:clientCA=ca.pem"
    may = f"{proves}:clientAuth=request"
    with Gateway(tmp_path, {}, listen=[f"proves={proves}", f"may={may}"], admin=proves) as gateway:
        found = gateway.wait_for_log(r"may=(0\.0\.0\.0:\d+), admin on")
        gateway.wait_for_log(rf"ANYBODY who reaches {re.escape(found[1])} can spend")
        assert gateway.log.count("ANYBODY") == 1
