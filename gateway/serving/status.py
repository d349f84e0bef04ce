"""What the gateway says about itself: whether it serves, on which configuration, and what of the files is not in it."""

from __future__ import annotations

from gateway.resources.problems import Problem
from gateway.snapshot.adopting import Generation
from gateway.snapshot.describing import describe
from gateway.telemetry.metrics import ReloadResult, TenantConfiguration

NOTHING_TO_SERVE = "no file names an LLMProvider or an LLMRoute yet, so every request gets 404"


class Status:
    """The state of this process for /readyz, /config and the metrics."""

    def __init__(self) -> None:
        self.draining = False
        """It is stopping and takes no new work."""
        self._generation: Generation | None = None
        self._folder_problem = ""
        self._adopted_at = 0.0

    def adopted(self, generation: Generation, now: float) -> None:
        """A new generation runs from now on.

        :param now: seconds of Unix time.
        """
        self._generation = generation
        self._adopted_at = now

    def folder_read(self, problem: str) -> None:
        """Why conf.d itself cannot be read now; empty while it can."""
        self._folder_problem = problem

    def ready(self) -> tuple[bool, list[str]]:
        """Whether requests are served, and every reason why they, or some, are not."""
        generation = self._generation
        if self.draining:
            return False, ["the gateway is stopping"]
        if generation is None:
            return False, [self._folder_problem or "no configuration has been read yet"]
        reasons = self._errors(generation)
        serves = len(generation.snapshot.anonymous) > 0
        if not serves and not reasons:
            reasons = [NOTHING_TO_SERVE]
        return serves, reasons

    def config(self) -> dict[str, object]:
        """The tables that run, and the problems of the files; no secrets."""
        generation = self._generation
        if generation is None:
            return {"problems": [self._folder_problem] if self._folder_problem else [], "tenants": {}}
        return {
            "adopted_at": self._adopted_at,
            "stale": sorted(generation.stale),
            "missing": sorted(generation.missing),
            "problems": self._errors(generation),
            "warnings": [str(problem) for problem in generation.problems if problem.severity == "warning"],
            **describe(generation.snapshot),
        }

    def _errors(self, generation: Generation) -> list[str]:
        errors = [str(problem) for problem in generation.problems if problem.severity == "error"]
        return [self._folder_problem, *errors] if self._folder_problem else errors


def reload_result(generation: Generation) -> ReloadResult:
    """How much of the files got into this generation."""
    if not any(problem.severity == "error" for problem in generation.problems):
        return ReloadResult.APPLIED
    fresh = generation.good.keys() - generation.stale
    return ReloadResult.PARTLY_APPLIED if fresh else ReloadResult.REJECTED


def tenant_configurations(generation: Generation, now: float) -> list[TenantConfiguration]:
    """How every tenant's files stand, for the metrics.

    :param now: seconds of Unix time, when they were compiled.
    """
    names = {*generation.good, *generation.missing}
    return [
        TenantConfiguration(
            tenant=name,
            successful=name not in generation.stale and name not in generation.missing,
            compiled_at=now,
            errors=_count(generation.problems, name, "error"),
            warnings=_count(generation.problems, name, "warning"),
        )
        for name in sorted(names)
    ]


def _count(problems: tuple[Problem, ...], tenant: str, severity: str) -> int:
    return sum(problem.tenant == tenant and problem.severity == severity for problem in problems)
