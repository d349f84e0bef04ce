"""What to do after an attempt that failed before its content reached the client.

The table `_COURSES` says what each kind of failure calls for; `decide` then asks whether there are tries, time and
budget left for it.  Falling back is no retry: it needs no budget, for it goes to another provider.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from enum import Enum, StrEnum
from types import MappingProxyType

from attrs import frozen


class Fault(StrEnum):
    """How an attempt failed, before content was committed to the client."""

    UNREACHABLE = "unreachable"
    """No connection: name, connect, handshake, pool full.  Nothing was sent."""
    RESET = "reset"
    """The connection ended before a head."""
    SILENT = "silent"
    """No head in time."""
    NO_CONTENT = "no_content"
    """A head, and no first content in time."""
    STATUS = "status"
    """The provider answered with an error status, or with an error event before content."""
    CUT = "cut"
    """The answer ended before it was whole."""
    STALLED = "stalled"
    """Nothing came for longer than `idle`."""
    OPEN = "open"
    """Not even asked: its breaker is open, or no key of it is usable."""


@frozen
class Failure:
    """One failed attempt, as facts."""

    fault: Fault
    status: int | None = None
    """The provider's status; of an error event before content what it says, or 500.  None where there was no head."""
    code: str | None = None
    """The provider's error code as its dialect reads it, such as `context_length_exceeded`."""
    retry_after: float | None = None
    """Seconds that the provider asks to wait; None where it does not say."""


@frozen
class RetryPolicy:
    """`retries` of a rule."""

    attempts: int = 2
    """Tries of one backend in all."""
    retry_on: frozenset[str] | None = None
    """What is tried again here: Istio's names, statuses, provider error codes.  None: what is transient."""
    base: float = 0.25
    """The longest first back-off, in seconds; each further one may be twice as long."""
    max: float = 8.0
    """The longest back-off of all, in seconds."""
    per_try: float | None = None
    """Seconds for one try; None: no limit of its own."""
    max_wait: float = 5.0
    """The longest wait, in seconds, that a provider may ask for."""


@frozen
class Again:
    """Try the same backend once more, perhaps with another key."""

    wait: float
    """Seconds before that."""


@frozen
class Onward:
    """Try the next backend, at once."""


@frozen
class HandOn:
    """The client gets this failure."""


Decision = Again | Onward | HandOn


class Course(Enum):
    """What a kind of failure calls for, as long as there are tries, time and budget."""

    AGAIN = "again"
    """It may pass: the same backend after a wait, then the next one."""
    OTHER_KEY = "other_key"
    """The key is to blame: another key of the same backend, else the next one."""
    NEXT = "next"
    """Never the same backend twice."""
    HAND_ON = "hand_on"
    """The client gets it: the request is to blame, and would be elsewhere too."""


@frozen
class _Kind:
    fault: Fault
    statuses: Container[int | None] | None = None
    """None: any."""
    codes: Container[str | None] | None = None
    """None: any."""

    def includes(self, failure: Failure) -> bool:
        return (
            failure.fault is self.fault
            and (self.statuses is None or failure.status in self.statuses)
            and (self.codes is None or failure.code in self.codes)
        )


_COURSES: tuple[tuple[_Kind, Course], ...] = (
    (_Kind(Fault.UNREACHABLE), Course.NEXT),
    (_Kind(Fault.SILENT), Course.NEXT),
    (_Kind(Fault.NO_CONTENT), Course.NEXT),
    (_Kind(Fault.STALLED), Course.NEXT),
    (_Kind(Fault.OPEN), Course.NEXT),
    (_Kind(Fault.RESET), Course.AGAIN),
    (_Kind(Fault.CUT), Course.AGAIN),
    (_Kind(Fault.STATUS, codes={"context_length_exceeded"}), Course.NEXT),
    (_Kind(Fault.STATUS, codes={"content_filter", "model_not_found"}), Course.HAND_ON),
    (_Kind(Fault.STATUS, codes={"invalid_api_key", "insufficient_quota"}), Course.OTHER_KEY),
    (_Kind(Fault.STATUS, statuses={401, 402, 403}), Course.OTHER_KEY),
    (_Kind(Fault.STATUS, statuses={429}), Course.AGAIN),
    (_Kind(Fault.STATUS, statuses=range(500, 600)), Course.AGAIN),
    (_Kind(Fault.STATUS), Course.HAND_ON),
)
"""The first row that includes a failure holds.  A code says more than a status, so codes come first."""

_NO_ANSWER = (Fault.RESET, Fault.SILENT, Fault.NO_CONTENT, Fault.CUT, Fault.STALLED)

