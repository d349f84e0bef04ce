"""The gateway as a service: built, started and stopped.

setup       everything that the command line decides
parts       every part, and how they are wired
signals     what it does when its process is sent one
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from gateway import __version__
from gateway.service.parts import Parts
from gateway.service.setup import GatewaySetup
from gateway.service.signals import take_signals
from gateway.serving.starting import NotStarted, cannot_listen
from gateway.telemetry.supervisor import STOPPING, notify
from gateway.wire.addresses import is_local, shown
from gateway.wire.ports import Listener

SWITCH_SECONDS = 0.0001
"""How long another thread may keep the reactor's thread from the interpreter."""

GARBAGE_THRESHOLD = 10_000
"""Objects made and not yet freed before the collector looks for cycles.  An exchange leaves none behind, so at
Python's 700 it would mostly look in vain, in the middle of requests."""


class GatewayService(Service):
    """The gateway: starts with its ports bound and the configuration read, stops when its exchanges have ended."""

    _log = Logger()

    def __init__(self, reactor: Any, setup: GatewaySetup) -> None:
        """Build every part; nothing runs yet.

        :param reactor: Twisted's, with TCP, sockets, threads and time.
        """
        self._reactor = reactor
        self._setup = setup
        self.parts = Parts(reactor, setup)

    def privilegedStartService(self) -> None:
        """Bind the ports, while the process may still bind low ones.

        :raises NotStarted: where a port cannot be bound: a gateway that hears nothing must not run.
        """
        super().privilegedStartService()
        for listener, factory in self._served():
            try:
                self.parts.ports.bind(listener, factory)
            except Exception as error:  # each kind of endpoint fails with what it likes
                option = "--admin" if listener is self._setup.admin else "--listen"
                raise cannot_listen(listener, option, error) from None

    def startService(self) -> None:
        """Read the configuration and follow it from now on.

        :raises NotStarted: where a file has an error and none must have one; the log has a line for each.
        """
        super().startService()
        # A scrape is rendered in a thread; at Python's 5 ms a request that comes meanwhile would wait that long.
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(GARBAGE_THRESHOLD)
        self.parts.threads.start()
        self.parts.sweep.start()
        # Before anybody can be told that it is ready, and stop it for that.
        take_signals(self._reactor, self.parts)
        self.parts.watcher.startService()
        if self._setup.strict:
            self._refuse_errors()
        self.parts.page.start()
        self._announce()

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Leave as `serving/stopping.py` says, then close everything.

        Files are followed as long as new connections are taken.  The admin port answers until the end; but an
        inherited one is left, with the others, to whoever takes over: probes are to hear how that one is.
        """
        super().stopService()
        parts, admin = self.parts, self._setup.admin
        parts.status.draining = True
        notify(os.environ, STOPPING)
        yield parts.departure.wind_down()
        parts.watcher.stopService()
        parts.health_checks.stop()
        yield parts.ports.close([*self._setup.listeners, *([admin] if admin.is_inherited else [])])
        yield parts.departure.drain()
        parts.page.stop()
        parts.pools.close()
        parts.sweep.stop()
        if parts.redactor is not None:
            yield parts.redactor.stop()
        for lines in parts.line_logs:
            lines.stop()
        yield parts.tracing.stop()
        yield parts.ports.close([admin])
        parts.threads.stop()
        self._log.info("llmgateway has stopped")

    def _served(self) -> list[tuple[Listener, IProtocolFactory]]:
        """Every listener and what answers there; the admin port is the last."""
        listeners = zip(self._setup.listeners, self.parts.factories, strict=True)
        return [*listeners, (self._setup.admin, self.parts.admin)]

    def _refuse_errors(self) -> None:
        errors = len(self.parts.status.errors())
        if errors:
            raise NotStarted(
                f"llmgateway: not started, as --strict wants it: errors in {self._setup.conf}: {errors}"
            )

    def _announce(self) -> None:
        ports = self.parts.ports
        addresses = [(each, ports.address(each)) for each in self._setup.listeners]
        admin = ports.address(self._setup.admin)
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
        snapshot = self.parts.current.snapshot
        return snapshot is None or not snapshot.clients.ways or len(snapshot.anonymous) > 0
