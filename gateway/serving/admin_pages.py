"""What the admin port answers: pages to read, and questions, for operators and their machines.

Nothing can be changed here: who posts to /explain or /check asks what would be, and it does not happen.  The
port listens on loopback unless told otherwise, and asks who is calling only where there is an admin token, so it
shows no secret.  A web page that an operator happens to visit must not read it either: against DNS rebinding, where
an attacker's name resolves to this address, the Host header must be an address, a name without a dot (no public name
is one), a name under `.localhost`, or one that the operator has given.  Nor may it ask: a question is JSON by its
Content-Type, which browsers send to another site only after a preflight request (Fetch §3.3), refused here, or the
page's own form, of which they say by `Origin` where it was filled in.  What the page itself may load and ask is said by
a Content-Security-Policy: files of this port, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, DeferredLock
from twisted.web import http

from gateway.serving.admin_access import AdminAccess
from gateway.serving.admin_answers import EVENTS, JSON, Answer, html, json_text, sentence
from gateway.serving.admin_questions import CHECK, EXPLAIN, AdminInquiries, AdminQuestions, RunInThread
from gateway.serving.admin_refusals import AdminRefusals, Refusal
from gateway.serving.admin_requests import accepts, accepts_gzip, is_form, is_json, is_of_another_site
from gateway.serving.admin_sign_in import LOGIN, LOGOUT, SignIn
from gateway.serving.local_names import host_name, is_local_name
from gateway.serving.page.static_files import static_files
from gateway.telemetry.exposition import Exposition

INDEX = b"""llmgateway admin

/          this list; for browsers a page that shows what happens
/metrics   numbers for Prometheus, or OpenMetrics for who accepts it
/healthz   200 while the process runs
/readyz    200 while requests are served, 503 otherwise; the body says what is wrong
/config    what the gateway runs on, as JSON, without secrets; ?tenant=NAME for one tenant alone
/explain   POST a request as JSON: what the gateway would do with it
/check     POST files as `llmgateway check --against` does: what is wrong with them, and what they would change
"""

NO_SUCH_PAGE = (
    "No such page: there are /, /metrics, /healthz, /readyz, /config, and with POST /explain and /check."
)

PUBLIC = frozenset({b"/metrics", b"/healthz", b"/readyz", LOGIN})
"""What needs no token, beside the page's own files: they are the same everywhere."""


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


class AdminPage(Protocol):
    """What browsers are shown."""

    def document(self, *, can_sign_out: bool) -> Deferred[bytes]:
        """The whole page as it is now."""

    @property
    def is_full(self) -> bool:
        """So many look on that nobody else can."""

    def follow(self, request: http.Request, may_look: Callable[[], bool]) -> None:
        """Send this one everything from now on; its head is written already.

        :param may_look: tells whether it still may; once it may not, it is let go of.
        """


