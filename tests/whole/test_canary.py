"""A secret goes where it belongs and nowhere else, whatever happens: every output of the gateway is searched for it."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path

from bench.fault_cases import CASES
from tests.whole.canaries import (
    ADDRESS,
    AUTHORITY,
    BREAKING,
    BROKEN,
    CANARY,
    DEEDS,
    ENVIRONMENT,
    HIDDEN,
    LISTENER,
    SECRETS,
    configuration,
    misbehave,
    mutual_context,
    untrusted_context,
)
from tests.whole.clients import CHAT, STREAM, Client, request
from tests.whole.collector import Collector, collecting
from tests.whole.providers import Provider
from tests.whole.running import ANY_PORT, PATIENCE, TWISTD, Gateway, wait_until

ECHOING = ("literal.test", "outside.test", "odd.test", "file.test", "pool.test", "ruled.test")
TLS = "secured=tls:0:interface=127.0.0.1:certificate=server.pem:privateKey=server.key"
NOT_FOR_PROVIDERS = ("client", "second-client", "admin", "reply", "simulated")
"""What clients and operators bring or get; and the simulator tells only that it has got a key."""

KEYS = tuple({"Authorization": f"Bearer {SECRETS[name]}"} for name in ("client", "second-client"))


def told(gateway: Gateway, sent: bytes) -> bytes:
    """All that the gateway answers on a connection of its own."""
    with Client(gateway.address) as client:
        client.send(sent)
        return client.rest()


def asked(gateway: Gateway) -> Iterator[bytes]:
    """What clients see of requests that go well, and wrong in every way."""
    for host, deed, body in product(ECHOING, DEEDS, (CHAT, STREAM)):
        for key in KEYS if deed == "answer well" else KEYS[:1]:
            answered = told(gateway, request(body, host, x_do=deed, Connection="close", **key))
            if host == "ruled.test":
                # The client is meant to see this one.
                answered = answered.replace(SECRETS["reply"].encode(), b"")
            # What a provider says in its answer, not in an error, is what the client asked for.
            yield answered if deed != "say the model" else b""
    for host in ("mutual.test", "untrusted.test", "gone.test", "nobody.test"):
        yield told(gateway, request(CHAT, host, Connection="close", **KEYS[0]))
    # What a client says is kept, and it may say whatever it knows: no provider hears of this.
    said = {"messages": [{"role": "user", "content": " ".join((*SECRETS.values(), ADDRESS))}], **SECRETS}
    yield told(gateway, request(json.dumps(said).encode(), "gone.test", Connection="close", **KEYS[0]))
    query = f"/v1/chat/completions?key={SECRETS['client']}"
    yield told(gateway, request(CHAT, "file.test", query, x_do="refuse", Connection="close", **KEYS[0]))
    yield told(
        gateway, request(CHAT, "literal.test", Connection="close", Authorization=f"Bearer {CANARY}-wrong")
    )
    for sent in (
        "GET /v1/models HTTP/1.1\r\nHost: literal.test\r\nX-Api-Key: {0}\r\nConnection: close",
        "{0} no HTTP",
    ):
        yield told(gateway, sent.format(SECRETS["client"]).encode() + b"\r\n\r\n")


def drilled(gateway: Gateway) -> list[bytes]:
    """What comes of every fault that the simulator knows."""
    drills = sorted({case.primary for case in CASES if case.primary})

    def ask(drill: str, body: bytes) -> bytes:
        return told(gateway, request(body, "drill.test", x_simulate=drill, Connection="close", **KEYS[0]))

    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(ask, *zip(*product(drills, (CHAT, STREAM)), strict=True)))


def handshakes(gateway: Gateway) -> list[bytes]:
    """What TLS clients see, most of whom do not get far."""
    address = gateway.wait_for_log(r"secured=(127\.0\.0\.1:\d+)")[1]
    trusting = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
    with Client(address, trusting) as client:
        client.send(request(CHAT, "file.test", Connection="close", **KEYS[0]))
        seen = [client.rest()]
        assert seen[0].startswith(b"HTTP/1.1 200")
    for hello in (request(CHAT, "file.test", **KEYS[0]), b"\x16\x03\x01\x00\x05hello"):
        with Client(address) as stranger:
            stranger.send(hello)
            seen.append(stranger.rest())
    with suppress(ssl.SSLCertVerificationError):
        Client(address, ssl.create_default_context()).close()
    return seen


def page(gateway: Gateway, path: str, data: bytes | None = None, **headers: str) -> bytes:
    """What the admin port shows to whoever has its token."""
    token = {"Authorization": f"Bearer {SECRETS['admin']}", "Content-Type": "application/json"}
    asking = urllib.request.Request(gateway.admin_url + path, data, headers={**token, **headers})
    try:
        with urllib.request.urlopen(asking, timeout=PATIENCE) as answered:
            return bytes(answered.read())
    except urllib.error.HTTPError as error:
        return error.read()


def pages(gateway: Gateway) -> Iterator[bytes]:
    """All that the admin port shows."""
    for path in (
        "/",
        "/config",
        "/config?tenant=acme",
        "/metrics",
        "/readyz",
        "/healthz",
        "/login",
        "/nowhere",
    ):
        yield page(gateway, path)
    yield page(gateway, "/", Accept="text/html")
    yield page(gateway, "/metrics", Accept="application/openmetrics-text")
    yield page(gateway, "/config", Authorization=f"Bearer {CANARY}-guessed")
    for host, key in product((*ECHOING, "mutual.test", "drill.test", "nobody.test"), (*KEYS, {})):
        question = {"host": host, "headers": key, "data": CHAT.decode()}
        yield page(gateway, "/explain", json.dumps(question).encode())
    yield events(gateway)


def events(gateway: Gateway) -> bytes:
    """The first of the live page's events."""
    with Client(gateway.admin_address) as client:
        token = f"Authorization: Bearer {SECRETS['admin']}"
        client.send(f"GET /events HTTP/1.1\r\nHost: {gateway.admin_address}\r\n{token}\r\n\r\n".encode())
        read = b""
        while read.count(b"data:") < 2:
            data = client.socket.recv(65536)
            assert data, f"no stream of events: {read!r}"
            read += data
    return read


