"""The gateway as a service, on a reactor in memory."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from errno import EADDRINUSE
from pathlib import Path
from socket import AF_INET
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from gateway.service import GatewayService
from gateway.service import parts as gateway_parts
from gateway.service.setup import GatewaySetup
from gateway.telemetry.line_output import LineOutput
from gateway.wire.listening import DownstreamFactory
from gateway.wire.ports import Listener
from tests.fakes.client import ClientTransport
from tests.fakes.conf import provider, route_to
from tests.fakes.networks import Network

LOCAL = "endpoint: {address: 10.0.0.1, port: 80, tls: {mode: DISABLE}}"


class Port:
    """A port that a reactor in memory listens on."""

    def __init__(self, reactor: Reactor, host: str, number: int) -> None:
        self._reactor = reactor
        self._host = host
        self._number = number

    def getHost(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", self._host, self._number)

    def stopListening(self) -> None:  # noqa: N802
        self._reactor.closed.append(self._number)


class AtOnce(ThreadPool):
    """Threads that do at once what they are asked to."""

    def callInThreadWithCallback(  # noqa: N802
        self,
        onResult: Any,  # noqa: N803
        func: Callable[..., Any],
        *args: Any,
        **kw: Any,
    ) -> None:
        try:
            result = func(*args, **kw)
        except Exception:
            onResult(False, Failure())
        else:
            onResult(True, result)


class Reactor(Network):
    """A reactor with ports, threads that do everything at once, and nothing that waits in real time."""

    def __init__(self) -> None:
        super().__init__()
        self.factories: dict[int, Any] = {}
        """By port."""
        self.closed: list[int] = []
        self.taken: set[int] = set()
        """Ports that somebody else listens on."""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:  # noqa: N802
        if port in self.taken:
            raise CannotListenError(interface, port, OSError(EADDRINUSE, "Address already in use"))
        self.factories[port] = factory
        return Port(self, interface or "0.0.0.0", port)

    def iterate(self, delay: float = 0.0) -> None:
        self.advance(delay)

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:  # noqa: N802
        call(*arguments)


class Inherited(AdoptedStreamServerEndpoint):
    """A socket that others have, too."""

    def __init__(self, reactor: Reactor, port: int, interface: str) -> None:
        super().__init__(reactor, port, AF_INET)
        self._host = interface

    def listen(self, factory: Any) -> Deferred[Any]:
        return succeed(self.reactor.listenTCP(self.fileno, factory, interface=self._host))


class ServiceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.conf = self.folder / "conf.d"
        self.conf.mkdir()
        self.write(provider("a", LOCAL) + route_to("a"))
        self.reactor = Reactor()
        self.patch(gateway_parts, "ThreadPool", AtOnce)
        self.log: list[str] = []
        self.listens(self.note)
        for restore, value in (
            (sys.setswitchinterval, sys.getswitchinterval()),
            (lambda number: gc.set_threshold(number), gc.get_threshold()[0]),
        ):
            self.addCleanup(restore, value)

    def listens(self, observer: Any) -> None:
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def note(self, event: dict[str, Any]) -> None:
        if event.get("log_namespace", "").startswith("gateway."):
            self.log.append(event["log_format"].format(**event))

    def write(self, text: str) -> None:
        (self.conf / "conf.yaml").write_text(text)

    def service(
        self,
        *,
        host: str = "127.0.0.1",
        access_log: LineOutput | None = None,
        capture_log: LineOutput | None = None,
        strict: bool = False,
        drain_delay: float = 0.0,
        endpoint: Callable[..., IStreamServerEndpoint] = TCP4ServerEndpoint,
    ) -> GatewayService:
        def listener(name: str, port: int) -> Listener:
            return Listener(name, f"tcp:{port}", endpoint(self.reactor, port, interface=host))

        setup = GatewaySetup(
            conf=self.conf,
            listeners=(listener("", 8080), listener("egress", 8081)),
            admin=listener("", 9901),
            admin_hosts=(),
            admin_token=None,
            labels={},
            root_namespace="istio-system",
            own_lines=None,
            access_log=access_log,
            capture_log=capture_log,
            strict=strict,
            drain_delay=drain_delay,
            drain_timeout=30.0,
        )
        return GatewayService(self.reactor, setup)

    def started(self, **options: Any) -> GatewayService:
        service = self.service(**options)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(self.stop, service)
        return service

    def stop(self, service: GatewayService) -> None:
        if service.running:
            service.stopService()
        self.reactor.advance(31)

    def client(self, port: int = 8080) -> tuple[Any, ClientTransport]:
        """A connection to a port, and our end of it."""
        factory = self.reactor.factories[port]
        assert isinstance(factory, DownstreamFactory)
        connection, transport = factory.buildProtocol(None), ClientTransport()
        connection.makeConnection(transport)
        return connection, transport

    def ask(self, request: bytes, port: int = 8080) -> bytes:
        connection, transport = self.client(port)
        connection.dataReceived(request)
        answer: bytes = transport.value()
        connection.connectionLost()
        return answer
