"""Whom to ask for an answer, in order: the chosen backend, then the rule's fallbacks, each with one of its keys."""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import GatewayError
from gateway.live import Live
from gateway.serving.attempts import Attempts
from gateway.snapshot.backends import Backend, ProviderKey
from gateway.snapshot.tables import RuleTable


class Candidate(NamedTuple):
    """Somebody who can be asked now."""

    backend: Backend
    key: ProviderKey


class Candidates:
    """The backends of one request.  Whoever has no key that can be used now is passed over, and noted as that."""

    __slots__ = ("_attempts", "_chosen", "_left", "_live", "_rule")

    def __init__(self, live: Live, rule: RuleTable, chosen: Backend, attempts: Attempts) -> None:
        """Begin with all of them.

        :param chosen: whose turn it is under the rule.
        """
        self._live = live
        self._rule = rule
        self._chosen = chosen
        self._attempts = attempts
        self._left: tuple[Backend, ...] | None = None

    @property
    def left(self) -> tuple[Backend, ...]:
        """The fallbacks that were not taken yet."""
        if self._left is None:
            self._left = self._rule.fallback_after(self._chosen)
        return self._left

    def at(self, backend: Backend, now: float) -> Candidate | None:
        """This backend, with the key whose turn it is; None where it is passed over."""
        key = self._live.keys.choose(backend, now)
        if key is not None:
            return Candidate(backend, key)
        self._attempts.passed_over(backend)
        return None

    def next(self, now: float) -> Candidate | None:
        """The next fallback that can be asked; None where none is left."""
        while self.left:
            backend, self._left = self.left[0], self.left[1:]
            candidate = self.at(backend, now)
            if candidate is not None:
                return candidate
        return None

    def last_resort(self, now: float) -> Candidate | None:
        """Whom to ask where nobody can be: the least bad, if the rule wants that, else who has refused our key.

        A refusal is the provider's own word, which tells a client more than ours, and the key may be good again.
        """
        keys = self._live.keys
        choices = [Candidate(each, key) for each in self._everybody for key in keys.unbroken(each, now)]
        if choices and self._rule.tries_least_bad:
            return choices[self._live.breakers.least_bad([each.key for each in choices])]
        dead = (Candidate(each, key) for each in self._everybody for key in keys.dead(each, now))
        return next(dead, None)

    def nobody(self, now: float) -> GatewayError:
        """What to say where nobody could even be asked."""
        message = "No provider of this route can be asked now."
        waits = [self._live.keys.seconds_until_usable(each, now) for each in self._everybody]
        soonest = min((wait for wait in waits if wait is not None), default=None)
        detail = "Every provider is left alone for a while, after failures, or at its limit."
        return GatewayError("no_backend_available", message, detail=detail, retry_after=soonest)

    @property
    def _everybody(self) -> tuple[Backend, ...]:
        return (self._chosen, *self._rule.fallback_after(self._chosen))
