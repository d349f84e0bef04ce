"""Asks a running gateway by its admin port: `llmgateway explain` and `check` do, with `--against`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import treq
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from gateway.messages import Secret
from gateway.serving.admin_access import VARIABLE

CONNECT_SECONDS = 5.0

ANSWER_SECONDS = 60.0
"""Ten thousand routes take some seconds to load."""

T = TypeVar("T")

_JSON = "application/json"

_HOW_TO_GIVE_IT = f"--admin-token-file FILE, --admin-token TOKEN or {VARIABLE} in the environment gives it"


class NoAnswer(Exception):  # noqa: N818 -- it is what happened, as a sentence
    """The gateway could not be asked, or has refused; the text is for the operator."""


def ask_and_wait(admin: str, token: Secret | None, page: str, question: object, answer: type[T]) -> T:
    """Ask, for a process that has nothing else to do and asks only once.

    :raises NoAnswer: for every reason.
    """
    # Here and not above: only who waits has a reactor that is his own.
    from twisted.internet import reactor, task

    outcome: list[T | Failure] = []

    def run(_: object) -> Deferred[None]:
        return ask(reactor, admin, token, page, question, answer).addBoth(outcome.append)

    with suppress(SystemExit):  # react's way to return
        task.react(run)
    if not outcome:
        raise NoAnswer("interrupted")
    (result,) = outcome
    if isinstance(result, Failure):
        result.raiseException()
    return result


@inlineCallbacks
def ask(
    reactor: Any, admin: str, token: Secret | None, page: str, question: object, answer: type[T]
) -> Generator[Deferred[Any], Any, T]:
    """Post a question, and read the answer as this type.

    :param admin: the URL of the admin port: `http://127.0.0.1:9901`.
    :param token: what opens it; None where it is open.
    :raises NoAnswer: for every reason.
    """
    if not admin.lower().startswith(("http://", "https://")):
        raise NoAnswer(f"{admin} cannot be asked: a URL is wanted, such as http://127.0.0.1:9901")
    url = admin.rstrip("/") + page
    headers = Headers({"Content-Type": [_JSON], "Accept": [_JSON]})
    if token is not None:
        headers.addRawHeader("Authorization", f"Bearer {token.reveal()}")
    client = HTTPClient(Agent(reactor, connectTimeout=CONNECT_SECONDS))  # type: ignore[no-untyped-call]
    try:
        response: IResponse = yield client.post(
            url,
            data=msgspec.json.encode(question),
            headers=headers,
            timeout=ANSWER_SECONDS,
            allow_redirects=False,
        )
        body: bytes = yield treq.content(response)
    except Exception as error:  # whatever the way there fails with
        raise NoAnswer(f"{admin} cannot be asked: {_reason(error)}") from None
    if response.code != 200:
        refusal = body.decode(errors="replace").strip()
        if response.code == 401:
            wrong = "it wants its admin token" if token is None else "this is not its admin token"
            refusal = f"{wrong}; {_HOW_TO_GIVE_IT}"
        raise NoAnswer(f"{admin} has refused the question with {response.code}: {refusal[:500]}")
    try:
        return msgspec.json.decode(body, type=answer)
    except msgspec.DecodeError:
        raise NoAnswer(f"{url} gives no answer that this version understands") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ResponseFailed) and error.reasons:
        return _reason(error.reasons[0].value)
    return str(error) or type(error).__name__
