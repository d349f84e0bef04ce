"""A second attempt beside a slow one, copies, comments while waiting, and answers read on without a client."""

from __future__ import annotations

import json

from gateway.dialects.sse import EVENT_BYTES
from gateway.serving import mirroring
from tests.fakes.client import Client
from tests.fakes.conf import provider, route
from tests.fakes.house import (
    ANSWER,
    HELLO,
    LAST_CHUNK,
    STREAM,
    USAGE,
    House,
    event,
    parts,
    post,
    unchunked,
    words,
)
from tests.serving.pursuing import (
    DONE,
    STREAMED,
    PursuitTestCase,
    error_answer,
    failing,
    said,
    stopped,
    text_of,
)


class HedgeTests(PursuitTestCase):
    CONF = failing("hedge: {after: 2s}, retries: {attempts: 1}", "abc")

    def hedged(self, body: object = HELLO) -> tuple[House, Client]:
        """The first provider is slow, and the second is asked, too."""
        house, client = self.client_of(self.CONF, body)
        house.waits(1.75)
        self.assertEqual(self.asked(house), "a")
        house.waits(0.5)
        self.assertEqual(self.asked(house), "b")
        return house, client

    def assert_counted(self, house: House, result: str) -> None:
        self.assertEqual(house.number("llmgateway_hedges_total", provider="b", result=result), 1)
        self.assertEqual(house.number("llmgateway_hedges_total"), 1)
        self.assert_nothing_is_left(house)

    def test_the_first_content_wins_and_the_other_is_cancelled(self) -> None:
        house, client = self.hedged()
        self.at(house, "b").answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=2)
        self.assertEqual(self.at(house, "a").end, "aborted")
        self.assertEqual(self.tried(house), [("a", "cancelled"), ("b", "ok")])
        self.assert_counted(house, "won")
        self.assertFalse(house.live.breakers.in_trouble)

    def test_the_slow_one_may_still_be_first(self) -> None:
        house, client = self.hedged()
        self.at(house, "a").answers(ANSWER)
        self.assert_answered(house, client, by="a", attempts=2)
        self.assertEqual(self.at(house, "b").end, "aborted")
        self.assert_counted(house, "lost")

    def test_a_head_wins_nothing(self) -> None:
        house, client = self.hedged(STREAMED)
        self.at(house, "a").answers(STREAM + event(words("")))
        self.at(house, "b").answers(STREAM + said("x") + stopped() + DONE)
        self.assertEqual(text_of(parts(client.received())[2])[0], "x")
        self.assert_counted(house, "won")

    def test_one_that_fails_leaves_the_other_alone(self) -> None:
        for failed, other in ("ab", "ba"):
            house, client = self.hedged()
            self.at(house, failed).answers(error_answer(500))
            self.assertEqual(client.received(), b"")
            self.at(house, other).answers(ANSWER)
            self.assert_answered(house, client, by=other, attempts=2)

    def test_both_fail_and_the_third_is_asked(self) -> None:
        house, client = self.hedged()
        self.at(house, "a").answers(error_answer(500))
        self.at(house, "b").answers(error_answer(500))
        self.assertEqual(self.asked(house), "c")
        self.at(house, "c").answers(ANSWER)
        self.assert_answered(house, client, by="c", attempts=3)
        self.assert_counted(house, "lost")

    def test_it_has_won_also_where_the_slow_one_has_failed_before(self) -> None:
        house, client = self.hedged()
        self.at(house, "a").answers(error_answer(500))
        self.at(house, "b").answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=2)
        self.assert_counted(house, "won")

    def test_one_that_has_failed_has_lost(self) -> None:
        house, client = self.hedged()
        self.at(house, "b").answers(error_answer(500))
        self.at(house, "a").answers(ANSWER)
        self.assert_answered(house, client, by="a", attempts=2)
        self.assert_counted(house, "lost")

    def test_a_client_that_leaves_ends_both(self) -> None:
        house, client = self.hedged()
        client.leaves()
        self.assertEqual([self.at(house, name).end for name in "ab"], ["aborted"] * 2)
        self.assert_counted(house, "lost")

    def test_there_is_one_hedge(self) -> None:
        house, client = self.hedged()
        house.waits(10)
        self.assertEqual(self.asked(house), "")
        client.leaves()

    def test_with_content_there_is_none(self) -> None:
        house, client = self.client_of(self.CONF, STREAMED)
        house.provider.answers(STREAM + said("x"))
        house.waits(5)
        self.assertEqual(self.asked(house), "a")
        client.leaves()


