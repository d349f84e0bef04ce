"""The whole gateway in memory, from a text of YAML to the bytes on both sides; only sockets are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.live import Live
from gateway.messages import Destination, Timeouts
from gateway.serving.held_bodies import HeldBodies
from gateway.serving.pursuit import Pursuit
from gateway.serving.reception import Reception
from gateway.serving.redactor import Redactor
from gateway.serving.surroundings import Surroundings
from gateway.snapshot.current import CurrentSnapshot
from gateway.snapshot.generations import Generation
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.capture_log import CaptureLog, CaptureRecord
from gateway.telemetry.exchange_record import ExchangeNames, ExchangeRecord
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import CurrentTracer
from gateway.wire.limits import SWEEP_SECONDS, DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.pools import Pools
from gateway.wire.sweep import Sweep, Swept
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.client import Client
from tests.fakes.conf import adopt_conf, provider, route, route_to, told
from tests.fakes.upstreams import Provider, RecordingHome

VIA = b"llmgateway-here"


class Records(AccessLog):
    """An access log that keeps its records."""

    def __init__(self) -> None:
        self.names: list[ExchangeNames] = []
        self.records: list[ExchangeRecord] = []

    def write(self, names: ExchangeNames, record: ExchangeRecord) -> None:
        self.names.append(names)
        self.records.append(record)


class Captures(CaptureLog):
    """A capture log that keeps its records."""

    def __init__(self) -> None:
        self.records: list[CaptureRecord] = []

    def time(self) -> str:
        return ""

    def write(self, line: bytes) -> None:
        self.records.append(msgspec.json.decode(line, type=CaptureRecord))


class WatchedSweep(Sweep):
    """A sweep that shows whom it watches."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, clock.seconds)
        self.watched: list[Swept] = []

    def watch(self, member: Swept) -> None:
        super().watch(member)
        self.watched.append(member)

    def forget(self, member: Swept) -> None:
        super().forget(member)
        if member in self.watched:
            self.watched.remove(member)


class Network:
    """Makes connections to providers in memory, at once or when a test says so."""

    def __init__(self, sweep: Sweep) -> None:
        self.providers: list[Provider] = []
        """One for each connection, in the order they were made."""
        self.fails_with: GatewayError | None = None
        self.hangs = False
        self.waiting: list[tuple[Destination, Deferred[UpstreamConnection]]] = []
        """Connections that hang."""
        self.cancelled = 0
        self._sweep = sweep

    def connect(self, destination: Destination, timeouts: Timeouts) -> Deferred[UpstreamConnection]:
        result: Deferred[UpstreamConnection] = Deferred(self._cancel)
        if self.fails_with is not None:
            result.errback(self.fails_with)
        elif self.hangs:
            self.waiting.append((destination, result))
        else:
            result.callback(self._connection(destination))
        return result

    def goes_on(self) -> None:
        """The connection that has hung longest is made."""
        destination, result = self.waiting.pop(0)
        result.callback(self._connection(destination))

    def _connection(self, destination: Destination) -> UpstreamConnection:
        connection = UpstreamConnection(destination, self._sweep, RecordingHome())
        self.providers.append(Provider(self._sweep, destination, connection))
        return connection

    def _cancel(self, _: object) -> None:
        self.cancelled += 1


