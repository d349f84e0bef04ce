"""What the log says of a collector that does not take all spans."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gateway.telemetry.span_losses import COMPLAINT_SECONDS, SpanLosses


class SpanLossesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.counted: list[int] = []
        self.losses = SpanLosses("http://c", self.clock, self.counted.append)
        self.events = self.enterContext(capturedLogs())
        self.read = 0

    def said(self) -> list[str]:
        """What the log says since this was asked last, without what each line has."""
        lines = []
        for event in self.events[self.read :]:
            line = event["log_format"].format(**event).removeprefix("tracing: the collector http://c ")
            assert event["log_level"] is (LogLevel.info if "again" in line else LogLevel.error)
            lines.append(line)
        self.read = len(self.events)
        return lines

    def fails(self, spans: int, complaint: str = "it answers 503") -> list[str]:
        self.losses.batch_ended(spans, complaint)
        return self.said()

    def takes(self) -> list[str]:
        self.losses.batch_ended(9, None)
        return self.said()

    def passes(self, seconds: float = COMPLAINT_SECONDS) -> list[str]:
        self.clock.advance(seconds)
        return self.said()

    def test_nothing_while_all_is_well(self) -> None:
        self.assertEqual(self.takes() + self.passes() + self.takes(), [])
        self.losses.close()
        self.assertEqual((self.said(), self.counted, self.clock.getDelayedCalls()), ([], [], []))

    def test_the_first_is_told_at_once_and_the_rest_at_the_end_of_the_minute(self) -> None:
        self.assertEqual(self.fails(3), ["does not take all spans, 3 are lost so far: it answers 503"])
        self.assertEqual(self.fails(4) + self.fails(5, "it cannot be reached") + self.passes(59.9), [])
        self.assertEqual(
            self.passes(0.1), ["does not take all spans, 12 are lost so far: it cannot be reached"]
        )
        self.assertEqual(self.passes() + self.passes(), [])
        self.assertEqual(self.fails(1), ["does not take all spans, 13 are lost so far: it answers 503"])
        self.assertEqual(self.counted, [3, 4, 5, 1])

    def test_a_collector_that_is_back_is_told_of_after_a_minute_without_losses(self) -> None:
        self.fails(3)
        self.assertEqual(self.takes() + self.fails(4) + self.takes(), [])
        self.assertEqual(self.passes(), ["does not take all spans, 7 are lost so far: it answers 503"])
        self.assertEqual(self.takes(), [])
        self.assertEqual(self.passes(), ["takes all spans again, 7 were lost so far"])
        self.assertEqual(self.takes() + self.passes(), [])
        self.assertEqual(self.fails(1), ["does not take all spans, 8 are lost so far: it answers 503"])

    def test_one_that_nobody_had_anything_for_is_back_with_its_first_batch(self) -> None:
        self.fails(3)
        self.assertEqual(self.passes() + self.passes(), [])
        self.assertEqual(self.takes(), ["takes all spans again, 3 were lost so far"])
        self.assertEqual(self.takes(), [])

    def test_what_finds_the_queue_full(self) -> None:
        self.losses.lose(1)
        self.assertEqual(self.said(), ["does not take all spans, 1 are lost so far: it is too slow"])
        self.fails(3)
        self.losses.lose(1)
        self.assertEqual(self.passes(), ["does not take all spans, 5 are lost so far: it answers 503"])

    def test_the_last_word(self) -> None:
        self.fails(3)
        self.losses.lose(4, "nobody waits for it")
        self.losses.close()
        self.assertEqual(self.said(), ["does not take all spans, 7 are lost so far: nobody waits for it"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.losses.close()
        self.assertEqual(self.said(), [])
