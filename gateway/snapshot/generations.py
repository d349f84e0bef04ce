"""One state of the whole configuration: what runs, tenant by tenant, and what of the files did not get there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias

from attrs import frozen

from gateway.messages import Destination, TlsSettings
from gateway.resources.gateway import GatewayDocument
from gateway.resources.problems import Problem
from gateway.resources.tenant import Tenant
from gateway.snapshot.claims import NOTHING_GRANTED, Granted
from gateway.snapshot.compiled import CompiledTenant
from gateway.snapshot.destinations import NO_DESTINATIONS, DestinationKey
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.tables import TenantTable
from gateway.snapshot.written import TenantResources

Standing: TypeAlias = Literal["current", "last_good", "missing"]
"""`current`: a tenant runs on its files as they are.  `last_good`: its files cannot be used, and it runs on what
could last be used.  `missing`: its files cannot be used, and never could."""


@frozen(eq=False)
class TenantState:
    """How one tenant stands.  Where nothing about it has changed, the next generation holds the same object."""

    name: str
    standing: Standing
    problems: tuple[Problem, ...]
    """Of its newest files, errors and warnings, by file and line."""
    digest: str = ""
    """SHA-256 of the files that it runs on, and of those whose providers it uses, in hexadecimal; the same wherever
    the same files are read.  What came from the environment or a secret's file is not in it.  Empty where it is
    missing."""
    good: TenantResources | None = None
    """What it runs on, as written; None where it is missing."""
    compiled: CompiledTenant | None = None
    """What came of that; None where it is missing, and for the root namespace, which is no tenant but has files."""
    destinations: Mapping[DestinationKey, Destination] = NO_DESTINATIONS
    """Where its own providers are: a certificate's content is part of what is good."""
    document: Tenant | None = None
    """What says who its clients are, or that it has none to tell apart: of `good`, and where it is missing of its
    newest files.  None where nothing does."""

    @property
    def table(self) -> TenantTable | None:
        """What it runs on; None where `compiled` is."""
        return self.compiled.table if self.compiled is not None else None

    def is_like(self, other: TenantState) -> bool:
        """Tell whether nothing has changed."""
        return (
            (self.standing, self.digest) == (other.standing, other.digest)
            and self.good is other.good
            and self.compiled is other.compiled
            and self.problems == other.problems
            and self.destinations == other.destinations
            and self.document is other.document
        )


@frozen(eq=False, slots=False)
class Generation:
    """One state of the whole configuration."""

    snapshot: Snapshot
    tenants: Mapping[str, TenantState]
    """Every tenant that has files, by name, and the root namespace where it has some."""
    gateway: GatewayDocument | None
    """The Gateway document that it runs on."""
    gateway_standing: Standing = "current"
    """How that stands; it is current, too, where there is none."""
    problems: tuple[Problem, ...] = ()
    """Of all tenants, of the Gateway document and of files that are nobody's, by file and line; each once."""
    granted: Granted = NOTHING_GRANTED
    """Which tenant holds what only one can."""
    compiled: Mapping[str, CompiledTenant] = MappingProxyType({})
    """What the snapshot was made of: every tenant that is served, one that has no files and answers with what others
    have among them."""
    tls: frozenset[TlsSettings] = frozenset()
    """Of all connections to providers."""

    @cached_property
    def stale(self) -> frozenset[str]:
        """The tenants that run on what was last good."""
        return self._standing("last_good")

    @cached_property
    def missing(self) -> frozenset[str]:
        """The tenants that have nothing to run on."""
        return self._standing("missing")

    def _standing(self, standing: Standing) -> frozenset[str]:
        return frozenset(name for name, state in self.tenants.items() if state.standing == standing)
