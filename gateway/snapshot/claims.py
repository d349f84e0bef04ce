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
    is_undisputed: bool = False
    """Everybody gets all that they claim, and so it was before: only who has changed gets anything else than then."""


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
    granted = _undisputed(tenants, running, held) if not withdrawn else None
    if granted is not None:
        return Judgement(granted, frozenset(), frozenset(), (), is_undisputed=True)
    return _judge_all(tenants, running, held, withdrawn, pace)


def changed_tenants(
    tenants: Mapping[str, CompiledTenant], running: Mapping[str, CompiledTenant]
) -> list[str]:
    """Who was compiled anew, has come or is gone."""
    return [name for name in {**running, **tenants} if tenants.get(name) is not running.get(name)]


def claims_made(tenant: CompiledTenant | None) -> list[Claim]:
    """What a tenant claims; nothing if there is none."""
    return [placed.claim for placed in tenant.claims] if tenant is not None else []


def _undisputed(
    tenants: Mapping[str, CompiledTenant], running: Mapping[str, CompiledTenant], held: Granted
) -> Granted | None:
    """Who gets what, told from who has changed; None where something was disputed or is."""
    if sum(len(tenant.claims) for tenant in running.values()) != len(held):
        return None
    changed = changed_tenants(tenants, running)
    gone = [claim for name in changed for claim in claims_made(running.get(name))]
    come = [(claim, name) for name in changed for claim in claims_made(tenants.get(name))]
    if len(gone) == len(come) and all(held.get(claim) == name for claim, name in come):
        return held
    granted = dict(held)
    for claim in gone:
        del granted[claim]
    for claim, name in come:
        if claim in granted:
            return None
        granted[claim] = name
    return MappingProxyType(granted)


def _judge_all(
    tenants: Mapping[str, CompiledTenant],
    running: Mapping[str, CompiledTenant],
    held: Granted,
    withdrawn: Collection[tuple[str, Claim]],
    pace: Callable[[], None],
) -> Judgement:
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
                name for name in names if name != holder and claim not in claims_made(running.get(name))
            )
        left_out.update((name, claim) for name in names if name != granted.get(claim))
        problems += _problems(claim, makers, granted.get(claim))
    return Judgement(
        granted=MappingProxyType(granted),
        left_out=frozenset(left_out),
        newcomers=frozenset(newcomers),
        problems=tuple(problems),
    )


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
