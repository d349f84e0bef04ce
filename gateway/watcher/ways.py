"""Where a path leads, and what would make it lead elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

_LINKS = 40
"""So many Linux follows in one path (path_resolution(7))."""


@frozen
class Counting:
    """Which names in a folder count."""

    names: frozenset[str]
    turns: frozenset[str]
    """Those of them that decide where a path leads to: links, and what is not there yet."""


def ways_to(places: Iterable[str]) -> Mapping[str, Counting]:
    """What counts in which folder, so that these paths are not only watched where they lead to now."""
    names: dict[str, set[str]] = {}
    turns: dict[str, set[str]] = {}
    for place in places:
        for folder, name, is_turn in _way_to(place):
            names.setdefault(folder, set()).add(name)
            if is_turn:
                turns.setdefault(folder, set()).add(name)
    return {
        folder: Counting(frozenset(found), frozenset(turns.get(folder, ())))
        for folder, found in names.items()
    }


def _way_to(place: str) -> Iterator[tuple[str, str, bool]]:
    """Every link on the way, and the end of it, or the first name that is not there: folder, name, and if it turns.

    :param place: an absolute path.
    """
    at, ahead, links = "/", place.split("/")[::-1], 0
    while ahead:
        name = ahead.pop()
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)
            continue
        here = os.path.join(at, name)
        try:
            target = os.readlink(here)
        except OSError:  # it is none, or not there
            is_there = os.path.lexists(here)
            if not ahead or not is_there:
                yield at, name, not is_there
                return
            at = here
            continue
        yield at, name, True
        links += 1
        if links > _LINKS:
            return
        at = "/" if target.startswith("/") else at
        ahead += target.split("/")[::-1]