def command(gateway: Gateway, *arguments: str) -> bytes:
    """What `llmgateway` writes."""
    ran = subprocess.run(
        [str(TWISTD.parent / "llmgateway"), *arguments],
        cwd=gateway.folder,
        env={"PATH": os.environ["PATH"], **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert b"Traceback" not in ran.stdout
    return ran.stdout


def commands(gateway: Gateway) -> Iterator[bytes]:
    """What operators see who ask for everything."""
    for where in (["conf.d"], ["--against", gateway.admin_url]):
        for host, key in (
            ("literal.test", SECRETS["client"]),
            ("ruled.test", SECRETS["client"]),
            ("pool.test", CANARY),
        ):
            header = f"Authorization: Bearer {key}"
            yield command(gateway, "explain", *where, "--host", host, "-H", header, "--data", CHAT.decode())
    yield command(gateway, "check", "conf.d")
    yield command(gateway, "check", "conf.d", "--against", gateway.admin_url)
    yield command(
        gateway, "check", "conf.d", "--against", gateway.admin_url, "--admin-token", f"{CANARY}-guessed"
    )


def rotated(gateway: Gateway, name: str) -> bytes:
    """What was in a log until now; it goes on in a new file."""
    log = gateway.folder / name
    log.rename(log.with_suffix(".old"))
    gateway.process.send_signal(signal.SIGUSR1)
    wait_until(log.exists)
    return log.with_suffix(".old").read_bytes()


def leaks(shown: list[bytes]) -> list[str]:
    """Where a secret is, with what stands around it."""
    around = re.compile(b".{0,60}(?:%b).{0,60}" % b"|".join(re.escape(each.encode()) for each in HIDDEN))
    return [found.decode(errors="replace") for each in shown for found in around.findall(each)]


def unused(echo: Provider, mutual: Provider, collector: Collector) -> list[str]:
    """Secrets that never came to whom they are for; of these nothing would be proved."""
    sent = b"".join(bytes(each.raw) for each in (*echo.requests, *mutual.requests)).decode("latin-1")
    sent += json.dumps(collector.headers)
    return [name for name, secret in SECRETS.items() if secret not in sent and name not in NOT_FOR_PROVIDERS]


def use_others(gateway: Gateway) -> None:
    """See those secrets do what they are for that no provider gets to see."""
    for key in KEYS:
        assert told(gateway, request(CHAT, "file.test", Connection="close", **key)).startswith(
            b"HTTP/1.1 200"
        )
    ruled = told(gateway, request(CHAT, "ruled.test", Connection="close", **KEYS[0]))
    assert f"x-reply: {SECRETS['reply']}".encode() in ruled
    assert b"x-simulator-authorization: present" in told(
        gateway, request(CHAT, "drill.test", Connection="close", **KEYS[0])
    )
    assert b'"acme"' in page(gateway, "/config")
    assert b'"acme"' not in page(gateway, "/config", Authorization=f"Bearer {CANARY}-guessed")


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (tmp_path / "breaking").mkdir()
    (tmp_path / "breaking" / "sitecustomize.py").write_text(BREAKING)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path / "breaking")}
    options = ("--log-level=debug", "--access-log=access.log", "--capture-log=capture.log")
    with (
        Provider(misbehave, address=(ADDRESS, 0)) as echo,
        Provider(misbehave, mutual_context(tmp_path / "mutual")) as mutual,
        Provider(misbehave, untrusted_context(tmp_path / "untrusted")) as untrusted,
        collecting() as collector,
    ):
        conf = configuration(tmp_path, echo, mutual, untrusted, collector.endpoint)
        LISTENER.write(tmp_path, "server")
        tls = TLS.replace("server.", f"{tmp_path}/server.")
        with Gateway(
            run, {"a.yaml": conf}, *options, listen=(ANY_PORT, tls), environment=environment
        ) as gateway:
            use_others(gateway)
            shown = [*asked(gateway), *drilled(gateway), *handshakes(gateway)]
            shown += pages(gateway)
            shown += commands(gateway)
            shown += [rotated(gateway, name) for name in ("access.log", "capture.log")]

            gateway.apply(BROKEN)
            for name in ("server.key", "ours.key"):
                (tmp_path / name).write_text(f"-----BEGIN PRIVATE KEY-----\n{SECRETS['literal']}\n")
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: bool(handshakes(gateway)) and "new TLS files cannot" in gateway.log)
            shown += pages(gateway)
            checked = command(gateway, "check", "conf.d")
            assert [name for name in BROKEN if f"conf.d/{name}:".encode() not in checked] == []
            shown += [checked, *commands(gateway)]
            last = told(gateway, request(CHAT, "literal.test", Connection="close", **KEYS[0]))
            assert last.startswith(b"HTTP/1.1 200"), "on its last good configuration"
            wait_until(lambda: bool(collector.headers))
            assert unused(echo, mutual, collector) == []
            gateway.wait_for_log("TLS with 127", times=3)
            assert gateway.stop() == 0
            logs = [(run / name).read_bytes() for name in ("access.log", "capture.log")]
            assert all(logs)
            shown += [*logs, gateway.log.encode(), collector.raw]
    assert "RuntimeError: a fault of our own" in gateway.log
    assert untrusted.requests == []
    assert leaks(shown) == []
