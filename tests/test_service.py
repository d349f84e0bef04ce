"""The gateway as a service, on a reactor in memory: how it starts, reloads and stops."""

from __future__ import annotations

import gc
import json
import signal
import sys
from collections.abc import Callable
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

from gateway import service as gateway_service
from gateway.service import GatewayService, GatewaySetup
from gateway.telemetry.line_output import LineOutput
from gateway.wire.limits import LINGER_SECONDS
from gateway.wire.listening import DownstreamFactory
from gateway.wire.ports import Listener
from tests.fakes.client import ClientTransport
from tests.fakes.conf import gateway, key_hash, provider, route, route_to, tenant
from tests.fakes.house import HELLO, get, parts, post
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
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
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
        self.patch(gateway_service, "ThreadPool", AtOnce)
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


class StartTests(ServiceTestCase):
    def test_it_listens_reads_and_says_so(self) -> None:
        service = self.started()
        self.assertEqual(self.reactor.factories.keys(), {8080, 8081, 9901})
        self.assertEqual(service.status.ready(), (True, []))
        (line,) = [line for line in self.log if "listens on" in line]
        self.assertRegex(
            line,
            r"^llmgateway \S+ listens on 127.0.0.1:8080, egress=127.0.0.1:8081, admin on 127.0.0.1:9901$",
        )
        self.assertTrue(self.ask(get(b"/v1/models")).startswith(b"HTTP/1.1 200 OK"))

    def test_a_port_that_is_taken_is_one_line(self) -> None:
        for port in (8080, 8081, 9901):
            self.reactor.taken = {port}
            with self.assertRaises(SystemExit) as end:
                self.service().privilegedStartService()
            line = str(end.exception.code)
            self.assertIn(f"cannot listen on tcp:{port}", line)
            self.assertIn("Address already in use", line)
            self.assertNotIn("\n", line)

    def test_and_the_others_are_closed_again(self) -> None:
        self.reactor.taken = {9901}
        with self.assertRaises(SystemExit):
            self.service().privilegedStartService()
        self.assertEqual(self.reactor.closed, [8080, 8081])

    def test_a_listener_that_others_can_reach_is_warned_of(self) -> None:
        self.started(host="0.0.0.0")
        warnings = [line for line in self.log if line.startswith("ANYBODY who reaches 0.0.0.0:")]
        self.assertEqual(["keys" in line for line in warnings], [True, True, False])
        self.assertIn("can read the configuration", warnings[-1])

    def test_unless_every_tenant_tells_its_clients_apart(self) -> None:
        way_in = f"clients: [{{name: ci, apiKeyHash: '{key_hash('a key of the client')}'}}]"
        self.write(tenant("default", way_in) + provider("a", LOCAL) + route_to("a"))
        self.started(host="0.0.0.0")
        self.assertEqual([line for line in self.log if "can spend" in line], [])

    def test_one_that_they_cannot_is_not(self) -> None:
        self.started()
        self.assertEqual([line for line in self.log if "ANYBODY" in line], [])

    def test_listeners_have_their_names(self) -> None:
        named = "gateways: [other]\n  rules:"
        self.write(provider("a", LOCAL) + route_to("a").replace("rules:", named))
        self.started()
        self.assertTrue(self.ask(get(b"/v1/models"), 8080).startswith(b"HTTP/1.1 200 OK"))
        self.assertTrue(self.ask(get(b"/v1/models"), 8081).startswith(b"HTTP/1.1 404 "))

    def test_nothing_to_serve_is_said(self) -> None:
        self.write("# nothing")
        service = self.started()
        self.assertFalse(service.status.ready()[0])
        self.assertTrue([line for line in self.log if "no file names an LLMProvider" in line])


