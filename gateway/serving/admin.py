"""The admin port as it is spoken to: HTTP/1.1 by `twisted.web.http`, bodies kept in memory within limits.

Not by the resources above `twisted.web.http`, which announce the server, keep sessions, and read request bodies
into files.  What is long is sent as it is made: it never lies in memory as one, nor keeps anybody waiting.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from zope.interface import implementer

from gateway.serving.admin_answers import Answer, Rest, sentence
from gateway.serving.admin_pages import AdminPages
from gateway.serving.admin_requests import is_form

QUESTION_BYTES = 16 * 1024 * 1024
"""Of one question: 10,000 routes are some 10 MB, with their files in base64."""

FORM_BYTES = 256 * 1024
"""Of the page's form: `twisted.web.http` looks through every form in the reactor's thread."""

SIGN_IN_BYTES = 4096
"""Of a form of whoever has not signed in: a token, written as forms do."""

QUESTIONS_BYTES = 64 * 1024 * 1024
"""Of all questions that are being read or answered at a time."""


class AdminRequest(http.Request):
    """One request on the admin port."""

    _log = Logger()

    _held = 0
    """Bytes of the body in memory; those of one that is too large are given up."""

    def gotLength(self, length: int | None) -> None:
        """The head is whole.  Of bodies only those of forms are kept, and of questions of who may ask."""
        self._body = self.content = BytesIO()
        self._longest = SIGN_IN_BYTES if is_form(self) else 0
        """What is kept of the body at most, in bytes."""
        if self.channel.factory.pages.may_ask(self):
            self._longest = FORM_BYTES if is_form(self) else QUESTION_BYTES
        self._too_large = False

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body."""
        if not self._longest:
            return
        if self._held + len(data) > self._longest or not self.channel.factory.has_room(len(data)):
            self._longest, self._too_large = 0, True
            self._give_up_body()
            return
        self._held += len(data)
        self.channel.factory.held_bytes += len(data)
        self._body.write(data)

    def process(self) -> None:
        """The request is whole: answer it."""
        departures: list[Failure] = []
        self.notifyFinish().addErrback(departures.append)
        body = None if self._too_large else self._body.getvalue()
        answering = maybeDeferred(self.channel.factory.pages.answer, self, body)
        answering.addErrback(self._failed)
        answering.addCallback(lambda answer: None if departures else self._respond(answer))

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone, perhaps in the middle of its body."""
        self._give_up_body()
        super().connectionLost(reason)

    def _failed(self, failure: Failure) -> Answer:
        self._log.failure("the admin port could not answer {path}", failure, path=self.path)
        return sentence(http.INTERNAL_SERVER_ERROR, "This page cannot be shown; the gateway's log says why.")

    def _respond(self, answer: Answer) -> None:
        self.setResponseCode(answer.status)
        self.responseHeaders.setRawHeaders("Date", [http.datetimeToString()])
        for name, value in (
            *answer.headers,
            ("Content-Type", answer.content_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.responseHeaders.setRawHeaders(name, [value])
        self._give_up_body()
        if answer.goes_on is not None:
            self.write(b"\n")
            answer.goes_on(self)
            return
        if answer.rest is None:
            self.responseHeaders.setRawHeaders("Content-Length", [str(len(answer.body))])
        self.write(answer.body)
        if answer.rest is None or self.method == b"HEAD":
            self.finish()
        else:
            _Sending(self, answer.rest)

    def _give_up_body(self) -> None:
        self.channel.factory.held_bytes -= self._held
        self._held = 0
        self._body = self.content = BytesIO()


@implementer(IPushProducer)
class _Sending:
    """The rest of an answer on its way.  A piece is made when there is room for it, not before."""

    _log = Logger()

    def __init__(self, request: AdminRequest, rest: Rest) -> None:
        self._request = request
        self._rest = rest
        self._is_full = False
        self._is_making = False
        self._has_ended = False
        request.notifyFinish().addErrback(self._gone)
        request.registerProducer(self, True)
        self._go_on()

    def pauseProducing(self) -> None:
        """The client does not read as fast as it is sent."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """It has read what it was sent."""
        self._is_full = False
        self._go_on()

    def stopProducing(self) -> None:
        """It has gone; `notifyFinish` says so, too."""

    def _go_on(self) -> None:
        if self._is_full or self._is_making or self._has_ended:
            return
        making = self._rest()
        if making is None:
            self._has_ended = True
            self._request.unregisterProducer()
            self._request.finish()
        else:
            self._is_making = True
            making.addCallback(self._made).addErrback(self._failed)

    def _made(self, piece: bytes) -> None:
        self._is_making = False
        if not self._has_ended:
            self._request.write(piece)
            self._go_on()

    def _failed(self, failure: Failure) -> None:
        self._log.failure(
            "the admin port could not answer {path} to its end", failure, path=self._request.path
        )
        self._has_ended = True
        # Without its last chunk, so that nobody takes it for the whole.
        transport: Any = self._request.channel.transport
        transport.abortConnection()

    def _gone(self, reason: Failure) -> None:
        self._has_ended = True


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
        self.held_bytes = 0
        """Of questions, in memory."""

    def has_room(self, size: int) -> bool:
        """Tell whether so many bytes more may be held."""
        return self.held_bytes + size <= QUESTIONS_BYTES

    def log(self, request: http.Request) -> None:
        """Probes and scrapes every few seconds are not worth a line."""
