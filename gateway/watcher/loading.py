"""Files -> the next generation.  The watcher loads this way, and so do `llmgateway check` and `explain`."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from gateway.messages import TlsSettings
from gateway.resources import read
from gateway.resources.file_reading import FileReading
from gateway.resources.reading import NO_READINGS, at_full_speed
from gateway.resources.sources import FILE_BYTES
from gateway.snapshot.adopting import adopt, failed_tenants
from gateway.snapshot.generations import Generation
from gateway.snapshot.written import Surroundings
from gateway.watcher.file_content import FileContent, read_content
from gateway.watcher.folder import Contents


class ReadFiles:
    """Reads secrets and certificates for one load, and remembers which, so that a change of theirs is noticed."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        """Path -> digest of what it held; empty for a file that could not be read."""
        self._read: dict[str, FileContent | OSError] = {}

    def read(self, path: str) -> bytes:
        """The content of this file; as long as the load lasts it is the same.

        :raises OSError: where it cannot be read.
        """
        if path not in self._read:
            self._read[path] = _content(path)
            self.digests[path] = _digest(self._read[path])
        found = self._read[path]
        if isinstance(found, OSError):
            raise OSError(found.errno, found.strerror)
        return found.content

    def forget_contents(self) -> None:
        """The load is over: only what tells whether they have changed is kept."""
        for path, found in self._read.items():
            if isinstance(found, FileContent):
                self._read[path] = evolve(found, content=b"")

    def changed(self, *, thoroughly: bool = True) -> bool:
        """Tell whether any of the files reads differently now.

        :param thoroughly: read what seems unchanged too.
        """
        return any(self._has_changed(path, thoroughly=thoroughly) for path in self.digests)

    def _has_changed(self, path: str, *, thoroughly: bool) -> bool:
        found = self._read[path]
        try:
            if not thoroughly and isinstance(found, FileContent) and not found.may_have_changed(path):
                return False
        except OSError:
            return True
        again = _content(path)
        if _digest(again) != self.digests[path]:
            return True
        self._read[path] = evolve(again, content=b"") if isinstance(again, FileContent) else again
        return False


def _content(path: str) -> FileContent | OSError:
    try:
        found = read_content(Path(path))
    except OSError as error:
        return OSError(error.errno, error.strerror)
    if len(found.content) > FILE_BYTES:
        return OSError(errno.EFBIG, f"more than {FILE_BYTES:,} bytes")
    return found


def _digest(found: FileContent | OSError) -> str:
    return "" if isinstance(found, OSError) else found.digest


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
    readings: Mapping[str, FileReading] = field(repr=False)
    """What each file of conf.d said, for the next load with the same settings."""


def load(
    contents: Contents,
    last: Generation | None,
    settings: LoadSettings,
    *,
    known: Mapping[str, FileReading] = NO_READINGS,
    pace: Callable[[], None] = at_full_speed,
) -> Loaded:
    """Make the next generation from the folder's contents.

    :param last: the generation that runs, or None at the first start.
    :param known: what came of the files last time; of those that have not changed it is taken again.
    :param pace: called now and then; it may wait, and what it raises ends the load.
    """
    read_files = ReadFiles()
    resources = read(
        contents.files,
        environment=settings.environment,
        read_file=read_files.read,
        root_namespace=settings.root_namespace,
        known=known,
        pace=pace,
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
    generation = adopt(resources, last, surroundings, pace)
    read_files.forget_contents()
    return Loaded(generation, contents.digest, read_files, resources.readings)
