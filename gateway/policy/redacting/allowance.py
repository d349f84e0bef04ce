"""How much may be found in one exchange: who sends what is full of finds must not keep the others waiting."""

from __future__ import annotations

from collections.abc import Callable

MOST_FOUND = 500
"""Finds, which take a thread some five milliseconds."""

MOST_SECONDS = 0.25
"""Within which all is found that ever will be.  What takes longer is an operator's pattern that makes RE2 slow."""


class Allowance:
    """What is left of it."""

    __slots__ = ("_left", "_seconds", "_until", "spent")

    def __init__(self, seconds: Callable[[], float], found: int = MOST_FOUND) -> None:
        """Begin to count.

        :param seconds: the time of some clock.
        """
        self._left = found
        self._seconds = seconds
        self._until = seconds() + MOST_SECONDS
        self.spent = False
        """Nothing is left.  What has not been looked through by then must not be kept."""

    def spend(self) -> None:
        """Count a find."""
        self._left -= 1
        if self._left <= 0 or self._seconds() >= self._until:
            self.spent = True