class House:
    """A gateway, its clock, and the network around it."""

    def __init__(
        self,
        conf: Mapping[str, str] | str | None,
        *,
        listener: str = "",
        environment: Mapping[str, str] | None = None,
        limits: DownstreamLimits | None = None,
    ) -> None:
        """Build it.

        :param conf: as `adopt_conf` takes it; None for a gateway that has not read any.
        """
        self.clock = Clock()
        self.sweep = WatchedSweep(self.clock)
        self.sweep.start()
        self.network = Network(self.sweep)
        self.pools = Pools(self.network.connect, self.sweep)
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.access_log = Records()
        self.capture_log = Captures()
        self.chance = 0.0
        """What every random number is, 0 to 1."""
        self.live = Live()
        self.tracing = CurrentTracer()
        self.current = CurrentSnapshot()
        self.generation: Generation | None = None
        self.bodies = HeldBodies()
        surroundings = Surroundings(
            current=self.current,
            live=self.live,
            pools=self.pools,
            metrics=self.metrics,
            access_log=self.access_log,
            sweep=self.sweep,
            via=VIA,
            wall_clock=self.clock.seconds,
            chance=lambda: self.chance,
            redactor=Redactor(self.capture_log, maybeDeferred, self.clock.seconds),
            bodies=self.bodies,
            tracing=self.tracing,
        )
        self.reception = Reception(surroundings)
        judged_by = limits or DownstreamLimits()
        self.factory = DownstreamFactory(
            self.reception, self.sweep, lambda: judged_by, listener, wall_clock=lambda: 0.0
        )
        self._environment = environment or {}
        if conf is not None:
            self.reads(conf)

    def reads(self, conf: Mapping[str, str] | str) -> None:
        """Take a new configuration, which has no problem."""
        self.generation = adopt_conf(conf, self.generation, environment=self._environment)
        assert told(self.generation) == []
        self.current.snapshot = self.generation.snapshot
        self.pools.adopt(self.generation.snapshot.destinations)

    def client(self) -> Client:
        """A new connection of a client."""
        return Client(self.reception, factory=self.factory, clock=self.clock)

    def waits(self, seconds: float) -> None:
        """Let time pass, sweep by sweep."""
        self.clock.pump([SWEEP_SECONDS] * round(seconds / SWEEP_SECONDS))

    @property
    def provider(self) -> Provider:
        """The one with the newest connection."""
        return self.network.providers[-1]

    @property
    def names(self) -> ExchangeNames:
        """Who asked whom, by the last line of the access log."""
        return self.access_log.names[-1]

    @property
    def record(self) -> ExchangeRecord:
        """What came of it, by the last line of the access log."""
        return self.access_log.records[-1]

    @property
    def counted(self) -> dict[tuple[str, str], float]:
        """How many exchanges ended: (code, outcome) -> number."""
        counts: dict[tuple[str, str], float] = {}
        for metric in self.registry.collect():
            for sample in metric.samples:
                if sample.name == "llmgateway_requests_total":
                    key = (sample.labels["code"], sample.labels["outcome"])
                    counts[key] = counts.get(key, 0) + sample.value
        return counts

    def number(self, name: str, **labels: str) -> float:
        """The value of a metric, summed over all series that have these labels."""
        return sum(
            sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


class HouseTestCase(SynchronousTestCase):
    """Tests of which each leaves no exchange behind."""

    def house(self, conf: Mapping[str, str] | str | None, **options: object) -> House:
        """A house that is empty when the test ends."""
        house = House(conf, **options)  # type: ignore[arg-type]

        def nobody_is_left() -> None:
            self.assertEqual(house.metrics.in_flight, 0, "an exchange was never settled")
            self.assertEqual(house.bodies.held, 0, "a body is counted as held")
            self.assertEqual(sum(house.counted.values()), len(house.access_log.records))
            self.assertFalse([each for each in house.sweep.watched if isinstance(each, Pursuit)])

        self.addCleanup(nobody_is_left)
        return house


def post(
    body: object,
    *lines: bytes,
    path: bytes = b"/v1/chat/completions",
    host: bytes = b"demo",
) -> bytes:
    """A request with a JSON body, or with these bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST %b HTTP/1.1\r\nHost: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path,
        host,
        head,
        len(data),
        data,
    )


def get(path: bytes, *lines: bytes, host: bytes = b"demo", method: bytes = b"GET") -> bytes:
    """A request without a body."""
    head = b"".join(line + b"\r\n" for line in lines)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (method, path, host, head)


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json") -> bytes:
    """A provider's whole answer."""
    head = b"".join(line + b"\r\n" for line in (b"Content-Type: " + kind, *lines))
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, head, len(body), body)


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
"""The head of a provider's stream."""

LAST_CHUNK = b"0\r\n\r\n"


def event(value: object) -> bytes:
    """One event, framed as a chunk of its own."""
    text = b"data: %b\n\n" % (value if isinstance(value, bytes) else json.dumps(value).encode())
    return b"%x\r\n%b\r\n" % (len(text), text)


def words(content: str, **more: object) -> dict[str, object]:
    """A chunk of a streamed chat."""
    return {"model": "answered-1", "choices": [{"index": 0, "delta": {"content": content}}], **more}


USAGE = {"model": "answered-1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
"""The chunk that tells the usage."""


def parts(received: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Status line, headers by lower-case name, and the rest of one answer or request."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b": ")
        assert name.lower() not in headers, name
        headers[name.lower()] = value
    return first, headers, body


def unchunked(body: bytes) -> bytes:
    """The content of whole chunks; the last one is shown as `<end>`."""
    content = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        content += rest[:length] if length else b"<end>"
        body = rest[length + 2 :]
    return content


HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
"""A chat's request."""

CHAT = {"model": "answered-1", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
"""What a provider answers it."""

ANSWER = answer(json.dumps(CHAT).encode())

KEY = b"sk-of-the-provider"
"""The key in `CONF`."""

CONF = provider("a") + route_to("a")
"""One provider, and a route `demo` to it."""

ONCE = provider("a") + route(
    "demo", "rules: [{name: all, retries: {attempts: 1}, backendRefs: [{providerHost: a.example}]}]"
)
"""The same, and nothing is tried again."""


def error(received: bytes) -> dict[str, object]:
    """What an answer of ours says is wrong."""
    body: dict[str, dict[str, object]] = json.loads(parts(received)[2])
    return body["error"]


class ConversationTestCase(HouseTestCase):
    """One client at one gateway."""

    def open(self, conf: Mapping[str, str] | str | None = CONF, **options: object) -> tuple[House, Client]:
        """A new house and a client that has connected."""
        house = self.house(conf, **options)
        return house, house.client()
