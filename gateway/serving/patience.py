"""How long a client is kept waiting, beside what the wire looks at: for all, for a first content, between contents.

Heads, comments and heartbeats count for nothing here: what a user waits for does.
"""

from __future__ import annotations

from gateway.errors import GatewayError, Progress
from gateway.serving.answer import Answer
from gateway.serving.attempt import Attempt
from gateway.serving.outgoing import Original
from gateway.snapshot.backends import Backend
from gateway.snapshot.tables import RuleTable

DRAIN_SECONDS = 300.0
"""How long an answer is read on that its client has left, where nothing sets `request`."""


class Patience:
    """The times at which something happens to a request as a whole."""

    __slots__ = ("_comment_at", "_deadline", "_hedge_at", "_keep_alive", "_told")

    def __init__(self, original: Original, rule: RuleTable, chosen: Backend, now: float) -> None:
        """Begin to wait.

        :param now: clock time in seconds.
        """
        request, hedge = chosen.timeouts.request, rule.hedge_after
        self._keep_alive = rule.keep_alive
        self._deadline = now + request if request is not None else None
        # A body that is streamed through goes to one only.
        self._hedge_at = now + hedge if hedge is not None and original.envelope is not None else None
        comments = self._keep_alive is not None and original.wants_stream(chosen)
        self._comment_at = now + self._keep_alive if comments and self._keep_alive is not None else None
        self._told = 0
        """Bytes of the body that the client had when it was looked after last."""

    def seconds_left(self, now: float) -> float | None:
        """For all of it; None where nothing limits it."""
        return None if self._deadline is None else self._deadline - now

    def is_over(self, now: float) -> bool:
        """There is no time left."""
        return self._deadline is not None and now >= self._deadline

    def wants_hedge(self, now: float) -> bool:
        """It is time to ask somebody else, too.  Said once."""
        if self._hedge_at is None or now < self._hedge_at:
            return False
        self._hedge_at = None
        return True

    def look_after(self, answer: Answer, now: float) -> None:
        """Tell the client that it is not forgotten, if it is waiting for so long that it might think so."""
        if self._comment_at is None or self._keep_alive is None:
            return
        if answer.body_bytes == self._told and now < self._comment_at:
            return
        if answer.body_bytes == self._told:
            answer.keep_waiting(now)
        self._told = answer.body_bytes
        self._comment_at = now + self._keep_alive

    def client_left(self, now: float) -> None:
        """What comes now is only counted."""
        self._hedge_at = self._comment_at = None
        if self._deadline is None:
            self._deadline = now + DRAIN_SECONDS


class Pulse:
    """Whether a stream still has contents."""

    __slots__ = ("_contents", "_since")

    def __init__(self, now: float) -> None:
        self._contents = 0
        self._since = now
        """Clock time since when there is no more of it."""

    def stopped(self, attempt: Attempt, now: float, *, paused: bool) -> GatewayError | None:
        """What a stream has failed by that has begun; None while it goes on.

        :param paused: the client does not take what there is.
        """
        watcher, idle = attempt.answer.watcher, attempt.backend.timeouts.idle
        if watcher is None or idle is None:
            return None
        if paused or watcher.contents != self._contents:
            self._contents, self._since = watcher.contents, now
        if now - self._since < idle:
            return None
        message = f"The provider's answer stalled for {idle:g} s."
        return GatewayError("provider_idle_timeout", message, progress=Progress.HEAD_RECEIVED)


def overdue(attempt: Attempt, per_try: float | None, now: float) -> GatewayError | None:
    """What an attempt has failed by that has brought no content so far; None while there is time."""
    if attempt.sent is None:
        return None  # there are limits of their own to the wait for a connection
    if attempt.is_sending:
        attempt.sent = now
        return None
    waited = now - attempt.sent
    for limit in (attempt.backend.timeouts.first_content, per_try):
        if limit is not None and waited >= limit:
            return _too_late(limit, has_head=attempt.answer.status != 0)
    return None


def request_timeout(*, begun: bool) -> GatewayError:
    """The exchange as a whole has taken too long."""
    progress = Progress.HEAD_RECEIVED if begun else Progress.SENT
    return GatewayError(
        "provider_request_timeout", "The provider took too long to answer.", progress=progress
    )


def _too_late(seconds: float, *, has_head: bool) -> GatewayError:
    if has_head:
        message = f"The provider brought no content within {seconds:g} s."
        return GatewayError("provider_content_timeout", message, progress=Progress.HEAD_RECEIVED)
    message = f"The provider did not begin to answer within {seconds:g} s."
    return GatewayError("provider_headers_timeout", message, progress=Progress.SENT)
