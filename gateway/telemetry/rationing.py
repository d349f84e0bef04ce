"""How many lines of one kind a minute may have: of one thing that goes to and fro, and of many things at once.

What is held back is said at the end of the minute, as it is then, so that the last word on a thing is always true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

from twisted.internet.interfaces import IReactorTime

MINUTE = 60.0

MOST_OF_ONE = 4
"""Lines about one thing: it breaks and is well again, twice."""

MOST_OF_ALL = 50
"""Lines at once, and once more at the end of the minute."""

Say = Callable[[int], None]
"""Writes the line; it is given how many changes of this thing were not told before it."""


class Rationing:
    """What may be said, and when."""

    def __init__(self, reactor: IReactorTime, say_of_rest: Callable[[int], None]) -> None:
        """Begin with nothing said.

        :param say_of_rest: writes a line for so many things that have none of their own.
        """
        self._reactor = reactor
        self._say_of_rest = say_of_rest
        self._said: Counter[Hashable] = Counter()
        """Lines of this minute."""
        self._restless: frozenset[Hashable] = frozenset()
        """What had more to say in the last minute than it may: in this one it waits for the end."""
        self._held: dict[Hashable, tuple[Say, int]] = {}
        """What is to be said last of a thing, and how many changes it is not told of."""
        self._runs = False
        """The minute has begun."""

    def tell(self, about: Hashable, say: Say) -> None:
        """Say it, now or at the end of the minute; then only the last word on each thing is said."""
        if not self._runs:
            self._runs = True
            self._reactor.callLater(MINUTE, self._minute_over)
        _, untold = self._held.get(about, (None, -1))
        if untold < 0 and self._may_speak(about):
            self._said[about] += 1
            say(0)
        else:
            self._held[about] = say, untold + 1

    def _may_speak(self, about: Hashable) -> bool:
        said = self._said
        return about not in self._restless and said[about] < MOST_OF_ONE and said.total() < MOST_OF_ALL

    def _minute_over(self) -> None:
        held, self._held = self._held, {}
        self._said.clear()
        self._restless = frozenset(held)
        self._runs = False
        if not held:
            return
        # What went to and fro goes on doing so.
        self._runs = True
        self._reactor.callLater(MINUTE, self._minute_over)
        for say, untold in tuple(held.values())[:MOST_OF_ALL]:
            say(untold)
        if len(held) > MOST_OF_ALL:
            self._say_of_rest(len(held) - MOST_OF_ALL)
