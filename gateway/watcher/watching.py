"""When to look at conf.d again, and what to do with what is there.

Events of the file system are hints that make a change quick; the truth is the digest of everything, taken again
every ten seconds, for inotify misses what it cannot see: the target of a link elsewhere, a folder put in place
of the watched one, an overflow.  Nothing that goes wrong here ends the watching.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from gateway.snapshot.adopting import Generation
from gateway.watcher.folder import Folder
from gateway.watcher.loading import Loaded, LoadSettings, load

SETTLE_SECONDS = 0.05
"""Quiet time after an event before the folder is read: an editor's save is several events."""

SETTLE_AT_MOST_SECONDS = 0.25
"""A folder that never becomes quiet is read all the same."""

RESCAN_SECONDS = 10.0
"""How often everything is read and digested where inotify tells of changes."""

RESCAN_WITHOUT_EVENTS_SECONDS = 0.5
"""The same where it does not."""

_CHANGES: list[type[FileSystemEvent]] = [
    # Not "opened" and "closed without writing": our own reading makes those.
    FileCreatedEvent,
    FileModifiedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]


class _Reactor(IReactorTime, IReactorFromThreads):
    """What is needed of Twisted's reactor."""


class Watcher(Service):
    """Keeps the newest generation that the files allow."""

    _log = Logger()

    def __init__(
        self,
        reactor: _Reactor,
        folder: Folder,
        settings: LoadSettings,
        adopted: Callable[[Generation], None],
        folder_read: Callable[[str], None],
    ) -> None:
        """Make a watcher that has not looked yet.

        :param adopted: told of each new generation; it makes the gateway run on it.
        :param folder_read: told why the folder cannot be read, or with an empty text that it can again.
        """
        self._reactor = reactor
        self._folder = folder
        self._settings = settings
        self._adopted = adopted
        self._folder_read = folder_read
        self._loaded: Loaded | None = None
        self._folder_problem = ""
        self._observer: BaseObserver | None = None
        self._observed: tuple[int, int] | None = None
        self._settled: IDelayedCall | None = None
        self._unsettled_since: float | None = None
        self._rescan: IDelayedCall | None = None

    @property
    def generation(self) -> Generation | None:
        """What the gateway runs on; None before the first look."""
        return self._loaded.generation if self._loaded is not None else None

    def startService(self) -> None:
        """Read the folder now, and watch it from now on."""
        super().startService()
        self._observe()
        self.look()
        self._schedule_rescan()

    def stopService(self) -> None:
        """Watch no more; what runs stays."""
        super().stopService()
        for call in (self._settled, self._rescan):
            if call is not None and call.active():
                call.cancel()
        self._stop_observing()

    def look(self) -> None:
        """Read everything, and adopt it where anything has changed.  Never raises."""
        self._unsettled_since = None
        try:
            self._look()
        except Exception:  # whatever it is, the last good generation runs on and the next look comes
            self._log.failure("the configuration could not be read")

    def _look(self) -> None:
        try:
            contents = self._folder.read()
        except OSError as error:
            self._report_folder(
                f"{self._folder.path} cannot be read: {error.strerror}; the last good configuration stays"
            )
            return
        self._report_folder("")
        last = self._loaded
        if last is not None and last.digest == contents.digest and not last.read_files.changed():
            return
        began = perf_counter()
        loaded = load(contents, last.generation if last is not None else None, self._settings)
        self._log.info(
            "files {digest} read in {milliseconds} ms, {files} of them",
            digest=loaded.digest[:12],
            milliseconds=round((perf_counter() - began) * 1000),
            files=len(contents.files),
        )
        self._adopted(loaded.generation)
        self._loaded = loaded

    def _report_folder(self, problem: str) -> None:
        """Say once what is wrong with the folder itself, and once that it is well again."""
        if problem != self._folder_problem:
            self._folder_problem = problem
            self._folder_read(problem)
            if problem:
                self._log.error("{problem}", problem=problem)
            else:
                self._log.info("{path} can be read again", path=str(self._folder.path))

    # -- when to look ------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something happened in the folder: look once it is quiet."""
        if not self.running:
            return  # it was on its way from the observer's thread
        now = self._reactor.seconds()
        if self._unsettled_since is None:
            self._unsettled_since = now
        wait = min(SETTLE_SECONDS, max(0.0, self._unsettled_since + SETTLE_AT_MOST_SECONDS - now))
        if self._settled is not None and self._settled.active():
            self._settled.reset(wait)
        else:
            self._settled = self._reactor.callLater(wait, self.look)

    def _schedule_rescan(self) -> None:
        seconds = RESCAN_SECONDS if self._observer is not None else RESCAN_WITHOUT_EVENTS_SECONDS
        self._rescan = self._reactor.callLater(seconds, self._rescan_due)

    def _rescan_due(self) -> None:
        if self._identity() != self._observed:
            # Another folder stands where the watched one stood.
            self._observe()
        self.look()
        self._schedule_rescan()

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._folder.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _observe(self) -> None:
        """Ask for events of the folder that stands there now."""
        self._stop_observing()
        # Remembered even where there are no events, so that it is said and tried once for each folder.
        self._observed = identity = self._identity()
        if identity is None:
            return
        observer = Observer()
        try:
            observer.schedule(_Hints(self), str(self._folder.path), recursive=True, event_filter=_CHANGES)
            observer.start()
        except (OSError, RuntimeError) as error:  # no inotify instance or watch is left, or no thread
            self._log.warn(
                "no change events for {path} ({reason}): it is read every {seconds} s instead",
                path=str(self._folder.path),
                reason=getattr(error, "strerror", None) or error,
                seconds=RESCAN_WITHOUT_EVENTS_SECONDS,
            )
            return
        self._observer = observer

    def _stop_observing(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer = None

    def hint(self) -> None:
        """An event came, in the observer's thread."""
        self._reactor.callFromThread(self.changed)


class _Hints(FileSystemEventHandler):
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._watcher.hint()
