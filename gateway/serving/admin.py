"""The admin port: /metrics, /healthz, /readyz and /config, for operators and their machines.

It only reads; nothing can be changed here.  It listens on loopback unless told otherwise, and does not ask
who is calling, so it shows no secret.  A web page that an operator happens to visit must not read it either:
against DNS rebinding, where an attacker's name resolves to this address, the Host header must be an address,
a name without a dot (no public name is one), a name under `.localhost`, or one that the operator has given.

Built on `twisted.web.http` directly: the resources above it announce the server, keep sessions, and read
request bodies into files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from io import BytesIO
from ipaddress import ip_address
from typing import Protocol

import msgspec
from attrs import frozen
from prometheus_client import CollectorRegistry
from prometheus_client import exposition as plain_text
from prometheus_client.openmetrics import exposition as open_metrics
from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http

INDEX = b"""llmgateway admin

/metrics   numbers for Prometheus, or OpenMetrics for who accepts it
/healthz   200 while the process runs
/readyz    200 while requests are served, 503 otherwise; the body says what is wrong
/config    what the gateway runs on, as JSON, without secrets
"""

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class AdminState(Protocol):
    """What the admin port asks of the rest of the gateway, in the reactor's thread."""

    def ready(self) -> tuple[bool, list[str]]:
        """Tell whether requests are served, and every problem, which there may be in both cases.

        Not ready: before the first snapshot, where nothing compiled, and while draining.
        """

    def config(self) -> object:
        """What the gateway runs on, as values that JSON can hold; no secret in it."""


RunInThread = Callable[[Callable[[], bytes]], "Deferred[bytes]"]
"""Calls a function in another thread: `partial(deferToThreadPool, reactor, reactor.getThreadPool())`."""


@frozen
class Answer:
    """What one request gets."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    """Further ones."""


def _sentence(status: int, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode())


class AdminPages:
    """Decides what each request gets."""

    def __init__(
        self,
        state: AdminState,
        registry: CollectorRegistry,
        in_thread: RunInThread,
        host_names: Collection[str] = (),
    ) -> None:
        """Make the pages.

        :param registry: what /metrics shows.
        :param in_thread: where it is rendered: twenty thousand lines take a third of a second.
        :param host_names: what Host may say beside addresses and local names; lower case.
        """
        self._state = state
        self._registry = registry
        self._in_thread = in_thread
        self._host_names = frozenset(host_names)
        # Impatient scrapers must not fill the thread pool, which name look-ups need too.
        self._one_rendering = DeferredLock()
        self._pages: dict[bytes, Callable[[http.Request], Answer | Deferred[Answer]]] = {
            b"/": self._index,
            b"/metrics": self._metrics,
            b"/healthz": self._healthz,
            b"/readyz": self._readyz,
            b"/config": self._config,
        }

    def answer(self, request: http.Request) -> Answer | Deferred[Answer]:
        """Decide what this request gets."""
        if not self._host_is_ours(request):
            sentence = "The Host header must be an address, a local name, or a name given to this gateway."
            return _sentence(http.FORBIDDEN, sentence)
        page = self._pages.get(request.path)
        if page is None:
            return _sentence(http.NOT_FOUND, "There is no such page; / lists them all.")
        if request.method not in (b"GET", b"HEAD"):
            return Answer(
                http.NOT_ALLOWED, b"Pages here can only be read.\n", headers=(("Allow", "GET, HEAD"),)
            )
        return page(request)

    def _host_is_ours(self, request: http.Request) -> bool:
        lines = request.requestHeaders.getRawHeaders(b"Host", [])
        if not lines:
            # HTTP/1.0 may leave it out, and no browser does.
            return request.clientproto == b"HTTP/1.0"
        return len(lines) == 1 and is_local_name(host_name(lines[0].decode("latin-1")), self._host_names)

    def _index(self, request: http.Request) -> Answer:
        return Answer(http.OK, INDEX)

    def _healthz(self, request: http.Request) -> Answer:
        return _sentence(http.OK, "ok")

    def _readyz(self, request: http.Request) -> Answer:
        ready, problems = self._state.ready()
        status = http.OK if ready else http.SERVICE_UNAVAILABLE
        return Answer(status, _json({"ready": ready, "problems": problems}), JSON)

    def _config(self, request: http.Request) -> Answer:
        return Answer(http.OK, _json(self._state.config()), JSON)

    def _metrics(self, request: http.Request) -> Deferred[Answer]:
        accept = b",".join(request.requestHeaders.getRawHeaders(b"Accept", []))
        render: Callable[[CollectorRegistry], bytes]
        # Not prometheus_client's own choice: it raises for a version that is no number.
        if b"application/openmetrics-text" in accept.lower():
            render, content_type = open_metrics.generate_latest, open_metrics.CONTENT_TYPE_LATEST
        else:
            render, content_type = plain_text.generate_latest, plain_text.CONTENT_TYPE_PLAIN_0_0_4
        rendering = self._one_rendering.run(self._in_thread, partial(render, self._registry))
        return rendering.addCallback(lambda body: Answer(http.OK, body, content_type))


def host_name(authority: str) -> str:
    """The name or address in a Host header, in lower case, without port, brackets and final dot."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower().removesuffix(".")


def is_local_name(name: str, given: Collection[str] = ()) -> bool:
    """Tell whether no stranger can make this name resolve to us.

    :param given: names that the operator vouches for.
    """
    if not name:
        return False
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost") or name in given
    return True


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


class AdminRequest(http.Request):
    """One request on the admin port."""

    _log = Logger()

    def gotLength(self, length: int | None) -> None:
        """The head is whole: no page reads a body, so none is kept."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """A part of a body that nobody reads."""

    def process(self) -> None:
        """The request is whole: answer it."""
        departures: list[Failure] = []
        self.notifyFinish().addErrback(departures.append)
        answering = maybeDeferred(self.channel.factory.pages.answer, self)
        answering.addErrback(self._failed)
        answering.addCallback(lambda answer: None if departures else self._respond(answer))

    def _failed(self, failure: Failure) -> Answer:
        self._log.failure("The admin port could not answer {path}", failure, path=self.path)
        return _sentence(http.INTERNAL_SERVER_ERROR, "This page cannot be shown; the gateway's log says why.")

    def _respond(self, answer: Answer) -> None:
        self.setResponseCode(answer.status)
        self.responseHeaders.setRawHeaders("Date", [http.datetimeToString()])
        for name, value in (
            *answer.headers,
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.responseHeaders.setRawHeaders(name, [value])
        self.write(answer.body)
        self.finish()


class AdminChannel(http.HTTPChannel):
    """One connection to the admin port."""

    requestFactory = AdminRequest


class AdminFactory(http.HTTPFactory):
    """Makes the connections of the admin port."""

    noisy = False

    protocol = AdminChannel  # type: ignore[assignment]  # HTTPFactory's own chooses between HTTP/1.1 and HTTP/2

    def __init__(self, pages: AdminPages, reactor: IReactorTime) -> None:
        super().__init__(reactor=reactor)
        self.pages = pages

    def log(self, request: http.Request) -> None:
        """Probes and scrapes every few seconds are not worth a line."""
