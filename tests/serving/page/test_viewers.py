"""The browsers that look on."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gateway.serving.page.viewers import MOST_VIEWERS, Events, Viewers


class Request:
    """As much of a request as a viewer needs."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.ended = False
        self.finishing: Deferred[None] = Deferred()
        self.producer: Any = None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def finish(self) -> None:
        self.ended = True
        self.finishing.callback(None)

    def notifyFinish(self) -> Deferred[None]:  # noqa: N802
        return self.finishing

    def heard(self) -> list[tuple[str, Any]]:
        """The events that came, since it was last asked."""
        blocks = b"".join(self.written).decode().split("\n\n")[:-1]
        self.written.clear()
        lines = [block.split("\n") for block in blocks]
        return [
            (name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in lines
        ]


class ViewersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.changes: list[int] = []
        self.signed_out: list[Request] = []
        self.viewers = Viewers(lambda: self.changes.append(len(self.viewers)))

    def come(self, everything: Events = ()) -> Request:
        request = Request()
        self.viewers.add(request, lambda: request not in self.signed_out, everything)  # type: ignore[arg-type]
        return request

    def tell(self, news: str) -> None:
        self.viewers.tell((("news", news),), lambda: (("whole", f"until {news}"),))

    def test_a_new_one_gets_everything_and_then_the_news(self) -> None:
        first = self.come()
        self.tell("a")
        second = self.come()
        self.tell("b\n<")
        self.assertEqual(first.heard(), [("whole", "until a"), ("news", "b\n<")])
        self.assertEqual(second.heard(), [("whole", "until b\n<")])

    def test_where_others_have_everything_a_new_one_has_it_at_once(self) -> None:
        new = self.come((("whole", "as others have it"),))
        self.assertEqual(new.heard(), [("whole", "as others have it")])
        self.tell("a")
        self.assertEqual(new.heard(), [("news", "a")])

    def test_who_signs_out_hears_nothing_more(self) -> None:
        out, other = self.come(), self.come()
        self.tell("a")
        out.heard()
        self.signed_out.append(out)
        self.tell("b")
        self.assertEqual((out.heard(), out.ended), ([], True))
        self.assertEqual((len(other.heard()), other.ended, len(self.viewers)), (2, False, 1))

    def test_who_is_slow_gets_nothing_and_then_everything_anew(self) -> None:
        slow = self.come()
        self.tell("a")
        slow.heard()
        slow.producer.pauseProducing()
        for news in ("b", "c"):
            self.tell(news)
        self.assertEqual(slow.heard(), [])
        slow.producer.resumeProducing()
        self.tell("d")
        self.tell("e")
        self.assertEqual(slow.heard(), [("whole", "until d"), ("news", "e")])

    def test_somebody_or_nobody_looks(self) -> None:
        one, other = self.come(), self.come()
        one.finishing.callback(None)
        self.assertEqual(self.changes, [1])
        other.finishing.errback(ConnectionError())
        self.assertEqual(self.changes, [1, 0])
        self.tell("a")
        self.assertEqual((one.written, other.written), ([], []))

    def test_there_is_room_for_some(self) -> None:
        for _ in range(MOST_VIEWERS):
            self.assertFalse(self.viewers.is_full)
            last = self.come()
        self.assertTrue(self.viewers.is_full)
        last.finishing.callback(None)
        self.assertFalse(self.viewers.is_full)

    def test_the_end(self) -> None:
        requests = [self.come(), self.come()]
        self.viewers.end()
        self.assertTrue(all(request.ended for request in requests))
        self.assertEqual((len(self.viewers), self.changes), (0, [1, 0]))
