"""Files to resources, file by file; what no file can tell alone is judged here.

Of files that have not changed the readings of last time are taken, with the very same resources in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from attrs import field, frozen

from gateway.resources.documents import DOCUMENTS
from gateway.resources.expansion import Expansion, secret_file
from gateway.resources.file_reading import DEFAULT_TENANT, BrokenProvider, FileReading, read_file
from gateway.resources.gateway import GatewayDocument
from gateway.resources.problems import Position, Problem
from gateway.resources.provider import LLMProvider
from gateway.resources.route import LLMRoute
from gateway.resources.sources import SourceFile
from gateway.resources.tenant import Tenant

NO_READINGS: Mapping[str, FileReading] = MappingProxyType({})


def at_full_speed() -> None:
    """A `pace` for work that nobody waits beside."""


@frozen
class Resources:
    """Everything that was written, as far as it is valid: a document with an error is left out."""

    readings: Mapping[str, FileReading] = field(default=NO_READINGS, repr=False)
    """By path.  A file beyond the limit of documents has none."""
    providers: tuple[LLMProvider, ...] = ()
    routes: tuple[LLMRoute, ...] = ()
    tenant_documents: tuple[Tenant, ...] = ()
    gateway: GatewayDocument | None = None
    problems: tuple[Problem, ...] = ()
    """Errors and warnings, by file, line and column."""
    tenants: frozenset[str] = frozenset()
    """Every tenant that a document belongs to, be it valid or not; the root namespace is none."""
    secret_files: frozenset[str] = field(default=frozenset(), repr=False)
    """Absolute paths that `${file:}` names: a change of one is a change of the configuration."""
    broken_files: frozenset[str] = frozenset()
    """Files in which there may be documents of tenants that nobody could tell."""
    broken_providers: tuple[BrokenProvider, ...] = ()
    """Those that are left out for their errors: a route that names one is not to blame for it."""


def read(
    files: Sequence[SourceFile],
    *,
    environment: Mapping[str, str],
    read_file: Callable[[str], bytes],
    root_namespace: str = "istio-system",
    known: Mapping[str, FileReading] = NO_READINGS,
    pace: Callable[[], None] = at_full_speed,
) -> Resources:
    """Read all files; whatever is in them, the outcome is a value and never an exception.

    :param read_file: the content of a file by absolute path, for `${file:}`; raises OSError.
    :param root_namespace: the namespace whose providers are visible to all tenants.
    :param known: the readings of last time, with the same environment and root namespace.
    :param pace: called now and then; it may wait.
    """
    expansion = Expansion(environment, read_file)
    readings: dict[str, FileReading] = {}
    too_many: list[SourceFile] = []
    documents = 0
    for source in sorted(files, key=lambda source: source.path):
        reading = _reading(source, known.get(source.path), expansion, root_namespace, pace)
        documents += reading.documents
        if documents > DOCUMENTS and reading.documents:
            too_many.append(source)
        else:
            readings[source.path] = reading
        pace()
    return _gathered(readings, too_many)


def _reading(
    source: SourceFile,
    known: FileReading | None,
    expansion: Expansion,
    root_namespace: str,
    pace: Callable[[], None],
) -> FileReading:
    if known is not None and known.source == source and expansion.agrees(known.references):
        return known
    return read_file(source, expansion, root_namespace, pace)


def _gathered(readings: Mapping[str, FileReading], too_many: Sequence[SourceFile]) -> Resources:
    each = readings.values()
    problems = [problem for reading in each for problem in reading.problems]
    gateways = [gateway for reading in each for gateway in reading.gateways]
    for gateway in gateways[1:]:
        message = f"there is only one Gateway document; the first is at {gateways[0].place}"
        problems.append(Problem(gateway.kind, "kind", message))
    tenants = {tenant for reading in each for tenant in reading.tenants}
    for source in too_many:
        tenants.add(source.folder or DEFAULT_TENANT)
        message = f"more than {DOCUMENTS:,} documents in all files; from here on nothing is read"
        place = Position(source.path, 1, 1)
        problems.append(Problem(place, "", message, tenant=source.folder or DEFAULT_TENANT))
    broken = {path for path, reading in readings.items() if reading.is_broken}
    return Resources(
        readings=readings,
        providers=tuple(provider for reading in each for provider in reading.providers),
        routes=tuple(route for reading in each for route in reading.routes),
        tenant_documents=tuple(tenant for reading in each for tenant in reading.tenant_documents),
        gateway=gateways[0].document if gateways else None,
        problems=tuple(sorted(problems, key=lambda problem: (problem.position, problem.path))),
        tenants=frozenset(tenants),
        secret_files=frozenset(
            path for reading in each for name in reading.references if (path := secret_file(name))
        ),
        broken_files=frozenset(broken | {source.path for source in too_many}),
        broken_providers=tuple(provider for reading in each for provider in reading.broken_providers),
    )
