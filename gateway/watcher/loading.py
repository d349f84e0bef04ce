"""Files -> the next generation.  The watcher loads this way, and so do `llmgateway check` and `explain`."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from attrs import evolve, frozen

from gateway.messages import TlsSettings
from gateway.resources import read
from gateway.resources.sources import FILE_BYTES
from gateway.snapshot.adopting import Generation, adopt
from gateway.snapshot.compiling import failed_tenants
from gateway.snapshot.written import Surroundings
from gateway.watcher.folder import Contents, regular_content


class ReadFiles:
    """Reads secrets and certificates, and remembers which, so that a change of theirs is noticed."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        """Path -> digest of what it held; empty for a file that could not be read."""

    def read(self, path: str) -> bytes:
        """The content of this file.

        :raises OSError: where it cannot be read.
        """
        self.digests[path] = ""
        content = regular_content(Path(path))
        if len(content) > FILE_BYTES:
            raise OSError(errno.EFBIG, f"more than {FILE_BYTES:,} bytes")
        self.digests[path] = sha256(content).hexdigest()
        return content

    def changed(self) -> bool:
        """Tell whether any of the files reads differently now."""
        again = ReadFiles()
        for path in self.digests:
            try:
                again.read(path)
            except OSError:
                continue
        return again.digests != self.digests


@frozen
class LoadSettings:
    """What a load needs to know beside the files."""

    environment: Mapping[str, str]
    labels: Mapping[str, str]
    root_namespace: str
    prepare_tls: Callable[[TlsSettings], None]


@frozen
class Loaded:
    """What came of a load."""

    generation: Generation
    digest: str
    """Of the contents that were loaded."""
    read_files: ReadFiles
    """The files beside conf.d that it depends on."""


def load(contents: Contents, last: Generation | None, settings: LoadSettings) -> Loaded:
    """Make the next generation from the folder's contents.

    :param last: the generation that runs, or None at the first start.
    """
    read_files = ReadFiles()
    resources = read(
        contents.files,
        environment=settings.environment,
        read_file=read_files.read,
        root_namespace=settings.root_namespace,
    )
    resources = evolve(
        resources,
        problems=(*contents.problems, *resources.problems),
        tenants=resources.tenants | failed_tenants(contents.problems),
        broken_files=resources.broken_files | {problem.position.file for problem in contents.problems},
    )
    surroundings = Surroundings(
        labels=settings.labels,
        root_namespace=settings.root_namespace,
        read_file=read_files.read,
        prepare_tls=settings.prepare_tls,
    )
    return Loaded(
        generation=adopt(resources, last, surroundings), digest=contents.digest, read_files=read_files
    )
