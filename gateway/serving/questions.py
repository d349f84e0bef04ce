"""A request that somebody asks about and that is not sent: what `explain` is given, by a command line or as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from gateway.messages import RequestHead
from gateway.wire.limits import DownstreamLimits
from gateway.wire.request_judging import judge
from gateway.wire.request_refusals import malformed

T = TypeVar("T")

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110 §5.6.2)."""

_NO_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header's value may hold (RFC 9110 §5.5); on the wire llhttp refuses it."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The request, as its client would write it."""

    host: str
    """The Host header; may have a port."""
    path: str = "/v1/chat/completions"
    """Path and query."""
    method: str = ""
    """Empty for POST where there is a body, and else GET."""
    headers: Mapping[str, str | tuple[str, ...]] = {}
    """Those beside Host and Content-Length; several values are several lines."""
    body: msgspec.Raw = msgspec.Raw(b"")
    """The body, where it is JSON: every byte counts as it stands in the question."""
    data: str = ""
    """The body, where it is anything else."""
    listener: str = ""
    """The name of the listener that the client comes to."""
    client_address: str = ""
    """The address that the client comes from."""
    client_certificate: tuple[str, ...] = ()
    """The subjectAltNames of the certificate that the client shows."""

    def content(self) -> bytes:
        """The body's bytes."""
        return _bytes(self.data) or bytes(self.body)

    def head(self, limits: DownstreamLimits) -> RequestHead:
        """The request's head as the wire would judge it.

        :raises GatewayError: where it would be refused.
        """
        content = self.content()
        lines = [(name, value) for name, values in self.headers.items() for value in _several(values)]
        for name, value in lines:
            if not _NAME.fullmatch(name) or _NO_VALUE.search(value):
                raise malformed("A header holds a character that no header may have.")
        return judge(
            _bytes(self.method or ("POST" if content else "GET")),
            _bytes(self.path),
            [
                *((name.lower().encode(), _bytes(value.strip())) for name, value in lines),
                (b"host", _bytes(self.host)),
                (b"content-length", b"%d" % len(content)),
            ],
            limits,
            old=False,
        )


def asked(text: bytes, kind: type[T]) -> T:
    """What this JSON asks.

    :raises ValueError: with a sentence for who asked.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"The question is not understood: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"The question is not valid JSON: {error}") from None


def question_of(text: bytes) -> Question:
    """The question that this JSON asks.

    :raises ValueError: as `asked` does.
    """
    question = asked(text, Question)
    if question.data and question.body:
        raise ValueError("The question has `body` and `data`: one of them is the body.")
    return question


def _bytes(text: str) -> bytes:
    """What a command line gave, back to the very bytes (PEP 383)."""
    return text.encode(errors="surrogateescape")


def _several(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values
