"""What lies in conf.d, read whole: the files that count, their contents, and what could not be read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from gateway.resources import Position, Problem, SourceFile
from gateway.resources.reading import DEFAULT_TENANT
from gateway.resources.sources import FILE_BYTES

_ENDINGS = (".yaml", ".yml")

_READS = 3
"""How often a folder that changes while it is read is read again, before what was seen last is taken."""


@frozen
class Contents:
    """One state of the folder."""

    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    """Files that are there and cannot be read."""
    digest: str
    """Of names, contents and problems: equal digests need no work."""


class Folder:
    """conf.d itself, by its path: it may be replaced by another folder of that name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Contents:
        """Read every file that counts.

        Names that begin with a dot are skipped, so in a mounted ConfigMap only the links count, not the hidden
        folders that they lead to; if those are swapped meanwhile, everything is read again.

        :raises OSError: where the folder itself cannot be listed.
        """
        for _ in range(_READS):
            before = self._swaps()
            contents = self._read_once()
            if self._swaps() == before:
                break
        return contents

    def _swaps(self) -> list[tuple[str, str]]:
        """Where each ConfigMap's `..data` leads to now."""
        swaps: list[tuple[str, str]] = []
        for name in ("", *(name for name in sorted(os.listdir(self.path)) if not name.startswith("."))):
            link = os.path.join(self.path, name, "..data")
            with suppress(OSError):  # there is none, as nearly everywhere
                swaps.append((link, os.readlink(link)))
        return swaps

    def _read_once(self) -> Contents:
        files: list[SourceFile] = []
        problems: list[Problem] = []
        for folder, path in self._candidates(problems):
            try:
                content = regular_content(path)
            except FileNotFoundError:
                # Taken away since it was listed, or a link that leads nowhere.
                if os.path.islink(path):
                    problems.append(_unreadable(path, folder, "is a link to nothing"))
            except OSError as error:
                problems.append(_unreadable(path, folder, f"cannot be read: {error.strerror}"))
            else:
                files.append(SourceFile(path=str(path), folder=folder, content=content))
        digest = sha256()
        for file in files:
            digest.update(f"{file.path}\0{len(file.content)}\0".encode(errors="surrogateescape"))
            digest.update(file.content)
        digest.update("\n".join(map(str, problems)).encode(errors="surrogateescape"))
        return Contents(files=tuple(files), problems=tuple(problems), digest=digest.hexdigest())

    def _candidates(self, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
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


def regular_content(path: Path) -> bytes:
    """What a file holds, but at most one byte more than a file of conf.d may have.

    :raises OSError: where it cannot be read or is no regular file: a pipe or a device may have no end.
    """
    # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(FILE_BYTES + 1)


def _unreadable(path: Path, folder: str, sentence: str) -> Problem:
    return Problem(
        position=Position(file=str(path), line=1, column=1),
        path="",
        message=sentence,
        severity="error",
        tenant=folder or DEFAULT_TENANT,
    )
