"""What operators ask of the running gateway: what it would do with a request, and what it would make of other files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from attrs import evolve

from gateway.live import Live
from gateway.serving.explaining import explain
from gateway.serving.explanation import Explanation
from gateway.serving.questions import Question
from gateway.serving.rehearsing import Proposal, Rehearsal, rehearse
from gateway.snapshot.current import CurrentSnapshot
from gateway.snapshot.generations import Generation
from gateway.watcher.loading import LoadSettings
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
        generation: Callable[[], Generation | None],
        conf: Path,
        settings: LoadSettings,
        busy: Callable[[], bool],
    ) -> None:
        """Remember whom to ask.

        :param limits: what clients may send now.
        :param generation: what runs now.
        :param conf: conf.d itself.
        :param busy: tells another thread whether requests are running, which it must leave time for.
        """
        self._current = current
        self._live = live
        self._limits = limits
        self._generation = generation
        self._conf = conf
        self._settings = settings
        self._busy = busy

    def explain(self, question: Question) -> Explanation:
        """What would be done with this request now."""
        return explain(self._current.snapshot, self._live, question, self._limits())

    def rehearse(self, proposal: Proposal) -> Callable[[], Rehearsal]:
        """What would come of these files now: the callable finds it out, in whatever thread."""
        # The running TLS contexts belong to the reactor's thread.
        settings = evolve(self._settings, prepare_tls=ContextCache().prepare)
        return partial(rehearse, proposal, self._generation(), self._conf, settings, Pace(self._busy))
