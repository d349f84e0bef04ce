"""What the gateway's log says of a collector that does not take all spans: seldom, but in the end all of it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

COMPLAINT_SECONDS = 60.0
"""A failing collector is mentioned in the gateway's log at most this often, and takes spans again when it has lost none
for as long."""

_TOO_SLOW = "it is too slow"


class SpanLosses:
    """The spans that one collector has not taken, counted and told of."""

    _log = Logger()

    def __init__(self, endpoint: str, reactor: IReactorTime, counted: Callable[[int], None]) -> None:
        """Begin with none.

        :param endpoint: as people may read it.
        :param counted: told how many, of each loss.
        """
        self.spans = 0
        """How many are lost."""
        self._endpoint = endpoint
        self._reactor = reactor
        self._counted = counted
        self._told = 0
        """What `spans` was when it was last told of."""
        self._settled = 0
        """What `spans` was when the collector was last said to take all."""
        self._complaint: str | None = None
        """Why it did not take the last batch; None where it did."""
        self._reason = ""
        """Of the newest loss."""
        self._quiet: IDelayedCall | None = None
        """Nothing is said before this."""

    def batch_ended(self, spans: int, complaint: str | None) -> None:
        """So many were sent.

        :param complaint: why they are lost; None where the collector has taken them.
        """
        self._complaint = complaint
        if complaint is not None:
            self.lose(spans)
        elif self.spans > self._settled and self._quiet is None:
            self._say_it_recovered()

    def lose(self, spans: int, reason: str | None = None) -> None:
        """So many are lost.

        :param reason: None where it is the collector's doing.
        """
        self.spans += spans
        self._counted(spans)
        self._reason = reason or self._complaint or _TOO_SLOW
        if self._quiet is None:
            self._complain()

    def close(self) -> None:
        """Say what has not been said: nothing more comes."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        if self.spans > self._told:
            self._say_what_is_lost()

    def _complain(self) -> None:
        self._quiet = self._reactor.callLater(COMPLAINT_SECONDS, self._quiet_over)
        self._say_what_is_lost()

    def _quiet_over(self) -> None:
        self._quiet = None
        if self.spans > self._told:
            self._complain()
        elif self._complaint is None:
            self._say_it_recovered()

    def _say_what_is_lost(self) -> None:
        self._told = self.spans
        self._log.error(
            "tracing: the collector {endpoint} does not take all spans, {lost} are lost so far: {reason}",
            endpoint=self._endpoint,
            lost=self.spans,
            reason=self._reason,
        )

    def _say_it_recovered(self) -> None:
        self._settled = self.spans
        self._log.info(
            "tracing: the collector {endpoint} takes all spans again, {lost} were lost so far",
            endpoint=self._endpoint,
            lost=self.spans,
        )
