"""Tenants that claim one host: at most one of them can answer for it."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.resources.problems import Places, Problem, Report
from gateway.snapshot.tables import TenantTable
from gateway.snapshot.written import TenantResources


def report_host_clashes(
    tables: Mapping[str, TenantTable],
    tenants: Mapping[str, TenantResources],
    held_hosts: Mapping[str, str],
    report: Report,
) -> None:
    """Two anonymous tenants cannot answer for one host: the newcomer is refused, or both where neither had it."""
    claims: dict[str, list[str]] = {}
    for name, table in tables.items():
        for host, _ in table.routes.items():
            claims.setdefault(host, []).append(name)
    path = "spec.host"
    for host, claimants in claims.items():
        if len(claimants) < 2:
            continue
        positions = {name: _place_of_host(tenants, name, host).at(path) for name in claimants}
        for name in claimants:
            if held_hosts.get(host) == name:
                continue
            others = ", ".join(f"{other} ({positions[other]})" for other in claimants if other != name)
            message = (
                f"{host} is answered for by tenant {others} too, and no client of theirs can be told apart"
            )
            report.add(Problem(positions[name], path, message, tenant=name))


def _place_of_host(tenants: Mapping[str, TenantResources], name: str, host: str) -> Places:
    """Where this tenant, or the root namespace on behalf of the default one, names a host that it answers for."""
    places = {
        resource.host: resource.places
        for each in (*tenants.values(), tenants.get(name, TenantResources()))
        for resource in each.all()
    }
    return places[host]
