"""What outlives a snapshot: state of what is running, by stable names.

A snapshot is replaced as a whole at every reload; what is still named afterwards carries on here exactly where it was.
Policies decide, and keep nothing; this keeps, and decides nothing.

    turns       whose turn it is under a rule
    breakers    which keys of which providers are left alone for a while
    keys        what is held against a key, and whose turn it is in a pool
    budgets     how many retries a provider gets
    standing    how every key stands, to look at
    changes     who is told when that changes
"""

from __future__ import annotations

from gateway.live.breakers import Breakers
from gateway.live.budgets import RetryBudgets
from gateway.live.changes import UNHEARD, StandingListener
from gateway.live.keys import Keys
from gateway.live.standing import KeyStanding, standings
from gateway.live.turns import Turns
from gateway.snapshot.snapshot import Snapshot


class Live:
    """All live state.  Only the reactor's thread changes it."""

    def __init__(self, listener: StandingListener = UNHEARD) -> None:
        """Begin with nothing known.

        :param listener: hears of every change of a breaker or a key.
        """
        self.turns = Turns()
        self.breakers = Breakers(listener)
        self.keys = Keys(self.breakers, listener)
        self.budgets = RetryBudgets()

    def standings(self, snapshot: Snapshot, now: float) -> list[KeyStanding]:
        """How every key that this snapshot names stands.  May be asked in any thread.

        :param now: clock time in seconds.
        """
        return standings(snapshot.breaker_names, self.breakers, self.keys, now)

    def keep(self, snapshot: Snapshot) -> None:
        """Forget what this snapshot does not name."""
        names = snapshot.breaker_names
        self.turns.keep(snapshot.names_turns)
        self.breakers.keep(names)
        self.keys.keep(names)
        self.budgets.keep(frozenset((name.owner, name.provider) for name in names))
