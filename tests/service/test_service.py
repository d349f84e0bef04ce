"""How the service starts and stops, and that its parts are wired."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from gateway.serving.starting import NotStarted
from gateway.telemetry.line_output import LineOutput
from gateway.wire.limits import LINGER_SECONDS
from tests.fakes.client import ClientTransport
from tests.fakes.conf import key_hash, provider, route_to, tenant
from tests.fakes.house import HELLO, get, parts, post
from tests.service.in_memory import LOCAL, Inherited, ServiceTestCase


class StartTests(ServiceTestCase):
    def test_it_listens_reads_and_says_so(self) -> None:
        service = self.started()
        self.assertEqual(self.reactor.factories.keys(), {8080, 8081, 9901})
        self.assertEqual(service.parts.status.ready(), (True, []))
        (line,) = [line for line in self.log if "listens on" in line]
        self.assertRegex(
            line,
            r"^llmgateway \S+ listens on 127.0.0.1:8080, egress=127.0.0.1:8081, admin on 127.0.0.1:9901$",
        )
        self.assertTrue(self.ask(get(b"/v1/models")).startswith(b"HTTP/1.1 200 OK"))

    def test_a_port_that_is_taken_is_one_line(self) -> None:
        for port, option in ((8080, "--listen"), (8081, "--listen"), (9901, "--admin")):
            self.reactor.taken = {port}
            with self.assertRaises(NotStarted) as end:
                self.service().privilegedStartService()
            self.assertEqual(
                end.exception.code,
                f"llmgateway: cannot listen on tcp:{port}: 127.0.0.1:{port} is in use; end the process that "
                f"listens there, or choose another with {option}",
            )

    def test_and_the_others_are_closed_again(self) -> None:
        self.reactor.taken = {9901}
        with self.assertRaises(NotStarted):
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
        self.assertFalse(service.parts.status.ready()[0])
        self.assertTrue([line for line in self.log if "no file names an LLMProvider" in line])

    def test_its_threads_run_as_long_as_it_does(self) -> None:
        """They are not the reactor's, which names hold that nobody answers for; this reactor has none to give."""
        service = self.started()
        threads = service.parts.threads
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
            NotStarted, r"^llmgateway: not started, as --strict wants it: errors in .*: 1$"
        ):
            service.startService()

    def test_what_is_broken_later_ends_nothing(self) -> None:
        service = self.started(strict=True)
        self.write("kind: [")
        service.parts.watcher.look()
        self.assertTrue(service.running)
        self.assertEqual(len(service.parts.status.errors()), 1)


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
        self.assertEqual(service.parts.metrics.in_flight, 1)
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
        self.assertEqual(service.parts.status.ready(), (False, ["the gateway is stopping"]))
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
        self.assertEqual(service.parts.metrics.in_flight, 0)

    def test_for_a_while_a_stop_changes_nothing_but_readiness(self) -> None:
        service = self.started(drain_delay=5.0)
        stopped: list[object] = []
        service.stopService().addCallback(stopped.append)
        self.assertEqual(service.parts.status.ready(), (False, ["the gateway is stopping"]))
        self.write(provider("b", LOCAL) + route_to("b", "new"))
        service.parts.watcher.look()
        self.assertTrue(self.ask(get(b"/v1/models", host=b"new")).startswith(b"HTTP/1.1 200 OK"))
        self.reactor.advance(4)
        self.assertEqual(self.reactor.closed, [])
        self.assertTrue(service.parts.watcher.running)
        self.reactor.advance(1)
        self.assertEqual(self.reactor.closed, [8080, 8081, 9901])
        self.assertFalse(service.parts.watcher.running)
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
