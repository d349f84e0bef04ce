"""What several tenants claim and one alone can hold: a host of anonymous ones, a key, a certificate, a network.

The one that holds it keeps it, and newcomers are refused.  Where nobody holds it, nobody gets it: whoever came first
is not known any more, and to guess could show one tenant's requests to another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from attrs import frozen

from gateway.resources.problems import Problem
from gateway.snapshot.clients import Claim
from gateway.snapshot.compiled import CompiledTenant, PlacedClaim

Granted = Mapping[Claim, str]
"""Which tenant holds a claim."""

NOTHING_GRANTED: Granted = MappingProxyType({})


@frozen
class Judgement:
    """Who gets what."""

    granted: Granted
    left_out: frozenset[tuple[str, Claim]]
    """Tenants, and what they claim and do not get."""
    newcomers: frozenset[str]
    """Tenants that claim what another one holds, and did not do so before."""
    problems: tuple[Problem, ...]
    """Of both: an error at each place, which names the others."""


def judge(
    tenants: Mapping[str, CompiledTenant],
    running: Mapping[str, CompiledTenant],
    held: Granted,
    withdrawn: Collection[tuple[str, Claim]],
    pace: Callable[[], None],
) -> Judgement:
    """Judge the claims of all tenants.

    :param running: the tenants as they run now.
    :param held: what they hold.
    :param withdrawn: claims that do not count, because the newest files do not make them any more.
    :param pace: called after each tenant; it may wait.
    """
    claimants: dict[Claim, list[tuple[str, PlacedClaim]]] = {}
    for name, tenant in tenants.items():
        for placed in tenant.claims:
            if not withdrawn or (name, placed.claim) not in withdrawn:
                claimants.setdefault(placed.claim, []).append((name, placed))
        pace()
    granted: dict[Claim, str] = {}
    left_out: set[tuple[str, Claim]] = set(withdrawn)
    newcomers: set[str] = set()
    problems: list[Problem] = []
    for claim, makers in claimants.items():
        holder = held.get(claim)
        if len(makers) == 1:
            granted[claim] = makers[0][0]
            continue
        names = [name for name, _ in makers]
        if holder in names:
            granted[claim] = holder
            newcomers.update(
                name for name in names if name != holder and claim not in _claims(running.get(name))
            )
        left_out.update((name, claim) for name in names if name != granted.get(claim))
        problems += _problems(claim, makers, granted.get(claim))
    return Judgement(
        granted=MappingProxyType(granted),
        left_out=frozenset(left_out),
        newcomers=frozenset(newcomers),
        problems=tuple(problems),
    )


def _claims(tenant: CompiledTenant | None) -> set[Claim]:
    return {placed.claim for placed in tenant.claims} if tenant is not None else set()


def _problems(claim: Claim, makers: list[tuple[str, PlacedClaim]], holder: str | None) -> Iterator[Problem]:
    places = {name: placed.places.at(placed.path) for name, placed in makers}
    for name, placed in makers:
        if name == holder:
            continue
        others = ", ".join(f"{other} ({places[other]})" for other in places if other != name)
        match claim.kind:
            case "host":
                told_apart = "no client of theirs can be told apart"
                message = f"{claim.value} is answered for by tenant {others} too, and {told_apart}"
            case "key":
                message = f"this key is one of tenant {others} too: it can tell one tenant's client only"
            case kind:
                what = f"the {kind} {claim.value}"
                message = f"{what} is one of tenant {others} too: it can tell one tenant's client only"
        yield Problem(places[name], placed.path, message, tenant=name)
