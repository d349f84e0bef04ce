"""What comes of one tenant's resources."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from attrs import field, frozen

from gateway.messages import Destination, PoolLimits
from gateway.resources.problems import Places, Problem
from gateway.resources.provider import LLMProvider
from gateway.snapshot.clients import Claim
from gateway.snapshot.destinations import DestinationKey
from gateway.snapshot.exports import Contested
from gateway.snapshot.secrets import credentials_of
from gateway.snapshot.stable_names import BreakerName
from gateway.snapshot.tables import TenantTable
from gateway.snapshot.written import TenantResources


@frozen
class PlacedClaim:
    """A claim, and where it is made."""

    claim: Claim
    places: Places = field(repr=False)
    path: str


@frozen(eq=False)
class CompiledTenant:
    """What came of one tenant's resources.  It stays what it is as long as everything that it was made from does."""

    table: TenantTable
    problems: tuple[Problem, ...]
    """Warnings, and every reference that leads nowhere as an error; its backend is left out of the table."""
    claims: tuple[PlacedClaim, ...]
    breaker_names: frozenset[BreakerName]
    destinations: Mapping[DestinationKey, Destination] = field(repr=False)
    """Where the providers of its backends are."""
    pool_limits: Mapping[Destination, PoolLimits]
    """How much is sent to each of these places at once."""
    resources: TenantResources
    foreign: Mapping[str, LLMProvider | Contested | None]
    """Others' providers by the hosts that it names, as far as it has none of its own."""
    upstream_timeouts: Mapping[str, float]

    @cached_property
    def credentials(self) -> frozenset[bytes]:
        """The words by which its credentials are known in what others' clients say."""
        foreign = (each for each in self.foreign.values() if isinstance(each, LLMProvider))
        rules = (rule.headers for _, route in self.table.routes.items() for rule in route.rules)
        return credentials_of((*self.resources.providers, *foreign), rules)

    @property
    def is_whole(self) -> bool:
        """Every reference leads somewhere."""
        return all(problem.severity == "warning" for problem in self.problems)

    @property
    def owners(self) -> Mapping[str, str]:
        """Whose providers it uses, by host, as far as they are not its own."""
        return {host: each.tenant for host, each in self.foreign.items() if isinstance(each, LLMProvider)}
