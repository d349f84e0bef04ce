"""What the admin port answers: pages to read, and questions, for operators and their machines.

Nothing can be changed here: who posts to /explain or /check asks what would be, and it does not happen.  The
port listens on loopback unless told otherwise, and does not ask who is calling, so it shows no secret.  A web
page that an operator happens to visit must not read it either: against DNS rebinding, where an attacker's name
resolves to this address, the Host header must be an address, a name without a dot (no public name is one), a
name under `.localhost`, or one that the operator has given.  Nor may it ask: a question is JSON by its
Content-Type, which browsers send to another site only after a preflight request (Fetch §3.3), refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from ipaddress import ip_address
from typing import Protocol

import msgspec
from attrs import frozen
from prometheus_client import CollectorRegistry
from prometheus_client import exposition as plain_text
from prometheus_client.openmetrics import exposition as open_metrics
from twisted.internet.defer import Deferred, DeferredLock
from twisted.web import http

from gateway.serving.explanation import Explanation
from gateway.serving.questions import Question, question_of
from gateway.serving.rehearsing import Proposal, Rehearsal, proposal_of

INDEX = b"""llmgateway admin

/metrics   numbers for Prometheus, or OpenMetrics for who accepts it
/healthz   200 while the process runs
/readyz    200 while requests are served, 503 otherwise; the body says what is wrong
/config    what the gateway runs on, as JSON, without secrets; ?tenant=NAME for one tenant alone
/explain   POST a request as JSON: what the gateway would do with it
/check     POST files as `llmgateway check --against` does: what is wrong with them, and what they would change
"""

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class AdminState(Protocol):
    """What the admin port asks of the rest of the gateway, in the reactor's thread."""

    def ready(self) -> tuple[bool, list[str]]:
        """Tell whether requests are served, and every problem, which there may be in both cases.

        Not ready: before the first snapshot, where nothing compiled, and while draining.
        """

    def config(self, tenant: str | None) -> Callable[[], object] | None:
        """What the gateway runs on, as values that JSON can hold, and iterators of pairs; no secret in it.

        :param tenant: the only one to show; None for all.
        :return: finds it out, in whatever thread; None where there is no such tenant.
        """


class AdminInquiries(Protocol):
    """Answers what is asked with POST, in the reactor's thread."""

    def explain(self, question: Question) -> Explanation:
        """What would be done with this request now."""

    def rehearse(self, proposal: Proposal) -> Callable[[], Rehearsal]:
        """What would come of these files; the callable finds it out, in whatever thread."""


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


