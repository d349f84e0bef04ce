"""One tenant's resources -> its table, and every reference that leads nowhere as a Problem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from gateway.errors import GatewayError
from gateway.messages import Destination, PoolLimits, Timeouts
from gateway.resources.backend_refs import BackendRef
from gateway.resources.file_reading import DEFAULT_TENANT
from gateway.resources.problems import Places, Problem, Report
from gateway.resources.provider import LLMProvider
from gateway.resources.route import LLMRoute, Rule
from gateway.snapshot.backends import Backend, backend_of
from gateway.snapshot.captures import CaptureTable, capture_of
from gateway.snapshot.clients import Claim, claims_of, known_clients
from gateway.snapshot.compiled import CompiledTenant, PlacedClaim
from gateway.snapshot.conditions import match_of
from gateway.snapshot.context import Context
from gateway.snapshot.destinations import DestinationKey, UnusableFileError, key_of
from gateway.snapshot.exports import Contested
from gateway.snapshot.health_checks import HealthCheck, health_check_of
from gateway.snapshot.hosts import HostTable
from gateway.snapshot.lost_references import why_lost
from gateway.snapshot.retry_policies import retry_policy_of
from gateway.snapshot.rule_headers import RuleHeaders, rule_headers_of
from gateway.snapshot.secrets import secrets_of_tenant
from gateway.snapshot.stable_names import ProviderName
from gateway.snapshot.stickiness import stickiness_of
from gateway.snapshot.tables import Mirror, RouteTable, RuleTable, TenantTable
from gateway.snapshot.tenant_warnings import warnings_of
from gateway.snapshot.written import TenantResources


def compile_tenant(
    name: str,
    resources: TenantResources,
    last: CompiledTenant | None,
    owners: Mapping[str, str],
    context: Context,
    *,
    lenient: bool,
) -> CompiledTenant:
    """Compile one tenant.

    :param last: it is the outcome where it was made from the same things.
    :param owners: whose providers it runs on now, by host, as far as they are not its own.
    :param lenient: the problems do not matter, as of what was good before.
    """
    foreign = dict(_foreign(name, resources, owners, context))
    if (
        last is not None
        and last.resources is resources
        and (lenient or last.is_whole)
        and last.upstream_timeouts == context.upstream_timeouts
        and last.foreign == foreign
        and _are_where_they_were(last, context)
    ):
        return last
    return _TenantCompiler(name, resources, foreign, context).compiled()


def _foreign(
    name: str, resources: TenantResources, owners: Mapping[str, str], context: Context
) -> Iterator[tuple[str, LLMProvider | Contested | None]]:
    own = {provider.host for provider in resources.providers if context.surroundings.loads(provider)}
    for host in sorted(resources.named_hosts - own):
        yield host, context.exports.find(host, name, owners.get(host))
    if name == DEFAULT_TENANT:
        # The root namespace's providers answer on their own hosts, and somebody has to be asked.
        for host, provider in context.exports.root.items():
            if host not in own and context.exports.find(host, name, owners.get(host)) is provider:
                yield host, provider


def _are_where_they_were(last: CompiledTenant, context: Context) -> bool:
    providers = (*last.resources.providers, *(each for each in last.foreign.values() if each is not None))
    by_name = {(each.tenant, each.name): each for each in providers if isinstance(each, LLMProvider)}
    try:
        return all(
            context.destinations.at(key, by_name[key[:2]]) == place
            for key, place in last.destinations.items()
        )
    except UnusableFileError:
        return False


class _TenantCompiler:
    """Compiles one tenant, gathering its problems."""

    def __init__(
        self,
        name: str,
        resources: TenantResources,
        foreign: Mapping[str, LLMProvider | Contested | None],
        context: Context,
    ) -> None:
        self.name = name
        self._resources = resources
        self._foreign = foreign
        self._context = context
        self._report = Report()
        loads = context.surroundings.loads
        self._own = {provider.host: provider for provider in resources.providers if loads(provider)}
        self._destinations: dict[DestinationKey, Destination] = {}
        self._pool_limits: dict[Destination, PoolLimits] = {}
        self._checked: dict[ProviderName, LLMProvider] = {}
        """The providers in use that are asked for their health."""

    def compiled(self) -> CompiledTenant:
        routes = [self._route(route) for route in self._resources.routes]
        routed = {route.host for route in routes}
        implicit = [provider for host, provider in self._answered().items() if host not in routed]
        routes += [self._implicit_route(provider) for provider in implicit]
        for warning in warnings_of(self.name, self._resources, self._own.values(), routes):
            self._report.add(warning)
        return CompiledTenant(
            table=TenantTable(
                name=self.name,
                routes=HostTable((route.host, route) for route in routes),
                clients=known_clients(self._resources.document),
                health_checks=MappingProxyType(dict(self._health_checks())),
                capture=self._capture(routes),
            ),
            problems=self._report.sorted(),
            claims=tuple(self._claims(implicit)),
            breaker_names=frozenset(
                key.breaker_name
                for route in routes
                for rule in route.rules
                for backend in rule.every_backend
                for key in backend.keys
            ),
            destinations=self._destinations,
            pool_limits=self._pool_limits,
            resources=self._resources,
            foreign=self._foreign,
            upstream_timeouts=self._context.upstream_timeouts,
        )

    def _capture(self, routes: Iterable[RouteTable]) -> CaptureTable | None:
        document = self._resources.document
        if document is None or document.capture is None:
            return None
        foreign = (each for each in self._foreign.values() if isinstance(each, LLMProvider))
        rules = (rule.headers for route in routes for rule in route.rules)
        return capture_of(document.capture, secrets_of_tenant((*self._own.values(), *foreign), rules))

    def _answered(self) -> dict[str, LLMProvider]:
        """A provider answers on its own host for its owner; those of the root namespace for the default tenant."""
        answered = dict(self._own)
        if self.name == DEFAULT_TENANT:
            root = self._context.exports.root
            answered.update(
                (host, root[host])
                for host in root
                if host not in self._own and self._foreign.get(host) is root[host]
            )
        return answered

    def _claims(self, implicit: Iterable[LLMProvider]) -> Iterator[PlacedClaim]:
        document = self._resources.document
        if document is not None and document.clients is not None:
            for claim, path in claims_of(document):
                yield PlacedClaim(claim, document.places, path)
            return
        answering: Iterable[LLMProvider | LLMRoute] = (*self._resources.routes, *implicit)
        for resource in answering:
            yield PlacedClaim(Claim("host", resource.host), resource.places, "spec.host")

    # -- routes ----------------------------------------------------------------------------------

    def _route(self, route: LLMRoute) -> RouteTable:
        return RouteTable(
            tenant=self.name,
            name=route.name,
            host=route.host,
            gateways=frozenset(route.gateways),
            rules=tuple(self._rule(route, index, rule) for index, rule in enumerate(route.rules)),
        )

    def _rule(self, route: LLMRoute, index: int, rule: Rule) -> RuleTable:
        name = rule.name or f"rules[{index}]"
        headers = rule_headers_of(rule.headers, route.from_outside)
        path = f"spec.rules[{index}]"

        def referenced(references: Iterable[BackendRef], field_name: str) -> Iterator[Backend]:
            for number, reference in enumerate(references):
                place = f"{path}.{field_name}[{number}]"
                yield from self._referenced(route, rule, name, reference, place, headers)

        backends = list(referenced(rule.backend_refs, "backendRefs"))
        fallback = list(referenced(rule.fallback, "fallback"))
        mirrored: list[Backend] = []
        if rule.mirror is not None:
            reference = rule.mirror.backend_ref
            mirrored += self._referenced(route, rule, name, reference, f"{path}.mirror", headers)
        if len(backends) > 1 and not any(backend.weight for backend in backends):
            backends = []  # of those that are left none was ever to be chosen
        return RuleTable(
            name=name,
            matches=tuple(match_of(match) for match in rule.matches),
            backends=tuple(backends),
            weights=tuple(backend.weight for backend in backends),
            turns_key=(self.name, route.name, name),
            headers=headers,
            sticky=stickiness_of(rule.sticky),
            fallback=tuple(fallback),
            retries=retry_policy_of(rule.retries),
            fallback_on=frozenset(rule.fallback_on),
            continues=rule.on_stream_break == "continue",
            drains=rule.on_client_disconnect == "drain",
            tries_least_bad=rule.on_all_open == "leastBad",
            hedge_after=rule.hedge_after,
            mirror=Mirror(mirrored[0], rule.mirror.percent) if rule.mirror is not None and mirrored else None,
            keep_alive=rule.keep_alive,
        )

    def _referenced(
        self,
        route: LLMRoute,
        rule: Rule,
        rule_name: str,
        reference: BackendRef,
        path: str,
        headers: RuleHeaders,
    ) -> Iterator[Backend]:
        """What a rule names; nothing where that leads nowhere, which is then told."""
        path += ".providerHost"
        provider = self._own.get(reference.provider_host) or self._foreign.get(reference.provider_host)
        if not isinstance(provider, LLMProvider):
            self._leads_nowhere(route.places, path, reference.provider_host, provider)
            return
        try:
            yield self._backend(provider, reference, route.name, rule_name, rule, headers)
        except UnusableFileError as bad:
            self._unusable(route.places, path, provider, bad)

    def _implicit_route(self, provider: LLMProvider) -> RouteTable:
        """A provider without a route is reachable by its host, with its default configuration."""
        backends: tuple[Backend, ...] = ()
        try:
            backends = (self._backend(provider, _reference_to(provider), "", "", None, RuleHeaders()),)
        except UnusableFileError as bad:
            self._unusable(provider.places, "spec.host", provider, bad)
        rule = RuleTable(
            name="",
            matches=(),
            backends=backends,
            weights=(1,) * len(backends),
            turns_key=(self.name, "", provider.host),
        )
        return RouteTable(tenant=self.name, name="", host=provider.host, gateways=frozenset(), rules=(rule,))

    def _backend(
        self,
        provider: LLMProvider,
        reference: BackendRef,
        route: str,
        rule: str,
        written: Rule | None,
        rule_headers: RuleHeaders,
    ) -> Backend:
        timeouts = {
            **self._context.upstream_timeouts,
            **provider.timeouts,
            **(written.timeouts if written is not None else {}),
        }
        backend = backend_of(
            provider,
            reference,
            self._context.destinations,
            tenant=self.name,
            route=route,
            rule=rule,
            rule_name=written.name if written is not None else None,
            timeouts=Timeouts(**timeouts),
            rule_headers=rule_headers,
        )
        self._destinations[key_of(provider, backend.destination.in_process)] = backend.destination
        self._pool_limits[backend.destination] = backend.pool
        if provider.health_check is not None and backend.name not in self._checked:
            self._checked[backend.name] = provider
        return backend

    def _health_checks(self) -> Iterator[tuple[ProviderName, HealthCheck]]:
        for name, provider in list(self._checked.items()):
            assert provider.health_check is not None
            try:
                backend = self._backend(provider, _reference_to(provider), "", "", None, RuleHeaders())
                yield name, health_check_of(provider.health_check, backend)
            except (UnusableFileError, GatewayError):
                continue  # its own faults are told where they are

    # -- references that lead nowhere ----------------------------------------------------------------

    def _leads_nowhere(self, places: Places, path: str, host: str, found: Contested | None) -> None:
        message = why_lost(host, found, self.name, self._resources, self._own, self._context)
        if message is not None:
            self._error(places, path, message)

    def _unusable(self, places: Places, path: str, provider: LLMProvider, bad: UnusableFileError) -> None:
        if provider.tenant != self.name:  # its own faults are told where they are
            message = f"the provider with the host {provider.host} cannot be used: {bad.sentence}"
            self._error(places, path, message)

    def _error(self, places: Places, path: str, message: str) -> None:
        self._report.add(Problem(places.at(path), path, message, tenant=self.name))


def _reference_to(provider: LLMProvider) -> BackendRef:
    """Names a provider as it is."""
    return BackendRef(provider_host=provider.host, weight=None, host_rewrite=None, model=None)
