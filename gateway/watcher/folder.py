"""What lies in conf.d, read whole: the files that count, their contents, and what could not be read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from operator import is_
from pathlib import Path

from attrs import evolve, frozen

from gateway.resources import Position, Problem, SourceFile
from gateway.resources.file_reading import DEFAULT_TENANT
from gateway.resources.reading import at_full_speed
from gateway.watcher.file_content import FileContent, Identity, identity_of, read_content
from gateway.watcher.listing import Listing, NotAFolderError, list_folder
from gateway.watcher.unfinished import GRACE_SECONDS, seems_unfinished

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
    """Of names, contents, whether they are whole, and problems: equal digests need no work."""
    identity: Identity | None = None
    folders: frozenset[tuple[str, Identity]] = frozenset()
    """Those in it that could be listed, as tenants' can, by their names."""
    elsewhere: frozenset[str] = frozenset()
    """Paths outside of it that links in it lead to, be something there or not."""
    unfinished_for: float | None = None
    """Seconds after which it is to be read again, because files that seem unfinished still count as they were; None
    where there are none."""


@frozen
class _Remembered:
    """A file as it was read last."""

    source: SourceFile
    digest: str
    content: FileContent
    elsewhere: str | None
    """Where a link has led to."""
    unfinished_since: float | None = None
    """The clock's seconds when it was first seen with less than this; None where it has not been."""
    whole: FileContent | None = None
    """What it held before it was cut short; None where it is whole."""


