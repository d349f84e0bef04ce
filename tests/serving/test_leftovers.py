"""What is left of a request when it is over: nothing, not even for the cyclic collector."""

from __future__ import annotations

import gc
from collections.abc import Callable

from gateway.serving.attempt import Attempt
from gateway.serving.exchange import Exchange
from gateway.serving.mirroring import Copy
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.pursuit import Pursuit
from gateway.serving.recourse import Recourse
from gateway.serving.relay import Relay
from gateway.serving.sequel import Sequel
from tests.fakes.client import Client
from tests.fakes.house import ANSWER, HELLO, LAST_CHUNK, STREAM, House, post
from tests.serving.pursuing import DONE, STREAMED, PursuitTestCase, error_answer, failing, said, stopped

_OURS = (Attempt, Copy, Exchange, ProviderAnswer, Pursuit, Recourse, Relay, Sequel)

WHOLE = STREAM + said("x") + stopped() + DONE


class LeftoverTests(PursuitTestCase):
    def assert_freed(self, talk: Callable[[], None]) -> None:
        talk()  # whatever is made once is made now
        gc.collect()
        before = [each for each in gc.get_objects() if isinstance(each, _OURS)]
        gc.disable()
        try:
            talk()
            after = [each for each in gc.get_objects() if isinstance(each, _OURS)]
            self.assertEqual(len(after) - len(before), 0, [type(each) for each in after])
        finally:
            gc.enable()

    def talk(self, conf: str, body: object, then: Callable[[House, Client], None]) -> Callable[[], None]:
        house, client = self.open(conf)

        def once() -> None:
            other = house.client()
            other.sends(post(body))
            then(house, other)
            house.clock.advance(0)
            other.leaves()
            house.waits(32)  # kept connections are closed by then
            house.network.providers.clear()

        client.leaves()
        return once

    def test_a_whole_answer(self) -> None:
        self.assert_freed(self.talk(failing(), HELLO, lambda house, _: house.provider.answers(ANSWER)))

    def test_a_stream(self) -> None:
        self.assert_freed(self.talk(failing(), STREAMED, lambda house, _: house.provider.answers(WHOLE)))

    def test_a_stream_that_lacks_its_last_chunk(self) -> None:
        def then(house: House, _: Client) -> None:
            house.provider.answers(WHOLE.removesuffix(LAST_CHUNK))

        self.assert_freed(self.talk(failing(), STREAMED, then))

    def test_a_client_that_leaves(self) -> None:
        def then(house: House, client: Client) -> None:
            house.provider.answers(STREAM + said("x"))

        self.assert_freed(self.talk(failing(), STREAMED, then))

    def test_fallback_retry_and_error(self) -> None:
        def then(house: House, _: Client) -> None:
            for each in (500, 500, 503):
                house.provider.answers(error_answer(each))
                house.clock.advance(0)
            house.provider.answers(error_answer(400))

        lasting = failing(more="outlierDetection: {consecutiveErrors: 0}")
        self.assert_freed(self.talk(lasting, HELLO, then))

    def test_a_stream_that_is_continued(self) -> None:
        def then(house: House, _: Client) -> None:
            self.at(house, "a").answers(STREAM + said("x") + LAST_CHUNK)
            self.at(house, "b").answers(STREAM + said("xy") + stopped() + DONE)

        lasting = failing(more="outlierDetection: {consecutiveErrors: 0}")
        self.assert_freed(self.talk(lasting, STREAMED, then))

    def test_a_hedge(self) -> None:
        def then(house: House, _: Client) -> None:
            house.waits(2.5)
            self.at(house, "b").answers(ANSWER)

        self.assert_freed(self.talk(failing("hedge: {after: 2s}"), HELLO, then))

    def test_a_copy(self) -> None:
        def then(house: House, _: Client) -> None:
            self.at(house, "b").answers(ANSWER)
            self.at(house, "a").answers(ANSWER)

        self.assert_freed(self.talk(failing("mirror: {providerHost: b.example, percent: 100}"), HELLO, then))
