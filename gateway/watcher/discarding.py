"""What a load leaves behind: a generation that nobody runs on any more, and work for the collector.

The last reference to a big object frees all that hangs on it in one go, and the collector looks at all objects in
one go; meanwhile no other thread runs.  So the old generation is let go piece by piece, by the worker, and what a
big load has made is put where the collector does not look: nothing of it is ever part of a cycle.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from gateway.snapshot.generations import Generation

BIG = 20_000
"""So many new objects of one load are kept from the collector; to look at fewer takes it some milliseconds."""


class _CollectorSwitch:
    """Off as long as anybody loads: a rehearsal may run beside a load."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loads = 0

    def off(self) -> None:
        with self._lock:
            self._loads += 1
            gc.disable()

    def on(self) -> None:
        with self._lock:
            self._loads -= 1
            if not self._loads:
                gc.enable()


_SWITCH = _CollectorSwitch()


@contextmanager
def out_of_the_collectors_way() -> Iterator[None]:
    """Make a generation with the collector switched off, and keep what a big one consists of from it for good.

    `gc.freeze` takes everything else that is there along: a connection that is open at that moment and leaves a
    cycle when it closes is never collected.  So small loads, which are many, do without.
    """
    _SWITCH.off()
    try:
        yield
        if gc.get_count()[0] >= BIG:
            gc.freeze()
    finally:
        _SWITCH.on()


def discard(old: list[Generation], new: Generation, pace: Callable[[], None]) -> None:
    """Let a generation go, piece by piece.

    :param old: the only reference to it beside those that end by themselves soon; empty afterwards.
    :param pace: called after each piece; it may wait.
    """
    let_go(take_apart(old, new), pace)


def take_apart(old: list[Generation], new: Generation) -> list[object]:
    """Make pieces of generations, to be let go one by one.

    :param old: as for `discard`.
    :param new: what of them lives on there is in no piece.
    """
    pieces = [piece for generation in old for piece in _pieces(generation, new)]
    old.clear()
    return pieces


def let_go(pieces: list[object], pace: Callable[[], None], until: Callable[[], bool] = lambda: False) -> None:
    """Let pieces go, from the last one on.

    :param until: asked before each piece; what is left once it says yes stays in the list.
    """
    while pieces and not until():
        pieces.pop()
        pace()


def _pieces(old: Generation, new: Generation) -> Iterator[object]:
    """Everything big that does not live on, the smallest pieces first: they are let go last."""
    for name, state in old.tenants.items():
        successor = new.tenants.get(name)
        if successor is state:
            continue
        if state.good is not None and (successor is None or successor.good is not state.good):
            yield from state.good.all()
        if state.compiled is not None and (successor is None or successor.compiled is not state.compiled):
            yield from (route for _, route in state.compiled.table.routes.items())
        yield state
