"""Files to resources, file by file; what no file can tell alone is judged here.

Of files that have not changed the readings of last time are taken, with the very same resources in them.
"""

from __future__ import annotations

from collections import Counter
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
    """By path.  Of files beyond the limit of documents there are none."""
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
    """Files, and folders, in which there may be documents of tenants that nobody could tell."""
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
    for source in sorted(files, key=lambda source: source.path):
        readings[source.path] = _reading(source, known.get(source.path), expansion, root_namespace, pace)
        pace()
    too_many = [readings.pop(path) for path in _beyond_the_limit(readings)]
    return _gathered(readings, too_many)


def _beyond_the_limit(readings: Mapping[str, FileReading]) -> list[str]:
    """The files that are not used, because all together hold too many documents.

    Those of the folders that hold the most, as many folders as it takes: who has few must not suffer from who has many.
    """
    of_folder = Counter[str]()
    for reading in readings.values():
        of_folder[reading.source.folder] += reading.documents
    total = of_folder.total()
    left_out: set[str] = set()
    for folder, documents in of_folder.most_common():
        if total <= DOCUMENTS:
            break
        left_out.add(folder)
        total -= documents
    return [path for path, reading in readings.items() if left_out and reading.source.folder in left_out]


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


def _gathered(readings: Mapping[str, FileReading], too_many: Sequence[FileReading]) -> Resources:
    """All that these files say.

    :param too_many: what is left out because all files together hold too many documents.
    """
    each = readings.values()
    problems = [problem for reading in each for problem in reading.problems]
    gateways = [gateway for reading in each for gateway in reading.gateways]
    for gateway in gateways[1:]:
        message = f"there is only one Gateway document; the first is at {gateways[0].place}"
        problems.append(Problem(gateway.kind, "kind", message))
    tenants = {tenant for reading in each for tenant in reading.tenants}
    told: set[str] = set()
    for reading in too_many:
        owner = reading.source.folder or DEFAULT_TENANT
        for tenant in sorted({owner, *reading.tenants} - told):
            message = (
                f"all files together hold more than {DOCUMENTS:,} documents, and those of tenant {owner} the most:"
                " none of them is used"
            )
            problems.append(Problem(Position(reading.source.path, 1, 1), "", message, tenant=tenant))
            told.add(tenant)
    tenants |= told
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
        broken_files=frozenset(broken | {reading.source.path for reading in too_many}),
        broken_providers=tuple(provider for reading in each for provider in reading.broken_providers),
    )
