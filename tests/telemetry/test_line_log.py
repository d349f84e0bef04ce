"""Lines are gathered and written together, and nothing about the file harms a request."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gateway.telemetry.line_log import (
    COMPLAINT_SECONDS,
    FLUSH_BYTES,
    FLUSH_SECONDS,
    FOLLOW_SECONDS,
    MOST_WAITING,
    LineLog,
)
from gateway.telemetry.line_output import LineOutput
from tests.fakes.outputs import FakeOutput


class LineLogTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.output = FakeOutput()
        self.log = LineLog("access log", self.output, self.clock)
        self.events = self.enterContext(capturedLogs())


class GatheringTests(LineLogTestCase):
    def test_lines_are_written_together_after_a_while(self) -> None:
        self.log.write(b"a")
        self.clock.advance(FLUSH_SECONDS / 2)
        self.log.write(b"b")
        self.assertEqual(self.output.writes, 0)
        self.clock.advance(FLUSH_SECONDS / 2)
        self.assertEqual(self.output.writes, 1)
        self.assertEqual(self.output.lines(), [b"a", b"b"])

    def test_many_lines_do_not_wait(self) -> None:
        while not self.output.writes:
            self.log.write(b"x" * 1000)
        self.assertGreaterEqual(len(self.output.written), FLUSH_BYTES)
        self.assertLess(len(self.output.written), FLUSH_BYTES + 2000)

    def test_one_that_is_longer_than_what_may_wait(self) -> None:
        self.log.write(b"x" * (MOST_WAITING + 1))
        self.assertEqual(len(self.output.lines()), 1)
        self.assertEqual(self.log.lines_dropped, 0)

    def test_no_timer_runs_while_nothing_waits(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.log.write(b"a line")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_writes_what_waits(self) -> None:
        self.log.write(b"last")
        self.log.stop()
        self.assertEqual(self.output.lines(), [b"last"])
        self.assertTrue(self.output.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_line_after_the_stop_is_dropped(self) -> None:
        self.log.stop()
        self.log.write(b"a line")
        self.assertEqual(self.log.lines_dropped, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reopening_writes_what_waits_to_the_old_file(self) -> None:
        self.log.write(b"a line")
        self.log.reopen()
        self.assertEqual((self.output.writes, self.output.reopened), (1, 1))

    def test_reopening_that_fails_is_said(self) -> None:
        self.output.error = PermissionError(13, "Permission denied")
        self.log.reopen()
        self.assertEqual(len(self.events), 1)
        self.assertEqual(self.events[0]["reason"], "Permission denied")


class FailingOutputTests(LineLogTestCase):
    def test_lines_are_dropped_counted_and_mentioned_once(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        for _ in range(3):
            self.log.write(b"a line")
            self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.log.lines_dropped, 3)
        self.assertEqual([event["reason"] for event in self.events], ["No space left on device"])

    def test_it_is_mentioned_again_after_a_while(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        for _ in range(2):
            self.log.write(b"a line")
            self.log.flush()
            self.clock.advance(COMPLAINT_SECONDS)
        self.assertEqual([event["lines"] for event in self.events], [1, 2])

    def test_that_it_works_again_is_mentioned_once(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        for _ in range(3):
            self.log.write(b"lost")
            self.log.flush()
        self.output.error = None
        for _ in range(3):
            self.log.write(b"kept")
            self.log.flush()
        self.assertEqual([event["log_level"] for event in self.events], [LogLevel.error, LogLevel.info])
        self.assertIn("is written again, 3 lines were lost", formatEvent(self.events[1]))

    def test_a_loss_within_a_minute_of_the_last_is_told_in_the_end(self) -> None:
        for _ in range(2):
            self.output.error = OSError(28, "No space left on device")
            self.log.write(b"lost")
            self.log.flush()
            self.output.error = None
            self.log.write(b"kept")
            self.log.flush()
        self.assertEqual([event["lines"] for event in self.events], [1, 1])
        self.clock.advance(COMPLAINT_SECONDS)
        self.log.write(b"kept")
        self.log.flush()
        self.assertEqual([event["lines"] for event in self.events], [1, 1, 2])

    def test_it_goes_on_when_there_is_room_again(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        self.log.write(b"lost")
        self.log.flush()
        self.output.error = None
        self.log.write(b"kept")
        self.log.flush()
        self.assertEqual(self.output.lines(), [b"kept"])

    def test_a_line_that_was_cut_does_not_run_into_the_next(self) -> None:
        self.output.room = 10
        self.log.write(b"a line that is cut")
        self.log.flush()
        self.output.error = OSError(28, "No space left on device")
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.log.lines_dropped, 1)
        self.log.write(b"lost")
        self.log.flush()
        self.assertEqual(self.log.lines_dropped, 2)
        self.output.error = self.output.room = None
        self.log.write(b"whole")
        self.log.flush()
        cut, whole = self.output.written.split(b"\n")[:2]
        self.assertEqual(len(cut), 10)
        self.assertEqual(whole, b"whole")

    def test_a_slow_reader_gets_everything_in_the_end(self) -> None:
        self.output.room = 10
        self.log.write(b"a")
        self.clock.advance(FLUSH_SECONDS)
        self.log.write(b"b")
        self.output.room = None
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.output.lines(), [b"a", b"b"])
        self.assertEqual(self.log.lines_dropped, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_reader_that_has_stopped_costs_no_more_than_so_much_memory(self) -> None:
        self.output.room = 0
        line = b"x" * 1000
        for _ in range(2000):
            self.log.write(line)
        self.assertLessEqual(self.output.writes, 2)
        self.assertEqual(len(self.events), 1)
        dropped = self.log.lines_dropped
        self.output.room = None
        self.log.stop()
        self.assertEqual(len(self.output.lines()), 2000 - dropped)
        self.assertLessEqual(len(self.output.written), MOST_WAITING)

    def test_stopping_while_the_reader_is_stuck(self) -> None:
        self.output.room = 3
        for _ in range(3):
            self.log.write(b"a line")
        self.log.stop()
        self.assertEqual(self.log.lines_dropped, 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FollowingTests(LineLogTestCase):
    def test_a_file_that_was_moved_away_is_opened_anew(self) -> None:
        self.log.write(b"one")
        self.log.flush()
        self.output.moved = True
        self.clock.advance(FOLLOW_SECONDS)
        self.log.write(b"two")
        self.log.flush()
        self.assertEqual(self.output.reopened, 1)

    def test_it_is_looked_for_no_more_than_once_a_second(self) -> None:
        for _ in range(100):
            self.log.write(b"a line")
            self.log.flush()
        self.assertEqual(self.output.looks, 1)
        self.clock.advance(FOLLOW_SECONDS)
        self.log.write(b"a line")
        self.log.flush()
        self.assertEqual(self.output.looks, 2)

    def test_a_line_ends_where_it_has_begun(self) -> None:
        self.output.room = 3
        self.log.write(b"one")
        self.log.flush()
        self.output.moved, self.output.room = True, None
        self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual((self.output.reopened, self.output.written), (0, b"one\n"))

    def test_one_that_cannot_be_opened_is_complained_of_now_and_then(self) -> None:
        self.output.moved, self.output.error = True, PermissionError(13, "Permission denied")
        for _ in range(3):
            self.log.write(b"a line")
            self.log.flush()
            self.clock.advance(FOLLOW_SECONDS)
        self.assertEqual(len(self.events), 1)


def test_a_file_that_somebody_renames(tmp_path: Path) -> None:
    path, moved, clock = tmp_path / "access.log", tmp_path / "access.log.1", Clock()
    log = LineLog("access log", LineOutput(str(path)), clock)
    log.write(b"one")
    log.flush()
    path.rename(moved)
    clock.advance(FOLLOW_SECONDS)
    log.write(b"two")
    log.stop()
    assert (moved.read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")


def test_to_a_full_disk() -> None:
    log = LineLog("access log", LineOutput("/dev/full"), Clock())
    log.write(b"a line")
    log.stop()
    assert log.lines_dropped == 1
