"""When to look at conf.d again, and what to do with what is there.

Events of the file system are hints that make a change quick.  The truth are the files themselves: what their times
tell after each hint, and what they hold every ten seconds.  All of it is the work of one thread beside the
reactor's, one look at a time; only the new generation is adopted in the reactor's thread.  Nothing that goes wrong
here ends the watching.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from attrs import evolve, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.resources.reading import at_full_speed
from gateway.snapshot.generations import Generation
from gateway.watcher.discarding import out_of_the_collectors_way
from gateway.watcher.folder import Contents, Folder
from gateway.watcher.loading import Loaded, LoadSettings, load
from gateway.watcher.observing import RESCAN_WITHOUT_EVENTS_SECONDS, ChangeEvents, Observed
from gateway.watcher.pacing import AbandonedError, Pace
from gateway.watcher.tidying import Tidying

SETTLE_SECONDS = 0.05
"""Quiet time after an event before the folder is read: an editor's save is several events."""

SETTLE_AT_MOST_SECONDS = 0.25
"""A folder that never becomes quiet is read all the same."""

RESCAN_SECONDS = 10.0
"""How often everything is read and digested, whatever events tell."""


class _Reactor(IReactorTime, IReactorFromThreads):
    """What is needed of Twisted's reactor."""


@frozen
class _Sight:
    """What came of a look."""

    folder_problem: str
    """Why the folder cannot be read; empty where it can."""
    contents: Contents | None = None
    """None where it cannot be read."""
    loaded: Loaded | None = None
    """None where nothing has changed."""


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
        *,
        in_worker: Callable[..., Deferred[Any]],
        told: Callable[[Generation], None] = lambda generation: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """Make a watcher that has not looked yet.

        :param adopted: told of each new generation; it makes the gateway run on it.
        :param folder_read: told why the folder cannot be read, or with an empty text that it can again.
        :param in_worker: calls a function in a thread beside the reactor's, for its result.
        :param told: what else there is to be done with a new generation; called in that thread.
        :param busy: tells that thread whether requests are running, which it must leave time for.
        """
        self._reactor = reactor
        self._folder = folder
        self._settings = settings
        self._adopted = adopted
        self._folder_read = folder_read
        self._in_worker = in_worker
        self._pace = Pace(busy)
        self.loaded: Loaded | None = None
        """What the gateway runs on; None before the first look."""
        self._folder_problem = ""
        self._events = ChangeEvents(folder.path, self._hint, reactor.seconds)
        self._hinted = False
        """The reactor is about to hear of a change."""
        self._settled: IDelayedCall | None = None
        self._unsettled_since: float | None = None
        self._finished: IDelayedCall | None = None
        """The look for which files that seem unfinished count as they are."""
        self._rescan: IDelayedCall | None = None
        self._thorough_look_due = 0.0
        self._looking = False
        self._look_again: bool | None = None
        """Somebody asked for another look meanwhile, and whether for a thorough one."""
        self._asked = False
        """An operator waits for the next look."""
        self._answering = False
        """The look that runs is one that an operator waits for."""
        self._tidying = Tidying(told, self._pace)
        self._unobserved: Contents | None = None
        """What the gateway runs on and has not asked for events of."""
        self._gave_way = False
        """The look that runs has come before the tidying."""

    def startService(self) -> None:
        """Read the folder now, and watch it from now on."""
        super().startService()
        self._thorough_look_due = self._reactor.seconds() + RESCAN_SECONDS
        try:
            sight = self._seen(self._sight(True, at_full_speed))
            if sight.loaded is not None:
                self._runs(sight.loaded, sight.contents)
                self._tidy()
        except Exception:  # whatever it is, the next look comes
            self._log.failure("the configuration could not be read")
        self._schedule_rescan()

    def stopService(self) -> None:
        """Watch no more; what runs stays."""
        super().stopService()
        self._pace.abandoned = True
        for call in (self._settled, self._finished, self._rescan):
            if call is not None and call.active():
                call.cancel()
        self._events.end()

    # -- a look ------------------------------------------------------------------------------------

    def look(self, *, thoroughly: bool = True) -> None:
        """Read everything, and adopt it where anything has changed; as soon as a look that runs has ended.

        :param thoroughly: read also what seems unchanged.
        """
        self._unsettled_since = None
        if not self.running:
            return
        if self._looking:
            self._look_again = bool(self._look_again) or thoroughly
            return
        self._looking = True
        self._answering, self._asked = self._asked, False
        self._gave_way = self._tidying.is_left
        looked = maybeDeferred(self._in_worker, self._sight, thoroughly, self._pace)
        looked.addCallback(self._seen)
        looked.addErrback(self._failed)
        looked.addCallback(self._afterwards)
        looked.addErrback(self._failed)
        looked.addBoth(self._looked)

    def ask(self) -> None:
        """Look thoroughly for an operator, who is told also where nothing has changed."""
        self._asked = True
        self.look()

    def _sight(self, thoroughly: bool, pace: Callable[[], None]) -> _Sight:
        """In the worker's thread: look, and load what has changed."""
        last = self.loaded
        try:
            contents = self._folder.read(thoroughly=thoroughly, pace=pace)
        except OSError as error:
            self._observe(None, last)
            path = self._folder.path
            return _Sight(f"{path} cannot be read: {error.strerror}; the last good configuration stays")
        if (
            last is not None
            and last.digest == contents.digest
            and not last.read_files.changed(thoroughly=thoroughly)
        ):
            self._observe(contents, last)
            return _Sight("", contents)
        began = perf_counter()
        with out_of_the_collectors_way():
            loaded = load(
                contents,
                last.generation if last is not None else None,
                self._settings,
                known=last.readings if last is not None else {},
                pace=pace,
            )
        self._log.debug(
            "files {digest} read in {milliseconds} ms, {files} of them",
            digest=loaded.digest[:12],
            milliseconds=round((perf_counter() - began) * 1000),
            files=len(contents.files),
        )
        return _Sight("", contents, loaded)

    def _seen(self, sight: _Sight) -> _Sight:
        """Run on what was loaded."""
        if sight.folder_problem != self._folder_problem:
            self._report_folder(sight.folder_problem)
        elif self._answering and sight.loaded is None:
            self._log.info(
                "{answer}", answer=sight.folder_problem or f"nothing has changed in {self._folder.path}"
            )
        if not self.running:
            return evolve(sight, loaded=None)
        if sight.contents is not None:
            self._await_writers(sight.contents.unfinished_for)
        if sight.loaded is not None:
            self._adopted(sight.loaded.generation)
        return sight

    def _afterwards(self, sight: _Sight | None) -> Deferred[None] | None:
        if sight is not None and sight.loaded is not None:
            self._runs(sight.loaded, sight.contents)
        if not self._tidying.is_left or self._gives_way():
            return None
        return self._in_worker(self._tidy)

    def _runs(self, loaded: Loaded, contents: Contents | None) -> None:
        self._tidying.add(loaded.generation, self.loaded.generation if self.loaded is not None else None)
        self.loaded, self._unobserved = loaded, contents

    def _gives_way(self) -> bool:
        """Tell whether a look goes first because of a change; only one, so that what is let go does not heap up."""
        return self._look_again is False and not self._gave_way

    def _tidy(self) -> None:
        """In the worker's thread: everything that takes its time and that no request waits for."""
        if self._unobserved is not None:
            # Not before it runs: for thousands of folders on a busy machine this takes a quarter of a second.
            self._observe(self._unobserved, self.loaded)
            self._unobserved = None
        self._tidying.tidy(self._gives_way)

    def _failed(self, failure: Failure) -> None:
        if failure.check(AbandonedError) is None:
            self._log.failure("the configuration could not be read", failure)

    def _looked(self, _: object) -> None:
        self._looking = False
        again, self._look_again = self._look_again, None
        if not self.running:
            self._events.end()
        elif again is not None:
            self.look(thoroughly=again)

    def _report_folder(self, problem: str) -> None:
        """Say once what is wrong with the folder itself, and once that it is well again."""
        self._folder_problem = problem
        self._folder_read(problem)
        if problem:
            self._log.error("{problem}", problem=problem)
        else:
            self._log.info("{path} can be read again", path=str(self._folder.path))

    # -- when to look ------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something happened in the folder: look once it is quiet."""
        self._hinted = False
        if not self.running:
            return  # it was on its way from the observer's thread
        now = self._reactor.seconds()
        if self._unsettled_since is None:
            self._unsettled_since = now
        wait = min(SETTLE_SECONDS, max(0.0, self._unsettled_since + SETTLE_AT_MOST_SECONDS - now))
        if self._settled is not None and self._settled.active():
            self._settled.reset(wait)
        else:
            self._settled = self._reactor.callLater(wait, self.look, thoroughly=False)

    def _await_writers(self, seconds: float | None) -> None:
        """Look again when files that seem unfinished have had their time."""
        if self._finished is not None and self._finished.active():
            self._finished.cancel()
        if seconds is not None:
            self._finished = self._reactor.callLater(seconds, self.look, thoroughly=False)

    def _schedule_rescan(self) -> None:
        seconds = RESCAN_SECONDS if self._events.come else RESCAN_WITHOUT_EVENTS_SECONDS
        wait = min(seconds, max(0.0, self._thorough_look_due - self._reactor.seconds()))
        self._rescan = self._reactor.callLater(wait, self._rescan_due)

    def _rescan_due(self) -> None:
        thoroughly = self._reactor.seconds() >= self._thorough_look_due
        if thoroughly:
            self._thorough_look_due = self._reactor.seconds() + RESCAN_SECONDS
        self._schedule_rescan()
        self.look(thoroughly=thoroughly)

    def _observe(self, contents: Contents | None, loaded: Loaded | None) -> None:
        """In the worker's thread: ask for events of everything that counts now."""
        read = frozenset(loaded.read_files.digests) if loaded is not None else frozenset[str]()
        if contents is None:
            self._events.follow(Observed(None, frozenset(), read))
        else:
            self._events.follow(Observed(contents.identity, contents.folders, contents.elsewhere | read))

    def _hint(self) -> None:
        """An event came, in some thread; of a thousand at once the reactor hears one."""
        if not self._hinted:
            self._hinted = True
            self._reactor.callFromThread(self.changed)
