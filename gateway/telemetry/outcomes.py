"""How an exchange ended, and how a health check did: closed vocabularies for metrics and the access log.

Here is also what counts as failed, for all who say so: the live page, the alerts and the dashboard.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from gateway.errors import GatewayError, Side


class Outcome(StrEnum):
    """How an exchange ended.  Each has exactly one."""

    OK = "ok"
    """The client has the whole answer, and its status is below 400."""
    CLIENT_ERROR = "client_error"
    """The gateway refused what the client sent; no provider is to blame."""
    CLIENT_LEFT = "client_left"
    """The client closed before its answer was whole; the code is 499."""
    PROVIDER_ERROR = "provider_error"
    """The provider's own error answer, status 400 or above, was handed on whole."""
    PROVIDER_FAILED = "provider_failed"
    """No answer could be had from the provider: unreachable, refused certificate, timeout, not HTTP."""
    GATEWAY_ERROR = "gateway_error"
    """The gateway could not serve: not ready, draining, overloaded, or a fault of its own."""
    ANSWER_CUT = "answer_cut"
    """The answer had begun and ended before it was whole; the code is the one that the client saw."""


CLIENTS_DOING = frozenset({Outcome.CLIENT_ERROR, Outcome.CLIENT_LEFT})
"""Outcomes that nobody but the client can change."""

BLAMES_REQUEST = frozenset({400, 404, 413, 422})
"""Statuses with which a provider blames the request.  Not 401, 403 and 429: the keys are the gateway's."""


def has_failed(code: int, outcome: str) -> bool:
    """Tell whether an exchange that ended like this was not answered rightly, and not by the client's doing.

    :param code: the status that the client saw.
    :param outcome: the value of an `Outcome`.
    """
    return outcome != Outcome.OK and outcome not in CLIENTS_DOING and code not in BLAMES_REQUEST


class CheckResult(StrEnum):
    """How a health check ended."""

    SUCCESS = "success"
    """A status of 200 to 299, and the whole answer in time."""
    FAILURE = "failure"
    """No connection, no whole answer in time, a broken one, or a status of 500 and more."""
    REFUSED = "refused"
    """Any other status: the provider lives, and will not do what the check asks."""


def outcome_of_answer(status: int) -> Outcome:
    """The outcome of a provider's answer that reached the client whole."""
    return Outcome.OK if status < 400 else Outcome.PROVIDER_ERROR


def outcome_of_error(error: GatewayError, *, begun: bool) -> Outcome:
    """The outcome of an exchange that this error ended.

    :param begun: the head of an answer had been written to the client.
    """
    if error.code == "client_left":
        return Outcome.CLIENT_LEFT
    if begun:
        return Outcome.ANSWER_CUT
    match error.side:
        case Side.CLIENT:
            return Outcome.CLIENT_ERROR
        case Side.PROVIDER:
            return Outcome.PROVIDER_FAILED
        case Side.GATEWAY:
            return Outcome.GATEWAY_ERROR
        case other:
            assert_never(other)
