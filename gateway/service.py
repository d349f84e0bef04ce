"""Every part of the gateway, and how they are wired: read it as the list of what there is."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any

from attrs import asdict, evolve, frozen
from prometheus_client import CollectorRegistry
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway import __version__
from gateway.errors import GatewayError
from gateway.live import Live
from gateway.resources import Problem
from gateway.serving.admin import AdminFactory, AdminPages
from gateway.serving.exchange import Surroundings
from gateway.serving.outgoing import VIA_NAME
from gateway.serving.reception import Reception
from gateway.serving.status import NOTHING_TO_SERVE, Status, reload_result, tenant_configurations
from gateway.simulator.in_process import in_process_connector
from gateway.simulator.server import simulator_factory
from gateway.snapshot.adopting import Generation
from gateway.snapshot.current import CurrentSnapshot
from gateway.snapshot.tables import GatewaySettings
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.metrics import Metrics, ReloadResult
from gateway.watcher.folder import Folder
from gateway.watcher.loading import LoadSettings
from gateway.watcher.watching import Watcher
from gateway.wire.addresses import is_local, shown
from gateway.wire.connecting import Connector
from gateway.wire.limits import LINGER_SECONDS, DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.pools import Pools
from gateway.wire.sweep import Sweep
from gateway.wire.tls import ContextCache

SWITCH_SECONDS = 0.0005
"""How long another thread may keep the reactor's thread from the interpreter."""

GARBAGE_THRESHOLD = 10_000
"""Objects made and not yet freed before the collector looks for cycles.  An exchange leaves none behind, so at
Python's 700 it would mostly look in vain, in the middle of requests."""


@frozen
class Listener:
    """One `--listen` or the `--admin`."""

    name: str
    """What `gateways` in an LLMRoute may name; empty without a name."""
    description: str
    """The endpoint string as written."""
    endpoint: IStreamServerEndpoint


@frozen
class GatewaySetup:
    """Everything that the command line decides."""

    conf: Path
    listeners: tuple[Listener, ...]
    admin: Listener
    admin_hosts: tuple[str, ...]
    """Names that the admin port answers to beside addresses and local names."""
    labels: Mapping[str, str]
    root_namespace: str
    access_log: LineOutput | None
    """Where it is written, open already; None writes none."""
    drain_timeout: float
    """Seconds that running exchanges get after SIGTERM."""


