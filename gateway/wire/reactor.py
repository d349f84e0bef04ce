"""Twisted's epoll reactor, less what it does around every event.

For each descriptor that is ready Twisted copies a logging context, pushes it, and asks the transport for its name: a
tenth of what a proxied request costs (`docs/performance.md`).  Nothing here reads that context, so an ordinary
read is made at once; all other events take Twisted's own way.
"""

from __future__ import annotations

import select
import sys

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger

_READABLE = select.EPOLLIN


class DirectReactor(EPollReactor):
    """Calls `doRead` of whatever is readable and nothing else."""

    _log = Logger()

    def doPoll(self, timeout: float | None) -> None:
        selectables, read_or_write = self._selectables, self._doReadOrWrite
        events = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
        for descriptor, event in events:
            selectable = selectables.get(descriptor)
            if selectable is None:
                continue  # an earlier one's event has closed it
            if event != _READABLE:
                read_or_write(selectable, descriptor, event)
                continue
            try:
                lost = selectable.doRead()
            except BaseException as error:  # as Twisted has it: whatever it is, only this connection ends
                self._log.failure("a connection failed")
                lost = error
            if lost:
                self._disconnectSelectable(selectable, lost, isRead=True)

    doIteration = doPoll


def install() -> None:
    """Make it this process's reactor; one that is there already stays (`twistd --reactor=…`)."""
    if "twisted.internet.reactor" not in sys.modules:
        installReactor(DirectReactor())
