"""Which tenants take their new resources, and which keep their last good ones.

A tenant whose files do not compile goes on as it was, and every other tenant moves on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, frozen

from gateway.messages import Destination
from gateway.resources import GatewayDocument, Resources
from gateway.resources.problems import Problem, Report
from gateway.snapshot.backends import DestinationKey
from gateway.snapshot.compiling import Compilation, compile_snapshot, failed_tenants
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.tables import Snapshot
from gateway.snapshot.written import Surroundings, TenantResources


@frozen
class Generation:
    """One state of the whole configuration: what runs, and what of the files did not get there."""

    snapshot: Snapshot
    good: Mapping[str, TenantResources]
    """What each tenant runs on."""
    gateway: GatewayDocument | None
    """The Gateway document that it runs on."""
    stale: frozenset[str] = frozenset()
    """Tenants that run on their last good resources, because their files do not compile."""
    missing: frozenset[str] = frozenset()
    """Tenants whose files do not compile, and that have nothing good to run on."""
    problems: tuple[Problem, ...] = ()


def adopt(resources: Resources, last: Generation | None, surroundings: Surroundings) -> Generation:
    """Make the next generation from the files as they are now.

    :param last: the generation that runs, or None at the first start.
    """
    written = _by_tenant(resources)
    known_good = last.good if last is not None else {}
    report = Report()
    for problem in resources.problems:
        report.add(problem)
    refused = failed_tenants(resources.problems) | _tenants_of(resources.broken_files, known_good)
    gateway = resources.gateway
    if last is not None and _gateway_is_broken(resources, last.gateway):
        gateway = last.gateway
    held = {host: table.name for host, table in last.snapshot.anonymous.items()} if last is not None else {}

    # Each round takes back the new resources of at least one more tenant, so the rounds come to an end.
    while True:
        candidate = {
            **{name: tenant for name, tenant in written.items() if name not in refused},
            **{name: tenant for name, tenant in known_good.items() if name in refused},
        }
        compilation = compile_snapshot(candidate, gateway, surroundings, held)
        # Who is left out for another's fault gets a second chance with what that one goes on with.
        newly_refused = (compilation.failed - refused) or (compilation.left_out - refused)
        for problem in compilation.problems:
            if not newly_refused or problem.tenant in newly_refused:
                report.add(problem)
        if not newly_refused:
            break
        refused |= newly_refused
    for problem in _further_errors(written, refused, gateway, surroundings, held, resources.unusable_hosts):
        report.add(problem)
    good = {
        name: evolve(tenant, destinations=_destinations_of(name, compilation))
        for name, tenant in candidate.items()
        if name not in compilation.failed | compilation.left_out
    }
    named = {each.host for name in refused & written.keys() for each in written[name].all()}
    named |= resources.unusable_hosts
    return Generation(
        snapshot=evolve(compilation.snapshot, withheld=_withheld(named, compilation.snapshot)),
        good=MappingProxyType(good),
        gateway=gateway,
        stale=refused & good.keys(),
        missing=refused - good.keys(),
        problems=report.sorted(),
    )


def _further_errors(
    written: Mapping[str, TenantResources],
    refused: frozenset[str],
    gateway: GatewayDocument | None,
    surroundings: Surroundings,
    held: Mapping[str, str],
    unusable_hosts: frozenset[str],
) -> list[Problem]:
    """What would be wrong with the refused tenants' new resources beside what refused them: all is told at once."""
    if not refused:
        return []
    compilation = compile_snapshot(written, gateway, surroundings, held, unusable_hosts)
    return [
        problem
        for problem in compilation.problems
        if problem.severity == "error" and problem.tenant in refused
    ]


def _withheld(named: set[str], snapshot: Snapshot) -> HostTable[str]:
    """What refused files name, and nobody answers for: a less specific route must not take it for its own."""
    served = {pattern for pattern, _ in snapshot.anonymous.items()}
    return HostTable((host, host) for host in named - served)


def _tenants_of(files: frozenset[str], good: Mapping[str, TenantResources]) -> frozenset[str]:
    """The tenants that had something in one of these files when it could last be read."""
    return frozenset(
        name
        for name, tenant in good.items()
        if any(resource.places.at("").file in files for resource in tenant.all())
    )


def _destinations_of(owner: str, compilation: Compilation) -> Mapping[DestinationKey, Destination]:
    return MappingProxyType(
        {key: place for key, place in compilation.destinations.items() if key[0] == owner}
    )


def _gateway_is_broken(resources: Resources, last: GatewayDocument | None) -> bool:
    """Tell whether the Gateway document has an error, which is no tenant's, or its file cannot be read."""
    if last is not None and last.places.at("").file in resources.broken_files:
        return True
    return any(problem.severity == "error" and problem.tenant is None for problem in resources.problems)


def _by_tenant(resources: Resources) -> dict[str, TenantResources]:
    """What was written, tenant by tenant; the root namespace, which is none, has its providers here too."""
    names = resources.tenants | {provider.tenant for provider in resources.providers}
    return {
        name: TenantResources(
            providers=tuple(each for each in resources.providers if each.tenant == name),
            routes=tuple(each for each in resources.routes if each.tenant == name),
        )
        for name in sorted(names)
    }
