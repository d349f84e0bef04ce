"""Hints of the file system that something has changed: inotify, by watchdog.

They make a change quick and are never the truth: inotify forgets what overflows its queue, and gives no watch beyond
its limits.  It watches what a path has led to, not the path; so a watch that is lost, or that leads elsewhere now,
ends the observation, and another one begins.

Of watchdog only what reads inotify is used.  Its `Observer` holds back a file that was moved away, and all that
happens after it, for half a second, in which it might appear elsewhere; and it looks through all of them at each
further move.  A hint needs no such order.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import reduce
from operator import or_
from pathlib import Path

from attrs import frozen
from twisted.logger import Logger

from gateway.watcher.file_content import Identity
from gateway.watcher.ways import Counting, ways_to

if sys.platform == "linux":  # the module cannot be imported elsewhere
    from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask

    # Not "opened" and "closed without writing": our own reading makes those.
    _CHANGES = Mask(
        reduce(
            or_,
            (
                InotifyConstants.IN_ATTRIB,
                InotifyConstants.IN_CLOSE_WRITE,
                InotifyConstants.IN_CREATE,
                InotifyConstants.IN_DELETE,
                InotifyConstants.IN_DELETE_SELF,
                InotifyConstants.IN_MODIFY,
                InotifyConstants.IN_MOVE,
                InotifyConstants.IN_MOVE_SELF,
                InotifyConstants.IN_ONLYDIR,
            ),
        )
    )

RESCAN_WITHOUT_EVENTS_SECONDS = 0.5
"""How often the files' times are looked at where there are no events."""

OBSERVE_AGAIN_SECONDS = 60.0
"""How often events are asked for again where there were none to be had."""

_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES))
"""Why a folder may have no watch: it is looked at again when it is there."""


class CannotObserveError(Exception):
    """There are no hints to be had; the text says why."""


@frozen
class Observed:
    """What there is to be observed.  Where it is another, the observation has to begin anew."""

    identity: Identity | None
    """Of the folder; None while there is none."""
    folders: frozenset[tuple[str, Identity]]
    """Those in it, by name: of another folder of the same name there is no watch yet."""
    elsewhere: frozenset[str]
    """Paths of files outside of it that count."""


class Observation:
    """Watches a folder and those in it, the folder that it stands in, and single files elsewhere."""

    def __init__(self, folder: Path, observed: Observed, hint: Callable[[], None]) -> None:
        """Begin.

        :param hint: called in a thread of its own at each change.
        :raises CannotObserveError: where there are no events, or not enough watches.
        """
        if sys.platform != "linux":
            raise CannotObserveError("only Linux has inotify")
        self._hint = hint
        self._spent = False
        """Something that it watched is gone or has been replaced."""
        try:
            self._inotify = InotifyFD()
            self._inotify.start()
        except (OSError, RuntimeError) as error:  # no instance is left, or no thread
            raise CannotObserveError(_reason(error)) from None
        places = [os.path.abspath(folder), *observed.elsewhere]
        ways = ways_to(places)
        everything: dict[str, Counting | None] = {**ways}
        if observed.identity is not None:
            own = os.path.realpath(folder)
            everything.update(
                dict.fromkeys([own, *(os.path.join(own, name) for name, _ in observed.folders)])
            )
        try:
            for number, (path, counting) in enumerate(sorted(everything.items(), key=lambda entry: entry[0])):
                self._watch(path, CallbackId(number), _Hints(hint, self._replaced, counting))
        except OSError as error:  # no watch is left
            self.end()
            raise CannotObserveError(_reason(error)) from None
        if ways_to(places) != ways:
            self._spent = True

    @property
    def holds(self) -> bool:
        """Hints of everything that it was made for may still come."""
        return not self._spent and self._inotify.is_alive()

    def end(self) -> None:
        """Give no more hints."""
        self._inotify.stop()

    def _watch(self, path: str, number: CallbackId, hints: _Hints) -> None:
        try:
            self._inotify.add_callback(os.fsencode(path), _CHANGES, hints, number)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            # It was there a moment ago, and if it comes back, it has no watch.
            self._spent |= error.errno == errno.ENOENT

    def _replaced(self) -> None:
        self._spent = True
        self._hint()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class _Hints:
    """Hands on the events of one folder that count; watchdog's `WatchCallback`."""

    def __init__(
        self, hint: Callable[[], None], replaced: Callable[[], None], counting: Counting | None
    ) -> None:
        """Make one.

        :param replaced: called instead of `hint` where something that is watched may be another thing now.
        :param counting: what counts in the watched folder; None for everything, in conf.d: there another folder
            is noticed by its identity.
        """
        self._hint = hint
        self._replaced = replaced
        self._counting = counting

    def on_event(self, event: InotifyEvent) -> None:
        """Something happened to a name in the folder, or to the folder itself, where the name is empty."""
        name = os.fsdecode(event.name)
        if self._counting is None:
            self._hint()
        elif not name or name in self._counting.turns:
            self._replaced()
        # A mounted Secret's files are links through `..data`, which alone is replaced.
        elif name in self._counting.names or name.startswith(".."):
            self._hint()

    def on_watch_deleted(self, wd: int) -> None:
        """The folder is gone; one that is made in its place may get its very inode, and has no watch."""
        self._replaced()

    def on_queue_overflow(self) -> None:
        """Events were lost, and perhaps such a one."""
        self._replaced()


class ChangeEvents:
    """Observes what counts as it changes, and asks again where there are no events to be had."""

    _log = Logger()

    def __init__(self, folder: Path, hint: Callable[[], None], seconds: Callable[[], float]) -> None:
        """Make one that observes nothing yet.

        :param hint: called in some thread at each change, and when events begin to come.
        :param seconds: a monotonic clock.
        """
        self._folder = folder
        self._hint = hint
        self._seconds = seconds
        self._observation: Observation | None = None
        self._observed: Observed | None = None
        """What is observed, or could not be."""
        self._again_at = 0.0

    @property
    def come(self) -> bool:
        """There are some to be had."""
        return self._observation is not None

    def follow(self, observed: Observed) -> None:
        """Observe this from now on, if it is not what is observed already."""
        before = self._observation
        settled = before.holds if before is not None else self._seconds() < self._again_at
        if observed == self._observed and settled:
            return
        told = self._observed is not None and before is None
        self._observed = observed
        try:
            self._observation = Observation(self._folder, observed, self._hint)
        except CannotObserveError as error:
            self._observation = None
            self._again_at = self._seconds() + OBSERVE_AGAIN_SECONDS
            if not told:
                self._log.warn(
                    "no change events for {path} ({reason}): it is looked at every {seconds} s instead",
                    path=str(self._folder),
                    reason=str(error),
                    seconds=RESCAN_WITHOUT_EVENTS_SECONDS,
                )
        else:
            if told:
                self._log.info("change events for {path} come again", path=str(self._folder))
            self._hint()  # what happened before they came
        if before is not None:
            before.end()

    def end(self) -> None:
        """Observe nothing any more."""
        if self._observation is not None:
            self._observation.end()
            self._observation = None
