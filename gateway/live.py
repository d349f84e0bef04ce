"""What outlives a snapshot: state of what is running, by stable names.

A snapshot is replaced as a whole at every reload; what is still named afterwards carries on here exactly where it was.
"""

from __future__ import annotations

from gateway.policy.balancing import next_turn
from gateway.snapshot.tables import Backend, RuleTable


class Live:
    """The one holder of live state.  Only the reactor's thread touches it."""

    def __init__(self) -> None:
        self._balances: dict[tuple[str, str, str], dict[str, int]] = {}

    def take_turn(self, rule: RuleTable) -> Backend:
        """The backend whose turn it is under this rule; it is then the next one's turn."""
        index, left = self._turn(rule)
        self._balances[rule.turns_key] = dict(zip((each.key for each in rule.backends), left, strict=True))
        return rule.backends[index]

    def next_backend(self, rule: RuleTable) -> Backend:
        """The backend that `take_turn` would give, without taking it."""
        return rule.backends[self._turn(rule)[0]]

    def keep(self, turns_keys: frozenset[tuple[str, str, str]]) -> None:
        """Forget the turns of rules that no snapshot names any more."""
        for key in self._balances.keys() - turns_keys:
            del self._balances[key]

    def _turn(self, rule: RuleTable) -> tuple[int, tuple[int, ...]]:
        if len(rule.backends) == 1:
            return 0, (0,)
        known = self._balances.get(rule.turns_key)
        # By name, so that a backend that a reload adds, removes or moves leaves the others' balance alone.
        left = [known.get(each.key, 0) for each in rule.backends] if known else [0] * len(rule.backends)
        return next_turn(rule.weights, left)