class KeepAliveTests(PursuitTestCase):
    def waiting(
        self, body: object = STREAMED, rule: str = "keepAlive: 5s, retries: {attempts: 1}"
    ) -> tuple[House, Client]:
        house, client = self.client_of(failing(rule), body)
        house.waits(5)
        return house, client

    def test_comments_come_while_a_stream_is_waited_for(self) -> None:
        house, client = self.waiting()
        status, headers, body = parts(client.received())
        self.assertEqual((status, headers[b"content-type"]), (b"HTTP/1.1 200 OK", b"text/event-stream"))
        self.assertEqual(unchunked(body), b": waiting\n\n")
        house.waits(5)
        self.assertEqual(unchunked(client.received()), b": waiting\n\n")
        house.provider.answers(STREAM + said("x") + stopped() + DONE)
        text, _, done, failed = text_of(client.received())
        self.assertEqual((text, done, failed), ("x", True, False))
        self.assertEqual(house.counted, {("200", "ok"): 1})
        record = house.record
        self.assertEqual((record.time_to_head_ms, record.time_to_first_token_ms), (5000.0, 10_000.0))

    def test_the_next_may_still_be_asked(self) -> None:
        house, client = self.waiting()
        house.provider.answers(error_answer(500))
        self.assertEqual(self.asked(house), "ab")
        client.received()
        house.provider.answers(STREAM + said("x") + stopped() + DONE)
        self.assertEqual(text_of(client.received())[:1], ("x",))

    def test_a_final_failure_is_an_event(self) -> None:
        house, client = self.waiting()
        house.provider.answers(error_answer(500))
        client.received()
        house.provider.answers(error_answer(401, "bad_key", message="no: sk-of-b-123"))
        told = unchunked(client.received())
        self.assertEqual(json.loads(told.removeprefix(b"data: "))["error"]["message"], "no: ***********")
        self.assertTrue(client.is_closed)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})

    def test_so_is_one_of_ours(self) -> None:
        house, client = self.waiting()
        client.received()
        house.provider.resets()
        house.provider.resets()
        self.assertIn(b"provider_reset", client.received())
        self.assertTrue(client.is_closed)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})

    def test_no_comments_to_who_waits_for_no_stream(self) -> None:
        house, client = self.waiting(HELLO)
        self.assertEqual(client.received(), b"")
        house.provider.answers(ANSWER)

    def test_contents_are_as_good_and_between_them_comments_go_on(self) -> None:
        house, client = self.client_of(failing("keepAlive: 5s"), STREAMED)
        house.waits(4)
        house.provider.answers(STREAM + said("x"))
        house.waits(4)
        house.provider.answers(said("y"))
        self.assertNotIn(b"waiting", client.received())
        house.waits(5.25)
        self.assertEqual(unchunked(client.received()), b": waiting\n\n")
        house.waits(5)
        self.assertEqual(unchunked(client.received()), b": waiting\n\n")
        client.leaves()

    def test_also_while_another_one_is_asked_for_the_rest(self) -> None:
        house, client = self.client_of(failing("keepAlive: 5s"), STREAMED)
        house.provider.answers(STREAM + said("x") + LAST_CHUNK)
        client.received()
        house.waits(5.25)
        self.assertEqual(unchunked(client.received()), b": waiting\n\n")
        self.at(house, "b").answers(STREAM + said("x") + said("y") + stopped() + DONE)
        self.assertEqual(text_of(client.received())[:1], ("y",))

    def test_none_within_an_event_nor_to_who_takes_nothing(self) -> None:
        house, client = self.client_of(failing("keepAlive: 5s"), STREAMED)
        house.provider.answers(STREAM + said("x"))
        house.provider.answers(b"ffffff\r\ndata: " + b"x" * (EVENT_BYTES + 1))
        self.assertIn(b"xxx", client.received())
        house.waits(11)
        self.assertEqual(client.received(), b"")
        client.leaves()
        house, client = self.client_of(failing("keepAlive: 5s"), STREAMED)
        client.takes_nothing()
        house.provider.answers(STREAM + said("x" * 100_000))
        client.received()
        house.waits(11)
        self.assertNotIn(b"waiting", client.received())
        client.leaves()

    def test_a_stream_that_was_promised_and_does_not_come(self) -> None:
        house, client = self.waiting()
        client.received()
        house.provider.answers(ANSWER)
        self.assertIn(b"provider_answer_cut", client.received())
        self.assertTrue(client.is_closed)


