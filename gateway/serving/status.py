"""What the gateway says about itself: whether it serves, on which configuration, and what of the files is not in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from attrs import frozen

from gateway.resources.problems import Problem, Severity
from gateway.snapshot.describing import (
    Description,
    anonymous_hosts,
    describe,
    describe_clients,
    describe_problem,
    describe_settings,
    shown_time,
)
from gateway.snapshot.generations import Generation, TenantState
from gateway.telemetry.reloads import ReloadResult, TenantConfiguration

NOTHING_TO_SERVE = "no file names an LLMProvider or an LLMRoute yet, so every request gets 404"


@frozen
class Since:
    """Since when a tenant stands as it stands, in seconds of Unix time."""

    applied: float | None
    """When what it runs on was applied; None where it runs on nothing."""
    standing: float
    """When its standing last changed."""


@frozen(eq=False)
class _Shown:
    """What is told of a tenant; as long as it stands as it stood it is the same object."""

    since: Since
    configuration: TenantConfiguration


class Status:
    """The state of this process for /readyz, /config and the metrics."""

    def __init__(self) -> None:
        self.draining = False
        """It is stopping and takes no new work."""
        self._generation: Generation | None = None
        self._folder_problem = ""
        self._adopted_at = 0.0
        self._tenants: Mapping[str, _Shown] = {}

    def adopted(self, generation: Generation, now: float) -> None:
        """A new generation runs from now on.

        :param now: seconds of Unix time.
        """
        before = self._generation.tenants if self._generation is not None else {}
        known = self._tenants
        self._tenants = {
            name: known[name] if before.get(name) is state else _shown(before.get(name), state, known, now)
            for name, state in generation.tenants.items()
        }
        if self._generation is None or reload_result(generation) is not ReloadResult.REJECTED:
            self._adopted_at = now
        self._generation = generation

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
        reasons = _told(generation, self._folder_problem, "error")
        serves = any(len(table.routes) for table in generation.snapshot.tenants.values())
        if not serves and not reasons:
            reasons = [NOTHING_TO_SERVE]
        return serves, reasons

    def errors(self) -> list[str]:
        """Everything that keeps some of the files from being used."""
        if self._generation is None:
            return [self._folder_problem or "no configuration has been read"]
        return _told(self._generation, self._folder_problem, "error")

    def config(self, tenant: str | None = None) -> Callable[[], Description] | None:
        """The tables that run, and the problems of the files; no secrets.

        :param tenant: the only one to show; None for all.
        :return: finds it out, in whatever thread: `tenants` is an iterator of names and what is under them; None
            where there is no such tenant.
        """
        generation = self._generation
        known = {*generation.tenants, *generation.snapshot.tenants} if generation is not None else set()
        if tenant is not None and tenant not in known:
            return None
        return partial(_config, generation, tenant, self._folder_problem, self._adopted_at, self._tenants)

    @property
    def generation(self) -> Generation | None:
        """What runs; None before the first."""
        return self._generation

    def since(self, tenant: str) -> Since | None:
        """Since when a tenant stands as it stands; None where there are no files of it.  May be asked in any thread."""
        shown = self._tenants.get(tenant)
        return shown.since if shown is not None else None

    def tenants(self) -> list[TenantConfiguration]:
        """How every tenant's files stand, for the metrics; the problems that are no tenant's under an empty name."""
        generation = self._generation
        if generation is None:
            return []
        nobodys = [problem for problem in generation.problems if problem.tenant is None]
        whole = TenantConfiguration(
            tenant="",
            successful=not _count(nobodys, "error"),
            applied_at=self._adopted_at,
            errors=_count(nobodys, "error"),
            warnings=_count(nobodys, "warning"),
        )
        return [whole, *(shown.configuration for shown in self._tenants.values())]


def reload_result(generation: Generation) -> ReloadResult:
    """How much of the files got into this generation."""
    if not any(problem.severity == "error" for problem in generation.problems):
        return ReloadResult.APPLIED
    fresh = any(state.standing == "current" for state in generation.tenants.values())
    return ReloadResult.PARTLY_APPLIED if fresh else ReloadResult.REJECTED


def _shown(was: TenantState | None, state: TenantState, known: Mapping[str, _Shown], now: float) -> _Shown:
    since = _since(was, state, known[state.name].since if was is not None else None, now)
    return _Shown(
        since,
        TenantConfiguration(
            tenant=state.name,
            successful=state.standing == "current",
            applied_at=since.applied,
            errors=_count(state.problems, "error"),
            warnings=_count(state.problems, "warning"),
        ),
    )


def _since(was: TenantState | None, state: TenantState, since: Since | None, now: float) -> Since:
    if was is None or since is None:
        return Since(now if state.table is not None or state.good is not None else None, now)
    match state.standing:
        case "missing":
            applied = None
        case "last_good":
            applied = since.applied
        case "current":
            # What came from the environment or from a file is in no digest.
            same = state.digest == was.digest and state.good is was.good
            applied = since.applied if same and state.destinations == was.destinations else now
    standing = since.standing if state.standing == was.standing else now
    return Since(applied, standing)


def _config(
    generation: Generation | None,
    only: str | None,
    folder_problem: str,
    adopted_at: float,
    shown: Mapping[str, _Shown],
) -> Description:
    if generation is None:
        return {"problems": [folder_problem] if folder_problem else [], "tenants": {}}
    tenants = _tenants(generation, only, shown)
    if only is not None:
        return {"tenants": tenants}
    return {
        **_moment("applied", adopted_at),
        "stale": sorted(generation.stale),
        "missing": sorted(generation.missing),
        "problems": _told(generation, folder_problem, "error"),
        "warnings": _told(generation, "", "warning"),
        "settings": describe_settings(generation.snapshot.settings),
        "tenants": tenants,
    }


def _tenants(
    generation: Generation, only: str | None, known: Mapping[str, _Shown]
) -> Iterator[tuple[str, Description]]:
    """Every tenant, or the only one that is wanted, by its name."""
    tables, hosts = generation.snapshot.tenants, anonymous_hosts(generation.snapshot)
    for name in sorted({*generation.tenants, *tables}) if only is None else [only]:
        shown: Description = {}
        # One that has no files, and answers with what others have, has a table only.
        if name in known:
            shown |= _state(generation.tenants[name], known[name].since)
        if name in tables:
            shown |= describe(tables[name], hosts.get(name, ()))
        yield name, shown


def _state(state: TenantState, since: Since) -> Description:
    return {
        "standing": state.standing,
        **_moment("standingSince", since.standing),
        **(_moment("applied", since.applied) if since.applied is not None else {}),
        "digest": state.digest,
        "problems": [describe_problem(each) for each in state.problems if each.severity == "error"],
        "warnings": [describe_problem(each) for each in state.problems if each.severity == "warning"],
        # Of one that was never good nothing may tell whether it has any.
        **(
            {"clients": describe_clients(state.document)}
            if state.good is not None or state.document is not None
            else {}
        ),
    }


def _told(generation: Generation, folder_problem: str, severity: Severity) -> list[str]:
    told = [str(problem) for problem in generation.problems if problem.severity == severity]
    return [folder_problem, *told] if folder_problem else told


def _count(problems: Iterable[Problem], severity: Severity) -> int:
    return sum(problem.severity == severity for problem in problems)


def _moment(name: str, seconds: float) -> Description:
    """A moment for people (ISO 8601, UTC) and for machines (seconds of Unix time)."""
    return {name: shown_time(seconds), f"{name}Seconds": round(seconds, 3)}
