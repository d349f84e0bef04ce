"""The requests of the drive that compares books: every way for one to end, and clients that leave at every moment.

A request has a number, and its id says of which kind it is, so it is found again in the access log.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeAlias

from attrs import field, frozen

from bench.expecting import Spec

TENANTS = ("red", "blue")
LEFT = 499
"""What the gateway notes as the status that a client saw which left."""

_WORDS = "words=40, chunk-delay=10ms"
_ENDLESS = "words=2000, chunk-delay=20ms"
EVENTS_BEFORE_LEAVING = 3
PATIENCE_SECONDS = 40.0

_USAGE = re.compile(rb'"prompt_tokens":(\d+),"completion_tokens":(\d+)')


def client_key(tenant: str) -> str:
    """Of the tenant's only client."""
    return f"client-of-{tenant}"


@frozen
class Seen:
    """What a client saw of its request."""

    status: int
    """499 where it left."""
    tokens: tuple[int, int] | None = None
    """Input and output as it was told; None where it was not."""


@frozen
class Asked:
    """One request."""

    kind: Kind
    tenant: str
    number: int
    port: int

    @property
    def name(self) -> str:
        """Its `x-request-id`."""
        return f"{self.kind.name}-{self.tenant}-{self.number}"


Client: TypeAlias = Callable[[Asked], Coroutine[None, None, Seen]]


