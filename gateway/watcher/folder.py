"""What lies in conf.d, read whole: the files that count, their contents, and what could not be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from attrs import evolve, frozen

from gateway.resources import Position, Problem, SourceFile
from gateway.resources.file_reading import DEFAULT_TENANT
from gateway.resources.reading import at_full_speed
from gateway.watcher.file_content import FileContent, read_content

_ENDINGS = (".yaml", ".yml")

_READS = 3
"""How often a folder that changes while it is read is read again, before what was seen last is taken."""


Identity = tuple[int, int]
"""Device and inode: whether a folder is still the one that it was."""


@frozen
class Contents:
    """One state of the folder."""

    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    """Files that are there and cannot be read."""
    digest: str
    """Of names, contents and problems: equal digests need no work."""
    identity: Identity | None = None
    folders: frozenset[tuple[str, Identity | None]] = frozenset()
    """Those in it that could be listed, as tenants' can, by their names."""
    elsewhere: frozenset[str] = frozenset()
    """Paths outside of it that links in it lead to."""


@frozen
class _Remembered:
    """A file as it was read last."""

    source: SourceFile
    digest: str
    content: FileContent
    elsewhere: str | None
    """Where a link has led to."""


class Folder:
    """conf.d itself, by its path: it may be replaced by another folder of that name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._remembered: dict[Path, _Remembered] = {}

    def read(self, *, thoroughly: bool = True, pace: Callable[[], None] = at_full_speed) -> Contents:
        """Read every file that counts; of one that has not changed the very same `SourceFile` is given.

        Names that begin with a dot are skipped, so in a mounted ConfigMap only the links count, not the hidden
        folders that they lead to; if those are swapped meanwhile, everything is read again.

        :param thoroughly: read what seems unchanged too.
        :param pace: called after each file; it may wait.
        :raises OSError: where the folder itself cannot be listed.
        """
        for _ in range(_READS):
            before = self._swaps()
            contents = self._read_once(thoroughly, pace)
            if self._swaps() == before:
                break
        return contents

    def identity(self) -> Identity | None:
        """Which folder stands there now; None where there is none."""
        return _identity(self.path)

    def _swaps(self) -> list[tuple[str, str]]:
        """Where each ConfigMap's `..data` leads to now."""
        swaps: list[tuple[str, str]] = []
        with os.scandir(self.path) as entries:
            folders = sorted(entry.name for entry in entries if _may_be_a_folder(entry))
        for name in ("", *folders):
            link = os.path.join(self.path, name, "..data")
            with suppress(OSError):  # there is none, as nearly everywhere
                swaps.append((link, os.readlink(link)))
        return swaps

    def _read_once(self, thoroughly: bool, pace: Callable[[], None]) -> Contents:
        identity = self.identity()
        read: dict[Path, _Remembered] = {}
        problems: list[Problem] = []
        folders: set[tuple[str, Identity | None]] = set()
        for folder, path in self._candidates(problems, folders):
            try:
                read[path] = self._file(folder, path, thoroughly)
            except FileNotFoundError:
                # Taken away since it was listed, or a link that leads nowhere.
                if os.path.islink(path):
                    problems.append(_unreadable(path, folder, "is a link to nothing"))
            except OSError as error:
                problems.append(_unreadable(path, folder, f"cannot be read: {error.strerror}"))
            pace()
        self._remembered = read
        digest = sha256()
        for each in read.values():
            digest.update(f"{each.source.path}\0{each.digest}\n".encode())
        digest.update("\n".join(map(str, problems)).encode(errors="surrogateescape"))
        return Contents(
            files=tuple(each.source for each in read.values()),
            problems=tuple(problems),
            digest=digest.hexdigest(),
            identity=identity,
            folders=frozenset(folders),
            elsewhere=frozenset(each.elsewhere for each in read.values() if each.elsewhere is not None),
        )

    def _file(self, folder: str, path: Path, thoroughly: bool) -> _Remembered:
        last = self._remembered.get(path)
        if last is not None and not thoroughly and not last.content.may_have_changed(path):
            return last
        content = read_content(path)
        elsewhere = self._elsewhere(path)
        if last is not None and last.content.content == content.content and last.source.folder == folder:
            return _Remembered(
                last.source, last.digest, evolve(content, content=last.source.content), elsewhere
            )
        source = SourceFile(path=str(path), folder=folder, content=content.content)
        return _Remembered(source, content.digest, content, elsewhere)

    def _elsewhere(self, path: Path) -> str | None:
        """Where a link leads to, outside of this folder."""
        if not os.path.islink(path) and not os.path.islink(path.parent):
            return None
        target, own = os.path.realpath(path), os.path.realpath(self.path)
        return None if target.startswith(own + os.sep) else target

    def _candidates(
        self, problems: list[Problem], folders: set[tuple[str, Identity | None]]
    ) -> Iterator[tuple[str, Path]]:
        """Tenant folder and path of each file, in an order that does not depend on the file system."""
        for name in sorted(os.listdir(self.path)):
            if name.startswith("."):
                continue
            path = self.path / name
            try:
                inside = sorted(os.listdir(path))
            except NotADirectoryError:
                if name.endswith(_ENDINGS) and _is_shown(path, "", problems):
                    yield "", path
            except FileNotFoundError:
                # Taken away since it was listed, or a link that leads nowhere.
                if name.endswith(_ENDINGS) and _is_shown(path, "", problems):
                    yield "", path
            except OSError as error:
                if _is_shown(path, "", problems):
                    problems.append(_unreadable(path, name, f"cannot be listed: {error.strerror}"))
            else:
                folders.add((name, _identity(path)))
                for each in inside:
                    if (
                        not each.startswith(".")
                        and each.endswith(_ENDINGS)
                        and _is_shown(path / each, name, problems)
                    ):
                        yield name, path / each


def _is_shown(path: Path, folder: str, problems: list[Problem]) -> bool:
    """Tell whether a name is text; one that is not can be shown to nobody, in no log, page or metric."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = Path(str(path).encode(errors="surrogateescape").decode(errors="replace"))
        tenant = folder if folder.isascii() else ""
        problems.append(_unreadable(shown, tenant, "its name is not UTF-8"))
        return False
    return True


def _identity(folder: Path) -> Identity | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _may_be_a_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _unreadable(path: Path, folder: str, sentence: str) -> Problem:
    return Problem(
        position=Position(file=str(path), line=1, column=1),
        path="",
        message=sentence,
        severity="error",
        tenant=folder or DEFAULT_TENANT,
    )
