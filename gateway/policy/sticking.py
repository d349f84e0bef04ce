"""Which backend a value sticks to, when several share a rule by weight.

Weighted rendezvous hashing: each backend draws a lot for the value, from a hash of both, and the best lot wins.  A
lot is the time after which the first of `weight` equally likely things happens, so a backend wins its weight's share
of all values.  It depends on that backend and its weight alone: where one comes, goes or changes its weight, only
the values that it wins or loses move.  Nothing is remembered, so every process says the same, before and after a
restart.

Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1),
1998; weights as in Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import inf, log

_LOTS = 2**52
"""As many as a float tells apart, and their middles."""


def stick(value: bytes, names: Sequence[bytes], weights: Sequence[int]) -> int:
    """Choose a backend for a value.

    :param names: of each backend, each different.
    :param weights: of each, at least one of them above 0.  A backend of weight 0 is never chosen.
    :return: the index of the backend.
    """
    best, earliest = -1, inf
    for index, weight in enumerate(weights):
        if weight:
            time = -log(_share(names[index], value)) / weight
            if time < earliest:
                best, earliest = index, time
    return best


def _share(name: bytes, value: bytes) -> float:
    """A number between 0 and 1, neither included, that looks random and is always the same for these two."""
    digest = blake2b(b"%d:%b%b" % (len(name), name, value), digest_size=8).digest()
    return (int.from_bytes(digest, "big") % _LOTS + 0.5) / _LOTS