def _head(asked: Asked, length: int, host: str, **headers: str) -> bytes:
    lines = [
        f"POST {asked.kind.path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {client_key(asked.tenant)}",
        f"X-Request-Id: {asked.name}",
        "Connection: close",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _body(asked: Asked) -> bytes:
    kind = asked.kind
    said = f"Question {asked.number} " * (1 + asked.number % 5)
    fields: dict[str, object] = {"messages": [{"role": "user", "content": said}]}
    if kind.path.endswith("/completions") and "chat" not in kind.path:
        fields = {"prompt": said}
    return json.dumps({**fields, **kind.fields}).encode()


def _request(asked: Asked) -> bytes:
    body = _body(asked)
    return _head(asked, len(body), asked.kind.host) + body


async def _answered(asked: Asked, request: bytes) -> Seen:
    """Send this and read until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    try:
        writer.write(request)
        answer = await reader.read()
    finally:
        writer.close()
    told = _USAGE.findall(answer)
    return Seen(int(answer[9:12]), (int(told[-1][0]), int(told[-1][1])) if told else None)


async def stays(asked: Asked) -> Seen:
    """Read the whole answer."""
    return await _answered(asked, _request(asked))


async def has_no_key(asked: Asked) -> Seen:
    """Come with a key that is nobody's."""
    key = client_key(asked.tenant).encode()
    return await _answered(asked, _request(asked).replace(key, b"nobodys"))


async def sends_no_json(asked: Asked) -> Seen:
    """Send a body that cannot be read."""
    return await _answered(asked, _head(asked, 5, asked.kind.host) + b"{not ")


async def sends_no_http(asked: Asked) -> Seen:
    """Send a head that cannot be read."""
    return await _answered(asked, b"GET / HTTP/1.1\r\nno colon\r\n\r\n")


async def asks_for_models(asked: Asked) -> Seen:
    """Ask which models there are, which the gateway answers by itself."""
    return await _answered(asked, _head(asked, 0, asked.kind.host).replace(b"POST", b"GET", 1))


async def leaves_in_body(asked: Asked) -> Seen:
    """Leave before the request is whole."""
    _, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    writer.write(_head(asked, 1000, asked.kind.host) + b'{"messages"')
    await writer.drain()
    writer.close()
    return Seen(LEFT)


async def leaves_at_once(asked: Asked) -> Seen:
    """Leave as soon as the request is sent."""
    _, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    writer.write(_request(asked))
    await writer.drain()
    writer.close()
    return Seen(LEFT)


async def leaves_in_answer(asked: Asked) -> Seen:
    """Leave a stream after some events."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    writer.write(_request(asked))
    read = b""
    # The first event has an empty content and a role.
    while read.count(b'"content":"') <= EVENTS_BEFORE_LEAVING:
        data = await reader.read(65536)
        if not data:
            raise EOFError(f"{asked.name} ended before its client left it: {read!r}")
        read += data
    writer.transport.abort()
    return Seen(LEFT)


async def leaves_in_silence(asked: Asked) -> Seen:
    """Wait for an answer that does not come until this is cancelled, and leave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    writer.write(_request(asked))
    try:
        await reader.read()
    except asyncio.CancelledError:
        pass
    else:
        raise EOFError(f"{asked.name} was answered")
    finally:
        writer.transport.abort()
    return Seen(LEFT)


_NOTHING: Spec = {}
_STREAM: Spec = {"stream": True}
_COUNTED: Spec = {"stream": True, "stream_options": {"include_usage": True}}
_DRAINED: Spec = {"onClientDisconnect": "drain"}


@frozen(eq=False)
class Kind:
    """Requests that are alike; they have a route and providers of their own, in each tenant."""

    name: str
    share: int
    """How many of all requests: these parts."""
    fields: Spec = field(default=_NOTHING)
    """Of the body."""
    primary: str = ""
    """The drill of the provider that is asked first."""
    fallback: str | None = None
    """The drill of the next one; None where there is none."""
    rule: Spec = field(default=_NOTHING)
    primary_spec: Spec = field(default=_NOTHING)
    fallback_spec: Spec = field(default=_NOTHING)
    is_reachable: bool = True
    """The primary listens."""
    client: Client = stays
    path: str = "/v1/chat/completions"
    statuses: frozenset[int] = frozenset({200})
    """What clients may see."""
    route: bool = True
    """There is one for its host."""
    is_mixed: bool = False
    """The last count that its client is told is not what all comes to."""
    discards: str = ""
    """Why no client gets anything of one of its attempts."""
    is_estimated: bool = False
    """Somebody has heard words, and not how many tokens they are."""
    has_id: bool = True
    """Its head can be read, so it is in the log under its id."""

    @property
    def host(self) -> str:
        return f"{self.name}.bench"


_CUT = f"{_WORDS}, cut-after=9"
_PREFILL: Spec = {"prefill": True}
_BREAKER: Spec = {"outlierDetection": {"consecutiveErrors": 3}}


def _only(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


_GONE = _only(LEFT)

KINDS = (
    Kind("plain", 240),
    Kind("streamed", 120, _STREAM),
    Kind("counted", 80, _COUNTED),
    Kind("reasoning", 30, _COUNTED, primary="reasoning=20"),
    Kind("completion", 30, path="/v1/completions"),
    Kind("cached", 20, primary="cached=2"),
    Kind("cached-stream", 20, _COUNTED, primary="cached=2, reasoning=5"),
    Kind("all-so-far", 20, _STREAM, primary="usage=growing, cached=2, reasoning=5"),
    Kind("each-alone", 20, _STREAM, primary="usage=each", is_mixed=True),
    Kind("halves", 20, _STREAM, primary="usage=halves, cached=2", is_mixed=True),
    Kind("zero", 10, primary="usage=zero", is_mixed=True, is_estimated=True),
    Kind("zero-stream", 10, _COUNTED, primary="usage=zero", is_mixed=True, is_estimated=True),
    Kind("never", 10, primary="usage=never", is_estimated=True),
    Kind("never-stream", 10, _COUNTED, primary="usage=never", is_estimated=True),
    Kind("compressed", 20, _STREAM, primary="gzip"),
    Kind("failed-over", 60, primary="status=503", fallback=""),
    Kind("failed-over-stream", 50, _STREAM, primary="error-after=0", fallback=""),
    Kind("cut-early", 20, _STREAM, primary="cut-after=0", fallback=""),
    Kind("retried", 50, primary="30%status=500", fallback="", rule={"retries": {"attempts": 3}}),
    Kind("unreachable", 20, fallback="", is_reachable=False),
    Kind("reset", 30, primary="50%reset", fallback=""),
    Kind("slow", 6, primary="stall", fallback="", primary_spec={"timeouts": {"headers": "300ms"}}, discards="failed"),
    Kind("hedged", 10, primary="stall", fallback="", rule={"hedge": {"after": "100ms"}}, discards="hedge"),
    Kind("mirrored", 20, rule={"mirror": {"providerHost": "mirror.bench", "percent": 50}}),
    Kind("continued", 20, _STREAM, _CUT, fallback="", fallback_spec=_PREFILL, is_mixed=True, is_estimated=True),
    Kind("cut", 20, _STREAM, _CUT, rule={"onStreamBreak": "error"}, is_estimated=True),
    Kind("cut-so-far", 20, _STREAM, f"{_CUT}, usage=growing, cached=1", rule={"onStreamBreak": "error"}),
    Kind("tripping", 20, primary="status=503", fallback="", primary_spec=_BREAKER),
    Kind("filtered", 30, primary="content-filter", statuses=_only(400)),
    Kind("no-key", 20, client=has_no_key, statuses=_only(401)),
    Kind("no-route", 20, route=False, statuses=_only(403)),
    Kind("no-json", 15, client=sends_no_json, statuses=_only(400)),
    Kind("no-http", 10, client=sends_no_http, statuses=_only(400), has_id=False),
    Kind("models", 15, client=asks_for_models, path="/v1/models"),
    Kind("left-in-body", 20, client=leaves_in_body, statuses=_GONE),
    Kind("left-in-stream", 24, _STREAM, _ENDLESS, client=leaves_in_answer, statuses=_GONE, is_estimated=True),
    Kind("left-in-silence", 10, primary="stall", client=leaves_in_silence, statuses=_GONE, discards="left"),
    Kind("drained", 10, primary="delay=300ms", rule=_DRAINED, client=leaves_at_once, statuses=_GONE),
    Kind("drained-stream", 10, _STREAM, _WORDS, rule=_DRAINED, client=leaves_in_answer, statuses=_GONE),
)  # fmt: skip


def mixed(requests: int, port: int, seed: int) -> list[Asked]:
    """So many requests by both tenants, in an order of chance.

    :param port: of the gateway.
    """
    parts = sum(kind.share for kind in KINDS)
    kinds = [kind for kind in KINDS for _ in range(max(kind.share * requests // parts, len(TENANTS)))]
    kinds += [KINDS[0]] * (requests - len(kinds))
    asked = [Asked(kind, TENANTS[number % len(TENANTS)], number, port) for number, kind in enumerate(kinds)]
    random.Random(seed).shuffle(asked)
    return asked


async def answer_all(asked: Mapping[str, Asked], at_once: int) -> dict[str, Seen]:
    """Send them all; what each client saw.

    :raises TimeoutError: where one has not ended in time.
    """
    seen: dict[str, Seen] = {}
    waiting = list(asked.values())

    async def work() -> None:
        while waiting:
            one = waiting.pop()
            async with asyncio.timeout(PATIENCE_SECONDS):
                seen[one.name] = await one.kind.client(one)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return seen
