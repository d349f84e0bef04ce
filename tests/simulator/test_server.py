from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.simulator.script import Playwright
from gateway.simulator.server import BURST_BYTES, Simulator
from gateway.simulator.streaming import SECONDS_BEFORE_RESET
from gateway.wire.exchanging import Exchange
from tests.fakes.downstream import RecordingConnection
from tests.simulator.requests import CHAT, HELLO, head, json

PLAIN = json(messages=HELLO)
STREAM = json(messages=HELLO, stream=True)


class SimulatorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.simulator = Simulator(self.clock, Playwright(self.clock.seconds, self.clock.seconds))
        self.client = RecordingConnection()

    def ask(self, body: bytes, **headers: str) -> Exchange:
        """Send a whole request."""
        exchange = self.simulator.exchange_started(head(CHAT, body, **headers), self.client.connection)
        exchange.body_received(body[:10])
        exchange.body_received(body[10:])
        exchange.body_ended()
        return exchange

    def contents(self) -> int:
        """How many content events have been sent."""
        return self.client.sent.count(b'"delta":{"content":"')


class AnsweringTests(SimulatorCase):
    def test_a_body_is_wanted_and_then_answered_at_once(self) -> None:
        self.ask(PLAIN)
        assert self.client.body_accepted
        assert self.client.ended
        assert self.client.status == 200
        assert b"I am simulator-1. You said: Hello there" in self.client.sent

    def test_a_stream_without_pauses_leaves_in_one_go(self) -> None:
        self.ask(STREAM)
        assert self.client.ended
        assert self.client.flushes == 1
        assert self.client.sent.endswith(b"data: [DONE]\n\n")

    def test_nothing_is_left_to_do_after_an_answer(self) -> None:
        self.ask(STREAM, x_simulate="chunk-delay=1s")
        self.clock.pump([1.0] * 6)
        assert self.client.ended
        assert self.clock.getDelayedCalls() == []

    def test_a_request_that_went_wrong_is_answered_in_openais_shape(self) -> None:
        exchange = self.simulator.exchange_started(head(CHAT, PLAIN), self.client.connection)
        exchange.request_failed(GatewayError("body_too_large", "The body is too large."))
        assert self.client.status == 413
        assert b'"code":"body_too_large"' in self.client.sent

    def test_a_request_without_a_valid_head_is_answered_likewise(self) -> None:
        self.simulator.request_refused(
            GatewayError("malformed_request", "Two Hosts."), self.client.connection
        )
        assert self.client.status == 400
        assert b'"message":"Two Hosts."' in self.client.sent


class TimeTests(SimulatorCase):
    def test_a_delay_holds_the_head_back(self) -> None:
        self.ask(PLAIN, x_simulate="delay=2s, status=503")
        self.clock.advance(1.9)
        assert not self.client.begun
        self.clock.advance(0.1)
        assert self.client.status == 503

    def test_the_head_is_on_its_way_while_the_first_content_waits(self) -> None:
        self.ask(STREAM, x_simulate="first-content-delay=3s")
        assert self.client.status == 200
        assert b'"role":"assistant"' in self.client.sent
        assert self.contents() == 0
        self.clock.advance(3)
        assert self.contents() == 7

    def test_every_paced_event_leaves_by_itself(self) -> None:
        self.ask(STREAM, x_simulate="chunk-delay=100ms")
        seen = []
        for _ in range(7):
            seen.append(self.contents())
            self.clock.advance(0.1)
        assert seen == [1, 2, 3, 4, 5, 6, 7]
        assert self.client.ended


class MisbehaviourTests(SimulatorCase):
    def test_close_closes_instead_of_answering(self) -> None:
        self.ask(PLAIN, x_simulate="close")
        assert self.client.broken_off
        assert not self.client.begun

    def test_reset_resets_instead_of_answering(self) -> None:
        self.ask(PLAIN, x_simulate="reset")
        assert self.client.aborted
        assert not self.client.begun

    def test_a_reset_lets_what_was_said_leave_first(self) -> None:
        self.ask(STREAM, x_simulate="cut-after=2, cut=reset")
        assert self.contents() == 2
        assert not self.client.aborted
        self.clock.advance(SECONDS_BEFORE_RESET)
        assert self.client.aborted

    def test_stall_never_answers(self) -> None:
        self.ask(PLAIN, x_simulate="stall")
        assert self.clock.getDelayedCalls() == []
        assert not self.client.begun
        assert not self.client.broken_off

    def test_what_comes_before_a_stall_is_sent(self) -> None:
        self.ask(STREAM, x_simulate="stall-after=2")
        assert self.contents() == 2
        assert not self.client.ended
        assert not self.client.broken_off

    def test_what_comes_before_a_cut_is_sent(self) -> None:
        self.ask(STREAM, x_simulate="cut-after=2")
        assert self.contents() == 2
        assert self.client.broken_off
        assert not self.client.ended


class PaceTests(SimulatorCase):
    """A client that is slower than the simulator, or gone."""

    def test_a_long_stream_lets_others_have_their_turn(self) -> None:
        self.ask(STREAM, x_simulate="words=2000")
        assert 0 < self.contents() < 2000
        assert len(self.client.sent) < BURST_BYTES + 1000
        self.clock.advance(0)
        assert self.client.flushes >= len(self.client.sent) // (BURST_BYTES + 1000)
        assert self.client.ended
        assert self.contents() == 2000

    def test_nothing_is_made_for_a_full_client(self) -> None:
        exchange = self.ask(STREAM, x_simulate="words=1000000000")
        exchange.client_full()
        self.clock.advance(0)
        sent = len(self.client.sent)
        self.clock.advance(100)
        assert len(self.client.sent) + len(self.client.queued) == sent
        assert self.clock.getDelayedCalls() == []
        exchange.client_drained()
        assert len(self.client.sent) > sent
        exchange.client_left()

    def test_a_client_that_drains_early_does_not_shorten_a_delay(self) -> None:
        exchange = self.ask(STREAM, x_simulate="chunk-delay=1s")
        exchange.client_full()
        exchange.client_drained()
        assert self.contents() == 1
        self.clock.advance(1)
        assert self.contents() == 2
        exchange.client_left()

    def test_nothing_is_left_to_do_when_the_client_leaves(self) -> None:
        for directives in ("delay=1s", "chunk-delay=1s", "words=100000", "stall"):
            self.client = RecordingConnection()
            exchange = self.ask(STREAM, x_simulate=directives)
            exchange.client_left()
            assert self.clock.getDelayedCalls() == [], directives
