"""What an attempt ended in -> the facts that policies decide by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.errors import GatewayError, Progress
from gateway.policy.breaking import Outcome
from gateway.policy.retrying import Failure, Fault
from gateway.serving.provider_answer import ProviderAnswer

_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "provider_reset": Fault.RESET,
        "provider_headers_timeout": Fault.SILENT,
        "provider_idle_timeout": Fault.STALLED,
        "provider_content_timeout": Fault.NO_CONTENT,
        "provider_answer_cut": Fault.CUT,
        "provider_malformed_answer": Fault.CUT,
    }
)
"""By the code of the error; whatever else went wrong, nothing was sent."""

_OURS = ("provider_pool_full", "draining", "internal_error")
"""Errors that say nothing of the provider."""


def failure_of_error(error: GatewayError) -> Failure:
    """The facts of an attempt that brought no answer, or no whole one."""
    return Failure(_FAULTS.get(error.code, Fault.UNREACHABLE))


def failure_of_answer(answer: ProviderAnswer, wall_clock: float) -> Failure:
    """The facts of an answer that is an error, or less than it should be."""
    error = answer.error
    if error is None:
        return Failure(Fault.CUT)
    status = answer.status if answer.status >= 400 else error.status or 500
    told = answer.backend.dialect.retry_after(answer.headers, wall_clock)
    return Failure(Fault.STATUS, status, error.standard_code, told)


def fault_of_unfinished(answer: ProviderAnswer) -> Fault:
    """What is wrong with an answer for which there was no more time."""
    if not answer.status:
        return Fault.SILENT
    return Fault.STALLED if answer.has_content else Fault.NO_CONTENT


def in_words(failure: Failure, error: GatewayError | None) -> str:
    """What was wrong with an attempt, for the log.

    :param error: of the wire, or of a deadline; None where the provider has answered.
    """
    if failure.fault is Fault.STATUS:
        return f"status {failure.status}"
    return f"{error.message} {error.detail}".rstrip() if error is not None else _WORDS[failure.fault]


_WORDS: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.UNREACHABLE: "it could not be reached",
        Fault.RESET: "it closed the connection before an answer",
        Fault.SILENT: "no answer began in time",
        Fault.NO_CONTENT: "no content came in time",
        Fault.CUT: "its answer ended before it was whole",
        Fault.STALLED: "its answer stalled",
        Fault.OPEN: "it was not even asked",
    }
)


def cut_short() -> GatewayError:
    """The error of ours for an answer that ended properly and is less than it should be."""
    message = "The provider's answer ended before it was whole."
    return GatewayError("provider_answer_cut", message, progress=Progress.HEAD_RECEIVED)


def verdict_on(failure: Failure, error: GatewayError | None) -> Outcome:
    """What a failed attempt means for the breaker: limits and keys are no fault of the backend, nor is the request."""
    if error is not None and error.code in _OURS:
        return Outcome.ABANDONED
    if failure.fault is Fault.STATUS and failure.status is not None and failure.status < 500:
        return Outcome.SUCCESS
    return Outcome.FAILURE
