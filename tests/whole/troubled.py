"""A gateway that is well for a while and then has every fault that an alert is for, and clients that make both.

Each fault has a tenant, a provider or a route of its own, so that what fires can be told apart.
"""

from __future__ import annotations

import json
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.fakes.certificates import DAY, root
from tests.whole.clients import CHAT, STREAM, Client, ask, request
from tests.whole.collector import Collector
from tests.whole.documents import (
    documents,
    key_hash,
    owned,
    provider,
    route,
    rule,
    settings,
    simulated,
    tenant,
)
from tests.whole.load import Load
from tests.whole.providers import answer
from tests.whole.running import ANY_PORT, Gateway


def misbehaving(host: str, how: str, **more: Any) -> dict[str, Any]:
    """A simulated provider that does this by itself."""
    document = simulated(host, **more)
    document["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["misbehave"] = how
    return document


def priced(price: float) -> dict[str, Any]:
    """What a million tokens cost."""
    return {"currency": "EUR", "default": {"input": price, "output": price}}


def named(name: str, document: dict[str, Any]) -> dict[str, Any]:
    """The same by another name."""
    return {**document, "metadata": {**document["metadata"], "name": name}}


WELL = documents(
    *owned(
        "acme",
        {**tenant("acme"), "spec": {"capture": {"request": True}}},
        simulated("fast.test", pricing=priced(2), healthCheck={"interval": "1s"}),
        simulated("second.test", pricing=priced(5)),
        misbehaving("shaky.test", "10%status=503"),
        misbehaving("brittle.test", "10%cut-after=3"),
        misbehaving("slow.test", "delay=300ms"),
        route("plain.test", rule("all", "fast.test", mirror={"providerHost": "second.test", "percent": 100})),
        route("again.test", rule("all", "shaky.test")),
        route(
            "onward.test",
            rule("all", "shaky.test", fallback=[{"providerHost": "second.test"}], retries={"attempts": 1}),
        ),
        route("rest.test", rule("all", "brittle.test", fallback=[{"providerHost": "second.test"}])),
        route(
            "hedged.test",
            rule("all", "slow.test", fallback=[{"providerHost": "fast.test"}], hedge={"after": "100ms"}),
        ),
    ),
    *owned("spender", simulated("dear.test", pricing=priced(1000))),
    *owned("namesake", named("tripping-test", simulated("namesake.test"))),
    *owned("thinker", simulated("deep.test", model="deep")),
)
"""Retries, fallbacks, hedges and continuations mend what goes wrong here."""

SPOILT = owned("spoilt", simulated("spoilt.test"), route("spoilt-route.test", rule("all", "spoilt.test")))
UNUSABLE = owned("unusable", route("unusable.test", rule("all", "nobody.test")))
DEAD, ALIVE = "sk-dead", "sk-alive"


def two_keys() -> dict[str, Any]:
    document = misbehaving("refused.test", f"status=401&key={sha256(DEAD.encode()).hexdigest()[:16]}")
    keys = [{"name": "dead", "key": DEAD}, {"name": "alive", "key": ALIVE}]
    document["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["apiKeys"] = keys
    return document


ILL = owned(
    "faulty",
    provider("lost.test", 1),
    misbehaving(
        "tripping.test", "status=500", outlierDetection={"consecutiveErrors": 2, "baseEjectionTime": "1m"}
    ),
    misbehaving("cut.test", "cut-after=3"),
    two_keys(),
    route("to-lost.test", rule("all", "lost.test")),
    route("to-tripping.test", rule("all", "tripping.test")),
    route("to-cut.test", rule("all", "cut.test", onStreamBreak="error")),
    route("to-refused.test", rule("all", "refused.test")),
)

COUNTED = answer(
    json.dumps(
        {
            "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 11,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        }
    )
)
"""Of a provider that has read a part before."""

LARGE = CHAT.replace(b"Hello", b"x" * 100_000)
"""So much that it is counted as held."""

AUTHORITY = root("authority")

TOKEN = "token-of-the-admin-port"

CLIENT_KEY = "key-of-a-client"


class TroubledGateway:
    """A gateway and its clients."""

    def __init__(self, folder: Path, collector: Collector, counting: int) -> None:
        """Write its files; `gateway` starts it.

        :param collector: takes its spans, and later does not.
        :param counting: the port of a provider that answers `COUNTED`.
        """
        folder.mkdir()
        self._collector = collector
        self._folder = folder
        self._identity = AUTHORITY.issue(x509.DNSName("localhost"))
        self._identity.write(folder, "server")
        self._context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
        self._logs = {name: folder / f"{name}.log" for name in ("access", "capture")}
        safe = "safe=tls:0:interface=127.0.0.1:certificate=server.pem:privateKey=server.key"
        conf = {
            "well.yaml": WELL,
            "counting.yaml": documents(
                *owned(
                    "counting",
                    tenant("counting", {"name": "ci", "apiKeyHash": key_hash(CLIENT_KEY)}),
                    provider("counting.test", counting),
                )
            ),
            "spoilt.yaml": documents(*SPOILT),
            "gateway.yaml": self._settings("v1.41"),
        }
        options = [f"--{name}-log={path}" for name, path in self._logs.items()]
        self.gateway = Gateway(folder, conf, *options, f"--admin-token={TOKEN}", listen=(ANY_PORT, safe))
        self._words = 3

    def _settings(self, *generations: str) -> str:
        """The Gateway document, with these of OpenTelemetry's metrics."""
        return documents(
            settings(tracing={"endpoint": self._collector.endpoint}, metrics={"genAi": list(generations)})
        )

    # -- while all is well -------------------------------------------------------------------------

    def well(self) -> Load:
        """Clients of all kinds; they stay, whatever else comes."""
        return Load(
            self._asks("plain.test"),
            self._asks("plain.test", STREAM),
            self._asks("again.test"),
            self._asks("onward.test"),
            self._asks("rest.test", STREAM),
            self._asks("hedged.test"),
            self._asks("plain.test", x_simulate="status=400"),
            self._asks("plain.test", x_simulate="reasoning=5"),
            self._asks("counting.test", authorization=f"Bearer {CLIENT_KEY}"),
            self._asks("namesake.test"),
            self._asks("plain.test", LARGE, x_simulate="delay=200ms"),
            self._asks("nobody-has.test"),
            self._asks("deep.test", STREAM),
            self._asks_over_tls,
            self._leaves,
            self._spends,
        )

    @contextmanager
    def thinking(self, seconds: float) -> Iterator[Callable[[int], None]]:
        """Have so many more ask for streams whose first word comes after so long, each time that this is called."""
        with ExitStack() as stack:

            def more_ask(clients: int) -> None:
                for _ in range(clients):
                    client = stack.enter_context(Client(self.gateway.address))
                    client.send(request(STREAM, "deep.test", x_simulate=f"first-content-delay={seconds:g}s"))

            yield more_ask

    # -- faults ------------------------------------------------------------------------------------

    def ill(self) -> Load:
        """Make all faults that can be made together, and have clients that meet them."""
        for path in self._logs.values():
            path.unlink()
            path.symlink_to("/dev/full")
        self._collector.status = 401
        AUTHORITY.issue(x509.DNSName("localhost"), until=DAY, key=self._identity.key).write(
            self._folder, "server"
        )
        self.gateway.process.send_signal(signal.SIGUSR1)
        self._words = 300
        broken = [{**document, "spec": {**document["spec"], "hots": "a mistake"}} for document in SPOILT]
        self.gateway.apply(
            {
                "ill.yaml": documents(*ILL, *owned("identified", self._identified())),
                "spoilt.yaml": documents(*broken),
                "unusable.yaml": documents(*UNUSABLE),
                "gateway.yaml": self._settings("next"),
            }
        )
        return Load(
            self._asks("to-lost.test"),
            self._asks("to-tripping.test"),
            self._asks("to-cut.test", STREAM),
            self._asks("to-refused.test"),
            self._guesses,
        )

    def _identified(self) -> dict[str, Any]:
        """A provider that is shown a certificate which ends soon."""
        AUTHORITY.issue(x509.DNSName("client"), until=DAY, for_clients=True).write(self._folder, "client")
        files = {"clientCertificate": "client.pem", "privateKey": "client.key"}
        files = {name: str(self._folder / file) for name, file in files.items()}
        return provider("identified.test", 1, tls={"mode": "MUTUAL", **files})

    def starving(self) -> Load:
        """Take the processor away again and again, and with it what makes a scrape long."""
        self.gateway.apply({"gateway.yaml": self._settings()})
        return Load(self._starve, pause=0.05)

    def _starve(self) -> None:
        """Take the processor away for a while, not so long that a scrape would fail.

        The loop looks at its clock a quarter of a second after it has done so last: within the next of these whiles,
        and a tenth of a second before its end.
        """
        self.gateway.process.send_signal(signal.SIGSTOP)
        time.sleep(0.23)
        self.gateway.process.send_signal(signal.SIGCONT)
        time.sleep(0.12)

    # -- clients -----------------------------------------------------------------------------------

    def _asks(self, host: str, body: bytes = CHAT, **headers: str) -> Callable[[], object]:
        return lambda: ask(self.gateway.address, body, host=host, **headers)

    def _asks_over_tls(self) -> None:
        address = self.gateway.wait_for_log(r"safe=(127\.0\.0\.1:\d+)")[1]
        with Client(address, self._context) as client:
            client.send(request(CHAT, "plain.test"))
            assert client.reply().status == 200

    def _leaves(self) -> None:
        with Client(self.gateway.address) as client:
            client.send(request(STREAM, "plain.test", x_simulate="chunk-delay=100ms"))
            client.head()

    def _guesses(self) -> None:
        """Try tokens, without waiting for what becomes of each."""
        for _ in range(5):
            with Client(self.gateway.admin_address) as client:
                line = b"Authorization: Bearer wrong-token-of-somebody"
                client.send(b"GET /config HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % line)

    def _spends(self) -> None:
        ask(self.gateway.address, host="dear.test", x_simulate=f"words={self._words}")
