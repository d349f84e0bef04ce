"""Usual slips in writing drills, and what was probably meant: the second half of a sentence that names the slip."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

FOREIGN_SEPARATOR = re.compile(r"[;\s]")
"""Stands in no directive."""

_MIDDLE_CHANCE = re.compile(r"(?P<before>.+)&(?P<percent>[0-9.]+)")


def meant_word(written: str, words: Collection[str]) -> str:
    """The words that are near to this one; empty where none is.

    Letters that have changed places are the likeliest slip: by `fro`, `for` is meant as well as `from`.
    """
    name, colon, value = written.partition(":")
    if colon and name in words:
        return f"did you mean '{name}={value}'?"
    turned = [word for word in words if sorted(word) == sorted(written)]
    near = dict.fromkeys([*turned, *get_close_matches(written, words, 1)])
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def meant_group(conditions: str, before: str) -> str:
    """How conditions that stand alone are joined to what they limit.

    :param before: the group that comes before them; empty where there is none.
    """
    example = f"{before or 'status=500'}&{conditions}"
    return f"join it by `&` to what it limits, as in {example}"


def meant_chance(text: str, rest: str) -> str:
    """Where the chance goes of a group in which it is not the first.

    :param text: what stands before the `%`.
    :param rest: what stands behind it.
    """
    found = _MIDDLE_CHANCE.fullmatch(text)
    if found is None:
        return ""
    before, percent = found["before"], found["percent"]
    meant = [f"{percent}%{before}&{rest}", f"{before}, {percent}%{rest}"] if rest else [f"{percent}%{before}"]
    return f"a chance begins its group: did you mean {' or '.join(map(repr, meant))}?"