class AdoptTests(ServiceTestCase):
    def test_a_change_is_adopted(self) -> None:
        service = self.started()
        first = service.current.snapshot
        self.write(gateway("limits: {headers: 1}") + provider("b", LOCAL) + route_to("b", "new"))
        service.watcher.look()
        self.assertIsNot(service.current.snapshot, first)
        self.assertTrue(self.ask(get(b"/v1/models", host=b"demo")).startswith(b"HTTP/1.1 404 "))
        self.assertTrue(self.ask(get(b"/v1/models", host=b"new")).startswith(b"HTTP/1.1 200 OK"))
        self.assertTrue(self.ask(get(b"/v1/models", b"X: y", host=b"new")).startswith(b"HTTP/1.1 431 "))

    def test_one_that_is_broken_is_told_and_the_last_good_runs_on(self) -> None:
        service = self.started()
        self.write("kind: [")
        self.log.clear()
        service.watcher.look()
        self.assertTrue([line for line in self.log if "conf.yaml:" in line], self.log)
        self.assertIn("tenant default goes on with its last good configuration", self.log)
        self.assertTrue(self.ask(get(b"/v1/models")).startswith(b"HTTP/1.1 200 OK"))
        self.assertTrue(service.status.ready()[0])

    def test_turns_of_rules_that_are_gone_are_forgotten_and_others_go_on(self) -> None:
        both = provider("a", LOCAL) + provider("b", LOCAL)
        documents = both + route(
            "demo",
            """
            rules:
            - backendRefs: [{providerHost: a.example, weight: 1}, {providerHost: b.example, weight: 1}]
            """,
        )
        self.write(documents)
        service = self.started()
        snapshot = service.current.snapshot
        assert snapshot is not None
        found = snapshot.tenants["default"].routes.find("demo")
        assert found is not None
        self.assertEqual(service.live.turns.take(found.rules[0]).provider, "a")
        self.write("# a comment\n" + documents)
        service.watcher.look()
        self.assertEqual(service.live.turns.next(found.rules[0]).provider, "b")
        self.write(both)
        service.watcher.look()
        self.assertEqual(service.live.turns.next(found.rules[0]).provider, "a")

    def test_its_threads_run_as_long_as_it_does(self) -> None:
        """They are not the reactor's, which names hold that nobody answers for; this reactor has none to give."""
        service = self.started()
        threads = service._threads
        self.assertTrue(threads.started)
        service.stopService()
        self.reactor.advance(31)
        self.assertFalse(threads.started)

    def test_errors_may_keep_it_from_starting(self) -> None:
        service = self.service(strict=True)
        self.addCleanup(self.stop, service)
        self.write("kind: [")
        service.privilegedStartService()
        with self.assertRaisesRegex(
            SystemExit, r"^llmgateway: not started, as --strict wants it: errors in .*: 1$"
        ):
            service.startService()

    def test_what_is_broken_later_ends_nothing(self) -> None:
        service = self.started(strict=True)
        self.write("kind: [")
        service.watcher.look()
        self.assertTrue(service.running)
        self.assertEqual(len(service.status.errors()), 1)

    def test_reloads_are_counted(self) -> None:
        service = self.started()
        self.write("kind: [")
        service.watcher.look()
        samples = {
            sample.labels.get("result"): sample.value
            for metric in service.metrics.collect()
            for sample in metric.samples
            if sample.name == "llmgateway_config_reloads_total"
        }
        self.assertEqual(samples, {"applied": 1, "partly_applied": 0, "rejected": 1})


