"""The simulator as a server of its own: what `llmgateway simulate --listen …` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime

from gateway.simulator.server import simulator_factory
from gateway.wire.sweep import Sweep
from gateway.wire.tls_endpoint import server_endpoint


def simulate(
    reactor: IReactorTime,
    listen: str,
    listening: Callable[[IAddress], None],
    misbehaviour: Sequence[str] = (),
) -> Deferred[None]:
    """Answer on this endpoint until the reactor stops; made for `twisted.internet.task.react`.

    :param listen: an endpoint string, such as `tcp:9000:interface=127.0.0.1`.
    :param listening: called with the bound address once requests are answered.
    :param misbehaviour: what every request meets, as groups of directives.
    :return: fires never, or fails with `twisted.internet.error.CannotListenError`.
    :raises ValueError: where the string is no endpoint.
    """
    endpoint = server_endpoint(reactor, listen)
    sweep = Sweep(reactor, monotonic)
    factory = simulator_factory(reactor, sweep, standing=tuple(misbehaviour))
    for_ever: Deferred[None] = Deferred()

    def bound(port: IListeningPort) -> None:
        sweep.start()
        listening(port.getHost())

    endpoint.listen(factory).addCallback(bound).addErrback(for_ever.errback)
    return for_ever
