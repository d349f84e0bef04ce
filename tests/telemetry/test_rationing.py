"""Lines are as many as somebody can read, and the last word on each thing is true."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.telemetry.rationing import MINUTE, MOST_OF_ALL, MOST_OF_ONE, Rationing


class RationingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.said: list[str] = []
        self.rationing = Rationing(self.clock, lambda number: self.said.append(f"and {number} more"))

    def tell(self, about: str, word: str) -> None:
        def say(untold: int) -> None:
            self.said.append(f"{about} {word}" + (f" {untold}" if untold else ""))

        self.rationing.tell(about, say)

    def heard(self) -> list[str]:
        said, self.said[:] = self.said[:], []
        return said

    def pass_minute(self) -> None:
        self.clock.advance(MINUTE)

    def test_at_once(self) -> None:
        self.tell("a", "opens")
        self.tell("a", "closes")
        self.tell("b", "opens")
        self.assertEqual(self.heard(), ["a opens", "a closes", "b opens"])
        self.pass_minute()
        self.assertEqual(self.heard(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_goes_to_and_fro_has_one_line_a_minute(self) -> None:
        lines = []
        for _ in range(4):
            for _ in range(10):
                self.tell("a", "opens")
                self.tell("a", "closes")
            self.pass_minute()
            lines.append(len(self.heard()))
        self.assertEqual(lines, [MOST_OF_ONE + 1, 1, 1, 1])

    def test_the_last_word_comes_at_the_end_of_the_minute_with_what_was_left_out(self) -> None:
        for _ in range(10):
            self.tell("a", "opens")
            self.tell("a", "closes")
        self.tell("a", "opens")
        self.assertEqual(len(self.heard()), MOST_OF_ONE)
        self.pass_minute()
        self.assertEqual(self.heard(), [f"a opens {21 - MOST_OF_ONE - 1}"])
        self.tell("a", "closes")
        self.assertEqual(self.heard(), [])
        self.pass_minute()
        self.assertEqual(self.heard(), ["a closes"])
        self.pass_minute()
        self.tell("a", "opens")
        self.assertEqual(self.heard(), ["a opens"])

    def test_one_that_goes_to_and_fro_silences_no_other(self) -> None:
        for _ in range(1000):
            self.tell("a", "opens")
        self.tell("b", "opens")
        self.assertEqual(self.heard()[-1], "b opens")

    def test_of_many_at_once_a_part_has_lines(self) -> None:
        for number in range(1000):
            self.tell(str(number), "opens")
        self.assertEqual(self.heard(), [f"{number} opens" for number in range(MOST_OF_ALL)])
        self.pass_minute()
        *some, rest = self.heard()
        self.assertEqual(some, [f"{number} opens" for number in range(MOST_OF_ALL, 2 * MOST_OF_ALL)])
        self.assertEqual(rest, f"and {1000 - 2 * MOST_OF_ALL} more")
        self.pass_minute()
        self.assertEqual(self.heard(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