class ProxyTests(ServiceTestCase):
    """That the parts are wired: a request goes through to the network and comes back."""

    def send(self) -> tuple[Any, ClientTransport, Any]:
        connection, transport = self.client()
        connection.dataReceived(post(HELLO))
        approach = self.reactor.approaches[-1]
        self.assertEqual((approach.host, approach.port), ("10.0.0.1", 80))
        provider_side = approach.builds()
        provider_side.makeConnection(ClientTransport())
        return connection, transport, provider_side

    def test_through_and_back(self) -> None:
        output = LineOutput(str(self.folder / "access.log"))
        service = self.started(access_log=output)
        connection, transport, upstream = self.send()
        self.assertEqual(service.metrics.in_flight, 1)
        upstream.dataReceived(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        self.assertEqual(parts(transport.value())[2], b"{}")
        connection.connectionLost()
        self.stop(service)
        (line,) = (self.folder / "access.log").read_text().splitlines()
        self.assertEqual(json.loads(line)["provider"], "a")

    def test_a_stop_waits_for_it(self) -> None:
        service = self.started()
        _, transport, upstream = self.send()
        stopped: list[object] = []
        waiting: Deferred[Any] = service.stopService()
        waiting.addCallback(stopped.append)
        self.assertEqual(self.reactor.closed, [8080, 8081], "no new connections, and the admin port stays")
        self.assertEqual(service.status.ready(), (False, ["the gateway is stopping"]))
        self.assertEqual(stopped, [])
        upstream.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        first, headers, body = parts(transport.value())
        self.assertEqual((first, headers[b"connection"], body), (b"HTTP/1.1 200 OK", b"close", b"hi"))
        self.factory_connection().connectionLost()
        self.assertEqual(stopped, [None])
        self.assertEqual(self.reactor.closed, [8080, 8081, 9901])

    def factory_connection(self) -> Any:
        (connection,) = self.reactor.factories[8080].connections
        return connection

    def test_but_not_for_ever(self) -> None:
        service = self.started()
        connection, transport, _ = self.send()
        stopped: list[object] = []
        service.stopService().addCallback(stopped.append)
        self.reactor.advance(29)
        self.assertFalse(transport.aborted)
        self.reactor.advance(2)
        self.assertIn(b'"code":"draining"', transport.value())
        # A client that takes no notice of that is not waited for either.
        self.reactor.advance(LINGER_SECONDS + 1)
        self.assertTrue(transport.aborted)
        connection.connectionLost()
        self.assertEqual(stopped, [None])
        self.assertEqual(service.metrics.in_flight, 0)

    def test_for_a_while_a_stop_changes_nothing_but_readiness(self) -> None:
        service = self.started(drain_delay=5.0)
        stopped: list[object] = []
        service.stopService().addCallback(stopped.append)
        self.assertEqual(service.status.ready(), (False, ["the gateway is stopping"]))
        self.write(provider("b", LOCAL) + route_to("b", "new"))
        service.watcher.look()
        self.assertTrue(self.ask(get(b"/v1/models", host=b"new")).startswith(b"HTTP/1.1 200 OK"))
        self.reactor.advance(4)
        self.assertEqual(self.reactor.closed, [])
        self.assertTrue(service.watcher.running)
        self.reactor.advance(1)
        self.assertEqual(self.reactor.closed, [8080, 8081, 9901])
        self.assertFalse(service.watcher.running)
        self.assertEqual(stopped, [None])

    def test_inherited_ports_are_left_together(self) -> None:
        """Whoever takes over answers probes, too."""
        service = self.started(endpoint=Inherited)
        self.send()
        service.stopService()
        self.assertEqual(self.reactor.closed, [8080, 8081, 9901])

    def test_a_stop_with_nobody_there_is_at_once(self) -> None:
        service = self.started()
        stopped: list[object] = []
        service.stopService().addCallback(stopped.append)
        self.assertEqual(stopped, [None])
        self.assertEqual([call for call in self.reactor.getDelayedCalls() if call.active()], [])


class SignalTests(ServiceTestCase):
    def setUp(self) -> None:
        super().setUp()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def test_the_first_stops_and_the_second_ends(self) -> None:
        service = self.started()
        self.reactor.hasStopped = False
        for call, arguments, options in self.reactor.whenRunningHooks:
            call(*arguments, **options)
        _, transport = self.client()
        signal.raise_signal(signal.SIGTERM)
        self.assertTrue(self.reactor.hasStopped)
        self.assertFalse(transport.aborted)
        connection = next(iter(self.reactor.factories[8080].connections))
        connection.dataReceived(post(HELLO))
        service.stopService()
        signal.raise_signal(signal.SIGTERM)
        self.assertTrue(transport.aborted)
        connection.connectionLost()
