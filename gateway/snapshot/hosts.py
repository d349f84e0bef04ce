"""A table by host name: exact first, then the longest `*.suffix`, then `*`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class HostTable(Generic[T]):
    """Finds what is written for a host.  Made once, then only read."""

    __slots__ = ("_everything", "_exact", "_suffixes")

    def __init__(self, entries: Iterable[tuple[str, T]] = ()) -> None:
        """Make the table.

        :param entries: patterns in lower case (`api.example.com`, `*.example.com`, `*`) and what they stand for.
            Of two equal patterns the last one counts; the compiler refuses them earlier.
        """
        self._exact: dict[str, T] = {}
        suffixes: dict[str, T] = {}
        self._everything: tuple[T, ...] = ()
        for pattern, value in entries:
            if pattern == "*":
                self._everything = (value,)
            elif pattern.startswith("*."):
                suffixes[pattern[1:]] = value
            else:
                self._exact[pattern] = value
        self._suffixes = sorted(suffixes.items(), key=lambda entry: -len(entry[0]))

    def find(self, host: str, accepts: Callable[[T], bool] | None = None) -> T | None:
        """The most specific entry for this host, or None.

        :param host: lower case, without port.
        :param accepts: entries that it refuses are passed over, and a less specific one may answer.
        """
        exact = self._exact.get(host)
        if exact is not None and (accepts is None or accepts(exact)):
            return exact
        for suffix, value in self._suffixes:
            # `*.example.com` stands for at least one label more than `example.com`.
            if host.endswith(suffix) and len(host) > len(suffix) and (accepts is None or accepts(value)):
                return value
        for value in self._everything:
            if accepts is None or accepts(value):
                return value
        return None

    def changed(self, gone: Collection[str], come: Iterable[tuple[str, T]]) -> HostTable[T]:
        """Another table: without the patterns that are gone, and with what has come."""
        table = HostTable(chain((entry for entry in self._wildcards() if entry[0] not in gone), come))
        exact = self._exact.copy()
        for pattern in gone:
            exact.pop(pattern, None)
        exact.update(table._exact)
        table._exact = exact
        return table

    def items(self) -> Iterator[tuple[str, T]]:
        """Every pattern and its value, most specific kind first."""
        yield from self._exact.items()
        yield from self._wildcards()

    def _wildcards(self) -> Iterator[tuple[str, T]]:
        for suffix, value in self._suffixes:
            yield "*" + suffix, value
        for value in self._everything:
            yield "*", value

    def __contains__(self, pattern: str) -> bool:
        """Tell whether something is written for this very pattern."""
        return pattern in self._exact or any(pattern == each for each, _ in self._wildcards())

    def __len__(self) -> int:
        return len(self._exact) + len(self._suffixes) + len(self._everything)


def specificity(pattern: str | None) -> int:
    """How near a pattern is to the hosts that it matches: of two that match a host, the higher one answers."""
    if pattern is None:
        return -1
    if pattern == "*":
        return 0
    return len(pattern) if pattern.startswith("*.") else _EXACT


_EXACT = 1000
"""Above any suffix: a DNS name has at most 255 octets (RFC 1035 §2.3.4)."""
