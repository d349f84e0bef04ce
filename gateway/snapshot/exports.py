"""Which tenants see which providers of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import frozen

from gateway.resources.provider import LLMProvider
from gateway.snapshot.written import Surroundings, TenantResources

EVERYBODY = "*"


@frozen
class Offer:
    """A provider, and who else than its owner may name it."""

    provider: LLMProvider
    audience: frozenset[str]
    """Tenants, or `*`."""


@frozen
class Contested:
    """Several tenants offer a provider of one host to a tenant that has used neither: it cannot tell which is meant."""

    providers: tuple[LLMProvider, ...]


class Exports:
    """What is offered, by host.  Made once, then only read."""

    def __init__(self, root: Iterable[LLMProvider], offers: Iterable[Offer]) -> None:
        """Make the index.

        :param root: the providers of the root namespace, which every tenant sees.
        :param offers: those of tenants, in the order of their names.
        """
        self.root: Mapping[str, LLMProvider] = {provider.host: provider for provider in root}
        self._offers: dict[str, list[Offer]] = {}
        for offer in offers:
            self._offers.setdefault(offer.provider.host, []).append(offer)

    def find(self, host: str, importer: str, owner: str | None) -> LLMProvider | Contested | None:
        """The provider of this host that a tenant sees and that is not its own.

        A tenant's export comes before one of the root namespace.  Of several tenants' the one counts that the
        importer uses already, so that a newcomer takes over nobody's requests; else none does.

        :param owner: whose provider of this host the importer runs on now, if it does.
        """
        offered = [each.provider for each in self._offered(host, importer)]
        if len(offered) <= 1:
            return offered[0] if offered else self.root.get(host)
        kept = [provider for provider in offered if provider.tenant == owner]
        return kept[0] if kept else Contested(tuple(offered))

    def hosts(self, importer: str) -> Iterator[str]:
        """Every host that a tenant could name."""
        yield from self.root
        for host in self._offers:
            if any(self._offered(host, importer)):
                yield host

    def _offered(self, host: str, importer: str) -> Iterator[Offer]:
        for offer in self._offers.get(host, ()):
            if offer.provider.tenant != importer and {EVERYBODY, importer} & offer.audience:
                yield offer


def exports_of(
    tenants: Mapping[str, TenantResources],
    surroundings: Surroundings,
    audience_of: Callable[[LLMProvider], frozenset[str] | None],
) -> Exports:
    """What these tenants offer one another.

    :param audience_of: who else may name a provider; None where nobody may, not even of the root namespace's.
    """
    root = surroundings.root_namespace
    offers = [
        Offer(provider, audience)
        for name in sorted(tenants)
        for provider in tenants[name].providers
        if (provider.export_to or name == root)
        and surroundings.loads(provider)
        and (audience := audience_of(provider)) is not None
    ]
    return Exports(
        (offer.provider for offer in offers if offer.provider.tenant == root),
        (offer for offer in offers if offer.provider.tenant != root and offer.audience),
    )
