"""What the gateway's own log says of a change of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.logger import Logger

from gateway.resources import Problem
from gateway.serving.status import NOTHING_TO_SERVE
from gateway.snapshot.differing import changes, in_words
from gateway.snapshot.generations import Generation
from gateway.telemetry.reloads import ReloadResult


class ChangeLog:
    """Tells each generation, and what is different about it."""

    _log = Logger()

    def __init__(self, conf: str, *, keeps_content: bool = False) -> None:
        """Start with nothing told.

        :param conf: what the folder is called.
        :param keeps_content: there is a capture log.
        """
        self._conf = conf
        self._keeps_content = keeps_content
        self._last: Generation | None = None

    def tell(self, generation: Generation, result: ReloadResult) -> None:
        """Log every error that there is, warnings that were not there before, and one line with all differences."""
        known = frozenset(self._last.problems) if self._last is not None else frozenset[Problem]()
        for problem in generation.problems:
            if problem.severity == "error":
                self._tell_problem(self._log.error, problem)
            elif problem not in known:
                self._tell_problem(self._log.warn, problem)
        if generation.gateway_standing == "last_good":
            self._log.warn("the Gateway document cannot be used, and keeps its last good settings")
        elif generation.gateway_standing == "missing":
            self._log.error("the Gateway document cannot be used, so nothing of it is set")
        for name in sorted(generation.stale):
            self._log.warn("tenant {tenant} goes on with its last good configuration", tenant=name)
        for name in sorted(generation.missing):
            self._log.error("tenant {tenant} is not served: its files were never good", tenant=name)
        for name in _opened(self._last, generation):
            self._log.warn(
                "tenant {tenant} has no clients any more: ANYBODY may ask for its hosts", tenant=name
            )
        for name in () if self._keeps_content else _newly_captured(self._last, generation):
            self._log.warn(
                "tenant {tenant} wants its exchanges kept: start with --capture-log for that", tenant=name
            )
        if not generation.problems and not any(
            len(table.routes) for table in generation.snapshot.tenants.values()
        ):
            self._log.warn("{conf}: {problem}", conf=self._conf, problem=NOTHING_TO_SERVE)
        self._tell_differences(generation, result)
        self._last = generation

    def _tell_problem(self, tell: Callable[..., None], problem: Problem) -> None:
        place = problem.position
        tell(
            "{problem}",
            problem=str(problem),
            tenant=problem.tenant or "",
            file=place.file,
            line=place.line,
            column=place.column,
            field=problem.path,
        )

    def _tell_differences(self, generation: Generation, result: ReloadResult) -> None:
        # At a start everything is new, and nobody wants to read it all.
        found = changes(self._last, generation) if self._last is not None else []
        words = "; ".join(in_words(found))
        self._log.info(
            "configuration {_result}, hosts served: {hosts}, tenants: {tenants}"
            + ("; {_words}" if words else ""),
            result=result.value,
            _result=result.replace("_", " "),
            hosts=generation.snapshot.hosts,
            tenants=len(generation.snapshot.tenants),
            _words=words,
            changes=[
                {"tenant": each.tenant, "how": each.how, "details": list(each.details)} for each in found
            ],
        )


def _opened(before: Generation | None, after: Generation) -> Iterator[str]:
    """The tenants that only their clients could reach, and now anybody can."""
    for name, state in after.tenants.items():
        was = before.tenants.get(name) if before is not None else None
        if was is None or was.good is None or state.good is None:
            continue
        if was.good.is_identified and not state.good.is_identified:
            yield name


def _newly_captured(before: Generation | None, after: Generation) -> Iterator[str]:
    """The tenants that want their exchanges kept, and did not before."""
    running = before.snapshot.tenants if before is not None else {}
    for name, table in after.snapshot.tenants.items():
        if table.capture is not None and (name not in running or running[name].capture is None):
            yield name
