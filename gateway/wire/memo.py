"""What was made of bytes that come again and again: a peer's head is mostly the same lines each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Value = TypeVar("_Value")

_MOST = 1024
"""Texts that are kept.  Beyond that all are forgotten at once: those that come often are soon back, and those that
came once (dates, identifiers) are gone."""

_LONGEST = 256
"""Longer texts are never kept: nobody can fill memory with them."""


class Memo(dict[bytes, _Value]):
    """Asks a function about each text once, as long as it is remembered.  Look a text up as in any dictionary."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[bytes], _Value]) -> None:
        """Remember nothing yet.

        :param make: depends on nothing but the text; what it raises is raised, and not remembered.
        """
        self._make = make

    def __missing__(self, text: bytes) -> _Value:
        value = self._make(text)
        if len(text) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[text] = value
        return value
