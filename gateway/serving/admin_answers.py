"""What one request to the admin port gets: texts, JSON, the page and its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.web import http

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
EVENTS = "text/event-stream"

POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
)


Rest: TypeAlias = Callable[[], "Deferred[bytes] | None"]
"""Makes the next piece; None after the last one."""


@frozen
class Answer:
    """What one request gets."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    """Further ones."""
    goes_on: Callable[[http.Request], None] | None = None
    """Takes the request over once the head is written; None for an answer that ends by itself."""
    rest: Rest | None = None
    """Makes what comes after the body; None for an answer that is whole."""


def sentence(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    """An answer of one line."""
    return Answer(status, f"{text}\n".encode(), headers=headers)


def html(status: int, body: bytes, *headers: tuple[str, str]) -> Answer:
    """A page, with what it may load."""
    more = (POLICY, ("Referrer-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"))
    return Answer(status, body, HTML, (*more, *headers))


def to_index(cookie: str | None = None) -> Answer:
    """Back to the page, perhaps with a cookie that is set or taken away."""
    cookies = [] if cookie is None else [("Set-Cookie", cookie)]
    return sentence(http.SEE_OTHER, "See /", ("Location", "/"), *cookies)


def json_text(value: object) -> bytes:
    """A value as JSON for people, which ends with its line; see `_indented` for iterators."""
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
