"""How a browser signs in at the admin port and out again, and what it is told until it has."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.web import http

from gateway.serving.admin_access import AdminAccess
from gateway.serving.admin_answers import Answer, html, sentence, to_index
from gateway.serving.admin_refusals import AdminRefusals, Refusal
from gateway.serving.admin_requests import accepts, is_of_another_site
from gateway.serving.page.document import sign_in

LOGIN, LOGOUT = b"/login", b"/logout"


class SignIn:
    """Answers its forms, and whoever brings no token."""

    def __init__(self, access: AdminAccess, refusals: AdminRefusals) -> None:
        """Make it.

        :param access: knows the token, and who has signed in.
        :param refusals: told of who may not be let in.
        """
        self._access = access
        self._refusals = refusals

    def refused(self, request: http.Request, refusal: Refusal) -> Answer | Deferred[Answer]:
        """What somebody is told who is not let in."""
        challenge = ("WWW-Authenticate", 'Bearer realm="llmgateway admin"')
        if refusal is Refusal.WRONG:
            text = "This is not the admin token."
            return self._refusals.guessed(request, sentence(http.UNAUTHORIZED, text, challenge))
        self._refusals.count(refusal)
        if request.path == b"/" and accepts(request, b"text/html"):
            return html(http.UNAUTHORIZED, sign_in(wrong=False).encode(), challenge)
        text = "The admin token is wanted: Authorization: Bearer, or sign in at / with a browser."
        return sentence(http.UNAUTHORIZED, text, challenge)

    def filled_in(self, request: http.Request, body: bytes | None) -> Answer | Deferred[Answer]:
        """What comes of a form, at `LOGIN` or `LOGOUT`.

        :param body: None for one that is too large.
        """
        if request.path == LOGIN and request.method in (b"GET", b"HEAD"):
            # Where a browser is after a wrong token, and asks once more.
            return to_index()
        if request.method != b"POST":
            return sentence(http.NOT_ALLOWED, "This is where a form goes.", ("Allow", "POST"))
        if is_of_another_site(request):
            self._refusals.count(Refusal.STRANGE_ORIGIN)
            return sentence(http.FORBIDDEN, "This form is filled in here, not at another site.")
        if body is None:
            return sentence(http.REQUEST_ENTITY_TOO_LARGE, "The form is too large.")
        if request.path == LOGOUT:
            return to_index(self._access.sign_out(request))
        return self._login(request, body)

    def _login(self, request: http.Request, form: bytes) -> Answer | Deferred[Answer]:
        try:
            cookie = self._access.sign_in(request, form)
        except ValueError:
            cookie = None
        if cookie is None:
            return self._refusals.guessed(request, html(http.FORBIDDEN, sign_in(wrong=True).encode()))
        return to_index(cookie)