_ISTIO_NAMES: Mapping[str, tuple[Collection[Fault], Container[int | None]]] = MappingProxyType(
    {
        "5xx": ((Fault.UNREACHABLE, *_NO_ANSWER), range(500, 600)),
        "gateway-error": ((), (502, 503, 504)),
        "reset": (_NO_ANSWER, ()),
        "reset-before-request": ((Fault.UNREACHABLE,), ()),
        "connect-failure": ((Fault.UNREACHABLE,), ()),
        "retriable-4xx": ((), (409,)),
        "refused-stream": ((), ()),
    }
)
"""Faults and statuses by the names of Istio's `HTTPRetry.retryOn`, which are those of Envoy's `x-envoy-retry-on`
(envoyproxy.io, "Router", HTTP filters): `5xx` is any such status or no answer at all, `reset` is disconnect, reset and
read timeout, `retriable-4xx` is 409 alone.  `refused-stream` is a thing of HTTP/2, which providers are not asked in.
Statuses are the provider's own: a reset is no 503 (istio.io, "Virtual Service", HTTPRetry)."""

_SPACING = 1.5
"""Seconds before a third and every further try of one backend."""


def spacing(tries_here: int) -> float:
    """Seconds before the next try of a backend that was tried so often, whatever the back-off or the provider says.

    So there are never more than two tries within that time, and never more than four within twice that time.
    """
    return _SPACING if tries_here >= 2 else 0.0


def decide(
    failure: Failure,
    policy: RetryPolicy,
    *,
    tries_here: int,
    last: bool,
    seconds_left: float | None,
    fallback_on: Collection[str],
    budget_left: bool,
    chance: float,
    other_key: bool = False,
) -> Decision:
    """Decide what comes after a failed attempt.

    :param tries_here: how often this backend was tried, this attempt included.
    :param last: whether there is no next backend.
    :param seconds_left: for the whole request; None where nothing limits it.
    :param fallback_on: provider error codes and statuses to move on for where the table says to hand on.
    :param budget_left: whether this provider's retry budget allows one more.
    :param chance: a random number from 0 to 1, 1 not included.
    :param other_key: whether this backend has another key that is usable now.
    """
    course = course_of(failure, policy.retry_on, fallback_on)
    if course is Course.HAND_ON or (seconds_left is not None and seconds_left <= 0):
        return HandOn()
    if budget_left and tries_here < _tries_allowed(course, policy, other_key):
        wait = _wait(failure, course, policy, tries_here, other_key, chance)
        if wait is not None and (seconds_left is None or wait < seconds_left):
            return Again(wait)
    return HandOn() if last else Onward()


def course_of(failure: Failure, retry_on: Collection[str] | None, fallback_on: Collection[str]) -> Course:
    """What a failure calls for under a rule.

    `retry_on` replaces what is transient: what it names is tried again, what it leaves out moves on.  It cannot ask for
    the same backend where that is never right: Istio retries on another host too, and a backend is one host.
    """
    course = next(course for kind, course in _COURSES if kind.includes(failure))
    if retry_on is not None and course in (Course.AGAIN, Course.HAND_ON):
        if any(_is_named(failure, name) for name in retry_on):
            return Course.AGAIN
        if course is Course.AGAIN:
            return Course.NEXT
    if course is Course.HAND_ON and (failure.code in fallback_on or str(failure.status) in fallback_on):
        return Course.NEXT
    return course


def _is_named(failure: Failure, name: str) -> bool:
    faults, statuses = _ISTIO_NAMES.get(name, ((), ()))
    if failure.fault is not Fault.STATUS:
        return failure.fault in faults
    return failure.status in statuses or name in (failure.code, str(failure.status))


def _tries_allowed(course: Course, policy: RetryPolicy, other_key: bool) -> int:
    match course:
        case Course.AGAIN:
            return policy.attempts
        case Course.OTHER_KEY if other_key:
            # A dead key is found once; even where nothing is to be retried it shall not cost the client its answer.
            return max(policy.attempts, 2)
        case _:
            return 0


def _wait(
    failure: Failure, course: Course, policy: RetryPolicy, tries_here: int, other_key: bool, chance: float
) -> float | None:
    """Seconds before the next try here; None where the provider asks for more than the rule allows."""
    least = spacing(tries_here)
    if course is Course.OTHER_KEY or (failure.status == 429 and other_key):
        return least  # the key is to blame, or at its limit: another one has nothing to wait for
    # "Full jitter": Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    jitter = chance * min(policy.max, policy.base * 2.0 ** (tries_here - 1))
    told = failure.retry_after
    if told is None:
        return least + jitter
    if told > policy.max_wait:
        return None
    # A little later than told, so that all who wait do not come at one moment.
    return max(told, least) + jitter