def sentence(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    """An answer of one line."""
    return Answer(status, f"{text}\n".encode(), headers=headers)


class AdminPages:
    """Decides what each request gets."""

    def __init__(
        self,
        state: AdminState,
        inquiries: AdminInquiries,
        registry: CollectorRegistry,
        in_thread: RunInThread,
        host_names: Collection[str] = (),
    ) -> None:
        """Make the pages.

        :param registry: what /metrics shows.
        :param in_thread: where long answers are made: twenty thousand lines take a third of a second.
        :param host_names: what Host may say beside addresses and local names; lower case.
        """
        self._state = state
        self._inquiries = inquiries
        self._registry = registry
        self._in_thread = in_thread
        self._host_names = frozenset(host_names)
        # The impatient must not fill the thread pool, which name look-ups need too; nor may a rehearsal of
        # seconds keep a scraper waiting.
        self._one_rendering = DeferredLock()
        self._one_rehearsal = DeferredLock()
        self._pages: dict[bytes, Callable[[http.Request], Answer | Deferred[Answer]]] = {
            b"/": self._index,
            b"/metrics": self._metrics,
            b"/healthz": self._healthz,
            b"/readyz": self._readyz,
            b"/config": self._config,
        }
        self._questions: dict[bytes, Callable[[bytes, bool], Answer | Deferred[Answer]]] = {
            b"/explain": self._explain,
            b"/check": self._check,
        }

    def answer(self, request: http.Request, body: bytes | None) -> Answer | Deferred[Answer]:
        """Decide what this request gets.

        :param body: None for one that is too large.
        """
        if not self._host_is_ours(request):
            text = "The Host header must be an address, a local name, or a name given to this gateway."
            return sentence(http.FORBIDDEN, text)
        question = self._questions.get(request.path)
        if question is not None:
            return self._asked(question, request, body)
        page = self._pages.get(request.path)
        if page is None:
            return sentence(http.NOT_FOUND, "There is no such page; / lists them all.")
        if request.method not in (b"GET", b"HEAD"):
            return sentence(http.NOT_ALLOWED, "This page can only be read.", ("Allow", "GET, HEAD"))
        return page(request)

    def _host_is_ours(self, request: http.Request) -> bool:
        lines = request.requestHeaders.getRawHeaders(b"Host", [])
        if not lines:
            # HTTP/1.0 may leave it out, and no browser does.
            return request.clientproto == b"HTTP/1.0"
        return len(lines) == 1 and is_local_name(host_name(lines[0].decode("latin-1")), self._host_names)

    # -- pages to read -------------------------------------------------------------------------------

    def _index(self, request: http.Request) -> Answer:
        return Answer(http.OK, INDEX)

    def _healthz(self, request: http.Request) -> Answer:
        return sentence(http.OK, "ok")

    def _readyz(self, request: http.Request) -> Answer:
        ready, problems = self._state.ready()
        status = http.OK if ready else http.SERVICE_UNAVAILABLE
        return Answer(status, _json({"ready": ready, "problems": problems}), JSON)

    def _config(self, request: http.Request) -> Answer | Deferred[Answer]:
        asked = request.args.get(b"tenant")
        tenant = asked[0].decode(errors="replace") if asked else None
        shown = self._state.config(tenant)
        if shown is None:
            return sentence(http.NOT_FOUND, "There is no tenant of this name.")
        return self._rendered(lambda: _json(shown()), JSON)

    def _metrics(self, request: http.Request) -> Deferred[Answer]:
        render: Callable[[CollectorRegistry], bytes]
        # Not prometheus_client's own choice: it raises for a version that is no number.
        if _accepts(request, b"application/openmetrics-text"):
            render, content_type = open_metrics.generate_latest, open_metrics.CONTENT_TYPE_LATEST
        else:
            render, content_type = plain_text.generate_latest, plain_text.CONTENT_TYPE_PLAIN_0_0_4
        return self._rendered(partial(render, self._registry), content_type)

    def _rendered(self, render: Callable[[], bytes], content_type: str) -> Deferred[Answer]:
        rendering = self._one_rendering.run(self._in_thread, render)
        return rendering.addCallback(lambda body: Answer(http.OK, body, content_type))

    # -- questions -----------------------------------------------------------------------------------

    def _asked(
        self,
        question: Callable[[bytes, bool], Answer | Deferred[Answer]],
        request: http.Request,
        body: bytes | None,
    ) -> Answer | Deferred[Answer]:
        if request.method != b"POST":
            return sentence(http.NOT_ALLOWED, "This page is asked with POST.", ("Allow", "POST"))
        if not is_json(request):
            text = "A question is JSON, and says so: Content-Type: application/json"
            return sentence(http.UNSUPPORTED_MEDIA_TYPE, text)
        if body is None:
            return sentence(http.REQUEST_ENTITY_TOO_LARGE, "The question is too large.")
        try:
            return question(body, _accepts(request, JSON.encode()))
        except ValueError as error:
            return sentence(http.BAD_REQUEST, str(error))

    def _explain(self, body: bytes, as_json: bool) -> Answer:
        explanation = self._inquiries.explain(question_of(body))
        if as_json:
            return Answer(http.OK, _json(explanation), JSON)
        return sentence(http.OK, explanation.text())

    def _check(self, body: bytes, as_json: bool) -> Deferred[Answer]:
        rehearse = self._inquiries.rehearse(proposal_of(body))

        def rendered() -> bytes:
            rehearsal = rehearse()
            return _json(rehearsal) if as_json else f"{rehearsal.text()}\n".encode()

        rehearsing = self._one_rehearsal.run(self._in_thread, rendered)
        return rehearsing.addCallback(lambda text: Answer(http.OK, text, JSON if as_json else TEXT))


def is_json(request: http.Request) -> bool:
    """Tell whether a request says that its body is JSON."""
    lines = request.requestHeaders.getRawHeaders(b"Content-Type", [])
    return len(lines) == 1 and lines[0].partition(b";")[0].strip().lower() == JSON.encode()


def _accepts(request: http.Request, content_type: bytes) -> bool:
    return content_type in b",".join(request.requestHeaders.getRawHeaders(b"Accept", [])).lower()


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
    return _indented(value) + b"\n"


def _indented(value: object, depth: int = 0) -> bytes:
    """A value as JSON for people.

    Iterators of pairs are objects whose members are made and written one by one, and with them what they stand
    in: one call that writes megabytes would keep the reactor's thread from the interpreter.
    """
    if isinstance(value, Iterator) or (isinstance(value, dict) and _has_iterator(value)):
        margin = b"\n" + b"  " * (depth + 1)
        pairs = value if isinstance(value, Iterator) else iter(value.items())
        members = [
            margin + msgspec.json.encode(name) + b": " + _indented(each, depth + 1) for name, each in pairs
        ]
        return b"{%b\n%b}" % (b",".join(members), b"  " * depth) if members else b"{}"
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    return text.replace(b"\n", b"\n" + b"  " * depth)


def _has_iterator(value: dict[str, object]) -> bool:
    return any(isinstance(each, Iterator) for each in value.values())
