"""Every part of the gateway, and how they are wired: read it as the list of what there is."""

from __future__ import annotations

import os
from functools import partial
from time import monotonic, time
from typing import Any

from attrs import asdict, evolve
from prometheus_client import CollectorRegistry
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from gateway.live import Live
from gateway.live.standing import KeyStanding
from gateway.service.setup import GatewaySetup
from gateway.serving.admin import AdminFactory
from gateway.serving.admin_access import AdminAccess
from gateway.serving.admin_pages import AdminPages
from gateway.serving.admin_refusals import AdminRefusals
from gateway.serving.change_log import ChangeLog
from gateway.serving.costs import Costs
from gateway.serving.health_checks import HealthChecks
from gateway.serving.held_bodies import HeldBodies
from gateway.serving.inquiries import Inquiries
from gateway.serving.outgoing import VIA_NAME
from gateway.serving.page.live_page import LivePage
from gateway.serving.page.work import Work
from gateway.serving.reception import Reception
from gateway.serving.redactor import Redactor
from gateway.serving.status import Status, reload_result
from gateway.serving.stopping import Departure
from gateway.serving.surroundings import Surroundings
from gateway.simulator.in_process import in_process_connector
from gateway.simulator.server import simulator_factory
from gateway.snapshot.current import CurrentSnapshot
from gateway.snapshot.generations import Generation
from gateway.snapshot.settings import GatewaySettings
from gateway.snapshot.stable_names import ProviderName
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.capture_log import CaptureLog
from gateway.telemetry.line_log import LineLog
from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.own_lines import OwnLines
from gateway.telemetry.recent_failures import RecentFailures
from gateway.telemetry.sources import Sources
from gateway.telemetry.supervisor import READY, notify
from gateway.telemetry.tracing import Tracing
from gateway.telemetry.trouble_log import TroubleLog
from gateway.watcher.folder import Folder
from gateway.watcher.loading import LoadSettings
from gateway.watcher.pacing import Pace
from gateway.watcher.watching import Watcher
from gateway.wire.connecting import Connector
from gateway.wire.contexts import ends_at
from gateway.wire.counts import HandshakeResult
from gateway.wire.limits import DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.pools import Pools
from gateway.wire.ports import Ports
from gateway.wire.sweep import Sweep
from gateway.wire.tls import ContextCache
from gateway.wire.tls_files import TlsFilesReader

THREADS = 4
"""One follows the files; a scrape, a page of the configuration and a rehearsal may take their time beside it."""


