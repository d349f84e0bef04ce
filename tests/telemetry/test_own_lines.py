"""The gateway's own log on the standard output: at once, in any thread, and nobody waits for its reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Thread
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.own_lines import MOST_WAITING, RETRY_SECONDS, OwnLines
from tests.fakes.outputs import FakeOutput

GONE = BrokenPipeError(32, "Broken pipe")


class Reactor(Clock):
    """Time, and a thread."""

    def callFromThread(self, call: Callable[..., object], *arguments: Any) -> None:  # noqa: N802
        self.callLater(0, call, *arguments)


class OwnLinesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.output = FakeOutput()
        self.lines = OwnLines(self.output, self.reactor)
        self.patch(OwnLines, "_log", Logger("gateway.test", observer=cast(ILogObserver, self.observe)))

    def observe(self, event: LogEvent) -> None:
        self.lines.write(f"{formatEvent(event)}\n")

    @property
    def written(self) -> str:
        return self.output.written.decode()

    def pass_time(self) -> None:
        self.reactor.advance(0)
        self.reactor.advance(RETRY_SECONDS)


class WritingTests(OwnLinesTestCase):
    def test_at_once(self) -> None:
        self.lines.write("one\n")
        self.assertEqual(self.written, "one\n")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_what_is_no_text(self) -> None:
        self.lines.write("half \ud800 a letter\n")
        self.assertEqual(self.written, "half \\ud800 a letter\n")

    def test_within_a_line_of_another_log_it_waits(self) -> None:
        access_log = FakeOutput()
        access_log.take_turns_with(self.output)
        access_log.room = 5
        access_log.write(b"a long line\n")
        self.lines.write("own\n")
        self.assertEqual(self.written, "")
        access_log.room = None
        access_log.write(b"g line\n")
        self.pass_time()
        self.assertEqual(self.written, "own\n")

    def test_from_threads(self) -> None:
        def write(name: int) -> None:
            for number in range(100):
                self.lines.write(f"{name} {number} {'x' * 20}\n")

        threads = [Thread(target=write, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(
            sorted(self.written.splitlines()),
            sorted(f"{name} {number} {'x' * 20}" for name in range(8) for number in range(100)),
        )

    def test_an_event_in_the_midst_of_another(self) -> None:
        """Such as what the collector frees: a Deferred that failed, and that nobody heard."""
        write = self.output._write

        def interrupted(data: bytes) -> int:
            self.output._write = write  # type: ignore[method-assign]
            self.lines.write("inner\n")
            return write(data)

        self.output._write = interrupted  # type: ignore[method-assign]
        self.lines.write("outer\n")
        self.assertEqual(self.written, "outer\ninner\n")


class SlowReaderTests(OwnLinesTestCase):
    def test_it_gets_everything_in_the_end_and_in_order(self) -> None:
        self.output.room = 2
        self.lines.write("one\n")
        self.lines.write("two\n")
        self.output.room = None
        self.pass_time()
        self.assertEqual(self.written, "one\ntwo\n")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.lines.lines_dropped, 0)

    def test_one_that_has_stopped_costs_so_much_memory_and_no_time(self) -> None:
        self.output.room = 0
        for number in range(1000):
            self.lines.write(f"{number} {'x' * 1000}\n")
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        dropped = self.lines.lines_dropped
        self.assertGreater(dropped, 500)
        self.output.room = None
        self.pass_time()
        *lines, told = self.written.splitlines()
        self.assertEqual(len(lines), 1000 - dropped)
        self.assertLess(len(self.written), MOST_WAITING + 200)
        self.assertEqual(told, f"lines of this log that could not be written, so far: {dropped}")
        self.lines.write("more\n")
        self.assertEqual(self.written.splitlines()[-1], "more")

    def test_one_that_has_gone(self) -> None:
        self.output.error = GONE
        for _ in range(3):
            self.lines.write("lost\nboth\n")
        self.assertEqual(self.lines.lines_dropped, 6)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_what_was_lost_is_told_when_it_can_be(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        self.lines.write("lost\n")
        self.output.error = None
        self.lines.write("kept\n")
        self.assertEqual(self.written, "kept\nlines of this log that could not be written, so far: 1\n")


class PipeTests(SynchronousTestCase):
    def test_a_pipe_that_nobody_reads(self) -> None:
        reader, writer = os.pipe()
        kept = os.dup(1)
        os.dup2(writer, 1)
        try:
            output = LineOutput("-")
        finally:
            os.dup2(kept, 1)
        lines = OwnLines(output, Reactor())
        for _ in range(1000):
            lines.write("x" * 999 + "\n")
        self.assertGreater(lines.lines_dropped, 500)
        read = os.read(reader, 1 << 20)
        self.assertEqual(set(read.splitlines(keepends=True)), {b"x" * 999 + b"\n"})
        output.close()
        for descriptor in (reader, writer, kept):
            os.close(descriptor)
