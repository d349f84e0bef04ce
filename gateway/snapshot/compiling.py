"""Resources -> tables, or every unresolved reference as a Problem.

A tenant is the unit of failure: one that has an error is left out of the snapshot with its problems told, and
every other tenant is compiled as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from attrs import frozen

from gateway.messages import Destination
from gateway.resources.gateway import GatewayDocument
from gateway.resources.problems import Problem, Report
from gateway.resources.reading import DEFAULT_TENANT
from gateway.snapshot.backends import BackendBuilder, DestinationKey
from gateway.snapshot.clashes import report_host_clashes
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.tables import GatewaySettings, Snapshot, TenantTable
from gateway.snapshot.tenants import TenantCompiler
from gateway.snapshot.written import Surroundings, TenantResources


@frozen
class Compilation:
    """What came of it."""

    snapshot: Snapshot
    """Of all tenants without an error."""
    problems: tuple[Problem, ...]
    """Errors and warnings."""
    destinations: Mapping[DestinationKey, Destination]
    """Where the providers are."""
    left_out: frozenset[str]
    """The tenants that have no table, be it their own fault or that of a provider's owner."""

    @property
    def failed(self) -> frozenset[str]:
        """The tenants that have an error."""
        return failed_tenants(self.problems)


def compile_snapshot(
    tenants: Mapping[str, TenantResources],
    gateway: GatewayDocument | None,
    surroundings: Surroundings,
    held_hosts: Mapping[str, str] = MappingProxyType({}),
    unusable_hosts: frozenset[str] = frozenset(),
) -> Compilation:
    """Make a snapshot.

    :param tenants: by name; the root namespace may be among them.
    :param held_hosts: host pattern -> the anonymous tenant that answers for it now; it keeps what it has when
        another one claims the same host.
    :param unusable_hosts: of providers that are left out for errors told already: who names one is not blamed.
    """
    report = Report()
    upstream_timeouts = gateway.upstream_timeouts if gateway else {}
    known = {key: place for tenant in tenants.values() for key, place in tenant.destinations.items()}
    builder = BackendBuilder(surroundings.read_file, surroundings.prepare_tls, known)
    tables: dict[str, TenantTable] = {}
    names = {*tenants, DEFAULT_TENANT} - {surroundings.root_namespace}
    for name in sorted(names):
        table = TenantCompiler(
            name, tenants, upstream_timeouts, surroundings, builder, report, unusable_hosts
        ).compiled()
        if table is not None:
            tables[name] = table
    report_host_clashes(tables, tenants, held_hosts, report)
    problems = report.sorted()
    for name in failed_tenants(problems):
        tables.pop(name, None)
    routes = [route for table in tables.values() for _, route in table.routes.items()]
    backends = [backend for route in routes for rule in route.rules for backend in rule.backends]
    snapshot = Snapshot(
        tenants=MappingProxyType(tables),
        anonymous=HostTable((route.host, tables[route.tenant]) for route in routes),
        withheld=HostTable(),
        settings=_settings(gateway),
        destinations=frozenset(backend.destination for backend in backends),
        turns_keys=frozenset(rule.turns_key for route in routes for rule in route.rules),
    )
    return Compilation(snapshot, problems, builder.destinations, frozenset(names - tables.keys()))


def failed_tenants(problems: Iterable[Problem]) -> frozenset[str]:
    """The tenants that these problems hold back."""
    return frozenset(
        problem.tenant for problem in problems if problem.severity == "error" and problem.tenant is not None
    )


def _settings(gateway: GatewayDocument | None) -> GatewaySettings:
    if gateway is None:
        return GatewaySettings()
    limits, timeouts = gateway.limits, gateway.timeouts
    return GatewaySettings(
        body_bytes=limits.get("bodyBytes"),
        head_bytes=limits.get("headBytes"),
        headers=limits.get("headers"),
        connections=limits.get("connections"),
        head_seconds=timeouts.get("head"),
        body_seconds=timeouts.get("body"),
        keep_alive_seconds=timeouts.get("keepAlive"),
    )
