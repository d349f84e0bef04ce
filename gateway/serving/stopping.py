"""How the gateway leaves, and nobody's request is lost.

    winding down   `/readyz` fails; everybody is still served, and told to connect anew next time
    draining       no port listens; who has asked is answered, who is silent is closed
    cut            what still runs ends with an error that its client can see
    aborted        who takes no notice of that

Each has its time.  Whoever cannot wait skips to the last one.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gateway.errors import GatewayError
from gateway.wire.limits import LINGER_SECONDS
from gateway.wire.listening import DownstreamFactory


class Departure:
    """The end of all exchanges of this process, step by step."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        factories: Sequence[DownstreamFactory],
        *,
        drain_delay: float,
        drain_timeout: float,
    ) -> None:
        """Plan it.

        :param factories: of every listener for clients.
        :param drain_delay: seconds of winding down: until whoever sends clients here has noticed.
        :param drain_timeout: seconds of draining.
        """
        self._clock = clock
        self._factories = factories
        self._drain_delay = drain_delay
        self._drain_timeout = drain_timeout
        self._wound_down: Deferred[None] = Deferred()
        self._step: IDelayedCall | None = None
        """The next one, which comes when the time of this one is over."""
        self._hurried = False

    def wind_down(self) -> Deferred[None]:
        """Begin; fires when it is time to close the ports."""
        for factory in self._factories:
            factory.wind_down()
        if self._drain_delay and not self._hurried:
            self._log.info("stopping: serves on for {seconds:g} seconds", seconds=self._drain_delay)
            self._step = self._clock.callLater(self._drain_delay, self._wound_down.callback, None)
        elif not self._wound_down.called:
            self._wound_down.callback(None)
        return self._wound_down

    def drain(self) -> Deferred[object]:
        """Let what runs end, for as long as it may; fires when no connection is left."""
        self._log.info(
            "stopping: {connections} connections, what runs there may end within {seconds:g} seconds",
            connections=sum(len(factory.connections) for factory in self._factories),
            seconds=self._drain_timeout,
        )
        drained = DeferredList([factory.drain() for factory in self._factories])
        self._step = self._clock.callLater(self._drain_timeout, self._cut)
        if self._hurried:
            self._abort()
        return drained.addCallback(self._drained)

    def hurry(self) -> None:
        """Wait for nothing any more."""
        if not self._hurried:
            connections = sum(len(factory.connections) for factory in self._factories)
            self._log.warn("told to stop at once, connections cut: {connections}", connections=connections)
        self._hurried = True
        self._abort()
        if not self._wound_down.called:
            self._wound_down.callback(None)

    def _cut(self) -> None:
        """The time that running exchanges had is over: their clients are told, and not waited for."""
        for factory in self._factories:
            factory.cut_all(_stopping())
        self._step = self._clock.callLater(LINGER_SECONDS, self._abort)

    def _abort(self) -> None:
        self._take_no_step()
        for factory in self._factories:
            factory.cut_all(_stopping())  # so that nobody counts it as the clients' doing
            factory.abort_all()

    def _drained(self, result: object) -> None:
        self._take_no_step()

    def _take_no_step(self) -> None:
        if self._step is not None and self._step.active():
            self._step.cancel()


def _stopping() -> GatewayError:
    return GatewayError("draining", "The gateway is stopping.")
