"""Files to resources: which kind a document is, whose it is, and everything that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen

from gateway.resources import syntax
from gateway.resources.decoding import Decoder
from gateway.resources.documents import DOCUMENTS, Document, read_documents
from gateway.resources.expansion import Expansion
from gateway.resources.gateway import GatewayDocument, gateway_of
from gateway.resources.kinds import GATEWAY, GROUPS, KINDS, NOT_BUILT_KINDS, PROVIDER, Kind
from gateway.resources.nodes import Mapped, Refused, Scalar
from gateway.resources.problems import Position, Problem, Report, Severity, printable, suggestion
from gateway.resources.provider import LLMProvider, provider_of
from gateway.resources.route import LLMRoute, route_of
from gateway.resources.shapes import Values
from gateway.resources.sources import Mistake, SourceFile

DEFAULT_TENANT = "default"
"""Whose the documents in conf.d itself are, where they do not say."""


@frozen
class Resources:
    """Everything that was written, as far as it is valid: a document with an error is left out."""

    providers: tuple[LLMProvider, ...]
    routes: tuple[LLMRoute, ...]
    gateway: GatewayDocument | None
    problems: tuple[Problem, ...]
    """Errors and warnings, by file, line and column."""
    tenants: frozenset[str]
    """Every tenant that a document belongs to, be it valid or not; the root namespace is none."""
    secret_files: frozenset[str] = field(repr=False)
    """Absolute paths that `${file:}` names: a change of one is a change of the configuration."""
    broken_files: frozenset[str]
    """Files in which there may be documents of tenants that nobody could tell."""
    unusable_hosts: frozenset[str]
    """Hosts of providers that are left out for their errors: a route that names one is not to blame for it."""


def read(
    files: Sequence[SourceFile],
    *,
    environment: Mapping[str, str],
    read_file: Callable[[str], bytes],
    root_namespace: str = "istio-system",
) -> Resources:
    """Read all files; whatever is in them, the outcome is a value and never an exception.

    :param read_file: the content of a file by absolute path, for `${file:}`; raises OSError.
    :param root_namespace: the namespace whose providers are visible to all tenants.
    """
    reading = _Reading(Expansion(environment, read_file), root_namespace)
    for source in sorted(files, key=lambda source: source.path):
        reading.read_file(source)
    return reading.outcome()


class _Reading:
    """One reading of all files."""

    def __init__(self, expansion: Expansion, root_namespace: str) -> None:
        self._expansion = expansion
        self._root_namespace = root_namespace
        self._report = Report()
        self._documents = 0
        self._providers: list[LLMProvider] = []
        self._routes: list[LLMRoute] = []
        self._gateway: GatewayDocument | None = None
        self._first_gateway: Position | None = None
        self._tenants: set[str] = set()
        self._broken_files: set[str] = set()
        self._unusable_hosts: set[str] = set()

    def outcome(self) -> Resources:
        return Resources(
            providers=tuple(self._providers),
            routes=tuple(self._routes),
            gateway=self._gateway,
            problems=self._report.sorted(),
            tenants=frozenset(self._tenants - {self._root_namespace}),
            secret_files=self._expansion.files,
            broken_files=frozenset(self._broken_files),
            unusable_hosts=frozenset(self._unusable_hosts),
        )

    def read_file(self, source: SourceFile) -> None:
        if source.folder and not re.fullmatch(syntax.TENANT.pattern, source.folder):
            message = f'the folder "{printable(source.folder)}" is not {syntax.TENANT.meaning}'
            self._break_file(source, Mistake(Position(source.path, 1, 1), message))
            return
        contents = read_documents(source, at_most=DOCUMENTS - self._documents)
        self._documents += len(contents.documents)
        for mistake in contents.mistakes:
            self._break_file(source, mistake)
        for document in contents.documents:
            self._read_document(source, document)

    def _break_file(self, source: SourceFile, mistake: Mistake) -> None:
        """Report what hides a document of nobody knows whom: it counts against the folder's tenant."""
        tenant = source.folder or DEFAULT_TENANT
        self._broken_files.add(source.path)
        self._tenants.add(tenant)
        self._report.add(Problem(mistake.position, "", mistake.message, "error", tenant))

    def _read_document(self, source: SourceFile, document: Document) -> None:
        if not isinstance(document.root, Mapped):
            for mistake in document.mistakes:
                self._break_file(source, mistake)
            if not isinstance(document.root, Refused):
                message = "a document must be a mapping with apiVersion, kind, metadata and spec"
                self._break_file(source, Mistake(document.root.position, message))
            return
        namespace = _written(document, "metadata", "namespace")
        if namespace is not None and not re.fullmatch(syntax.TENANT.pattern, namespace):
            namespace = None  # the decoder says so; whose it was meant to be is not known
            self._broken_files.add(source.path)
        if document.mistakes:
            self._broken_files.add(source.path)
        tenant = source.folder or namespace or DEFAULT_TENANT

        def complain(path: str, message: str, severity: Severity = "error") -> None:
            if severity == "error":
                self._tenants.add(tenant)
            self._report.add(Problem(document.places.at(path), path, message, severity, tenant))

        kind = _kind_of(document, complain)
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
            self._judge_gateway(source, namespace, decoder)
        else:
            self._judge_tenant(source, namespace, kind, decoder)
        values: Values | None = decoder.decode(kind.document, document.root, "")
        if values is not None and decoder.failures == 0:
            self._keep(kind, tenant, values, document)
        elif kind is PROVIDER and (host := _written(document, "spec", "host")):
            self._unusable_hosts.add(host.lower().removesuffix("."))

    def _judge_gateway(self, source: SourceFile, namespace: str | None, decoder: Decoder) -> None:
        if source.folder:
            decoder.complain("kind", "a Gateway document is about the whole: it belongs in conf.d itself")
            return
        if namespace not in {None, self._root_namespace}:
            decoder.complain(
                "metadata.namespace", "a Gateway document belongs to no tenant: leave the namespace out"
            )
        if self._first_gateway is not None:
            decoder.complain(
                "kind", f"there is only one Gateway document; the first is at {self._first_gateway}"
            )
        else:
            self._first_gateway = decoder.places.at("")

    def _judge_tenant(self, source: SourceFile, namespace: str | None, kind: Kind, decoder: Decoder) -> None:
        if source.folder and namespace and source.folder != namespace:
            message = (
                f'is "{printable(namespace)}" in the folder of tenant "{source.folder}": the two must agree'
            )
            decoder.complain("metadata.namespace", message)
        elif (source.folder or namespace) == self._root_namespace and kind is not PROVIDER:
            message = f"{self._root_namespace} is no tenant, so this {kind.name} would belong to nobody"
            decoder.complain("metadata.namespace", f"{message}: name the tenant that it is for")

    def _keep(self, kind: Kind, tenant: str, values: Values, document: Document) -> None:
        if kind is GATEWAY:
            self._gateway = gateway_of(values["spec"], document.places)
            return
        name: str = values["metadata"]["name"]
        if kind is PROVIDER:
            given = self._expansion.take_given()
            self._providers.append(provider_of(name, tenant, values["spec"], document.places, given))
        else:
            self._routes.append(route_of(name, tenant, values["spec"], document.places))


