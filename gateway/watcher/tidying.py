"""What is done once a generation runs: the log tells of it, and what ran until then is let go."""

from __future__ import annotations

from collections.abc import Callable

from gateway.snapshot.generations import Generation
from gateway.watcher.discarding import let_go, take_apart


class Tidying:
    """The work that is left.  It may be left for a while, and is done in one thread at a time."""

    def __init__(self, told: Callable[[Generation], None], pace: Callable[[], None]) -> None:
        """Begin with nothing to do.

        :param told: what else there is to be done with a new generation.
        :param pace: called after each piece; it may wait.
        """
        self._told = told
        self._pace = pace
        self._new: list[Generation] = []
        """Not told yet, in order."""
        self._old: list[Generation] = []
        """What ran before; nothing else may hold it, so that it is let go piece by piece."""
        self._pieces: list[object] = []

    def add(self, new: Generation, old: Generation | None) -> None:
        """A generation runs, instead of the one before."""
        self._new.append(new)
        if old is not None:
            self._old.append(old)

    @property
    def is_left(self) -> bool:
        """There is something to be done."""
        return bool(self._new or self._pieces)

    def tidy(self, until: Callable[[], bool]) -> None:
        """Do it.

        :param until: asked again and again; what is left once it says yes is done another time.
        """
        if self._new:
            newest = self._new[-1]
            while self._new:
                self._told(self._new.pop(0))
            self._pieces += take_apart(self._old, newest)
        let_go(self._pieces, self._pace, until)