class Parts:
    """All of them, built and wired; nothing runs yet."""

    def __init__(self, reactor: Any, setup: GatewaySetup) -> None:
        """Build them.

        :param reactor: Twisted's, with TCP, sockets, threads and time.
        """
        self._reactor = reactor
        self._setup = setup
        self._limits = DownstreamLimits()
        self._change_log = ChangeLog(str(setup.conf), keeps_content=setup.capture_log is not None)

        self.current = CurrentSnapshot()
        self.status = Status()
        self.ports = Ports(reactor)
        self.sweep = Sweep(reactor, monotonic)
        self.troubles = TroubleLog(reactor, self.sweep.seconds)
        self.live = Live(self.troubles)
        self.contexts = ContextCache()
        self.tracing = Tracing(reactor)
        bodies = HeldBodies()
        simulator = simulator_factory(reactor, self.sweep)
        self.connector = Connector(
            reactor,
            self.sweep,
            self.contexts.creator_for,
            in_process_connector(reactor, simulator),
            self.troubles,
        )
        self.pools = Pools(self.connector, self.sweep)
        self.access_lines = _line_log("access log", setup.access_log, reactor)
        self.capture_lines = _line_log("capture log", setup.capture_log, reactor, are_safe=True)
        refusals = AdminRefusals(reactor, self.sweep.seconds)
        registry = CollectorRegistry()
        sources = Sources(
            snapshot=lambda: self.current.snapshot,
            seconds=self.sweep.seconds,
            upstream_connections=self.pools.counts,
            pools=self.pools.by_provider,
            downstream_connections=lambda: [factory.counts() for factory in self.factories],
            handshakes=self._handshakes,
            loop_lag=self.sweep.lag,
            certificates=self._certificates,
            client_certificates=self._client_certificates,
            keys=self._keys,
            lines_dropped=partial(_lines_dropped, self.access_lines),
            own_lines_dropped=partial(_lines_dropped, setup.own_lines),
            captured_lines_dropped=partial(_lines_dropped, self.capture_lines),
            spans_exported=lambda: self.tracing.spans_exported,
            spans_lost=lambda: self.tracing.spans_lost,
            held_bodies=lambda: bodies.held,
            admin_refusals=refusals.counts,
        )
        self.metrics = Metrics(registry, sources)
        # Not the reactor's: there names are looked up, and ten of them that nobody answers for hold all its threads.
        self.threads = ThreadPool(minthreads=0, maxthreads=THREADS, name="llmgateway")
        in_thread = partial(deferToThreadPool, reactor, self.threads)
        self._costs = Costs(in_thread)
        self.redactor: Redactor | None = None
        """None where nothing is kept of what is asked and answered."""
        if self.capture_lines is not None:
            self.redactor = Redactor(CaptureLog(self.capture_lines, time), in_thread)
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
        work = Work(reactor, in_thread)
        self.page = LivePage(reactor, self.metrics, sources, self.status, failures, work, time)
        access = AdminAccess(setup.admin_token, self.sweep.seconds)
        pages = AdminPages(
            self.status, inquiries, registry, in_thread, self.page, access, refusals, setup.admin_hosts
        )
        self.admin = AdminFactory(pages, reactor)
        surroundings = Surroundings(
            current=self.current,
            live=self.live,
            pools=self.pools,
            metrics=self.metrics,
            access_log=AccessLog(self.access_lines, time) if self.access_lines is not None else None,
            redactor=self.redactor,
            recent_failures=failures,
            sweep=self.sweep,
            costs=self._costs,
            bodies=bodies,
            tracing=self.tracing.current,
            via=VIA_NAME + os.urandom(6).hex().encode(),
        )
        reception = Reception(surroundings)
        self.health_checks = HealthChecks(surroundings, self.connector)
        self.factories = [
            DownstreamFactory(reception, self.sweep, lambda: self._limits, listener.name)
            for listener in setup.listeners
        ]
        self.departure = Departure(
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

    @property
    def line_logs(self) -> list[LineLog]:
        """Those that are written."""
        return [lines for lines in (self.access_lines, self.capture_lines) if lines is not None]

    # -- configuration -----------------------------------------------------------------------------

    def look(self) -> None:
        """Look at all files now: those of conf.d, and those of listeners."""
        self.watcher.ask()
        for files in self._tls_files():
            files.read_again()

    def adopt(self, generation: Generation) -> None:
        """Run on this generation from now on; exchanges that have begun keep theirs."""
        is_first = self.current.snapshot is None
        if is_first:
            self._reactor.callWhenRunning(notify, os.environ, READY)
        snapshot, now = generation.snapshot, time()
        self._limits = _downstream_limits(snapshot.settings)
        self.current.snapshot = snapshot
        self.tracing.adopt(snapshot.settings.tracing, at_once=is_first)
        self.live.keep(snapshot)
        self.pools.adopt(snapshot.destinations)
        self.troubles.keep(snapshot.destinations)
        self.health_checks.adopt(snapshot)
        self.contexts.keep(generation.tls)
        self.status.adopted(generation, now)
        self.page.adopted()
        self.metrics.gen_ai.adopt(snapshot.settings.gen_ai)
        self.metrics.reloaded(reload_result(generation), self.status.tenants())

    def _told(self, generation: Generation) -> None:
        """In the watcher's thread: what else there is to be done with a new generation."""
        names = {name for table in generation.snapshot.tenants.values() for name in table.catalog_names}
        self._costs.learn(names, Pace(lambda: self.metrics.in_flight > 0))
        self._change_log.tell(generation, reload_result(generation))

    def _tls_files(self) -> list[TlsFilesReader]:
        """Of every listener that speaks TLS."""
        listeners = (*self._setup.listeners, self._setup.admin)
        return [each.tls_files for each in listeners if each.tls_files is not None]

    # -- what metrics ask ----------------------------------------------------------------------------

    def _certificates(self) -> dict[str, float]:
        """When which listener's certificate ends, in seconds of Unix time."""
        return {files.name: files.ends_at for files in self._tls_files()}

    def _client_certificates(self) -> dict[ProviderName, float]:
        """When the certificate ends that which provider is shown; asked in the thread that renders."""
        snapshot = self.current.snapshot
        return {
            (each.owner, each.provider): ends_at(each.tls.client_certificate)
            for each in (snapshot.destinations if snapshot is not None else ())
            if each.tls is not None and each.tls.client_certificate is not None
        }

    def _keys(self) -> list[KeyStanding]:
        """How every provider's key stands; asked in the thread that renders."""
        snapshot = self.current.snapshot
        return self.live.standings(snapshot, self.sweep.seconds()) if snapshot is not None else []

    def _handshakes(self) -> dict[tuple[str, HandshakeResult], int]:
        """Of all listeners together, and with providers."""
        counts = {("upstream", result): number for result, number in self.connector.handshakes.items()}
        for listener in self._setup.listeners:
            for result, number in listener.handshakes.items():
                counts["downstream", result] = counts.get(("downstream", result), 0) + number
        return counts


def _line_log(
    noun: str, output: LineOutput | None, reactor: Any, *, are_safe: bool = False
) -> LineLog | None:
    return LineLog(noun, output, reactor, are_safe=are_safe) if output is not None else None


def _lines_dropped(lines: LineLog | OwnLines | None) -> int:
    return lines.lines_dropped if lines is not None else 0


_NOT_THE_WIRES = ("all_bodies_bytes", "attempt_headers", "gen_ai", "tracing")


def _downstream_limits(settings: GatewaySettings) -> DownstreamLimits:
    """The wire's limits with what the Gateway document sets."""
    limits = asdict(
        settings, filter=lambda each, value: value is not None and each.name not in _NOT_THE_WIRES
    )
    return evolve(DownstreamLimits(), **limits)
