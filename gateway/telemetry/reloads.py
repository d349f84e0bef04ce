"""How the configuration stands, tenant by tenant, and what came of its changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from attrs import frozen

from gateway.telemetry import families
from gateway.telemetry.family import Shown


class ReloadResult(StrEnum):
    """What came of a change of the configuration."""

    APPLIED = "applied"
    """Every tenant runs on its files as they are."""
    PARTLY_APPLIED = "partly_applied"
    """Some tenants do, others keep their last good tables."""
    REJECTED = "rejected"
    """Nothing of it could be used."""


@frozen
class TenantConfiguration:
    """How one tenant's files stand."""

    tenant: str
    """Empty for what is no tenant's: the Gateway document, and problems that are nobody's."""
    successful: bool
    """It runs on its files as they are."""
    applied_at: float | None
    """When what it runs on was applied, in seconds of Unix time; None where it runs on nothing."""
    errors: int
    warnings: int


class Reloads:
    """The changes so far, and what they have come to."""

    def __init__(self) -> None:
        self._results = dict.fromkeys(ReloadResult, 0)
        self._tenants: Sequence[TenantConfiguration] = ()

    def reloaded(self, result: ReloadResult, tenants: Sequence[TenantConfiguration]) -> None:
        """See `Metrics.reloaded`."""
        self._results[result] += 1
        self._tenants = tuple(tenants)

    def collect(self) -> Iterator[Shown]:
        """Everything, for a scrape."""
        successful = Shown(families.RELOAD_SUCCESSFUL)
        timestamp = Shown(families.RELOAD_TIMESTAMP)
        problems = Shown(families.PROBLEMS)
        for each in self._tenants:
            successful.add_metric([each.tenant], float(each.successful))
            if each.applied_at is not None:
                timestamp.add_metric([each.tenant], each.applied_at)
            problems.add_metric([each.tenant, "error"], each.errors)
            problems.add_metric([each.tenant, "warning"], each.warnings)
        reloads = Shown(families.RELOADS)
        for result, number in self._results.items():
            reloads.add_metric([result], number)
        yield from (successful, timestamp, reloads, problems)
