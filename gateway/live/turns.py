"""Whose turn it is, when several backends share a rule by weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.policy.balancing import next_turn
from gateway.policy.sticking import stick
from gateway.snapshot.backends import Backend
from gateway.snapshot.stable_names import TurnsKey
from gateway.snapshot.tables import RuleTable


class Turns:
    """The turns of every rule."""

    def __init__(self) -> None:
        self._turns: dict[TurnsKey, tuple[RuleTable, list[int]]] = {}
        """The rule as it was when the last turn was taken, and the balances of its backends after it."""

    def take(self, rule: RuleTable, sticky: bytes | None = None) -> Backend:
        """The backend whose turn it is under this rule; it is then the next one's turn.

        :param sticky: what chooses a backend instead, by `policy/sticking.py`, which is nobody's turn.
        """
        if len(rule.backends) == 1:
            return rule.backends[0]
        if sticky is not None:
            return rule.backends[stick(sticky, rule.backend_keys, rule.weights)]
        index, balances = next_turn(rule.weights, self._balances(rule))
        self._turns[rule.turns_key] = (rule, balances)
        return rule.backends[index]

    def next(self, rule: RuleTable, sticky: bytes | None = None) -> Backend:
        """The backend that `take` would give, without taking it."""
        if sticky is not None and len(rule.backends) > 1:
            return rule.backends[stick(sticky, rule.backend_keys, rule.weights)]
        return rule.backends[next_turn(rule.weights, self._balances(rule))[0]]

    def keep(self, is_named: Callable[[TurnsKey], bool]) -> None:
        """Forget the turns of rules that no snapshot names any more."""
        for key in [key for key in self._turns if not is_named(key)]:
            del self._turns[key]

    def _balances(self, rule: RuleTable) -> Sequence[int]:
        last = self._turns.get(rule.turns_key)
        if last is None:
            return [0] * len(rule.backends)
        last_rule, balances = last
        if last_rule is rule:
            return balances
        # By name, so that a backend which a reload adds, removes or moves leaves the others' balance alone.
        names = (backend.key for backend in last_rule.backends)
        by_name = dict(zip(names, balances, strict=True))
        return [by_name.get(backend.key, 0) for backend in rule.backends]
