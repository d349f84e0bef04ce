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
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from gateway import __version__
from gateway.live import Live
from gateway.live.standing import KeyStanding
from gateway.messages import Secret
from gateway.serving.admin import AdminFactory
from gateway.serving.admin_access import AdminAccess
from gateway.serving.admin_pages import AdminPages
from gateway.serving.change_log import ChangeLog
from gateway.serving.health_checks import HealthChecks
from gateway.serving.inquiries import Inquiries
from gateway.serving.outgoing import VIA_NAME
from gateway.serving.page.live_page import LivePage
from gateway.serving.reception import Reception
from gateway.serving.status import Status, reload_result
from gateway.serving.stopping import Departure
from gateway.serving.surroundings import Surroundings
from gateway.simulator.in_process import in_process_connector
from gateway.simulator.server import simulator_factory
from gateway.snapshot.current import CurrentSnapshot
from gateway.snapshot.generations import Generation
from gateway.snapshot.tables import GatewaySettings
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.capture_log import CaptureLog
from gateway.telemetry.costs import Costs
from gateway.telemetry.line_log import LineLog
from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recent_failures import RecentFailures
from gateway.telemetry.sources import Sources
from gateway.telemetry.supervisor import READY, STOPPING, notify
from gateway.telemetry.tracing import Tracing
from gateway.watcher.folder import Folder
from gateway.watcher.loading import LoadSettings
from gateway.watcher.watching import Watcher
from gateway.wire.addresses import is_local, shown
from gateway.wire.connecting import Connector
from gateway.wire.counts import HandshakeResult
from gateway.wire.limits import DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.pools import Pools
from gateway.wire.ports import Listener, Ports
from gateway.wire.sweep import Sweep
from gateway.wire.tls import ContextCache

SWITCH_SECONDS = 0.0001
"""How long another thread may keep the reactor's thread from the interpreter."""

GARBAGE_THRESHOLD = 10_000
"""Objects made and not yet freed before the collector looks for cycles.  An exchange leaves none behind, so at
Python's 700 it would mostly look in vain, in the middle of requests."""

THREADS = 4
"""One follows the files; a scrape, a page of the configuration and a rehearsal may take their time beside it."""


@frozen
class GatewaySetup:
    """Everything that the command line decides."""

    conf: Path
    listeners: tuple[Listener, ...]
    admin: Listener
    admin_hosts: tuple[str, ...]
    """Names that the admin port answers to beside addresses and local names."""
    admin_token: Secret | None
    """What opens the admin port; None leaves it open."""
    labels: Mapping[str, str]
    root_namespace: str
    access_log: LineOutput | None
    """Where it is written, open already; None writes none."""
    capture_log: LineOutput | None
    """Likewise, of what tenants want kept."""
    strict: bool
    """Start only where no file has an error."""
    drain_delay: float
    """Seconds after SIGTERM for which new connections are still taken."""
    drain_timeout: float
    """Seconds that running exchanges get after that."""