class DrainTests(PursuitTestCase):
    CONF = failing("onClientDisconnect: drain")

    def test_the_answer_is_read_to_its_end_for_its_usage(self) -> None:
        for begun in (b"", STREAM + said("x")):
            house, client = self.client_of(self.CONF, STREAMED)
            if begun:
                house.provider.answers(begun)
            client.leaves()
            self.assertEqual((house.provider.end, house.counted), ("", {}))
            house.provider.answers((b"" if begun else STREAM) + said("y") + stopped() + event(USAGE) + DONE)
            self.assertEqual(house.counted, {("499", "client_left"): 1})
            self.assertEqual(house.number("llmgateway_tokens_total", type="output"), 3)
            sent = len(unchunked(parts(client.received())[2])) if begun else 0
            self.assertEqual(house.record.bytes_out, sent, "as much as the client was sent")
            self.assert_nothing_is_left(house)

    def test_one_that_is_no_stream_too(self) -> None:
        house, client = self.client_of(self.CONF)
        client.leaves()
        house.provider.answers(ANSWER)
        self.assertEqual(house.counted, {("499", "client_left"): 1})
        self.assertEqual(house.record.request_completion_tokens, 2)

    def test_nothing_is_tried_again_for_nobody(self) -> None:
        for begun, failure in ((b"", error_answer(500)), (STREAM + said("x"), LAST_CHUNK)):
            house, client = self.client_of(self.CONF, STREAMED)
            house.provider.answers(begun)
            client.leaves()
            house.provider.answers(failure)
            self.assertEqual(self.asked(house), "a")
            self.assertEqual(house.counted, {("499", "client_left"): 1})

    def test_for_so_long_and_no_longer(self) -> None:
        house, client = self.client_of(
            failing("onClientDisconnect: drain, timeouts: {request: 10s}"), STREAMED
        )
        house.provider.answers(STREAM + said("x"))
        client.leaves()
        house.waits(10.25)
        self.assertEqual(house.provider.end, "aborted")
        self.assertEqual(house.counted, {("499", "client_left"): 1})

    def test_a_client_that_was_slow(self) -> None:
        house, client = self.client_of(self.CONF, STREAMED)
        client.takes_nothing()
        house.provider.answers(STREAM + said("x" * 100_000))
        self.assertEqual(house.provider.transport.producerState, "paused")
        client.leaves()
        self.assertEqual(house.provider.transport.producerState, "producing")
        house.provider.answers(stopped() + DONE)

    def test_otherwise_it_is_cancelled(self) -> None:
        house, client = self.client_of(failing("onClientDisconnect: cancel"), STREAMED)
        house.provider.answers(STREAM + said("x"))
        client.leaves()
        self.assertEqual(house.provider.end, "aborted")


