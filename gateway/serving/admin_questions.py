"""What is asked at the admin port with POST, as JSON or by the page's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredLock
from twisted.web import http

from gateway.serving.admin_answers import JSON, TEXT, Answer, json_text, sentence
from gateway.serving.admin_refusals import AdminRefusals, Refusal
from gateway.serving.admin_requests import accepts, is_form, is_json, is_of_another_site
from gateway.serving.explanation import Explanation
from gateway.serving.page.explain_form import question_of_form
from gateway.serving.questions import Question, question_of
from gateway.serving.rehearsing import Proposal, Rehearsal, proposal_of

EXPLAIN, CHECK = b"/explain", b"/check"


class AdminInquiries(Protocol):
    """Answers what is asked, in the reactor's thread."""

    def explain(self, question: Question) -> Explanation:
        """What would be done with this request now."""

    def rehearse(self, proposal: Proposal) -> Callable[[], Rehearsal]:
        """What would come of these files; the callable finds it out, in whatever thread."""


RunInThread = Callable[[Callable[[], bytes]], "Deferred[bytes]"]
"""Calls a function in another thread: `partial(deferToThreadPool, reactor, pool)`."""


class AdminQuestions:
    """Answers each question."""

    def __init__(self, inquiries: AdminInquiries, in_thread: RunInThread, refusals: AdminRefusals) -> None:
        """Make it.

        :param in_thread: where long answers are made.
        :param refusals: told of who may not ask.
        """
        self._inquiries = inquiries
        self._in_thread = in_thread
        self._refusals = refusals
        # A rehearsal takes seconds: the impatient must not fill the thread pool, which others need too.
        self._one_rehearsal = DeferredLock()

    def asked(self, request: http.Request, body: bytes | None) -> Answer | Deferred[Answer]:
        """What comes of a question, at `EXPLAIN` or `CHECK`.

        :param body: None for one that is too large.
        """
        if request.method != b"POST":
            return sentence(http.NOT_ALLOWED, "This page is asked with POST.", ("Allow", "POST"))
        # curl says of whatever it is given that it is a form.
        by_form = is_form(request) and request.path == EXPLAIN and not (body or b"").lstrip().startswith(b"{")
        if not by_form and not is_json(request):
            text = "A question is JSON, and says so: Content-Type: application/json"
            return sentence(http.UNSUPPORTED_MEDIA_TYPE, text)
        if by_form and is_of_another_site(request):
            self._refusals.count(Refusal.STRANGE_ORIGIN)
            return sentence(http.FORBIDDEN, "This form is filled in here, not at another site.")
        if body is None:
            return sentence(http.REQUEST_ENTITY_TOO_LARGE, "The question is too large.")
        as_json = accepts(request, JSON.encode())
        try:
            if request.path == CHECK:
                return self._check(proposal_of(body), as_json)
            return self._explain(question_of_form(body) if by_form else question_of(body), as_json)
        except ValueError as error:
            return sentence(http.BAD_REQUEST, str(error))

    def _explain(self, question: Question, as_json: bool) -> Answer:
        explanation = self._inquiries.explain(question)
        if as_json:
            return Answer(http.OK, json_text(explanation), JSON)
        return sentence(http.OK, explanation.text())

    def _check(self, proposal: Proposal, as_json: bool) -> Deferred[Answer]:
        rehearse = self._inquiries.rehearse(proposal)

        def rendered() -> bytes:
            rehearsal = rehearse()
            return json_text(rehearsal) if as_json else f"{rehearsal.text()}\n".encode()

        rehearsing = self._one_rehearsal.run(self._in_thread, rendered)
        return rehearsing.addCallback(lambda text: Answer(http.OK, text, JSON if as_json else TEXT))
