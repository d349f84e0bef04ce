"""Which backend's turn it is, when several share a rule by weight.

Smooth weighted round robin: every turn each backend gains its weight, the one with the most goes and pays the sum
of all weights.  Turns are exact, not only on average: 50/50 alternates, 90/10 is right after ten requests, and
no backend gets its share in one burst.
"""

from __future__ import annotations

from collections.abc import Sequence


def next_turn(weights: Sequence[int], balances: Sequence[int]) -> tuple[int, list[int]]:
    """Choose a backend.

    :param weights: of each backend, at least one of them above 0.  A backend of weight 0 is never chosen.
    :param balances: what each backend had left after the last turn; all 0 at first.
    :return: the index of the backend whose turn it is, and everybody's balance after it.
    """
    best, total = -1, 0
    after: list[int] = []
    for index, weight in enumerate(weights):
        total += weight
        after.append(balances[index] + weight)
        if weight and (best < 0 or after[index] > after[best]):
            best = index
    after[best] -= total
    return best, after