class MirrorTests(PursuitTestCase):
    CONF = (
        provider("a")
        + provider("b", "configs: {defaultConfig: {openAIConfig: {model: copied}}}")
        + route(
            "demo",
            "rules: [{mirror: {providerHost: b.example, percent: 50}, backendRefs: [{providerHost: a.example}]}]",
        )
    )

    def mirrored(self, outcome: str) -> float:
        return self.house_.number("llmgateway_mirrored_requests_total", provider="b", outcome=outcome)

    def copied(self) -> tuple[House, Client]:
        house, client = self.client_of(self.CONF)
        self.house_ = house
        self.assertEqual(json.loads(parts(self.at(house, "b").received())[2])["model"], "copied")
        return house, client

    def test_a_copy_whose_answer_nobody_sees(self) -> None:
        house, client = self.copied()
        self.at(house, "b").answers(ANSWER)
        self.assertEqual(client.received(), b"")
        self.at(house, "a").answers(ANSWER)
        self.assert_answered(house, client, by="a", attempts=1)
        self.assertEqual(house.number("llmgateway_tokens_total"), 7)
        self.assertEqual(self.mirrored("ok"), 1)
        self.assert_nothing_is_left(house)

    def test_it_may_outlive_the_request(self) -> None:
        house, client = self.copied()
        self.at(house, "a").answers(ANSWER)
        self.assert_answered(house, client, by="a", attempts=1)
        self.at(house, "b").resets()
        self.assertEqual(self.mirrored("reset"), 1)
        self.assert_nothing_is_left(house)

    def test_but_not_for_ever(self) -> None:
        house, _ = self.copied()
        self.at(house, "a").answers(ANSWER)
        self.at(house, "b").answers(STREAM)
        for _ in range(40):
            self.at(house, "b").answers(b"8\r\n: ping\n\n\r\n")
            house.waits(10)
        self.assertEqual(self.at(house, "b").end, "aborted")
        self.assertEqual(self.mirrored("stalled"), 1)
        self.assertFalse([each for each in house.sweep.watched if isinstance(each, mirroring.Copy)])

    def test_only_a_share(self) -> None:
        house, client = self.open(self.CONF)
        object.__setattr__(house.reception._surroundings, "chance", lambda: 0.5)
        client.sends(post(HELLO))
        self.assertEqual(self.asked(house), "a")
        house.provider.answers(ANSWER)

    def test_never_too_many(self) -> None:
        self.patch(mirroring, "MOST_COPIES", 1)
        house, client = self.copied()
        self.at(house, "a").answers(ANSWER)
        client.sends(post(HELLO))
        self.at(house, "a").answers(ANSWER)
        self.assertEqual(self.mirrored("skipped"), 1)
        self.at(house, "b").answers(ANSWER)

    def test_nor_too_large_ones(self) -> None:
        self.patch(mirroring, "MOST_BYTES", 2 * len(json.dumps(HELLO)) - 1)
        house, client = self.copied()  # the first is made whatever it has
        for _ in range(2):
            self.at(house, "a").answers(ANSWER)
            client.sends(post(HELLO))
        self.at(house, "a").answers(ANSWER)
        self.assertEqual(self.mirrored("skipped"), 2)
        self.at(house, "b").answers(ANSWER)
        client.sends(post(HELLO))
        self.at(house, "a").answers(ANSWER)
        self.at(house, "b").answers(ANSWER)
        self.assertEqual((self.mirrored("skipped"), self.mirrored("ok")), (2, 2))

    def test_a_fault_of_our_own_harms_no_request(self) -> None:
        house, client = self.open(self.CONF)

        def broken(*_: object, **more: object) -> None:
            raise ZeroDivisionError("a fault of our own")

        self.patch(mirroring, "ProviderAnswer", broken)
        client.sends(post(HELLO))
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="a", attempts=1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
