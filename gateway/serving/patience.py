"""How long an attempt may keep its client waiting, beside what the wire looks at: tries, first contents, contents.

Heads, comments and heartbeats count for nothing here: what a user waits for does.
"""

from __future__ import annotations

from gateway.errors import GatewayError, Progress
from gateway.serving.attempt import Attempt


def overdue(attempt: Attempt, per_try: float | None, now: float) -> GatewayError | None:
    """What an attempt has failed by that has brought no content so far; None while there is time."""
    has_head = attempt.answer.status != 0
    first = attempt.backend.timeouts.first_content
    if first is not None and attempt.sent is not None and now - attempt.sent >= first:
        return _too_late(first, has_head=True)
    if per_try is not None and now - attempt.started >= per_try:
        return _too_late(per_try, has_head=has_head)
    return None


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


def request_timeout(begun: bool) -> GatewayError:
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
