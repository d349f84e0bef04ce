"""Which tenants take their new resources, and which keep their last good ones.

A tenant whose files cannot be used goes on as it was, and every other tenant moves on.  Who is unchanged, in
unchanged surroundings, is not compiled again: the new generation holds the very same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType

from gateway.messages import TlsSettings
from gateway.resources import Resources
from gateway.resources.file_reading import DEFAULT_TENANT, BrokenProvider
from gateway.resources.problems import Problem
from gateway.resources.provider import LLMProvider
from gateway.resources.reading import at_full_speed
from gateway.resources.tenant import Tenant
from gateway.snapshot.catch_all import catch_all
from gateway.snapshot.claims import NOTHING_GRANTED, Judgement, judge
from gateway.snapshot.clients import Claim
from gateway.snapshot.compiled import CompiledTenant
from gateway.snapshot.compiling import snapshot_of
from gateway.snapshot.context import Context
from gateway.snapshot.destinations import Destinations
from gateway.snapshot.doubts import doubts, tenants_in, usable_gateway
from gateway.snapshot.exports import exports_of
from gateway.snapshot.generations import Generation, TenantState
from gateway.snapshot.own_faults import faults_of_files, own_faults
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.still_written import StillWritten
from gateway.snapshot.tenants import compile_tenant
from gateway.snapshot.withheld import withheld
from gateway.snapshot.written import NOTHING_WRITTEN, Surroundings, TenantResources, by_tenant


def adopt(
    resources: Resources,
    last: Generation | None,
    surroundings: Surroundings,
    pace: Callable[[], None] = at_full_speed,
) -> Generation:
    """Make the next generation from the files as they are now.

    :param last: the generation that runs, or None at the first start.
    :param pace: called after each tenant; it may wait.
    """
    return _Adoption(resources, last, surroundings, pace).outcome()


def failed_tenants(problems: Iterable[Problem]) -> frozenset[str]:
    """The tenants that these problems hold back."""
    return frozenset(
        problem.tenant for problem in problems if problem.severity == "error" and problem.tenant is not None
    )


class _Adoption:
    """One of them."""

    def __init__(
        self,
        resources: Resources,
        last: Generation | None,
        surroundings: Surroundings,
        pace: Callable[[], None],
    ) -> None:
        self._resources = resources
        self._surroundings = surroundings
        self._pace = pace
        self._states = last.tenants if last is not None else {}
        self._held = last.granted if last is not None else NOTHING_GRANTED
        self._last = last
        self._running = last.compiled if last is not None else {}
        self._good = {name: state.good for name, state in self._states.items() if state.good is not None}
        self._written = by_tenant(resources, self._good, pace)
        self._still_written = StillWritten(resources, self._written)
        self._gateway, self._gateway_standing = usable_gateway(
            resources, last.gateway if last is not None else None
        )
        self._destinations = Destinations(
            surroundings.read_file,
            surroundings.prepare_tls,
            {key: place for state in self._states.values() for key, place in state.destinations.items()},
        )
        self._problems: dict[Problem, None] = dict.fromkeys(resources.problems)
        self._refused: set[str] = set()
        """Tenants whose newest files are not used."""
        self._used = dict(self._written)
        """What each tenant would run on."""
        self._compiled: dict[str, CompiledTenant] = {}

    def outcome(self) -> Generation:
        faulty = self._tell_own_faults()
        broken = tenants_in(self._resources.broken_files, self._good)
        refused = faulty | broken | failed_tenants(self._resources.problems)
        in_doubt = tuple(doubts(self._resources, self._written, self._good, refused))
        self._problems.update(dict.fromkeys(in_doubt))
        self._refuse(refused | failed_tenants(in_doubt))
        judgement = self._settle()
        self._tell(judgement)
        problems = _sorted(self._problems)
        states = self._standings(problems)
        snapshot = snapshot_of(
            self._compiled,
            self._gateway,
            judgement,
            withheld(self._refused, self._resources, self._written, self._good),
            _missing_documents(states.values()),
            self._last.snapshot if self._last is not None else None,
            self._running,
            self._pace,
        )
        return Generation(
            snapshot=snapshot,
            tenants=MappingProxyType(states),
            gateway=self._gateway,
            gateway_standing=self._gateway_standing,
            compiled=MappingProxyType(self._compiled),
            problems=problems,
            granted=judgement.granted,
            tls=self._tls(snapshot),
        )

    def _tls(self, snapshot: Snapshot) -> frozenset[TlsSettings]:
        """Of all connections to providers; as long as they are the same it is the same object."""
        tls = frozenset(place.tls for place in snapshot.destinations if place.tls is not None)
        return self._last.tls if self._last is not None and self._last.tls == tls else tls

    # -- who is refused ------------------------------------------------------------------------------

    def _tell_own_faults(self) -> set[str]:
        """Who has some."""
        faulty: set[str] = set()
        for name, written in self._written.items():
            of_these = faults_of_files if written is self._good.get(name) else own_faults
            faults = tuple(of_these(name, written, self._surroundings, self._destinations))
            if faults:
                self._problems.update(dict.fromkeys(faults))
                faulty.add(name)
            self._pace()
        return faulty

    def _refuse(self, names: Iterable[str]) -> None:
        """Let these tenants run on what they had, or on nothing."""
        for name in names:
            self._refused.add(name)
            self._used.pop(name, None)
            state = self._states.get(name)
            if state is not None and state.good is not None:
                self._used[name] = state.good
                self._destinations.pin(state.destinations)

    def _settle(self) -> Judgement:
        """Compile everybody, and refuse, until nobody is left to be refused.

        Each round takes back the new resources of at least one more tenant, so the rounds come to an end.
        """
        while True:
            context = self._context(self._used, self._refused)
            self._compile(context)
            failed = {
                name
                for name, tenant in self._compiled.items()
                if name not in self._refused and not tenant.is_whole
            }
            # Who offers something goes first: with what it goes on with, the others may find what they name.
            falling: Collection[str] = {name for name in failed if self._offers_something(name)} or failed
            told = [problem for name in falling for problem in self._compiled[name].problems]
            if not falling:
                withdrawn = frozenset(self._withdrawn())
                judgement = judge(self._compiled, self._running, self._held, withdrawn, self._pace)
                falling = judgement.newcomers - self._refused
                told = [problem for problem in judgement.problems if problem.tenant in falling]
            if not falling:
                return judgement
            self._problems.update(dict.fromkeys(told))
            self._refuse(falling)

    def _compile(self, context: Context) -> None:
        names = self._used.keys() - {self._surroundings.root_namespace}
        if context.exports.root:
            # Whoever has written nothing answers with these, and somebody has to be asked.
            names |= {DEFAULT_TENANT}
        for name in self._compiled.keys() - names:
            del self._compiled[name]
        for name in sorted(names):
            running = self._running.get(name)
            used = self._used.get(name, NOTHING_WRITTEN)
            before = self._compiled.get(name, running)
            self._compiled[name] = compile_tenant(
                name,
                used,
                before if before is not None and before.resources is used else running,
                running.owners if running is not None else {},
                context,
                lenient=name in self._refused,
            )
            self._pace()

    def _offers_something(self, name: str) -> bool:
        both = (self._written.get(name, NOTHING_WRITTEN), self._good.get(name, NOTHING_WRITTEN))
        return any(provider.export_to for each in both for provider in each.providers)

    def _withdrawn(self) -> Iterator[tuple[str, Claim]]:
        for name in self._refused & self._good.keys():
            for claim in self._still_written.withdrawn(name, self._good[name]):
                yield name, claim

    # -- what they are compiled in ---------------------------------------------------------------------

    def _context(self, used: Mapping[str, TenantResources], unused: Iterable[str]) -> Context:
        not_used = {name: self._written[name] for name in unused if name in self._written}
        broken: dict[str, tuple[BrokenProvider, ...]] = {}
        for provider in self._resources.broken_providers:
            host = provider.host or ""
            broken[host] = (*broken.get(host, ()), provider)
        return Context(
            surroundings=self._surroundings,
            upstream_timeouts=self._gateway.upstream_timeouts if self._gateway is not None else {},
            destinations=self._destinations,
            exports=exports_of(used, self._surroundings, self._audience),
            refused=exports_of(not_used, self._surroundings, self._audience),
            broken=broken,
        )

    def _audience(self, provider: LLMProvider) -> frozenset[str] | None:
        """Who else may name a provider; None where nobody may, not even of the root namespace's."""
        good = self._good.get(provider.tenant, NOTHING_WRITTEN)
        if provider.tenant in self._refused and any(provider is each for each in good.providers):
            return self._still_written.audience(provider)
        return frozenset(provider.export_to)

    # -- what came of it ---------------------------------------------------------------------------

    def _tell(self, judgement: Judgement) -> None:
        """Tell what is left: warnings, claims that nobody holds, and what else is wrong with who is refused."""
        for name, tenant in self._compiled.items():
            if name not in self._refused:
                self._problems.update(dict.fromkeys(tenant.problems))
        open_to_all = catch_all(self._compiled, judgement.granted)
        of_several = (*judgement.problems, *([open_to_all] if open_to_all is not None else []))
        current = (problem for problem in of_several if problem.tenant not in self._refused)
        self._problems.update(dict.fromkeys(current))
        if not self._refused:
            return
        everything = self._context({**self._used, **self._written}, ())
        for name in sorted(self._refused & self._written.keys() - {self._surroundings.root_namespace}):
            would_be = compile_tenant(name, self._written[name], None, {}, everything, lenient=False)
            errors = (problem for problem in would_be.problems if problem.severity == "error")
            self._problems.update(dict.fromkeys(errors))

    def _standings(self, problems: Iterable[Problem]) -> dict[str, TenantState]:
        of_tenant: dict[str, list[Problem]] = {}
        for problem in problems:
            if problem.tenant is not None:
                of_tenant.setdefault(problem.tenant, []).append(problem)
        states: dict[str, TenantState] = {}
        for name in sorted({*self._used, *self._refused}):
            state = self._state(name, tuple(of_tenant.get(name, ())))
            last = self._states.get(name)
            states[name] = last if last is not None and last.is_like(state) else state
            self._pace()
        return states

    def _state(self, name: str, problems: tuple[Problem, ...]) -> TenantState:
        good = self._used.get(name)
        if good is None:
            newest = self._written.get(name, NOTHING_WRITTEN)
            return TenantState(name, "missing", problems, document=newest.document)
        compiled = self._compiled.get(name)
        refused = name in self._refused
        return TenantState(
            name,
            "last_good" if refused else "current",
            problems,
            digest=self._digest(good, compiled),
            good=good,
            compiled=compiled,
            document=good.document,
            destinations=self._states[name].destinations
            if refused
            else MappingProxyType(dict(self._destinations.of_all(good.providers, self._surroundings.loads))),
        )

    def _digest(self, good: TenantResources, compiled: CompiledTenant | None) -> str:
        """Of a tenant's files and of those of the tenants whose providers it uses."""
        owners = set(compiled.owners.values()) if compiled is not None else set()
        digest = sha256(good.digest.encode())
        for owner in sorted(owners):
            digest.update(self._used[owner].digest.encode())
        return digest.hexdigest()


def _missing_documents(states: Iterable[TenantState]) -> tuple[Tenant, ...]:
    """What says who the clients are of tenants that have nothing to run on."""
    return tuple(
        state.document for state in states if state.standing == "missing" and state.document is not None
    )


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.position, problem.path)))
