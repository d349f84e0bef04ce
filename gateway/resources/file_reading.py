"""One file to resources: which kind each document is, whose it is, and everything that is wrong with it.

A reading depends on nothing but the file and on what its `${…}` stood for, so it is kept while they stay the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256

from attrs import field, frozen

from gateway.resources import syntax
from gateway.resources.declared_tenants import declared_tenants
from gateway.resources.decoding import Decoder
from gateway.resources.document_kind import kind_of, node_at, seems_a_tenant, written
from gateway.resources.documents import Document, read_documents
from gateway.resources.expansion import Expansion
from gateway.resources.gateway import GatewayDocument, gateway_of
from gateway.resources.kinds import GATEWAY, PROVIDER, TENANT, Kind
from gateway.resources.nodes import Mapped, Refused, Scalar, Sequence
from gateway.resources.problems import Position, Problem, Report, Severity, printable
from gateway.resources.provider import LLMProvider, provider_of
from gateway.resources.route import LLMRoute, route_of
from gateway.resources.shapes import Values
from gateway.resources.sources import Mistake, SourceFile
from gateway.resources.tenant import Tenant, tenant_of

DEFAULT_TENANT = "default"
"""Whose the documents in conf.d itself are, where they do not say."""


@frozen
class BrokenProvider:
    """What can still be told of an LLMProvider that is left out for its errors."""

    tenant: str
    name: str | None
    host: str | None
    export_to: frozenset[str]
    """The words that stand there."""


@frozen
class WrittenGateway:
    """A Gateway document, valid or not: there may be only one."""

    place: Position
    kind: Position
    """Where it says what it is."""
    document: GatewayDocument | None
    """None where it has an error."""


@frozen(eq=False)
class FileReading:
    """What one file says, as far as it is valid: a document with an error is left out."""

    source: SourceFile
    digest: str
    """SHA-256 of its content, in hexadecimal."""
    documents: int
    """How many it has."""
    providers: tuple[LLMProvider, ...]
    routes: tuple[LLMRoute, ...]
    tenant_documents: tuple[Tenant, ...]
    gateways: tuple[WrittenGateway, ...]
    problems: tuple[Problem, ...]
    tenants: frozenset[str]
    """Whose documents it has, valid or not."""
    is_broken: bool
    """There may be documents in it of tenants that nobody could tell."""
    broken_providers: tuple[BrokenProvider, ...]
    references: Mapping[str, str]
    """What `${…}` named, and the digest of what it stood for, or why it stood for nothing."""
    owners: frozenset[str] = field(init=False)
    """Whose resources it has: tenants, and the root namespace."""

    @owners.default
    def _owners(self) -> frozenset[str]:
        owners = {provider.tenant for provider in self.providers}
        owners |= {route.tenant for route in self.routes}
        return frozenset(owners | {document.name for document in self.tenant_documents})


def read_file(
    source: SourceFile, expansion: Expansion, root_namespace: str, pace: Callable[[], None]
) -> FileReading:
    """Read one file; whatever is in it, the outcome is a value and never an exception.

    :param pace: called after each document.
    """
    reading = _Reading(source, expansion, root_namespace)
    reading.read(pace)
    return reading.outcome()


class _Reading:
    """One reading of one file."""

    def __init__(self, source: SourceFile, expansion: Expansion, root_namespace: str) -> None:
        self._source = source
        self._expansion = expansion
        self._root_namespace = root_namespace
        self._report = Report()
        self._documents = 0
        self._providers: list[LLMProvider] = []
        self._routes: list[LLMRoute] = []
        self._tenant_documents: list[Tenant] = []
        self._gateways: list[WrittenGateway] = []
        self._tenants: set[str] = set()
        self._is_broken = False
        self._broken_providers: list[BrokenProvider] = []

    def outcome(self) -> FileReading:
        return FileReading(
            source=self._source,
            digest=sha256(self._source.content).hexdigest(),
            documents=self._documents,
            providers=tuple(self._providers),
            routes=tuple(self._routes),
            tenant_documents=tuple(self._tenant_documents),
            gateways=tuple(self._gateways),
            problems=self._report.sorted(),
            tenants=frozenset(self._tenants - {self._root_namespace}),
            is_broken=self._is_broken,
            broken_providers=tuple(self._broken_providers),
            references=self._expansion.take_references(),
        )

    def read(self, pace: Callable[[], None]) -> None:
        source = self._source
        self._expansion.take_references()
        if source.folder and not re.fullmatch(syntax.TENANT.pattern, source.folder):
            message = f'the folder "{printable(source.folder)}" is not {syntax.TENANT.meaning}'
            self._break_file(Mistake(Position(source.path, 1, 1), message))
            return
        contents = read_documents(source)
        self._documents = len(contents.documents)
        for mistake in contents.mistakes:
            self._break_file(mistake)
        for document in contents.documents:
            self._read_document(document)
            pace()
        if self._is_broken and not source.folder:
            self._close_tenants()

    def _break_file(self, mistake: Mistake) -> None:
        """Report what hides a document of nobody knows whom: it counts against the folder's tenant."""
        tenant = self._source.folder or DEFAULT_TENANT
        self._is_broken = True
        self._tenants.add(tenant)
        self._report.add(Problem(mistake.position, "", mistake.message, "error", tenant))

    def _close_tenants(self) -> None:
        """Count what cannot be read against the tenants whose clients it may have named.

        Without its Tenant document a tenant would be open to anybody.
        """
        for name in sorted(declared_tenants(self._source) - self._tenants - {self._root_namespace}):
            self._tenants.add(name)
            message = f"holds what seems to be the Tenant document of {name}, and cannot be read"
            self._report.add(Problem(Position(self._source.path, 1, 1), "", message, "error", name))

    def _read_document(self, document: Document) -> None:
        source = self._source
        if not isinstance(document.root, Mapped):
            for mistake in document.mistakes:
                self._break_file(mistake)
            if not isinstance(document.root, Refused):
                message = "a document must be a mapping with apiVersion, kind, metadata and spec"
                self._break_file(Mistake(document.root.position, message))
            return
        namespace = written(document, "metadata", "namespace")
        if namespace is not None and not re.fullmatch(syntax.TENANT.pattern, namespace):
            namespace = None  # the decoder says so; whose it was meant to be is not known
            self._is_broken = True
        if document.mistakes:
            self._is_broken = True
        tenant = source.folder or namespace or self._named_after_its_tenant(document) or DEFAULT_TENANT

        def complain(path: str, message: str, severity: Severity = "error") -> None:
            if severity == "error":
                self._tenants.add(tenant)
            self._report.add(Problem(document.places.at(path), path, message, severity, tenant))

        kind = kind_of(document, complain)
        owner = None if kind is GATEWAY and not source.folder else tenant
        if owner is not None and (kind is not None or document.mistakes):
            self._tenants.add(owner)
        for mistake in document.mistakes:
            self._report.add(Problem(mistake.position, "", mistake.message, "error", owner))
        if kind is None:
            return
        self._expansion.take_given()  # a document that was refused may have left some
        decoder = Decoder(document.places, self._expansion, self._report, owner, len(document.mistakes))
        if kind is GATEWAY:
            self._judge_gateway(namespace, decoder)
        else:
            self._judge_tenant(namespace, kind, decoder)
            if kind is TENANT:
                self._judge_tenant_document(source.folder or namespace, document, decoder)
        values: Values | None = decoder.decode(kind.document, document.root, "")
        if decoder.failures:
            values = None
        if kind is GATEWAY:
            if not source.folder:
                read = gateway_of(values["spec"], document.places) if values is not None else None
                places = document.places
                self._gateways.append(WrittenGateway(places.at(""), places.at("kind"), read))
        elif values is not None:
            self._keep(kind, tenant, values, document)
        elif kind is PROVIDER:
            self._broken_providers.append(_broken_provider(tenant, document))

    def _judge_gateway(self, namespace: str | None, decoder: Decoder) -> None:
        if self._source.folder:
            decoder.complain("kind", "a Gateway document is about the whole: it belongs in conf.d itself")
        elif namespace not in {None, self._root_namespace}:
            message = "a Gateway document belongs to no tenant: leave the namespace out"
            decoder.complain("metadata.namespace", message)

    def _judge_tenant(self, namespace: str | None, kind: Kind, decoder: Decoder) -> None:
        folder = self._source.folder
        if folder and namespace and folder != namespace:
            message = f'is "{printable(namespace)}" in the folder of tenant "{folder}": the two must agree'
            decoder.complain("metadata.namespace", message)
        elif (folder or namespace) == self._root_namespace and kind is not PROVIDER:
            message = f"{self._root_namespace} is no tenant, so this {kind.name} would belong to nobody"
            decoder.complain("metadata.namespace", f"{message}: name the tenant that it is for")

    def _named_after_its_tenant(self, document: Document) -> str | None:
        """The tenant that a Tenant document declares, where neither folder nor namespace says whose it is."""
        name = written(document, "metadata", "name")
        if name is None or not seems_a_tenant(document):
            return None
        if not re.fullmatch(syntax.TENANT.pattern, name):
            self._is_broken = True  # the decoder says so; whose it was meant to be is not known
            return None
        return name

    def _judge_tenant_document(self, tenant: str | None, document: Document, decoder: Decoder) -> None:
        name = written(document, "metadata", "name")
        if name is None:
            return
        if name == self._root_namespace:
            decoder.complain("metadata.name", f"{name} is no tenant: its providers are visible to all")
        elif tenant is not None and name != tenant:
            message = (
                f'is "{printable(name)}" among the documents of tenant "{tenant}": a Tenant has its own name'
            )
            decoder.complain("metadata.name", message)
            if not self._source.folder and re.fullmatch(syntax.TENANT.pattern, name):
                self._doubt_namespace(name, tenant, document)

    def _doubt_namespace(self, name: str, namespace: str, document: Document) -> None:
        """Count a Tenant document of one tenant's name and another's namespace against the first, too.

        It may be meant for either.  Of a file in another tenant's folder that is not believed.
        """
        self._tenants.add(name)
        path = "metadata.namespace"
        message = f'is "{printable(namespace)}" in what seems to be the Tenant document of {name}'
        self._report.add(Problem(document.places.at(path), path, message, "error", name))

    def _keep(self, kind: Kind, tenant: str, values: Values, document: Document) -> None:
        name: str = values["metadata"]["name"]
        if kind is TENANT:
            self._tenant_documents.append(tenant_of(name, values["spec"], document.places))
            return
        given = self._expansion.take_given()
        if kind is PROVIDER:
            self._providers.append(provider_of(name, tenant, values["spec"], document.places, given))
        else:
            self._routes.append(route_of(name, tenant, values["spec"], document.places, given))


def _broken_provider(tenant: str, document: Document) -> BrokenProvider:
    host = written(document, "spec", "host")
    exported = node_at(document, "spec", "exportTo")
    words = exported.items if isinstance(exported, Sequence) else ()
    return BrokenProvider(
        tenant=tenant,
        name=written(document, "metadata", "name"),
        host=host.lower().removesuffix(".") if host else None,
        export_to=frozenset(word.text for word in words if isinstance(word, Scalar)),
    )
