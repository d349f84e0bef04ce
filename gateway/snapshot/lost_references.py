"""Why a rule's reference to a provider leads nowhere, in an operator's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.resources.file_reading import BrokenProvider
from gateway.resources.problems import suggestion
from gateway.resources.provider import LLMProvider
from gateway.snapshot.context import Context
from gateway.snapshot.exports import EVERYBODY, Contested
from gateway.snapshot.written import TenantResources


def why_lost(
    host: str,
    found: Contested | None,
    tenant: str,
    resources: TenantResources,
    own: Mapping[str, LLMProvider],
    context: Context,
) -> str | None:
    """The sentence; None where the provider is the tenant's own and its errors are told already, or may be one of the
    tenant's own that cannot tell their host.

    :param host: that the rule names.
    :param found: what is there instead of one provider.
    :param own: the tenant's own providers that are loaded, by host.
    """
    broken = context.broken.get(host, ())
    if any(each.tenant == tenant for each in (*broken, *context.broken.get("", ()))):
        return None
    if found is not None:
        whose = " and ".join(f"{each.tenant} ({each.places.at('spec.host')})" for each in found.providers)
        return f"tenants {whose} export a provider with the host {host}, and nothing tells which is meant"
    return (
        _not_loaded(host, resources)
        or _not_in_use(host, broken, tenant, context)
        or _unknown(host, tenant, own, context)
    )


def _not_loaded(host: str, resources: TenantResources) -> str | None:
    for provider in resources.providers:
        if provider.host == host:
            selector = ", ".join(f"{key}: {value}" for key, value in provider.workload_labels.items())
            return f"its provider is not loaded here: the workloadSelector ({selector}) does not fit --label"
    return None


def _not_in_use(host: str, broken: Iterable[BrokenProvider], tenant: str, context: Context) -> str | None:
    """Others have it in files that are not used."""
    root = context.surroundings.root_namespace
    owners = [each.tenant for each in broken if {EVERYBODY, tenant} & each.export_to or each.tenant == root]
    match context.refused.find(host, tenant, None):
        case LLMProvider(tenant=owner):
            owners.append(owner)
        case Contested(providers):
            owners += [each.tenant for each in providers]
    if not owners:
        return None
    return f"the provider with the host {host} cannot be used: the files of {owners[0]} have errors"


def _unknown(host: str, tenant: str, own: Iterable[str], context: Context) -> str:
    visible = dict.fromkeys((*context.exports.hosts(tenant), *own))
    return f"no provider has the host {host}{suggestion(host, visible)}"
