"""`retries` and `fallbackOn` of a rule: what is tried again, how often, and what moves on to the next backend.

The words of `retryOn` are those of Istio's `HTTPRetry`
(https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRetry), statuses, and the error codes
of providers; what they mean is said in `gateway/policy/retrying.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gateway.resources.problems import suggestion
from gateway.resources.shapes import (
    Duration,
    Field,
    Finding,
    ListOf,
    Record,
    Syntax,
    Text,
    Values,
    WholeNumber,
)


@frozen
class Retries:
    """What was written; None where nothing was."""

    attempts: int | None = None
    """Tries of one backend in all."""
    retry_on: tuple[str, ...] | None = None
    base: float | None = None
    """The longest first back-off, in seconds."""
    max: float | None = None
    """The longest back-off of all, in seconds."""
    per_try: float | None = None
    """Seconds for one try."""
    max_wait: float | None = None
    """The longest wait that a provider may ask for, in seconds."""


ISTIO_NAMES = (
    *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx"),
    "refused-stream",
)
"""Those that mean something for a provider."""

_STATUS = "[45][0-9]{2}"
_CODE = "[a-z][a-z0-9]*(_[a-z0-9]+)*"


def _no_istio_name(text: str) -> str:
    for name in ISTIO_NAMES:
        if text != name and text.replace("_", "-") == name:
            raise ValueError(f"must be written {name}")
    return text


_RETRIED = Syntax(
    f"one of {', '.join(ISTIO_NAMES)}, a status from 400 to 599, or a provider's error code in lower case",
    f"{'|'.join(ISTIO_NAMES)}|{_STATUS}|{_CODE}",
    _no_istio_name,
    ISTIO_NAMES,
)
_MOVED_ON = Syntax("a provider's error code in lower case, or a status from 400 to 599", f"{_STATUS}|{_CODE}")


def _doubtful(values: Values) -> Iterator[Finding]:
    for index, name in enumerate(values["retryOn"] or ()):
        if name is not None and name not in ISTIO_NAMES and (hint := suggestion(name, ISTIO_NAMES)):
            yield Finding(f"retryOn[{index}]", f"is taken for a provider's error code{hint}", "warning")


def _is_growing(values: Values) -> Iterator[Finding]:
    base, longest = values["base"], values["max"]
    if base is not None and longest is not None and longest < base:
        yield Finding("max", "is shorter than base")


_BACKOFF = Record(
    (
        Field("base", Duration(), "The longest first wait, doubled with each further try; 250ms unless written."),
        Field("max", Duration(), "The longest wait of all; 8s unless written."),
    ),
    check=_is_growing,
)  # fmt: skip


def _retries_of(values: Values) -> Retries:
    backoff = values["backoff"]
    return Retries(
        attempts=values["attempts"],
        retry_on=values["retryOn"],
        base=backoff and backoff["base"],
        max=backoff and backoff["max"],
        per_try=values["perTryTimeout"],
        max_wait=values["maxWait"],
    )


RETRIES = Record(
    (
        Field("attempts", WholeNumber(1, 10), "Tries of one backend in all; 2 unless written."),
        Field("retryOn", ListOf(Text(_RETRIED)), "What is tried again; what may pass unless written."),
        Field("backoff", _BACKOFF, "How long to wait, where the provider does not say."),
        Field("perTryTimeout", Duration(), "From the request being sent to the first content, for each try."),
        Field("maxWait", Duration(), "The longest that a provider may ask to wait; 5s unless written."),
    ),
    check=_doubtful,
    build=_retries_of,
)

FALLBACK_ON = ListOf(Text(_MOVED_ON), at_least=1)
