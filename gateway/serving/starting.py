"""Why a gateway does not start: one line for whoever starts it."""

from __future__ import annotations

from errno import EADDRINUSE

from twisted.internet.error import CannotListenError

from gateway.wire.ports import Listener


class NotStarted(SystemExit, Exception):  # noqa: N818 -- it is what happened, as a line
    """The process ends with this line and exit status 1.

    A `SystemExit`, so that nobody sees a traceback; and an `Exception`, because twistd waits for one: at anything else
    the process that a daemon was started by is never told that it failed, and a pid file stays.
    """


def cannot_listen(listener: Listener, option: str, error: Exception) -> NotStarted:
    """A port cannot be bound.

    :param option: where the operator has said which: `--listen`, `--admin`.
    :param error: what the endpoint failed with.
    """
    reason = str(error)
    if isinstance(error, CannotListenError) and error.socketError.errno == EADDRINUSE:
        place = f"{error.interface}:{error.port}" if error.interface else f"port {error.port}"
        reason = f"{place} is in use; end the process that listens there, or choose another with {option}"
    return NotStarted(f"llmgateway: cannot listen on {listener.description}: {reason}")