class Folder:
    """conf.d itself, by its path: it may be replaced by another folder of that name."""

    def __init__(self, path: Path, seconds: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing read.

        :param seconds: a monotonic clock.
        """
        self.path = path
        self._seconds = seconds
        self._listings: dict[str, Listing] = {}
        """Of itself and of the folders in it, by path."""
        self._remembered: dict[str, _Remembered] = {}
        self._lost: set[str] = set()
        """Where links lead to that lead to nothing."""
        self._last: Contents | None = None

    def read(self, *, thoroughly: bool = True, pace: Callable[[], None] = at_full_speed) -> Contents:
        """Read every file that counts; of one that has not changed the very same `SourceFile` is given.

        Names that begin with a dot are skipped, so in a mounted ConfigMap only the links count, not the hidden
        folders that they lead to; if those are swapped meanwhile, everything is read again.

        :param thoroughly: list and read what seems unchanged too.
        :param pace: called after each folder and each file; it may wait.
        :raises OSError: where the folder itself cannot be listed.
        """
        for _ in range(_READS):
            problems: list[Problem] = []
            places = list(self._places(problems, thoroughly, pace))
            before = self._swaps()
            contents = self._read_once(places, problems, thoroughly, pace)
            if self._swaps() == before:
                break
        return contents

    def identity(self) -> Identity | None:
        """Which folder stands there now; None where there is none."""
        try:
            return identity_of(os.stat(self.path))
        except OSError:
            return None

    def _swaps(self) -> list[tuple[str, str]]:
        """Where each ConfigMap's `..data` leads to now."""
        swaps: list[tuple[str, str]] = []
        for listing in self._listings.values():
            if listing.swapped is not None:
                with suppress(OSError):  # it is gone
                    swaps.append((listing.swapped, os.readlink(listing.swapped)))
        return swaps

    def _places(
        self, problems: list[Problem], thoroughly: bool, pace: Callable[[], None]
    ) -> Iterator[tuple[str, str]]:
        """Tenant folder and path of each file, in an order that does not depend on the file system."""
        known = {} if thoroughly else self._listings
        own = str(self.path)
        self._listings, self._lost = {own: list_folder(own, known.get(own))}, set()
        for name in self._listings[own].names:
            path = os.path.join(own, name)
            try:
                listing = list_folder(path, known.get(path))
            except OSError as error:
                if name.endswith(_ENDINGS) and not os.path.isdir(path):
                    if _is_shown(path, DEFAULT_TENANT, problems):
                        yield "", path
                elif sentence := self._why_not_listed(path, error):
                    problems.append(_unreadable(_shown(path), _shown(name), sentence))
            else:
                self._listings[path] = listing
                inside = [each for each in listing.names if each.endswith(_ENDINGS)]
                if inside and _is_shown(path, _shown(name), problems):
                    for each in inside:
                        file = os.path.join(path, each)
                        if _is_shown(file, name, problems):
                            yield name, file
            pace()

    def _why_not_listed(self, path: str, error: OSError) -> str:
        """What is wrong with a tenant's folder; empty where it is a file, or was taken away since it was listed."""
        is_link = os.path.islink(path)
        if isinstance(error, NotAFolderError) or (isinstance(error, FileNotFoundError) and not is_link):
            return ""
        if is_link:
            self._lost.add(os.path.realpath(path))
        nowhere = is_link and isinstance(error, FileNotFoundError | NotADirectoryError)
        return "is a link to nothing" if nowhere else f"cannot be listed: {error.strerror}"

    def _read_once(
        self,
        places: list[tuple[str, str]],
        problems: list[Problem],
        thoroughly: bool,
        pace: Callable[[], None],
    ) -> Contents:
        read: dict[str, _Remembered] = {}
        for folder, path in places:
            try:
                read[path] = self._file(folder, path, thoroughly)
            except FileNotFoundError:
                # Taken away since it was listed, or a link that leads nowhere.
                if os.path.islink(path):
                    self._lost.add(os.path.realpath(path))
                    problems.append(_unreadable(path, folder, "is a link to nothing"))
            except OSError as error:
                problems.append(_unreadable(path, folder, f"cannot be read: {error.strerror}"))
            pace()
        known, self._remembered = self._remembered, read
        own, *others = self._listings.items()
        self._last = evolve(
            self._contents(known, tuple(problems)),
            identity=own[1].identity,
            folders=frozenset((os.path.basename(path), listing.identity) for path, listing in others),
            elsewhere=frozenset(self._elsewheres()),
            unfinished_for=self._unfinished_for(),
        )
        return self._last

    def _contents(self, known: Mapping[str, _Remembered], problems: tuple[Problem, ...]) -> Contents:
        """What has been read, without the folders that it was read in; where it is what was known, the last one."""
        read, last = self._remembered, self._last
        if (
            last is not None
            and last.problems == problems
            and len(read) == len(known)
            and all(map(is_, read.values(), known.values()))
        ):
            return last
        digest = sha256()
        for each in read.values():
            cut = "cut short" if each.source.is_cut_short else ""
            digest.update(f"{each.source.path}\0{each.digest}{cut}\n".encode())
        digest.update("\n".join(map(str, problems)).encode(errors="surrogateescape"))
        return Contents(
            files=tuple(each.source for each in read.values()),
            problems=problems,
            digest=digest.hexdigest(),
        )

    def _elsewheres(self) -> Iterator[str]:
        yield from self._lost
        for each in self._remembered.values():
            if each.elsewhere is not None:
                yield each.elsewhere

    def _unfinished_for(self) -> float | None:
        since = [
            each.unfinished_since for each in self._remembered.values() if each.unfinished_since is not None
        ]
        return max(0.0, min(since) + GRACE_SECONDS - self._seconds()) if since else None

    def _file(self, folder: str, path: str, thoroughly: bool) -> _Remembered:
        last = self._remembered.get(path)
        if last is None:
            return self._new(folder, path, read_content(path))
        if not thoroughly and not last.content.may_have_changed(path):
            return last
        content = read_content(path)
        if content.content == last.content.content:
            # What is moved there is whole.
            moved = last.whole is not None and content.identity != last.content.identity
            return self._new(folder, path, content) if moved else self._unchanged(path, last, content)
        before = last.whole if last.whole is not None else last.content
        if seems_unfinished(path, before, content):
            since = last.unfinished_since if last.unfinished_since is not None else self._seconds()
            if self._seconds() < since + GRACE_SECONDS:
                return evolve(last, unfinished_since=since)
            return self._new(folder, path, content, before)
        return self._new(folder, path, content)

    def _new(
        self, folder: str, path: str, content: FileContent, whole: FileContent | None = None
    ) -> _Remembered:
        source = SourceFile(path, folder, content.content, is_cut_short=whole is not None)
        return _Remembered(source, content.digest, content, self._elsewhere(path), whole=whole)

    def _unchanged(self, path: str, last: _Remembered, content: FileContent) -> _Remembered:
        elsewhere = self._elsewhere(path)
        same = last.elsewhere == elsewhere and last.unfinished_since is None
        if same and last.content.signature == content.signature is not None:
            return last
        same_bytes = evolve(content, content=last.source.content)
        return _Remembered(last.source, last.digest, same_bytes, elsewhere, whole=last.whole)

    def _elsewhere(self, path: str) -> str | None:
        """Where a link leads to, outside of this folder."""
        if not os.path.islink(path) and not os.path.islink(os.path.dirname(path)):
            return None
        target, own = os.path.realpath(path), os.path.realpath(self.path)
        return None if target.startswith(own + os.sep) else target


def _is_shown(path: str, tenant: str, problems: list[Problem]) -> bool:
    """Tell whether a name is text; one that is not can be shown to nobody, in no log, page or metric."""
    shown = _shown(path)
    if shown != path:
        problems.append(_unreadable(shown, tenant, "its name is not UTF-8"))
    return shown == path


def _shown(name: str) -> str:
    """The name as far as it is UTF-8."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _unreadable(path: str, folder: str, sentence: str) -> Problem:
    return Problem(
        position=Position(file=path, line=1, column=1),
        path="",
        message=sentence,
        severity="error",
        tenant=folder or DEFAULT_TENANT,
    )