class GatewayService(Service):
    """The gateway: starts with its ports bound and the configuration read, stops when its exchanges have ended."""

    _log = Logger()

    def __init__(self, reactor: Any, setup: GatewaySetup) -> None:
        """Build every part; nothing runs yet.

        :param reactor: Twisted's, with TCP, sockets, threads and time.
        """
        self._reactor = reactor
        self._setup = setup
        self._ports = Ports(reactor)
        self._limits = DownstreamLimits()
        self._change_log = ChangeLog(str(setup.conf), keeps_content=setup.capture_log is not None)

        self.current = CurrentSnapshot()
        self.live = Live()
        self.status = Status()
        self.sweep = Sweep(reactor, monotonic)
        self.contexts = ContextCache()
        self.tracing = Tracing(reactor)
        self._costs = Costs()
        simulator = simulator_factory(reactor, self.sweep)
        connector = Connector(
            reactor, self.sweep, self.contexts.creator_for, in_process_connector(reactor, simulator)
        )
        self._connector = connector
        self.pools = Pools(connector, self.sweep)
        self.access_lines = _line_log("access log", setup.access_log, reactor)
        self.capture_lines = _line_log("capture log", setup.capture_log, reactor)
        registry = CollectorRegistry()
        sources = Sources(
            snapshot=lambda: self.current.snapshot,
            seconds=self.sweep.seconds,
            upstream_connections=self.pools.counts,
            pools=self.pools.by_provider,
            downstream_connections=lambda: [factory.counts() for factory in self.factories],
            handshakes=self._handshakes,
            loop_lag=self.sweep.lag,
            keys=self._keys,
            lines_dropped=self._lines_dropped,
        )
        self.metrics = Metrics(registry, sources)
        # Not the reactor's: there names are looked up, and ten of them that nobody answers for hold all its threads.
        self._threads = ThreadPool(minthreads=0, maxthreads=THREADS, name="llmgateway")
        in_thread = partial(deferToThreadPool, reactor, self._threads)
        settings = LoadSettings(
            environment=os.environ,
            labels=setup.labels,
            root_namespace=setup.root_namespace,
            prepare_tls=self.contexts.prepare,
        )
        inquiries = Inquiries(
            self.current,
            self.live,
            lambda: self._limits,
            lambda: self.watcher.loaded,
            setup.conf,
            settings,
            [listener.name for listener in setup.listeners],
            busy=lambda: self.metrics.in_flight > 0,
        )
        failures = RecentFailures(time)
        self.page = LivePage(reactor, self.metrics, sources, self.status, failures, in_thread, time)
        access = AdminAccess(setup.admin_token, self.sweep.seconds)
        pages = AdminPages(self.status, inquiries, registry, in_thread, self.page, access, setup.admin_hosts)
        self.admin = AdminFactory(pages, reactor)
        surroundings = Surroundings(
            current=self.current,
            live=self.live,
            pools=self.pools,
            metrics=self.metrics,
            access_log=AccessLog(self.access_lines, time) if self.access_lines is not None else None,
            capture_log=CaptureLog(self.capture_lines, time) if self.capture_lines is not None else None,
            recent_failures=failures,
            sweep=self.sweep,
            costs=self._costs,
            tracing=self.tracing.current,
            via=VIA_NAME + os.urandom(6).hex().encode(),
        )
        reception = Reception(surroundings)
        self.health_checks = HealthChecks(surroundings, connector)
        self.factories = [
            DownstreamFactory(reception, self.sweep, lambda: self._limits, listener.name)
            for listener in setup.listeners
        ]
        self._departure = Departure(
            reactor, self.factories, drain_delay=setup.drain_delay, drain_timeout=setup.drain_timeout
        )
        self.watcher = Watcher(
            reactor,
            Folder(setup.conf, reactor.seconds),
            settings,
            self.adopt,
            self.status.folder_read,
            in_worker=in_thread,
            told=self._told,
            busy=lambda: self.metrics.in_flight > 0,
        )

    # -- configuration -----------------------------------------------------------------------------

    def adopt(self, generation: Generation) -> None:
        """Run on this generation from now on; exchanges that have begun keep theirs."""
        is_first = self.current.snapshot is None
        if is_first:
            self._reactor.callWhenRunning(self._notify, READY)
        snapshot, now = generation.snapshot, time()
        self._limits = _downstream_limits(snapshot.settings)
        self.current.snapshot = snapshot
        self.tracing.adopt(snapshot.settings.tracing, at_once=is_first)
        self.live.keep(snapshot)
        self.pools.adopt(snapshot.destinations)
        self.health_checks.adopt(snapshot)
        self.contexts.keep(generation.tls)
        self.status.adopted(generation, now)
        self.metrics.gen_ai.adopt(snapshot.settings.gen_ai)
        self.metrics.reloaded(reload_result(generation), self.status.tenants())

    def _told(self, generation: Generation) -> None:
        """In the watcher's thread: what else there is to be done with a new generation."""
        self._change_log.tell(generation, reload_result(generation))
        if any(table.asks_catalog for table in generation.snapshot.tenants.values()):
            self._costs.load_catalog()

    # -- start and stop ----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Bind the ports, while the process may still bind low ones.

        :raises SystemExit: with one line, where a port cannot be bound: a gateway that hears nothing must not run.
        """
        super().privilegedStartService()
        for listener, factory in self._served():
            try:
                self._ports.bind(listener, factory)
            except Exception as error:  # each kind of endpoint fails with what it likes
                raise SystemExit(f"llmgateway: cannot listen on {listener.description}: {error}") from None

    def startService(self) -> None:
        """Read the configuration and follow it from now on.

        :raises SystemExit: where a file has an error and none must have one; the log has a line for each.
        """
        super().startService()
        # A scrape is rendered in a thread; at Python's 5 ms a request that comes meanwhile would wait that long.
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(GARBAGE_THRESHOLD)
        self._threads.start()
        self.sweep.start()
        # Before anybody can be told that it is ready, and stop it for that.
        self._reactor.callWhenRunning(self._take_stop_signals)
        self.watcher.startService()
        if self._setup.strict:
            self._refuse_errors()
        self.page.start()
        self._take_signal(signal.SIGHUP, self.watcher.ask)
        self._take_rotation_signal()
        self._announce()

    def _refuse_errors(self) -> None:
        errors = len(self.status.errors())
        if errors:
            raise SystemExit(
                f"llmgateway: not started, as --strict wants it: errors in {self._setup.conf}: {errors}"
            )

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Leave as `serving/stopping.py` says, then close everything.

        Files are followed as long as new connections are taken.  The admin port answers until the end; but an
        inherited one is left, with the others, to whoever takes over: probes are to hear how that one is.
        """
        super().stopService()
        self.status.draining = True
        self._notify(STOPPING)
        yield self._departure.wind_down()
        self.watcher.stopService()
        self.health_checks.stop()
        admin = self._setup.admin
        yield self._ports.close([*self._setup.listeners, *([admin] if admin.is_inherited else [])])
        yield self._departure.drain()
        self.page.stop()
        self.pools.close()
        self.sweep.stop()
        for lines in self._line_logs:
            lines.stop()
        yield self.tracing.stop()
        yield self._ports.close([admin])
        self._threads.stop()

    def _served(self) -> list[tuple[Listener, IProtocolFactory]]:
        """Every listener and what answers there; the admin port is the last."""
        return [*zip(self._setup.listeners, self.factories, strict=True), (self._setup.admin, self.admin)]

    def _announce(self) -> None:
        addresses = [(each, self._ports.address(each)) for each in self._setup.listeners]
        admin = self._ports.address(self._setup.admin)
        self._log.info(
            "llmgateway {version} listens on {addresses}, admin on {admin}",
            version=__version__,
            addresses=", ".join(
                f"{each.name}={shown(at)}" if each.name else shown(at) for each, at in addresses
            ),
            admin=shown(admin),
        )
        for listener, address in addresses:
            if not is_local(address) and not listener.proves_clients and self._serves_strangers:
                self._log.warn(
                    "ANYBODY who reaches {address} can spend the keys of tenants that have no clients to tell apart",
                    address=shown(address),
                )
        protected = self._setup.admin.proves_clients or self._setup.admin_token is not None
        if not is_local(admin) and not protected:
            self._log.warn(
                "ANYBODY who reaches {address} can read the configuration, without its secrets",
                address=shown(admin),
            )

    @property
    def _serves_strangers(self) -> bool:
        """Some tenant answers to whoever asks, or the next one may: nothing says yet that clients are told apart."""
        snapshot = self.current.snapshot
        return snapshot is None or not snapshot.clients.ways or len(snapshot.anonymous) > 0

    def _take_signal(self, number: signal.Signals, asked: Callable[[], None]) -> None:
        signal.signal(number, lambda number, frame: self._reactor.callFromThread(asked))

    def _take_rotation_signal(self) -> None:
        """With `--logfile` somebody has taken it before, who goes on hearing it."""
        rotate = signal.getsignal(signal.SIGUSR1)

        def rotated() -> None:
            if callable(rotate):
                rotate(signal.SIGUSR1, None)
            self._reopen_logs()

        self._take_signal(signal.SIGUSR1, rotated)

    def _take_stop_signals(self) -> None:
        """Twisted's reactor takes these for itself when it begins to run, and would stop at once each time."""
        self._take_signal(signal.SIGTERM, self._stop_asked)
        self._take_signal(signal.SIGINT, self._stop_asked)

    def _stop_asked(self) -> None:
        """The first time stop gracefully, as Twisted does; the second time at once."""
        if self.status.draining:
            self._departure.hurry()
        else:
            self.status.draining = True
            self._reactor.stop()

    def _notify(self, message: bytes) -> None:
        try:
            notify(os.environ, message)
        except OSError as error:
            self._log.warn("NOTIFY_SOCKET cannot be told anything: {error}", error=str(error))

    @property
    def _line_logs(self) -> list[LineLog]:
        return [lines for lines in (self.access_lines, self.capture_lines) if lines is not None]

    def _reopen_logs(self) -> None:
        """After a rotation has moved files away."""
        for lines in self._line_logs:
            lines.reopen()

    def _keys(self) -> list[KeyStanding]:
        """How every provider's key stands, for the metrics; asked in the thread that renders them."""
        snapshot = self.current.snapshot
        return self.live.standings(snapshot, self.sweep.seconds()) if snapshot is not None else []

    def _handshakes(self) -> dict[tuple[str, HandshakeResult], int]:
        """Of all listeners together, and with providers."""
        counts = {("upstream", result): number for result, number in self._connector.handshakes.items()}
        for listener in self._setup.listeners:
            for result, number in listener.handshakes.items():
                counts["downstream", result] = counts.get(("downstream", result), 0) + number
        return counts

    def _lines_dropped(self) -> int:
        return self.access_lines.lines_dropped if self.access_lines is not None else 0


def _line_log(noun: str, output: LineOutput | None, reactor: Any) -> LineLog | None:
    return LineLog(noun, output, reactor) if output is not None else None


_NOT_THE_WIRES = ("attempt_headers", "gen_ai", "tracing")


def _downstream_limits(settings: GatewaySettings) -> DownstreamLimits:
    """The wire's limits with what the Gateway document sets."""
    limits = asdict(
        settings, filter=lambda each, value: value is not None and each.name not in _NOT_THE_WIRES
    )
    return evolve(DownstreamLimits(), **limits)
