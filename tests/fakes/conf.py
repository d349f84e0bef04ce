"""A conf.d in memory: documents, and what the gateway makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from textwrap import dedent, indent
from typing import NoReturn

from gateway.messages import TlsSettings
from gateway.resources import Resources, SourceFile, read
from gateway.resources.file_reading import FileReading
from gateway.resources.reading import NO_READINGS
from gateway.snapshot.adopting import adopt
from gateway.snapshot.backends import Backend
from gateway.snapshot.generations import Generation
from gateway.snapshot.snapshot import Snapshot
from gateway.snapshot.tables import RouteTable
from gateway.snapshot.written import Surroundings

ROOT = "istio-system"
NOTHING: Mapping[str, str] = {}
KEYED = "configs: {defaultConfig: {openAIConfig: {model: plain, apiKey: sk-of-the-provider}}}"


def provider(name: str, spec: str = KEYED, *, namespace: str = "", host: str = "") -> str:
    """An LLMProvider.

    :param host: `<name>.example` unless given.
    """
    return _document("LLMProvider", name, namespace, f"host: {host or name + '.example'}\n{dedent(spec)}")


def route(name: str, spec: str, *, namespace: str = "", host: str = "") -> str:
    """An LLMRoute.

    :param host: the name unless given.
    """
    return _document("LLMRoute", name, namespace, f'host: "{host or name}"\n{dedent(spec)}')


def route_to(provider_name: str, name: str = "demo", *, namespace: str = "", host: str = "") -> str:
    """An LLMRoute that sends everything to one provider."""
    spec = f"rules: [{{name: all, backendRefs: [{{providerHost: {provider_name}.example}}]}}]"
    return route(name, spec, namespace=namespace, host=host)


def tenant(name: str, spec: str) -> str:
    """A Tenant."""
    return _document("Tenant", name, "", dedent(spec))


def key_hash(key: str) -> str:
    """What stands for a key in a Tenant: `sha256:…`."""
    return f"sha256:{sha256(key.encode()).hexdigest()}"


def gateway(spec: str) -> str:
    """The Gateway document."""
    return _document("Gateway", "gateway", "", dedent(spec))


def _document(kind: str, name: str, namespace: str, spec: str) -> str:
    owner = f", namespace: {namespace}" if namespace else ""
    head = f"---\napiVersion: llmgateway.dev/v1\nkind: {kind}\nmetadata: {{name: {name}{owner}}}\nspec:\n"
    return head + indent(spec.strip("\n"), "  ") + "\n"


def no_such_file(path: str) -> NoReturn:
    """A `read_file` of a machine without files."""
    raise FileNotFoundError(2, "No such file or directory", path)


def any_tls(settings: TlsSettings) -> None:
    """A `prepare_tls` that can use all settings."""


def read_conf(
    files: Mapping[str, str],
    *,
    environment: Mapping[str, str] = NOTHING,
    read_file: Callable[[str], bytes] = no_such_file,
) -> Resources:
    """Read files as the watcher does.

    :param files: path below conf.d -> text; a path with a slash is in a tenant's folder.
    """
    return read(_sources(files), environment=environment, read_file=read_file, root_namespace=ROOT)


def _sources(files: Mapping[str, str]) -> list[SourceFile]:
    return [
        SourceFile(f"conf.d/{path}", path.rpartition("/")[0], text.encode()) for path, text in files.items()
    ]


def adopt_conf(
    files: Mapping[str, str] | str,
    last: Generation | None = None,
    *,
    labels: Mapping[str, str] = NOTHING,
    environment: Mapping[str, str] = NOTHING,
    read_file: Callable[[str], bytes] = no_such_file,
    prepare_tls: Callable[[TlsSettings], None] = any_tls,
) -> Generation:
    """The generation that these files make; a text alone is `conf.d/conf.yaml`."""
    if isinstance(files, str):
        files = {"conf.yaml": files}
    resources = read_conf(files, environment=environment, read_file=read_file)
    return adopt(resources, last, Surroundings(labels, ROOT, read_file, prepare_tls))


class ChangingConf:
    """A conf.d that is read again and again, as the watcher does it: of unchanged files the last reading is taken."""

    def __init__(
        self,
        *,
        read_file: Callable[[str], bytes] = no_such_file,
        prepare_tls: Callable[[TlsSettings], None] = any_tls,
    ) -> None:
        self._surroundings = Surroundings(NOTHING, ROOT, read_file, prepare_tls)
        self._readings: Mapping[str, FileReading] = NO_READINGS
        self._last: Generation | None = None

    def adopt(self, files: Mapping[str, str]) -> Generation:
        """The next generation, which these files make."""
        resources = read(
            _sources(files),
            environment=NOTHING,
            read_file=self._surroundings.read_file,
            root_namespace=ROOT,
            known=self._readings,
        )
        self._readings = resources.readings
        self._last = adopt(resources, self._last, self._surroundings)
        return self._last


def snapshot_of(files: Mapping[str, str] | str, **options: object) -> Snapshot:
    """The snapshot that these files make; they have no problem."""
    generation = adopt_conf(files, **options)  # type: ignore[arg-type]
    assert told(generation) == []
    return generation.snapshot


def told(generation: Generation, severity: str = "") -> list[str]:
    """The problems, as an operator reads them; of one severity where that is given."""
    return [str(each) for each in generation.problems if severity in ("", each.severity)]


def route_table(snapshot: Snapshot, host: str, tenant: str = "default") -> RouteTable:
    """The tenant's route for this host."""
    found = snapshot.tenants[tenant].routes.find(host)
    assert found is not None
    return found


def backends(snapshot: Snapshot, host: str, rule: int = 0, tenant: str = "default") -> tuple[Backend, ...]:
    """The backends of one rule of the tenant's route for this host."""
    return route_table(snapshot, host, tenant).rules[rule].backends


def backend(snapshot: Snapshot, host: str, rule: int = 0, tenant: str = "default") -> Backend:
    """The only one of them."""
    (only,) = backends(snapshot, host, rule, tenant)
    return only
