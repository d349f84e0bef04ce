"""Who was refused at the admin port: counted, mentioned in the log, and told the later the more guess at the token.

A right token is let in at once, whoever else is guessing and from wherever, so nobody can lock operators out.  For the
same reason somebody who hangs up instead of waiting for the answer is not slowed down: against them there is the length
of a token, and whoever reads the count and the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web import http

from gateway.serving.admin_answers import Answer, sentence

UNDELAYED = 3
"""Wrong tokens in a while that are answered at once: people mistype."""

FIRST_DELAY = 0.25
"""Seconds until the next one is answered; each further one takes twice as long."""

LONGEST_DELAY = 5.0

FORGET_SECONDS = 10.0
"""After so long one wrong token less is held against everybody."""

_MOST_HELD = UNDELAYED + 5.0
"""With so many no answer comes later for one more."""

MOST_WAITING = 100
"""Answers that are delayed at a time."""

LOG_SECONDS = 60.0
"""Wrong tokens are mentioned in the log at most this often."""

MOST_NAMED = 5
"""Addresses that one line of the log names."""


class Refusal(StrEnum):
    """Why a request was refused."""

    NOTHING = "no_token"
    """It has no token, and no browser's cookie."""
    WRONG = "wrong_token"
    SIGNED_OUT = "signed_out"
    """Its cookie has ended, or was never given."""
    STRANGE_HOST = "strange_host"
    """The Host header names none of ours: a mistake, or DNS rebinding."""
    STRANGE_ORIGIN = "strange_origin"
    """A form of another site."""


class AdminRefusals:
    """Counts them all, and holds up the answers to wrong tokens."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime, seconds: Callable[[], float]) -> None:
        """Begin with nobody refused.

        :param seconds: a clock that does not jump.
        """
        self._reactor = reactor
        self._seconds = seconds
        self._counts = dict.fromkeys(Refusal, 0)
        self._waiting = 0
        # All peers together: who guesses has many addresses.
        self._recent = 0.0
        self._recent_at = seconds()
        self._unlogged = 0
        self._peers: Counter[str] = Counter()
        """Of those that are not in the log yet."""
        self._logs_later = False

    def counts(self) -> dict[str, int]:
        """How many there were since the start, by reason.  May be asked in any thread."""
        return {reason.value: number for reason, number in self._counts.items()}

    def count(self, reason: Refusal) -> None:
        """Count one whose answer need not wait."""
        self._counts[reason] += 1

    def guessed(self, request: http.Request, answer: Answer) -> Answer | Deferred[Answer]:
        """Count a wrong token.

        :param answer: what it is answered, in a while.
        """
        self.count(Refusal.WRONG)
        self._mention(str(getattr(request.client, "host", "a Unix socket")))
        delay = self._next_delay()
        if not delay:
            return answer
        if self._waiting >= MOST_WAITING:
            wait = ("Retry-After", f"{LONGEST_DELAY:g}")
            return sentence(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens: ask later.", wait)
        self._waiting += 1
        return deferLater(self._reactor, delay, self._waited, answer)

    def _waited(self, answer: Answer) -> Answer:
        self._waiting -= 1
        return answer

    def _next_delay(self) -> float:
        """Seconds until this one is answered."""
        now = self._seconds()
        recent = max(self._recent - (now - self._recent_at) / FORGET_SECONDS, 0.0)
        self._recent_at, self._recent = now, min(recent + 1.0, _MOST_HELD)
        return min(FIRST_DELAY * 2 ** (recent - UNDELAYED), LONGEST_DELAY) if recent >= UNDELAYED else 0.0

    def _mention(self, peer: str) -> None:
        """Have this one in the log: now, or with those that come until it may be written to again."""
        self._unlogged += 1
        if peer in self._peers or len(self._peers) < MOST_NAMED:
            self._peers[peer] += 1
        if not self._logs_later:
            self._log_unlogged()

    def _log_unlogged(self) -> None:
        self._logs_later = self._unlogged > 0
        if not self._unlogged:
            return
        peers = [f"{peer} ({number})" for peer, number in self._peers.most_common()]
        others = self._unlogged - self._peers.total()
        self._log.warn(
            "wrong admin tokens: {tokens}, from {peers}",
            tokens=self._unlogged,
            peers=", ".join([*peers, *([f"others ({others})"] if others else [])]),
        )
        self._unlogged = 0
        self._peers.clear()
        self._reactor.callLater(LOG_SECONDS, self._log_unlogged)
