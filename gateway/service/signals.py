"""What the gateway does when its process is sent a signal.

SIGHUP            looks at conf.d and at listeners' certificates at once
SIGUSR1           opens its logs anew, after a rotation has moved files away
SIGTERM, SIGINT   stops gracefully the first time, at once the second time
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.service.parts import Parts


def take_signals(reactor: Any, parts: Parts) -> None:
    """Take them all, from whoever had them.

    :param reactor: Twisted's, which is about to run.
    """
    _take(reactor, signal.SIGHUP, parts.look)
    _take(reactor, signal.SIGUSR1, partial(_rotated, signal.getsignal(signal.SIGUSR1), parts))
    # Twisted's reactor takes these for itself when it begins to run, and would stop at once each time.
    for number in (signal.SIGTERM, signal.SIGINT):
        reactor.callWhenRunning(_take, reactor, number, partial(_stop_asked, reactor, parts))


def _take(reactor: Any, number: signal.Signals, asked: Callable[[], None]) -> None:
    signal.signal(number, lambda number, frame: reactor.callFromThread(asked))


def _rotated(other: object, parts: Parts) -> None:
    """With twistd's `--logfile` somebody has taken the signal before, who goes on hearing it."""
    if callable(other):
        other(signal.SIGUSR1, None)
    for lines in parts.line_logs:
        lines.reopen()


def _stop_asked(reactor: Any, parts: Parts) -> None:
    if parts.status.draining:
        parts.departure.hurry()
    else:
        parts.status.draining = True
        reactor.stop()
