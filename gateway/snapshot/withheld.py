"""Hosts that are named by files which are not used: a less specific route must not answer for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import frozen

from gateway.resources.reading import Resources
from gateway.snapshot.written import NOTHING_WRITTEN, TenantResources


@frozen
class Withheld:
    """The hosts, by who must not be answered there."""

    from_everybody: frozenset[str]
    """Those of tenants that anybody could reach."""
    from_clients: Mapping[str, frozenset[str]]
    """By tenant those of the others, whose own clients alone are told of them."""


def withheld(
    refused: Collection[str],
    resources: Resources,
    written: Mapping[str, TenantResources],
    good: Mapping[str, TenantResources],
) -> Withheld:
    """Tell them.

    :param refused: tenants whose newest files are not used.
    """
    from_everybody: set[str] = set()
    from_clients: dict[str, set[str]] = {}

    def hosts_of(tenant: str) -> set[str]:
        both = (each.get(tenant, NOTHING_WRITTEN) for each in (written, good))
        if any(each.is_identified for each in both):
            return from_clients.setdefault(tenant, set())
        return from_everybody

    for name in refused & written.keys():
        hosts_of(name).update(resource.host for resource in written[name].answering())
    for broken in resources.broken_providers:
        if broken.host is not None:
            hosts_of(broken.tenant).add(broken.host)
    return Withheld(
        frozenset(from_everybody), {name: frozenset(hosts) for name, hosts in from_clients.items()}
    )
