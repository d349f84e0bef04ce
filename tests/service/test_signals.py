"""What the service does when its process is sent a signal."""

from __future__ import annotations

import signal

from gateway.telemetry.line_output import LineOutput
from tests.fakes.conf import provider, route_to
from tests.fakes.house import HELLO, get, post
from tests.service.in_memory import LOCAL, ServiceTestCase


class SignalTests(ServiceTestCase):
    def setUp(self) -> None:
        super().setUp()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
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

    def test_files_are_looked_at(self) -> None:
        self.started()
        self.write(provider("b", LOCAL) + route_to("b", "new"))
        signal.raise_signal(signal.SIGHUP)
        self.assertTrue(self.ask(get(b"/v1/models", host=b"new")).startswith(b"HTTP/1.1 200 OK"))

    def test_logs_are_opened_anew_and_who_had_the_signal_hears_it(self) -> None:
        heard: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
        path = self.folder / "access.log"
        self.started(access_log=LineOutput(str(path)))
        path.rename(self.folder / "access.log.1")
        signal.raise_signal(signal.SIGUSR1)
        self.assertTrue(path.exists())
        self.assertEqual(heard, [signal.SIGUSR1])
