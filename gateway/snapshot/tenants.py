"""One tenant's resources -> its table, or every unresolved reference as a Problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.messages import Timeouts
from gateway.resources.problems import Places, Problem, Report, Severity, below, suggestion
from gateway.resources.provider import LLMProvider
from gateway.resources.reading import DEFAULT_TENANT
from gateway.resources.route import BackendRef, LLMRoute, Rule
from gateway.snapshot.backends import BackendBuilder, UnusableFileError
from gateway.snapshot.conditions import match_of
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.tables import Backend, RouteTable, RuleTable, TenantTable
from gateway.snapshot.written import Surroundings, TenantResources


class TenantCompiler:
    """Compiles one tenant, gathering its problems."""

    def __init__(
        self,
        name: str,
        tenants: Mapping[str, TenantResources],
        upstream_timeouts: Mapping[str, float],
        surroundings: Surroundings,
        builder: BackendBuilder,
        report: Report,
        unusable_hosts: frozenset[str],
    ) -> None:
        self.name = name
        self._report = report
        self._unusable_hosts = unusable_hosts
        self._failed = False
        self._own = tenants.get(name, TenantResources())
        self._tenants = tenants
        self._upstream_timeouts = upstream_timeouts
        self._surroundings = surroundings
        self._builder = builder

    def compiled(self) -> TenantTable | None:
        """The tenant's table, or None where it has an error."""
        self._refuse_twins("provider", self._own.providers)
        self._refuse_twins("route", self._own.routes)
        visible = self._visible_providers()
        routes = [self._route(route, visible) for route in self._own.routes]
        routed = {route.host for route in routes}
        routes += [
            self._implicit_route(provider)
            for host, provider in visible.items()
            if host not in routed and self._answers_for(provider)
        ]
        self._warn_of_unused_configs(routes)
        if self._failed:
            return None
        return TenantTable(name=self.name, routes=HostTable((route.host, route) for route in routes))

    # -- providers -------------------------------------------------------------------------------

    def _visible_providers(self) -> dict[str, LLMProvider]:
        """By host.  A tenant's own shadows an exported one, and a tenant's export one of the root namespace."""
        root = self._surroundings.root_namespace
        visible: dict[str, LLMProvider] = {}
        foreign = sorted((name for name in self._tenants if name != self.name), key=lambda name: name != root)
        for owner in (*foreign, self.name):
            for provider in self._tenants.get(owner, TenantResources()).providers:
                shared = owner in (self.name, root) or {"*", self.name} & set(provider.export_to)
                if shared and self._is_loaded(provider):
                    visible[provider.host] = provider
        return visible

    def _is_loaded(self, provider: LLMProvider) -> bool:
        labels = self._surroundings.labels
        return all(labels.get(key) == value for key, value in provider.workload_labels.items())

    def _answers_for(self, provider: LLMProvider) -> bool:
        """A provider answers on its own host for its owner; those of the root namespace for the default tenant."""
        if provider.tenant == self._surroundings.root_namespace:
            return self.name == DEFAULT_TENANT
        return provider.tenant == self.name

    def _refuse_twins(self, kind: str, resources: Iterable[LLMProvider | LLMRoute]) -> None:
        names: dict[str, LLMProvider | LLMRoute] = {}
        hosts: dict[str, LLMProvider | LLMRoute] = {}
        for resource in resources:
            first = names.setdefault(resource.name, resource)
            if first is not resource:
                where = first.places.at("metadata.name")
                self._error(
                    resource.places, "metadata.name", f"a {kind} named {resource.name} is at {where} too"
                )
                continue
            first = hosts.setdefault(resource.host, resource)
            if first is not resource:
                where = first.places.at("spec.host")
                self._error(
                    resource.places,
                    "spec.host",
                    f"{kind} {first.name} at {where} has the host {resource.host} too",
                )

    # -- routes ----------------------------------------------------------------------------------

    def _route(self, route: LLMRoute, visible: Mapping[str, LLMProvider]) -> RouteTable:
        rules: list[RuleTable] = []
        reached = True
        for index, rule in enumerate(route.rules):
            if not reached:
                self._warning(
                    route.places,
                    f"spec.rules[{index}]",
                    "is never reached: a rule above it matches everything",
                )
            rules.append(self._rule(route, index, rule, visible))
            reached = reached and bool(rule.matches)
        return RouteTable(
            tenant=self.name,
            name=route.name,
            host=route.host,
            gateways=frozenset(route.gateways),
            rules=tuple(rules),
        )

    def _rule(self, route: LLMRoute, index: int, rule: Rule, visible: Mapping[str, LLMProvider]) -> RuleTable:
        name = rule.name or f"rules[{index}]"
        backends: list[Backend] = []
        for number, reference in enumerate(rule.backend_refs):
            path = f"spec.rules[{index}].backendRefs[{number}].providerHost"
            provider = visible.get(reference.provider_host)
            if provider is None:
                if reference.provider_host in self._unusable_hosts:
                    self._failed = True  # the provider's own errors are told already
                else:
                    self._error(route.places, path, self._no_such_provider(reference.provider_host, visible))
                continue
            backend = self._backend(provider, reference, route.name, name, rule)
            if backend is not None:
                backends.append(backend)
        return RuleTable(
            name=name,
            matches=tuple(match_of(match) for match in rule.matches),
            backends=tuple(backends),
            weights=tuple(backend.weight for backend in backends),
            turns_key=(self.name, route.name, name),
        )

    def _implicit_route(self, provider: LLMProvider) -> RouteTable:
        """A provider without a route is reachable by its host, with its default configuration."""
        reference = BackendRef(provider_host=provider.host, weight=None, host_rewrite=None, model=None)
        backend = self._backend(provider, reference, "", "", None)
        rule = RuleTable(
            name="",
            matches=(),
            backends=(backend,) if backend is not None else (),
            weights=(1,),
            turns_key=(self.name, "", provider.host),
        )
        return RouteTable(tenant=self.name, name="", host=provider.host, gateways=frozenset(), rules=(rule,))

    def _backend(
        self, provider: LLMProvider, reference: BackendRef, route: str, rule: str, written: Rule | None
    ) -> Backend | None:
        timeouts = {
            **self._upstream_timeouts,
            **provider.timeouts,
            **(written.timeouts if written is not None else {}),
        }
        try:
            return self._builder.backend(
                provider,
                reference,
                tenant=self.name,
                route=route,
                rule=rule,
                rule_name=written.name if written is not None else None,
                timeouts=Timeouts(**timeouts),
            )
        except UnusableFileError as bad:
            self._failed = True
            # Its owner is to blame, who may be another tenant.
            self._report.add(
                Problem(provider.places.at(bad.path), bad.path, bad.sentence, tenant=provider.tenant)
            )
            return None

    def _no_such_provider(self, host: str, visible: Mapping[str, LLMProvider]) -> str:
        for provider in self._own.providers:
            if provider.host == host:
                selector = ", ".join(f"{key}: {value}" for key, value in provider.workload_labels.items())
                return (
                    f"its provider is not loaded here: the workloadSelector ({selector}) does not fit --label"
                )
        return f"no provider has the host {host}{suggestion(host, visible)}"

    # -- warnings --------------------------------------------------------------------------------

    def _warn_of_unused_configs(self, routes: Iterable[RouteTable]) -> None:
        used = {
            (backend.provider, rule.name)
            for route in routes
            for rule in route.rules
            for backend in rule.backends
            if backend.owner == self.name
        }
        for provider in self._own.providers:
            if not self._is_loaded(provider):
                continue
            for name in provider.route_configs:
                if (provider.name, name) not in used:
                    self._warning(
                        provider.places,
                        below("spec.configs.routeSpecificConfigs", name),
                        f"no rule named {name} refers to this provider",
                    )

    def _error(self, places: Places, path: str, message: str) -> None:
        self._failed = True
        self._add(places, path, message, "error")

    def _warning(self, places: Places, path: str, message: str) -> None:
        self._add(places, path, message, "warning")

    def _add(self, places: Places, path: str, message: str, severity: Severity) -> None:
        self._report.add(Problem(places.at(path), path, message, severity, self.name))