def _kind_of(document: Document, complain: Callable[..., None]) -> Kind | None:
    """The kind of a document, or None where it is not one of ours or does not say so; either is reported."""
    api_version = _written(document, "apiVersion")
    name = _written(document, "kind")
    for field_name, value in (("apiVersion", api_version), ("kind", name)):
        if not value and isinstance(document.root, Mapped) and document.root.whole:
            complain(field_name, "is missing: a document says what it is with apiVersion and kind")
    if not api_version or not name:
        return None
    group = api_version.rpartition("/")[0]
    shown = f"{printable(api_version)} {printable(name)}"
    kind = KINDS.get(name)
    if group not in GROUPS:
        near = suggestion(group, GROUPS) if group else f"; did you mean {GROUPS[0]}/v1?"
        if kind is None or kind is GATEWAY or not near:
            complain("kind", f"{shown} is not a resource of this gateway; the document is skipped", "warning")
        else:
            complain(
                "apiVersion", f'there is no {kind.name} in "{printable(api_version)}"{near}' if kind else ""
            )
    elif name in NOT_BUILT_KINDS:
        complain("kind", f"{name} is not built yet in this version")
    elif kind is None:
        hint = suggestion(name, KINDS)
        if group == GROUPS[0] and not hint:  # Alibaba's group has other kinds, which are not for us
            complain("kind", f"{shown} is not a resource of this gateway; the document is skipped", "warning")
        else:
            complain(
                "kind", f'there is no kind "{printable(name)}"{hint or "; there are " + ", ".join(KINDS)}'
            )
    elif api_version not in kind.api_versions:
        complain(
            "apiVersion",
            f'must be {" or ".join(kind.api_versions)} for {name}, not "{printable(api_version)}"',
        )
    else:
        return kind
    return None


def _written(document: Document, *names: str) -> str | None:
    """The text of the field below the root, or None where there is none."""
    node = document.root
    for name in names:
        if not isinstance(node, Mapped) or name not in node.entries:
            return None
        node = node.entries[name].value
    return node.text if isinstance(node, Scalar) and not node.is_null else None