class AdminPages:
    """Decides what each request gets."""

    def __init__(
        self,
        state: AdminState,
        inquiries: AdminInquiries,
        registry: CollectorRegistry,
        in_thread: RunInThread,
        page: AdminPage,
        access: AdminAccess,
        refusals: AdminRefusals,
        host_names: Collection[str] = (),
    ) -> None:
        """Make the pages.

        :param registry: what /metrics shows.
        :param in_thread: where long answers are made: a hundred thousand lines take a tenth of a second and more.
        :param page: what browsers are shown.
        :param access: who may see it.
        :param refusals: told of who may not.
        :param host_names: what Host may say beside addresses and local names; lower case.
        """
        self._state = state
        self._registry = registry
        self._in_thread = in_thread
        self._page = page
        self._access = access
        self._refusals = refusals
        self._static_files = static_files()
        self._host_names = frozenset(host_names)
        self._sign_in = SignIn(access, refusals)
        self._questions = AdminQuestions(inquiries, in_thread, refusals)
        # The impatient must not fill the thread pool, which others need too.
        self._one_rendering = DeferredLock()
        self._pages: dict[bytes, Callable[[http.Request], Answer | Deferred[Answer]]] = {
            b"/": self._index,
            b"/events": self._events,
            b"/metrics": self._metrics,
            b"/healthz": self._healthz,
            b"/readyz": self._readyz,
            b"/config": self._config,
        }

    def answer(self, request: http.Request, body: bytes | None) -> Answer | Deferred[Answer]:
        """Decide what this request gets.

        :param body: None for one that is too large.
        """
        if not self._host_is_ours(request):
            self._refusals.count(Refusal.STRANGE_HOST)
            text = "The Host header must be an address, a local name, or a name given to this gateway."
            return sentence(http.FORBIDDEN, text)
        static = self._static_files.get(request.path)
        if request.path not in PUBLIC and static is None:
            refusal = self._access.refusal(request)
            if refusal is not None:
                return self._sign_in.refused(request, refusal)
        if self._access.is_asked_for and request.path in (LOGIN, LOGOUT):
            return self._sign_in.filled_in(request, body)
        if request.path in (EXPLAIN, CHECK):
            return self._questions.asked(request, body)
        page = self._pages.get(request.path)
        if page is None and static is None:
            return sentence(http.NOT_FOUND, NO_SUCH_PAGE)
        if request.method not in (b"GET", b"HEAD"):
            return sentence(http.NOT_ALLOWED, "This page can only be read.", ("Allow", "GET, HEAD"))
        if static is not None:
            content_type, content = static
            return Answer(http.OK, content, content_type)
        assert page is not None
        return page(request)

    def may_ask(self, request: http.Request) -> bool:
        """Tell whether this head announces a question, or the page's form, of somebody who may ask."""
        is_question = is_json(request) or (is_form(request) and not is_of_another_site(request))
        return is_question and self._access.admits(request)

    def _host_is_ours(self, request: http.Request) -> bool:
        lines = request.requestHeaders.getRawHeaders(b"Host", [])
        if not lines:
            # HTTP/1.0 may leave it out, and no browser does.
            return request.clientproto == b"HTTP/1.0"
        return len(lines) == 1 and is_local_name(host_name(lines[0].decode("latin-1")), self._host_names)

    # -- pages to read -------------------------------------------------------------------------------

    def _index(self, request: http.Request) -> Answer | Deferred[Answer]:
        if not accepts(request, b"text/html"):
            return Answer(http.OK, INDEX)
        document = self._page.document(can_sign_out=self._access.is_asked_for)
        return document.addCallback(lambda body: html(http.OK, body))

    def _events(self, request: http.Request) -> Answer:
        if self._page.is_full:
            return sentence(http.SERVICE_UNAVAILABLE, "So many look on that nobody else can.")
        if request.method == b"HEAD":
            return Answer(http.OK, b"", EVENTS)
        # Whoever signs out, or is signed out, follows no longer.
        may_look = partial(self._access.admits, request)
        return Answer(http.OK, b"", EVENTS, goes_on=partial(self._page.follow, may_look=may_look))

    def _healthz(self, request: http.Request) -> Answer:
        return sentence(http.OK, "ok")

    def _readyz(self, request: http.Request) -> Answer | Deferred[Answer]:
        refusal = self._access.refusal(request)
        if refusal is Refusal.WRONG:  # a token is not to be guessed at here either
            return self._sign_in.refused(request, refusal)
        ready, problems = self._state.ready()
        status = http.OK if ready else http.SERVICE_UNAVAILABLE
        # They repeat what stands in files.
        told = problems if refusal is None else len(problems)
        return Answer(status, json_text({"ready": ready, "problems": told}), JSON)

    def _config(self, request: http.Request) -> Answer | Deferred[Answer]:
        asked = request.args.get(b"tenant")
        tenant = asked[0].decode(errors="replace") if asked else None
        shown = self._state.config(tenant)
        if shown is None:
            return sentence(http.NOT_FOUND, "There is no tenant of this name.")
        return self._rendered(lambda: json_text(shown()), JSON)

    def _metrics(self, request: http.Request) -> Deferred[Answer]:
        exposition = Exposition(
            self._registry,
            is_open_metrics=accepts(request, b"application/openmetrics-text", rather_than=b"text/plain"),
            is_compressed=accepts_gzip(request),
            names=[name.decode(errors="replace") for name in request.args.get(b"name[]", ())],
        )
        headers = (("Content-Encoding", "gzip"),) if exposition.is_compressed else ()

        def rest() -> Deferred[bytes] | None:
            return None if exposition.is_over else self._render(exposition.more)

        return self._render(exposition.more).addCallback(
            lambda body: Answer(
                http.OK, body, exposition.content_type, headers, rest=None if exposition.is_over else rest
            )
        )

    def _rendered(self, render: Callable[[], bytes], content_type: str) -> Deferred[Answer]:
        return self._render(render).addCallback(lambda body: Answer(http.OK, body, content_type))

    def _render(self, render: Callable[[], bytes]) -> Deferred[bytes]:
        return self._one_rendering.run(self._in_thread, render)
