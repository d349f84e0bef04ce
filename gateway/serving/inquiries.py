"""What operators ask of the running gateway: what it would do with a request, and what it would make of other files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from attrs import evolve

from gateway.live import Live
from gateway.resources.problems import printable
from gateway.serving.explaining import explain
from gateway.serving.explanation import Explanation
from gateway.serving.questions import Question
from gateway.serving.rehearsing import Proposal, Rehearsal, rehearse
from gateway.snapshot.current import CurrentSnapshot
from gateway.watcher.loading import Loaded, LoadSettings
from gateway.watcher.pacing import Pace
from gateway.wire.limits import DownstreamLimits
from gateway.wire.tls import ContextCache


class Inquiries:
    """Answers from what runs, and changes nothing of it."""

    def __init__(
        self,
        current: CurrentSnapshot,
        live: Live,
        limits: Callable[[], DownstreamLimits],
        running: Callable[[], Loaded | None],
        conf: Path,
        settings: LoadSettings,
        listeners: Collection[str],
        busy: Callable[[], bool],
    ) -> None:
        """Remember whom to ask.

        :param limits: what clients may send now.
        :param running: what was loaded last, and runs.
        :param conf: conf.d itself.
        :param listeners: the names that clients' listeners have.
        :param busy: tells another thread whether requests are running, which it must leave time for.
        """
        self._current = current
        self._live = live
        self._limits = limits
        self._running = running
        self._conf = conf
        self._settings = settings
        self._listeners = sorted(filter(None, listeners))
        self._busy = busy

    def explain(self, question: Question) -> Explanation:
        """What would be done with this request now.

        :raises ValueError: with a sentence, where it comes to a listener that there is not.
        """
        if question.listener and question.listener not in self._listeners:
            there = f"there are {', '.join(self._listeners)}" if self._listeners else "none has a name"
            raise ValueError(f"There is no listener named {printable(question.listener)}; {there}.")
        return explain(self._current.snapshot, self._live, question, self._limits())

    def rehearse(self, proposal: Proposal) -> Callable[[], Rehearsal]:
        """What would come of these files now: the callable finds it out, in whatever thread."""
        # The running TLS contexts belong to the reactor's thread.
        settings = evolve(self._settings, prepare_tls=ContextCache().prepare)
        return partial(rehearse, proposal, self._running(), self._conf, settings, Pace(self._busy))