class GatewayService(Service):
    """The gateway: starts with its ports bound and the configuration read, stops when its exchanges have ended."""

    _log = Logger()

    def __init__(self, reactor: Any, setup: GatewaySetup) -> None:
        """Build every part; nothing runs yet.

        :param reactor: Twisted's, with TCP, sockets, threads and time.
        """
        self._reactor = reactor
        self._setup = setup
        self._ports: list[IListeningPort] = []
        self._limits = DownstreamLimits()
        self._give_up: IDelayedCall | None = None
        """What happens next to exchanges that do not end while the gateway stops."""
        self._warned: tuple[Problem, ...] = ()
        """What the log has already: each change would repeat the warnings of all files."""

        self.current = CurrentSnapshot()
        self.live = Live()
        self.status = Status()
        self.sweep = Sweep(reactor, monotonic)
        self.contexts = ContextCache()
        simulator = simulator_factory(reactor, self.sweep)
        connector = Connector(
            reactor, self.sweep, self.contexts.creator_for, in_process_connector(reactor, simulator)
        )
        self.pools = Pools(connector, self.sweep)
        self.access_log = None
        if setup.access_log is not None:
            self.access_log = AccessLog(setup.access_log, reactor, time)
        registry = CollectorRegistry()
        self.metrics = Metrics(
            registry, upstream_connections=self._upstream_connections, lines_dropped=self._lines_dropped
        )
        in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
        pages = AdminPages(self.status, registry, in_thread, setup.admin_hosts)
        self.admin = AdminFactory(pages, reactor)
        surroundings = Surroundings(
            current=self.current,
            live=self.live,
            pools=self.pools,
            metrics=self.metrics,
            access_log=self.access_log,
            sweep=self.sweep,
            via=VIA_NAME + os.urandom(6).hex().encode(),
        )
        reception = Reception(surroundings)
        self.factories = [
            DownstreamFactory(reception, self.sweep, lambda: self._limits, listener.name)
            for listener in setup.listeners
        ]
        self.watcher = Watcher(
            reactor,
            Folder(setup.conf),
            LoadSettings(
                environment=os.environ,
                labels=setup.labels,
                root_namespace=setup.root_namespace,
                prepare_tls=self.contexts.prepare,
            ),
            self.adopt,
            self.status.folder_read,
        )

    # -- configuration -----------------------------------------------------------------------------

    def adopt(self, generation: Generation) -> None:
        """Run on this generation from now on; exchanges that have begun keep theirs."""
        snapshot, now = generation.snapshot, time()
        self._limits = _downstream_limits(snapshot.settings)
        self.current.snapshot = snapshot
        self.live.keep(snapshot.turns_keys)
        self.pools.retire(snapshot.destinations)
        self.contexts.keep(frozenset(each.tls for each in snapshot.destinations if each.tls is not None))
        self.status.adopted(generation, now)
        result = reload_result(generation)
        self.metrics.reloaded(result, tenant_configurations(generation, now))
        self._tell(generation, result)

    def _tell(self, generation: Generation, result: ReloadResult) -> None:
        """Log what came of a change: every error that there is, and warnings that were not there before."""
        for problem in generation.problems:
            if problem.severity == "error":
                self._log.error("{problem}", problem=str(problem))
            elif problem not in self._warned:
                self._log.warn("{problem}", problem=str(problem))
        self._warned = generation.problems
        for name in sorted(generation.stale):
            self._log.warn("tenant {name} goes on with its last good configuration", name=name)
        for name in sorted(generation.missing):
            self._log.error("tenant {name} is not served: its files were never good", name=name)
        if not generation.problems and not len(generation.snapshot.anonymous):
            self._log.warn("{conf}: {problem}", conf=str(self._setup.conf), problem=NOTHING_TO_SERVE)
        self._log.info(
            "configuration {result}, hosts served: {hosts}, tenants: {tenants}",
            result=result.replace("_", " "),
            hosts=len(generation.snapshot.anonymous),
            tenants=len(generation.snapshot.tenants),
        )

    # -- start and stop ----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Bind the ports, while the process may still bind low ones.

        :raises SystemExit: with one line, where a port cannot be bound: a gateway that hears nothing must not run.
        """
        super().privilegedStartService()
        for listener, factory in self._served():
            failures: list[Failure] = []
            listener.endpoint.listen(factory).addCallbacks(self._ports.append, failures.append)
            # Every stream endpoint of Twisted binds at once.
            if failures:
                raise SystemExit(
                    f"llmgateway: cannot listen on {listener.description}: {failures[0].getErrorMessage()}"
                )

    def startService(self) -> None:
        super().startService()
        # A scrape is rendered in a thread; at Python's 5 ms a request that comes meanwhile would wait that long.
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(GARBAGE_THRESHOLD)
        self.sweep.start()
        self.watcher.startService()
        self._take_signal(signal.SIGHUP, self.watcher.look)
        self._take_signal(signal.SIGUSR1, self._reopen_access_log)
        self._reactor.callWhenRunning(self._take_stop_signals)
        self._announce()

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Take no new connections, let exchanges end for as long as `--drain-timeout` allows, close everything."""
        super().stopService()
        self.status.draining = True
        self.watcher.stopService()
        for port in self._ports[: len(self.factories)]:
            yield maybeDeferred(port.stopListening)
        drained = DeferredList([factory.drain() for factory in self.factories])
        self._give_up = self._reactor.callLater(self._setup.drain_timeout, self._cut_exchanges)
        yield drained
        if self._give_up.active():
            self._give_up.cancel()
        self.pools.close()
        self.sweep.stop()
        if self.access_log is not None:
            self.access_log.stop()
        for port in self._ports[len(self.factories) :]:
            yield maybeDeferred(port.stopListening)

    def _served(self) -> list[tuple[Listener, IProtocolFactory]]:
        """Every listener and what answers there; the admin port is the last."""
        return [*zip(self._setup.listeners, self.factories, strict=True), (self._setup.admin, self.admin)]

    def _announce(self) -> None:
        addresses = [
            f"{listener.name}={shown(port.getHost())}" if listener.name else shown(port.getHost())
            for listener, port in zip(self._setup.listeners, self._ports, strict=False)
        ]
        self._log.info(
            "llmgateway {version} listens on {addresses}, admin on {admin}",
            version=__version__,
            addresses=", ".join(addresses),
            admin=shown(self._ports[-1].getHost()),
        )
        for port in self._ports[: len(self.factories)]:
            if not is_local(port.getHost()):
                self._log.warn(
                    "ANYBODY who reaches {address} can spend your providers' keys: no client has to prove itself there",
                    address=shown(port.getHost()),
                )
        if not is_local(self._ports[-1].getHost()):
            self._log.warn(
                "ANYBODY who reaches {address} can read the configuration, without its secrets",
                address=shown(self._ports[-1].getHost()),
            )

    def _take_signal(self, number: signal.Signals, asked: Callable[[], None]) -> None:
        signal.signal(number, lambda number, frame: self._reactor.callFromThread(asked))

    def _take_stop_signals(self) -> None:
        """Twisted's reactor takes these for itself when it begins to run, and would stop at once each time."""
        self._take_signal(signal.SIGTERM, self._stop_asked)
        self._take_signal(signal.SIGINT, self._stop_asked)

    def _stop_asked(self) -> None:
        """The first time stop gracefully, as Twisted does; the second time at once."""
        if self.status.draining:
            self._abort_exchanges()
        else:
            self._reactor.stop()

    def _reopen_access_log(self) -> None:
        """After a rotation has moved the file away."""
        if self.access_log is not None:
            self.access_log.reopen()

    def _upstream_connections(self) -> dict[str, int]:
        """Connections to providers by state, for the metrics; asked in the thread that renders them."""
        pools = tuple(self.pools.by_destination.values())
        idle = sum(len(pool.idle) for pool in pools)
        return {
            "idle": idle,
            "active": sum(len(pool.open) for pool in pools) - idle,
            "pending": sum(len(pool.pending) for pool in pools),
        }

    def _lines_dropped(self) -> int:
        return self.access_log.lines_dropped if self.access_log is not None else 0

    def _cut_exchanges(self) -> None:
        """The time that running exchanges had is over: their clients are told, and not waited for."""
        for factory in self.factories:
            factory.cut_all(GatewayError("draining", "The gateway is stopping."))
        self._give_up = self._reactor.callLater(LINGER_SECONDS, self._abort_exchanges)

    def _abort_exchanges(self) -> None:
        for factory in self.factories:
            factory.abort_all()


def _downstream_limits(settings: GatewaySettings) -> DownstreamLimits:
    """The wire's limits with what the Gateway document sets."""
    written = {name: value for name, value in asdict(settings).items() if value is not None}
    return evolve(DownstreamLimits(), **written)
