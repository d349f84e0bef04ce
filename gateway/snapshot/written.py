"""What a compilation is made from: what tenants have written, and the gateway around it."""

from __future__ import annotations

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
    readings: tuple[FileReading, ...] = field(default=(), repr=False)
    """What was read in these files, by path."""
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
    readings: dict[str, list[FileReading]] = {name: [] for name in resources.tenants}
    for reading in resources.readings.values():
        for owner in reading.owners:
            readings.setdefault(owner, []).append(reading)
        pace()
    written: dict[str, TenantResources] = {}
    for name in sorted(readings):
        own, before = tuple(readings[name]), good.get(name)
        written[name] = before if before is not None and before.readings == own else _together(name, own)
        pace()
    return written


def _together(tenant: str, readings: tuple[FileReading, ...]) -> TenantResources:
    digests = "".join(f"{reading.source.path} {reading.digest}\n" for reading in readings)
    return TenantResources(
        tuple(each for reading in readings for each in reading.providers if each.tenant == tenant),
        tuple(each for reading in readings for each in reading.routes if each.tenant == tenant),
        tuple(each for reading in readings for each in reading.tenant_documents if each.name == tenant),
        sha256(digests.encode()).hexdigest() if digests else "",
        readings,
    )
