"""What misbehaviour a request meets, as it is written: in its headers, in its model's name, in configuration.

All of it is one list.  That a client's wish and the configuration's contradict each other is told, not settled.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

import msgspec

from gateway.messages import RequestHead
from gateway.resources.misbehaviour import MISBEHAVE_HEADER, PROVIDER_HEADER, in_list
from gateway.simulator.courses import Caller
from gateway.simulator.openai import directives_in

_MISBEHAVE = MISBEHAVE_HEADER.encode()
_PROVIDER = PROVIDER_HEADER.encode()


class _Named(msgspec.Struct, frozen=True):
    """As much of a body as tells the model."""

    model: str = ""


def model_named(body: bytes) -> str:
    """The model that the body asks for, directives and all; empty where it names none or cannot be read."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(body, type=_Named).model
    return ""


def wishes(head: RequestHead, body: bytes, standing: tuple[str, ...]) -> tuple[str, ...]:
    """The groups of directives that hold for this request.

    :param standing: those that hold for all requests to this simulator.
    """
    groups = list(standing)
    for name in (_MISBEHAVE, b"x-simulate"):
        value = head.header(name)
        if value is not None:
            groups += in_list(value.decode("latin-1"))
    if b"+" in body:
        # Whoever answers will say what is wrong with a body that cannot be read.
        groups += directives_in(model_named(body))
    return tuple(groups)


def provider_of(head: RequestHead) -> str:
    """For whom the simulator answers: `tenant/provider` as a gateway tells it, else the Host."""
    provider = head.header(_PROVIDER)
    return head.host if provider is None else provider.decode("latin-1")


def caller_of(head: RequestHead) -> Caller:
    """Whose requests this one is counted with, and which key it brings."""
    return Caller(provider_of(head), _key_digest(head))


def _key_digest(head: RequestHead) -> str | None:
    authorization = head.header(b"authorization")
    if authorization is not None:
        scheme, _, credentials = authorization.partition(b" ")
        key = credentials.strip() if scheme.lower() == b"bearer" else authorization
    else:
        key = head.header(b"x-api-key") or head.header(b"api-key") or b""
    return sha256(key).hexdigest() if key else None
