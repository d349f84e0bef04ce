"""What the gateway's own log says of a change of the configuration."""

from __future__ import annotations

from twisted.logger import Logger

from gateway.resources import Problem
from gateway.serving.status import NOTHING_TO_SERVE
from gateway.snapshot.differing import changes, in_words
from gateway.snapshot.generations import Generation
from gateway.telemetry.metrics import ReloadResult


class ChangeLog:
    """Tells each generation, and what is different about it."""

    _log = Logger()

    def __init__(self, conf: str) -> None:
        """Start with nothing told.

        :param conf: what the folder is called.
        """
        self._conf = conf
        self._last: Generation | None = None

    def tell(self, generation: Generation, result: ReloadResult) -> None:
        """Log every error that there is, warnings that were not there before, and one line with all differences."""
        known = frozenset(self._last.problems) if self._last is not None else frozenset[Problem]()
        for problem in generation.problems:
            if problem.severity == "error":
                self._log.error("{problem}", problem=str(problem))
            elif problem not in known:
                self._log.warn("{problem}", problem=str(problem))
        for name in sorted(generation.stale):
            self._log.warn("tenant {name} goes on with its last good configuration", name=name)
        for name in sorted(generation.missing):
            self._log.error("tenant {name} is not served: its files were never good", name=name)
        if not generation.problems and not any(
            len(table.routes) for table in generation.snapshot.tenants.values()
        ):
            self._log.warn("{conf}: {problem}", conf=self._conf, problem=NOTHING_TO_SERVE)
        self._tell_differences(generation, result)
        self._last = generation

    def _tell_differences(self, generation: Generation, result: ReloadResult) -> None:
        # At a start everything is new, and nobody wants to read it all.
        found = changes(self._last, generation) if self._last is not None else []
        words = "".join(f"; {text}" for text in in_words(found))
        self._log.info(
            "configuration {result}, hosts served: {hosts}, tenants: {tenants}{words}",
            result=result.replace("_", " "),
            hosts=generation.snapshot.hosts,
            tenants=len(generation.snapshot.tenants),
            words=words,
            changes=found,
        )
