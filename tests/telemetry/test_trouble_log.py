"""What is said of breakers, keys and certificates: once, in words, and at the right level."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gateway.messages import Secret
from gateway.snapshot.stable_names import BreakerName
from gateway.telemetry.rationing import MINUTE, MOST_OF_ALL, MOST_OF_ONE
from gateway.telemetry.trouble_log import TroubleLog
from tests.fakes.canary import BACKEND, CANARY

ONLY = BreakerName("acme", "acme", "first", "", Secret(CANARY))
TWO = evolve(ONLY, key="two")
SHARED = evolve(ONLY, tenant="globex")


class TroubleLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.log = TroubleLog(self.clock, self.clock.seconds)
        self.events = self.enterContext(capturedLogs())
        self._seen = 0

    def said(self) -> list[str]:
        """The lines since this was asked last."""
        events, self._seen = self.events[self._seen :], len(self.events)
        return [f"{event['log_level'].name} {formatEvent(event)}" for event in events]

    def test_a_breaker(self) -> None:
        self.log.breaker_opened(ONLY, 4.2, "status 503")
        self.log.breaker_closed(ONLY)
        self.assertEqual(
            self.said(),
            [
                "warn provider first of tenant acme: breaker open, tried again in 5 s; last fault: status 503",
                "info provider first of tenant acme: breaker closed, requests pass again",
            ],
        )

    def test_whose_and_which_key(self) -> None:
        self.log.breaker_closed(TWO)
        self.log.breaker_closed(SHARED)
        self.assertEqual(
            self.said(),
            [
                "info provider first of tenant acme, key two: breaker closed, requests pass again",
                "info provider first of tenant acme, as tenant globex uses it: breaker closed, requests pass again",
            ],
        )

    def test_a_key(self) -> None:
        self.log.key_limited(TWO, 30.0, 429)
        self.log.key_refused(TWO, 401)
        self.clock.advance(60.0)
        self.log.key_accepted(TWO)
        self.assertEqual(
            self.said(),
            [
                "warn provider first of tenant acme, key two: key at its limit (status 429), tried again in 30 s",
                "error provider first of tenant acme, key two: "
                "key refused with 401, a last resort until it is accepted",
                "info provider first of tenant acme, key two: key accepted again",
            ],
        )

    def test_fields_for_machines(self) -> None:
        self.log.breaker_opened(evolve(TWO, tenant="globex"), 5.0, "status 503")
        (event,) = self.events
        told = {
            name: value
            for name, value in event.items()
            if not name.startswith(("log_", "_", "message", "time"))
        }
        names = {"tenant": "globex", "owner": "acme", "provider": "first", "key": "two"}
        self.assertEqual({name: told[name] for name in (*names, "fault")}, {**names, "fault": "status 503"})
        self.assertNotIn(CANARY, repr(event))

    def test_a_certificate_is_told_of_until_it_is_believed(self) -> None:
        destination = BACKEND.destination
        for _ in range(3):
            self.log.certificate_refused(destination, "TLS with a failed: its certificate is self-signed.")
        for _ in range(3):
            self.log.certificate_accepted(destination)
        who = "provider dashscope-qwen of tenant acme"
        self.assertEqual(
            self.said(),
            [
                f"error {who}: certificate refused: TLS with a failed: its certificate is self-signed.",
                f"info {who}: certificate accepted again",
            ],
        )

    def test_what_is_gone_is_forgotten(self) -> None:
        self.log.certificate_refused(BACKEND.destination, "…")
        self.log.keep({BACKEND.destination})
        self.log.certificate_refused(BACKEND.destination, "…")
        self.assertEqual(len(self.said()), 1)
        self.log.keep(())
        self.log.certificate_accepted(BACKEND.destination)
        self.assertEqual(self.said(), [])

    def test_one_that_flaps(self) -> None:
        for _ in range(20):
            self.log.breaker_opened(ONLY, self.clock.seconds() + 5, "status 503")
            self.clock.advance(1)
            self.log.breaker_closed(ONLY)
        self.assertEqual(len(self.said()), MOST_OF_ONE)
        self.log.breaker_opened(ONLY, 62.0, "status 503")
        self.clock.advance(MINUTE - 20)
        self.assertEqual(
            self.said(),
            [
                "warn provider first of tenant acme: breaker open, tried again in 2 s; last fault: status 503 "
                "(36 changes before that were not told)"
            ],
        )

    def test_when_it_is_told_late_that_it_may_be_tried(self) -> None:
        for _ in range(MOST_OF_ONE + 1):
            self.log.breaker_opened(ONLY, 5.0, "status 503")
        self.said()
        self.clock.advance(MINUTE)
        self.assertIn("breaker open, tried again at the next request;", self.said()[0])

    def test_many_at_once(self) -> None:
        for number in range(3 * MOST_OF_ALL):
            self.log.key_refused(evolve(ONLY, provider=str(number)), 401)
        self.assertEqual(len(self.said()), MOST_OF_ALL)
        self.clock.advance(MINUTE)
        *_, last = self.said()
        self.assertIn(f"{MOST_OF_ALL} more breakers, keys and certificates of providers have changed", last)
