"""How the gateway leaves, step by step, on a clock."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.serving.stopping import Departure
from gateway.wire.limits import LAST_REQUEST_SECONDS, LINGER_SECONDS
from tests.fakes.client import Client
from tests.fakes.serving import RecordingStarter, answer_echo

GET = b"GET /a HTTP/1.1\r\nHost: api.example.com\r\n\r\n"


class DepartureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.starter = RecordingStarter()
        self.client = Client(self.starter, clock=self.clock)

    def departure(self, *, delay: float = 0.0, timeout: float = 30.0) -> Departure:
        factories = [self.client.factory]
        return Departure(self.clock, factories, drain_delay=delay, drain_timeout=timeout)

    def test_without_a_delay_it_is_time_at_once(self) -> None:
        self.successResultOf(self.departure().wind_down())

    def test_a_delay(self) -> None:
        departure = self.departure(delay=5)
        wound_down = departure.wind_down()
        self.client.waits(4.5)
        self.assertNoResult(wound_down)
        self.client.sends(GET)
        answer_echo(self.starter.last)
        self.assertIn(b"connection: close", self.client.received())
        self.client.waits(0.5)
        self.successResultOf(wound_down)

    def test_it_is_over_when_everybody_has_left(self) -> None:
        departure = self.departure()
        departure.wind_down()
        drained = departure.drain()
        self.client.waits(LAST_REQUEST_SECONDS)
        self.assertTrue(self.client.is_closed)
        self.client.leaves()
        self.successResultOf(drained)
        self.client.factory.sweep.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_runs_for_too_long_is_ended(self) -> None:
        self.client.sends(GET)
        departure = self.departure(timeout=10)
        departure.wind_down()
        drained = departure.drain()
        self.client.waits(9.5)
        self.assertNotIn("draining", self.starter.last.events)
        self.client.waits(0.5)
        self.assertIn("draining", self.starter.last.events)
        self.assertFalse(self.client.transport.aborted)
        self.client.waits(LINGER_SECONDS)
        self.assertTrue(self.client.is_cut_off())
        self.successResultOf(drained)

    def test_who_hurries_during_the_delay_waits_for_nothing(self) -> None:
        self.client.sends(GET)
        departure = self.departure(delay=5)
        wound_down = departure.wind_down()
        departure.hurry()
        self.successResultOf(wound_down)
        self.assertTrue(self.client.transport.aborted)
        late = Client(self.starter, factory=self.client.factory, clock=self.clock)
        drained = departure.drain()
        self.assertTrue(self.client.is_cut_off())
        self.assertTrue(late.is_cut_off(), "it came while the ports were closed")
        self.successResultOf(drained)

    def test_who_hurries_before_anything_has_begun(self) -> None:
        departure = self.departure(delay=5)
        departure.hurry()
        self.successResultOf(departure.wind_down())

    def test_who_hurries_while_it_drains(self) -> None:
        self.client.sends(GET)
        departure = self.departure()
        departure.wind_down()
        drained = departure.drain()
        departure.hurry()
        self.assertTrue(self.client.is_cut_off())
        self.successResultOf(drained)
