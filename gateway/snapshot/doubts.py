"""Files that may not say everything, and who goes on as before because of that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from gateway.resources.file_reading import FileReading
from gateway.resources.gateway import GatewayDocument
from gateway.resources.problems import Position, Problem
from gateway.resources.reading import Resources
from gateway.snapshot.generations import Standing
from gateway.snapshot.written import NOTHING_WRITTEN, TenantResources


def tenants_in(files: frozenset[str], good: Mapping[str, TenantResources]) -> set[str]:
    """The tenants that had something in one of these files when it could last be read."""
    if not files:
        return set()
    return {
        name
        for name, tenant in good.items()
        if any(resource.places.at("").file in files for resource in tenant.all())
    }


def usable_gateway(
    resources: Resources, last: GatewayDocument | None
) -> tuple[GatewayDocument | None, Standing]:
    """The Gateway document, or the last good one where it has an error, or its file cannot be read."""
    unreadable = last is not None and last.places.at("").file in resources.broken_files
    faulty = any(problem.severity == "error" and problem.tenant is None for problem in resources.problems)
    if last is not None and (unreadable or faulty):
        return last, "last_good"
    return resources.gateway, "missing" if faulty and resources.gateway is None else "current"


def doubts(
    resources: Resources,
    written: Mapping[str, TenantResources],
    good: Mapping[str, TenantResources],
    refused: Collection[str],
) -> Iterator[Problem]:
    """Tenants that only their clients could reach, and anybody could if a file were believed that may not be whole.

    Who writes a file in place cuts it short first; a mistake in one document may be that it swallows the next.

    :param refused: tenants that need no further reason to go on as they were.
    """
    for name, before in good.items():
        now = written.get(name, NOTHING_WRITTEN)
        if before.document is None or not before.is_identified or now.is_identified or name in refused:
            continue
        file = before.document.places.at("").file
        reading = resources.readings.get(file)
        why = _why_doubtful(reading) if reading is not None else ""
        if why:
            message = f"names the clients of tenant {name} no more, and {why}"
            yield Problem(Position(file, 1, 1), "", message, tenant=name)


def _why_doubtful(reading: FileReading) -> str:
    if reading.source.is_cut_short:
        return "seems cut short; if that is meant, move a new file into its place, or end it with a comment"
    if any(problem.severity == "error" for problem in reading.problems):
        return "has errors, so that this may not be meant"
    return ""
