"""What works in a tenant's files, and is hardly meant so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from gateway.resources.problems import Places, Problem, below
from gateway.resources.provider import LLMProvider
from gateway.resources.route import LLMRoute
from gateway.snapshot.rule_headers import overruled
from gateway.snapshot.tables import RouteTable
from gateway.snapshot.written import TenantResources


def warnings_of(
    tenant: str,
    resources: TenantResources,
    own: Iterable[LLMProvider],
    tables: Collection[RouteTable],
) -> Iterator[Problem]:
    """Every warning.

    :param own: the tenant's own providers that are loaded.
    :param tables: what was made of the routes, in their order, and then of providers that have none.
    """
    for route, table in zip(resources.routes, tables, strict=False):
        yield from _unreached_rules(tenant, route)
        yield from _overruled_headers(tenant, route, table)
    yield from _unused_configs(tenant, own, tables)
    document = resources.document
    if document is not None and document.clients and not tables:
        # As with a name that is misspelt: then the tenant that was meant is open to anybody.
        message = f"tenant {tenant} has no route and no provider, so its clients reach nothing"
        yield _warning(tenant, document.places, "metadata.name", message)


def _unreached_rules(tenant: str, route: LLMRoute) -> Iterator[Problem]:
    reached = True
    for index, rule in enumerate(route.rules):
        if not reached:
            message = "is never reached: a rule above it matches everything"
            yield _warning(tenant, route.places, f"spec.rules[{index}]", message)
        reached = reached and bool(rule.matches)


def _overruled_headers(tenant: str, route: LLMRoute, table: RouteTable) -> Iterator[Problem]:
    for index, rule in enumerate(table.rules):
        for backend in rule.every_backend:
            for header in overruled(rule.headers.request, backend.headers):
                message = f"leaves {header} as provider {backend.provider} has it, which sets it itself"
                yield _warning(tenant, route.places, f"spec.rules[{index}].headers.request", message)


def _unused_configs(
    tenant: str, own: Iterable[LLMProvider], tables: Iterable[RouteTable]
) -> Iterator[Problem]:
    used = {
        (backend.provider, rule.name)
        for table in tables
        for rule in table.rules
        for backend in rule.every_backend
        if backend.owner == tenant
    }
    for provider in own:
        for name in provider.route_configs:
            if (provider.name, name) not in used:
                path = below("spec.configs.routeSpecificConfigs", name)
                message = f"no rule named {name} refers to this provider"
                yield _warning(tenant, provider.places, path, message)


def _warning(tenant: str, places: Places, path: str, message: str) -> Problem:
    return Problem(places.at(path), path, message, "warning", tenant)
