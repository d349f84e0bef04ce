"""The bound of what is held of all requests' bodies."""

from __future__ import annotations

import json

from gateway.serving.held_bodies import MOST_HELD, NOT_COUNTED, HeldBodies
from tests.fakes.client import Client
from tests.fakes.conf import KEYED, gateway, provider, route_to
from tests.fakes.house import ANSWER, HELLO, ConversationTestCase, House, parts, post

ROOM = 4 * NOT_COUNTED
LARGE = 3 * NOT_COUNTED


def test_there_is_room_for_so_much_and_no_more() -> None:
    bodies = HeldBodies()
    assert bodies.take(60, 100)
    assert not bodies.take(41, 100)
    assert bodies.take(40, 100)
    bodies.give_back(60)
    assert bodies.take(60, 100)
    assert bodies.held == 100


def test_without_a_word_of_the_operator() -> None:
    bodies = HeldBodies()
    assert bodies.take(MOST_HELD, None)
    assert not bodies.take(1, None)


class HeldBodiesTests(ConversationTestCase):
    def crowded(self) -> tuple[House, Client]:
        conf = gateway(f"limits: {{allBodiesBytes: {ROOM}}}") + provider("a", KEYED) + route_to("a")
        return self.open(conf)

    def large(self) -> bytes:
        return post({**HELLO, "user": "x" * LARGE})

    def test_who_comes_when_there_is_no_room_is_refused_and_the_others_are_served(self) -> None:
        house, first = self.crowded()
        request = self.large()
        first.sends(request[:-100_000])
        status, _, body = parts(house.client().sends(request))
        self.assertEqual(status, b"HTTP/1.1 503 Service Unavailable")
        self.assertEqual(json.loads(body)["error"]["code"], "overloaded")
        self.assertEqual((house.record.error, house.record.outcome), ("overloaded", "gateway_error"))
        first.sends(request[-100_000:])
        house.provider.answers(ANSWER)
        self.assertTrue(first.received().startswith(b"HTTP/1.1 200"))

    def test_small_ones_are_always_served(self) -> None:
        house, first = self.crowded()
        first.sends(self.large()[:-1])
        second = house.client()
        second.sends(post(HELLO))
        house.provider.answers(ANSWER)
        self.assertTrue(second.received().startswith(b"HTTP/1.1 200"))
        first.leaves()

    def test_room_is_given_back_however_it_ends(self) -> None:
        house, client = self.crowded()
        client.sends(self.large())
        self.assertGreater(house.bodies.held, LARGE)
        house.provider.answers(ANSWER)
        self.assertEqual(house.bodies.held, 0)
        client.sends(self.large()[:-1])
        self.assertGreater(house.bodies.held, LARGE)
        client.leaves()
        self.assertEqual(house.bodies.held, 0)
        late = house.client()
        late.sends(self.large()[:-1])
        house.waits(61)
        self.assertTrue(late.received().startswith(b"HTTP/1.1 408"))
        self.assertEqual(house.bodies.held, 0)
        house.client().sends(self.large())
        self.assertGreater(house.bodies.held, LARGE, "it is held until the answer has ended")
        house.provider.answers(ANSWER)
