"""Who may see the admin port: whoever brings the admin token, or a browser that has signed in with it.

Tools send `Authorization: Bearer`.  A browser gets a form and then a cookie, not HTTP's Basic authentication: that is
sent along with whatever other sites make a browser ask here, and cannot be signed out of.  The cookie is
`SameSite=Strict`, no script can read it (`HttpOnly`), and it is not the token: it ends with the process, or before.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from urllib.parse import parse_qs

from twisted.web import http

from gateway.messages import Secret
from gateway.serving.admin_refusals import Refusal

VARIABLE = "LLMGATEWAY_ADMIN_TOKEN"
"""Of the environment: where the token is, if no option says."""

SHORTEST_TOKEN = 16
"""Characters: `admin_refusals.py` slows guessing down, and does not end it, so there must be too many to guess."""

SIGNED_IN_SECONDS = 12 * 3600.0

MOST_SIGNED_IN = 100
"""Browsers; who has signed in first is signed out first."""

_TOKEN = re.compile(rf"[!-~]{{{SHORTEST_TOKEN},}}")


def admin_token(given: str | None, path: str | None, environment: Mapping[str, str]) -> Secret | None:
    """The token that an operator has set; None where there is none.

    :param given: as an option; everybody on the machine can read it.
    :param path: of a file that holds it, its last newline not included.
    :raises ValueError: with what is wrong, in one line.
    """
    if given is not None and path is not None:
        raise ValueError("--admin-token and --admin-token-file are both given: one of them has the token")
    where, token = f"the environment's {VARIABLE}", environment.get(VARIABLE)
    if given is not None:
        where, token = "--admin-token", given
    elif path is not None:
        where = f"--admin-token-file: {path}"
        try:
            token = Path(path).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except OSError as error:
            raise ValueError(f"{where} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{where} holds no text") from None
    if token is None:
        return None
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            f"{where}: a token has {SHORTEST_TOKEN} characters or more, of ASCII and without blanks"
        )
    return Secret(token)


class AdminAccess:
    """Knows the token, and who has signed in."""

    def __init__(self, token: Secret | None, seconds: Callable[[], float]) -> None:
        """Begin with nobody signed in.

        :param token: None lets everybody in.
        :param seconds: clock time.
        """
        self._token = None if token is None else token.reveal().encode()
        self._seconds = seconds
        self._signed_in: dict[bytes, float] = {}
        """By what their cookies hold, hashed: until when."""

    @property
    def is_asked_for(self) -> bool:
        """There is a token."""
        return self._token is not None

    def admits(self, request: http.Request) -> bool:
        """Tell whether this request is let in now: another moment it may not be, for who signed in has signed out."""
        return self.refusal(request) is None

    def refusal(self, request: http.Request) -> Refusal | None:
        """Why this request is refused; None where it brings the token, or comes from a browser that has signed in."""
        if self._token is None:
            return None
        cookie = request.getCookie(_cookie_name(request))
        until = self._signed_in.get(_hashed(cookie or b""))
        if until is not None and self._seconds() < until:
            return None
        lines = request.requestHeaders.getRawHeaders(b"Authorization", [])
        bearers = [line.partition(b" ")[2] for line in lines if line[:7].lower() == b"bearer "]
        # More than one is no request (RFC 9110 §5.3), and would be as many guesses.
        if len(bearers) == 1 and compare_digest(bearers[0].strip(), self._token):
            return None
        if bearers:
            return Refusal.WRONG
        return Refusal.NOTHING if cookie is None else Refusal.SIGNED_OUT

    def sign_in(self, request: http.Request, form: bytes) -> str | None:
        """The cookie to set for who has sent this form; None where it does not hold the token.

        :param form: `application/x-www-form-urlencoded`.
        """
        given = parse_qs(form, max_num_fields=10).get(b"token", [b""])[0]
        if self._token is None or not compare_digest(given, self._token):
            return None
        session = secrets.token_urlsafe(32)
        while len(self._signed_in) >= MOST_SIGNED_IN:
            del self._signed_in[next(iter(self._signed_in))]
        self._signed_in[_hashed(session.encode())] = self._seconds() + SIGNED_IN_SECONDS
        return _cookie(request, session)

    def sign_out(self, request: http.Request) -> str:
        """Forget this browser; the cookie that takes its own away."""
        self._signed_in.pop(_hashed(request.getCookie(_cookie_name(request)) or b""), None)
        return f"{_cookie(request, '')}; Max-Age=0"


def _cookie(request: http.Request, value: str) -> str:
    secure = "; Secure" if request.isSecure() else ""
    return f"{_cookie_name(request).decode()}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _cookie_name(request: http.Request) -> bytes:
    """Of its own for each port: browsers send a host's cookies to all its ports, where other gateways may be."""
    return b"llmgateway-admin-%d" % getattr(request.getHost(), "port", 0)


def _hashed(session: bytes) -> bytes:
    """Looking it up takes a time that tells nothing of the cookies that there are."""
    return sha256(session).digest()
