"""The browsers that look on, each by one answer that does not end: server-sent events (HTML §9.2).

Who reads more slowly than things happen gets less of them, and everything anew once it has caught up: nothing is
kept for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.interfaces import IPushProducer
from twisted.web import http
from zope.interface import implementer

MOST_VIEWERS = 20

Events = tuple[tuple[str, object], ...]
"""Names, and what JSON can hold."""


@implementer(IPushProducer)
class Viewer:
    """One of them."""

    def __init__(self, request: http.Request, may_look: Callable[[], bool]) -> None:
        self._request = request
        self.may_look = may_look
        """Asked before it is sent anything."""
        self._is_full = False
        self.has_all = False
        """It was sent everything, and every change since."""

    def send(self, data: bytes) -> bool:
        """Send it what has happened; tell whether it was."""
        if self._is_full:
            self.has_all = False
            return False
        self._request.write(data)
        return True

    def end(self) -> None:
        """There will be no more."""
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        """It does not read as fast as it is sent."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """It has read what it was sent."""
        self._is_full = False

    def stopProducing(self) -> None:
        """It has gone; `notifyFinish` says so, too."""


class Viewers:
    """All of them."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Begin with none.

        :param changed: called where there is a first one, or none any more.
        """
        self._changed = changed
        self._viewers: list[Viewer] = []

    def __len__(self) -> int:
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        """No more are taken."""
        return len(self._viewers) >= MOST_VIEWERS

    def add(self, request: http.Request, may_look: Callable[[], bool], everything: Events) -> None:
        """Send it everything from now on; its head is written already.

        :param may_look: tells whether it still may; once it may not, it is sent nothing more and let go of.
        :param everything: as others have it; empty if nobody has.
        """
        viewer = Viewer(request, may_look)
        request.registerProducer(viewer, True)
        request.notifyFinish().addBoth(self._gone, viewer)
        self._viewers.append(viewer)
        if everything:
            viewer.has_all = viewer.send(encoded(everything))
        if len(self._viewers) == 1:
            self._changed()

    def tell(self, changes: Events, everything: Callable[[], Events]) -> None:
        """Tell each what has changed, and who does not have the rest yet, everything."""
        news, whole = encoded(changes), b""
        for viewer in tuple(self._viewers):
            if not viewer.may_look():
                viewer.end()
            elif viewer.has_all:
                viewer.send(news)
            else:
                whole = whole or encoded(everything())
                viewer.has_all = viewer.send(whole)

    def end(self) -> None:
        """There will be no more for anybody."""
        for viewer in tuple(self._viewers):
            viewer.end()

    def _gone(self, result: Any, viewer: Viewer) -> None:
        self._viewers.remove(viewer)
        if not self._viewers:
            self._changed()


def encoded(events: Events) -> bytes:
    """The events as they are sent: JSON has no line break, so each is one line of data."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value)) for name, value in events
    )
