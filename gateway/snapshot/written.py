"""What a compilation is made from: what tenants have written, and the gateway around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from hashlib import sha256

from attrs import field, frozen

from gateway.messages import TlsSettings
from gateway.resources.file_reading import FileReading
from gateway.resources.provider import LLMProvider
from gateway.resources.reading import Resources
from gateway.resources.route import LLMRoute
from gateway.resources.tenant import Tenant


@frozen(eq=False)
class TenantResources:
    """What one tenant has written.  As long as its files stay the same it is the same object."""

    providers: tuple[LLMProvider, ...] = ()
    routes: tuple[LLMRoute, ...] = ()
    documents: tuple[Tenant, ...] = ()
    """Its Tenant document; two are a problem."""
    digest: str = ""
    """SHA-256 of the files that it stands in, in hexadecimal."""
    named_hosts: frozenset[str] = field(init=False)
    """Of the providers that its rules name."""

    @named_hosts.default
    def _named_hosts(self) -> frozenset[str]:
        rules = (rule for route in self.routes for rule in route.rules)
        return frozenset(reference.provider_host for rule in rules for reference in rule.every_backend_ref)

    def all(self) -> tuple[LLMProvider | LLMRoute | Tenant, ...]:
        """Every resource, whatever its kind."""
        return (*self.providers, *self.routes, *self.documents)

    def answering(self) -> tuple[LLMProvider | LLMRoute, ...]:
        """Those that have a host on which somebody may ask."""
        return (*self.providers, *self.routes)

    @property
    def document(self) -> Tenant | None:
        """Its Tenant document, or None without one."""
        return self.documents[0] if self.documents else None

    @property
    def is_identified(self) -> bool:
        """Only clients that it knows reach it."""
        return self.document is not None and self.document.clients is not None

    def is_like(self, other: TenantResources) -> bool:
        """Tell whether the very same was read from files of the same contents."""
        return self.digest == other.digest and all(
            len(mine) == len(theirs) and all(one is two for one, two in zip(mine, theirs, strict=True))
            for mine, theirs in (
                (self.providers, other.providers),
                (self.routes, other.routes),
                (self.documents, other.documents),
            )
        )


NOTHING_WRITTEN = TenantResources()


@frozen
class Surroundings:
    """What a compilation needs to know of the gateway around it.  The same in every generation of one process."""

    labels: Mapping[str, str]
    """`--label`: providers with a workloadSelector are loaded only where it fits."""
    root_namespace: str
    """Its providers are visible to all tenants, and it is none itself."""
    read_file: Callable[[str], bytes]
    """Gives a certificate file's content, the same for the whole of one load; raises OSError."""
    prepare_tls: Callable[[TlsSettings], None]
    """Builds the TLS context of a destination ahead of use; raises ValueError with an operator's sentence."""

    def loads(self, provider: LLMProvider) -> bool:
        """Tell whether a provider is for this gateway."""
        return all(self.labels.get(key) == value for key, value in provider.workload_labels.items())


def by_tenant(
    resources: Resources, good: Mapping[str, TenantResources], pace: Callable[[], None]
) -> dict[str, TenantResources]:
    """What was written, tenant by tenant; the root namespace, which is none, has its providers here too.

    :param good: what they had before; whoever has the same now has the same object.
    :param pace: called after each file and each tenant; it may wait.
    """
    gathered: defaultdict[str, _Gathered] = defaultdict(_Gathered)
    for name in resources.tenants:
        gathered[name] = _Gathered()
    for reading in resources.readings.values():
        for provider in reading.providers:
            gathered[provider.tenant].of(reading).providers.append(provider)
        for route in reading.routes:
            gathered[route.tenant].of(reading).routes.append(route)
        for document in reading.tenant_documents:
            gathered[document.name].of(reading).documents.append(document)
        pace()
    written: dict[str, TenantResources] = {}
    for name in sorted(gathered):
        tenant = gathered[name].together()
        before = good.get(name)
        written[name] = before if before is not None and before.is_like(tenant) else tenant
        pace()
    return written


class _Gathered:
    """What has been found of one tenant so far."""

    def __init__(self) -> None:
        self.providers: list[LLMProvider] = []
        self.routes: list[LLMRoute] = []
        self.documents: list[Tenant] = []
        self._digests: dict[str, str] = {}

    def of(self, reading: FileReading) -> _Gathered:
        """Itself; some of it stands in this file."""
        self._digests[reading.source.path] = reading.digest
        return self

    def together(self) -> TenantResources:
        digests = "".join(f"{path} {digest}\n" for path, digest in self._digests.items())
        return TenantResources(
            tuple(self.providers),
            tuple(self.routes),
            tuple(self.documents),
            sha256(digests.encode()).hexdigest() if digests else "",
        )
