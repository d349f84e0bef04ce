"""Streams that break after their first content: the client's text is whole, or an error event follows it."""

from __future__ import annotations

import json

from tests.fakes.client import Client
from tests.fakes.house import (
    HELLO,
    LAST_CHUNK,
    STREAM,
    USAGE,
    House,
    event,
    parts,
    unchunked,
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

TEXT = ("The quick ", "brown fox ", "jumps over ", "the lazy dog.")
WHOLE = "".join(TEXT)

EVENTS = (said(""), *(said(each) for each in TEXT), stopped(), event(USAGE), DONE)
RECORDED = STREAM + b"".join(EVENTS)
"""A whole stream as a provider sends it."""

PREFILLS = "prefill: true"


def second(*texts: str) -> bytes:
    """The stream of another provider, which says these."""
    chunks = [
        event(
            {
                "id": "second",
                "created": 2,
                "model": "other",
                "choices": [{"index": 0, "delta": {"content": each}}],
            }
        )
        for each in ("", *texts)
    ]
    usage = {"id": "second", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 4}}
    return STREAM + b"".join(chunks) + stopped(id="second") + event(usage) + DONE


class ContinuationTestCase(PursuitTestCase):
    def broken(self, begun: bytes, conf: str = "", body: object = STREAMED) -> tuple[House, Client]:
        """A stream that broke after this."""
        house, client = self.client_of(conf or failing(), body)
        house.provider.answers(begun)
        self.asked(house)
        house.provider.resets()
        return house, client

    def assert_whole(
        self, house: House, client: Client, *, by: str, ids: frozenset[str] = frozenset({"first"})
    ) -> None:
        text, seen, done, failed = text_of(parts(client.received())[2])
        self.assertEqual((text, done, failed), (WHOLE, True, False))
        self.assertEqual(set(seen), ids)
        self.assertEqual(house.names.provider, by)
        self.assertEqual(house.counted, {("200", "ok"): 1})
        self.assert_nothing_is_left(house)


class FromStartTests(ContinuationTestCase):
    BEGUN = STREAM + b"".join(EVENTS[:3])

    def test_the_next_provider_says_it_again_and_the_client_hears_the_rest(self) -> None:
        house, client = self.broken(self.BEGUN)
        asked = parts(self.at(house, "b").received())
        self.assertEqual(json.loads(asked[2])["messages"], HELLO["messages"])
        self.at(house, "b").answers(second("The quick brown", " fox jumps over the", " lazy dog."))
        self.assert_whole(house, client, by="b")
        self.assertEqual(self.tried(house), [("a", "cut"), ("b", "ok")])
        self.assertEqual(
            house.number("llmgateway_stream_continuations_total", way="from_start", provider="b"), 1
        )

    def test_usage_is_summed(self) -> None:
        house, client = self.broken(self.BEGUN, body={**STREAMED, "stream_options": {"include_usage": True}})
        self.at(house, "b").answers(second(*TEXT))
        events = unchunked(parts(client.received())[2]).split(b"\n\n")
        usage = next(json.loads(each.removeprefix(b"data: ")) for each in events if b'"usage"' in each)
        self.assertEqual(usage["usage"]["prompt_tokens"], 10)
        self.assertEqual(usage["llmgateway"], {"attempts": 2, "without_usage": 1})
        record = house.record
        self.assertEqual((record.request_prompt_tokens, record.request_completion_tokens), (20, 9))
        self.assertTrue(record.usage_estimated, "10 and 5 of it are what the first has not counted")

    def test_so_is_what_the_first_has_said_of_it(self) -> None:
        so_far = said("The quick ", usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
        house, client = self.broken(
            STREAM + so_far, body={**STREAMED, "stream_options": {"include_usage": True}}
        )
        self.at(house, "b").answers(second(*TEXT))
        events = unchunked(parts(client.received())[2]).split(b"\n\n")
        usage = next(json.loads(each.removeprefix(b"data: ")) for each in events if b'"llmgateway"' in each)
        self.assertEqual((usage["usage"]["prompt_tokens"], usage["usage"]["completion_tokens"]), (17, 7))
        self.assertEqual(usage["llmgateway"], {"attempts": 2, "without_usage": 0})
        record = house.record
        self.assertEqual((record.request_prompt_tokens, record.request_completion_tokens), (17, 7))
        self.assertEqual((house.names.provider, record.attempts), ("b", 2))

    def test_every_way_to_break(self) -> None:
        for how in ("reset", "close", "end", "error", "stall"):
            house, client = self.client_of(failing(more="timeouts: {idle: 3s}"), STREAMED)
            first = house.provider
            first.answers(self.BEGUN)
            self.asked(house)
            match how:
                case "reset":
                    first.resets()
                case "close":
                    first.closes()
                case "end":
                    first.answers(LAST_CHUNK)
                case "error":
                    first.answers(event({"error": {"message": "overloaded sk-of-a-123", "code": 503}}))
                    self.assertEqual(first.end, "aborted")
                case "stall":
                    for _ in range(4):
                        first.answers(b"8\r\n: ping\n\n\r\n")
                        house.waits(1)
                    self.assertEqual(first.end, "aborted")
            self.assertEqual(self.asked(house), "b", how)
            self.at(house, "b").answers(second(*TEXT))
            self.assert_whole(house, client, by="b")

    def test_other_words_end_in_an_error(self) -> None:
        house, client = self.broken(self.BEGUN)
        self.at(house, "b").answers(second("The slow ", "brown fox"))
        self.assertEqual(self.asked(house), "ba")
        self.at(house, "a").answers(second("A slow fox."))
        text, _, done, failed = text_of(parts(client.received())[2])
        self.assertEqual((text, done, failed), ("The quick brown fox ", False, True))
        self.assertTrue(client.is_closed)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})
        self.assert_nothing_is_left(house)

    def test_whose_words_nobody_got_did_not_answer(self) -> None:
        house, client = self.broken(self.BEGUN, failing("retries: {attempts: 1}"))
        self.at(house, "b").answers(second("A slow fox."))
        self.assertIn(b"provider_answer_cut", client.received())
        self.assertEqual((house.names.provider, house.record.answered_model), ("a", "m"))
        self.assertEqual(self.tried(house), [("a", "cut"), ("b", "cancelled")])

    def test_whoever_broke_it_off_is_asked_again_last_of_all_and_once(self) -> None:
        house, client = self.broken(self.BEGUN, failing(providers="a"))
        self.assertEqual(self.asked(house), "a")
        self.at(house, "a").answers(second(*TEXT))
        self.assert_whole(house, client, by="a")
        house, client = self.broken(self.BEGUN, failing(providers="a"))
        self.at(house, "a").answers(self.BEGUN + LAST_CHUNK)
        self.assertEqual(len(house.network.providers), 2)
        self.assertIn(b"provider_answer_cut", client.received())

    def test_but_not_who_fell_silent(self) -> None:
        house, client = self.client_of(failing(providers="a", more="timeouts: {idle: 3s}"), STREAMED)
        house.provider.answers(self.BEGUN)
        house.waits(4)
        self.assertIn(b"provider_idle_timeout", client.received())
        self.assertEqual(self.asked(house), "a")

    def test_a_second_break_goes_on_at_a_third(self) -> None:
        house, client = self.broken(self.BEGUN, failing(providers="abc"))
        for begun in ("The quick brown fox jumps", "The quick brown fox jumps over"):
            self.at(house, "b").answers(STREAM + said(begun) + LAST_CHUNK)
        self.at(house, "c").answers(second(WHOLE))
        self.assert_whole(house, client, by="c")
        self.assertEqual(self.tried(house), [("a", "cut"), ("b", "cut"), ("b", "cut"), ("c", "ok")])

    def test_a_failure_of_the_next_is_the_turn_of_the_one_after_it(self) -> None:
        house, client = self.broken(self.BEGUN, failing(providers="abc"))
        self.at(house, "b").answers(error_answer(404))
        self.at(house, "c").answers(second(WHOLE))
        self.assert_whole(house, client, by="c")

    def test_a_finished_one_is_whole_whatever_is_missing(self) -> None:
        for end in ("resets", "closes", "ends"):
            house, client = self.client_of(failing(), STREAMED)
            house.provider.answers(STREAM + b"".join(EVENTS[:6]))
            if end == "ends":
                house.provider.answers(LAST_CHUNK)
            else:
                getattr(house.provider, end)()
            self.assertEqual(self.asked(house), "a")
            self.assert_whole(house, client, by="a")

    def test_a_tool_call_is_never_spliced(self) -> None:
        call = {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}
        house, client = self.broken(STREAM + event({"id": "first", "choices": [call]}))
        self.assertEqual(self.asked(house), "")
        self.assertIn(b"provider_answer_cut", client.received())

    def test_nor_is_anything_where_the_rule_wants_an_error(self) -> None:
        house, client = self.broken(self.BEGUN, failing("onStreamBreak: error"))
        self.assertEqual(self.asked(house), "")
        received = client.received()
        self.assertIn(b"provider_answer_cut", received)
        self.assertNotIn(b"[DONE]", received)

    def test_the_providers_own_error_event_is_what_it_ends_in(self) -> None:
        house, client = self.client_of(failing("onStreamBreak: error"), STREAMED)
        house.provider.answers(self.BEGUN + event({"error": {"message": "no: sk-of-a-123", "code": "x"}}))
        received = client.received()
        self.assertIn(b"no: ***********", received)
        self.assertNotIn(b"sk-of-a-123", received)
        self.assertNotIn(b"[DONE]", received)
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})

    def test_a_client_that_is_slow_paces_whoever_speaks(self) -> None:
        house, client = self.client_of(failing(), STREAMED)
        client.takes_nothing()
        house.provider.answers(self.BEGUN + said("x" * 100_000))
        self.assertEqual(self.at(house, "a").transport.producerState, "paused")
        house.provider.resets()
        self.at(house, "b").answers(STREAM + said("The quick brown fox " + "x" * 100_000 + "y"))
        self.assertEqual(self.at(house, "b").transport.producerState, "paused")
        client.takes_again()
        self.assertEqual(self.at(house, "b").transport.producerState, "producing")
        self.at(house, "b").answers(stopped() + DONE)
        self.assertTrue(text_of(parts(client.received())[2])[2])

    def test_a_client_that_leaves_meanwhile(self) -> None:
        house, client = self.broken(self.BEGUN)
        client.leaves()
        self.assertEqual(self.at(house, "b").end, "aborted")
        self.assertEqual(house.counted, {("499", "client_left"): 1})
        self.assert_nothing_is_left(house)

    def test_a_done_without_a_reason_is_not_believed_where_somebody_else_can_be_asked(self) -> None:
        begun = STREAM + b"".join(EVENTS[:3]) + DONE
        house, client = self.client_of(failing(), STREAMED)
        house.provider.answers(begun)
        self.assertEqual(self.asked(house), "ab")
        self.at(house, "b").answers(second(*TEXT))
        self.assert_whole(house, client, by="b")
        for alone in (failing(providers="a"), failing("onStreamBreak: error")):
            house, client = self.client_of(alone, STREAMED)
            house.provider.answers(begun)
            self.assertEqual(
                text_of(parts(client.received())[2]), ("The quick brown fox ", ["first"] * 3, True, False)
            )
            self.assertEqual(self.asked(house), "a")

    def test_it_is_believed_where_all_others_say_something_else(self) -> None:
        begun = STREAM + b"".join(EVENTS[:3]) + DONE
        other = STREAM + said("Something ") + said("else.") + DONE
        once = "retries: {attempts: 1}"
        for conf, asked in (
            (failing(), "ba"),
            (failing(once), "b"),
            (failing(once, "abc"), "bc"),
            (failing(more=PREFILLS), "bbaa"),
        ):
            house, client = self.client_of(conf, STREAMED)
            house.provider.answers(begun)
            for name in asked:
                self.at(house, name).answers(other)
                house.waits(2)  # as a third try at one provider does
            self.assertEqual(sorted(self.asked(house)), sorted("a" + asked))
            text, _, done, failed = text_of(parts(client.received())[2])
            self.assertEqual((text, done, failed), ("The quick brown fox ", True, False))
            self.assertEqual((house.names.provider, house.counted), ("a", {("200", "ok"): 1}))
            self.assert_nothing_is_left(house)

    def test_and_where_they_do_not_answer(self) -> None:
        house, client = self.client_of(failing("timeouts: {request: 2s}"), STREAMED)
        house.provider.answers(STREAM + b"".join(EVENTS[:3]) + DONE)
        self.asked(house)
        house.waits(2.25)
        self.assertEqual(text_of(parts(client.received())[2])[::2], ("The quick brown fox ", True))

    def test_a_malformed_event_is_passed_over(self) -> None:
        house, client = self.client_of(failing(), STREAMED)
        house.provider.answers(STREAM + EVENTS[1] + event(b'{"choices": [') + b"".join(EVENTS[2:]))
        self.assert_whole(house, client, by="a")


class AgainTests(ContinuationTestCase):
    """Whoever is asked for the rest fails, too."""

    BEGUN = STREAM + b"".join(EVENTS[:3])

    def test_what_may_pass_is_tried_again(self) -> None:
        for fault in ("status", "reset", "cut", "broken off"):
            house, client = self.broken(self.BEGUN)
            first = self.at(house, "b")
            if fault == "status":
                first.answers(error_answer(500))
            elif fault == "reset":
                first.resets()
            elif fault == "cut":
                first.answers(STREAM + said("") + LAST_CHUNK)
            else:
                first.answers(STREAM + said("The quick brown fox jumps ") + LAST_CHUNK)
            self.assertNotIn(b"error", client.transport.value())
            self.at(house, "b").answers(second(*TEXT))
            self.assert_whole(house, client, by="b")
            self.assertEqual([name for name, _ in self.tried(house)], ["a", "b", "b"])

    def test_a_limit_with_a_time_is_waited_for_where_that_fits(self) -> None:
        house, client = self.broken(self.BEGUN)
        self.asked(house)
        self.at(house, "b").answers(error_answer(429, "", b"Retry-After: 2"))
        house.waits(1.75)
        self.assertEqual(self.asked(house), "")
        house.waits(0.5)
        self.assertEqual(self.asked(house), "b")
        self.at(house, "b").answers(second(*TEXT))
        self.assert_whole(house, client, by="b")

    def test_and_is_the_turn_of_the_next_where_it_does_not(self) -> None:
        for rule in ("", "timeouts: {request: 1s}"):
            house, client = self.broken(self.BEGUN, failing(rule, providers="abc"))
            wait = b"60" if not rule else b"2"
            self.at(house, "b").answers(error_answer(429, "", b"Retry-After: " + wait))
            self.at(house, "c").answers(second(*TEXT))
            self.assert_whole(house, client, by="c")

    def test_a_third_try_waits_so_that_nobody_is_hammered(self) -> None:
        house, client = self.broken(self.BEGUN, failing("retries: {attempts: 3}"))
        for _ in range(2):
            self.at(house, "b").answers(error_answer(500))
        self.asked(house)
        house.waits(1.25)
        self.assertEqual(self.asked(house), "")
        house.waits(0.5)
        self.assertEqual(self.asked(house), "b")
        self.at(house, "b").answers(second(*TEXT))
        self.assert_whole(house, client, by="b")

    def test_not_beyond_the_budget(self) -> None:
        house, client = self.broken(self.BEGUN)
        name = self.at(house, "b").connection.destination
        for _ in range(200):
            house.live.budgets.retry_sent((name.owner, name.provider), house.clock.seconds())
        self.at(house, "b").answers(error_answer(500))
        self.assertEqual(self.asked(house), "ba")
        self.at(house, "a").answers(second(*TEXT))
        self.assert_whole(house, client, by="a")

    def test_the_words_so_far_go_along_again(self) -> None:
        house, client = self.broken(self.BEGUN, failing(more=PREFILLS))
        self.at(house, "b").answers(error_answer(500))
        asked = parts(self.at(house, "b").received().rpartition(b"POST ")[2])[2]
        self.assertEqual(json.loads(asked)["messages"][-1]["role"], "assistant")
        self.at(house, "b").answers(second(" jumps over", " the lazy dog."))
        self.assert_whole(house, client, by="b")

    def test_a_refused_prefill_after_a_failure_waits_before_the_third_try(self) -> None:
        house, client = self.broken(self.BEGUN, failing(more=PREFILLS))
        self.at(house, "b").answers(error_answer(500))
        self.at(house, "b").answers(error_answer(400, message="prefill is not supported"))
        self.asked(house)
        house.waits(1.25)
        self.assertEqual(self.asked(house), "")
        house.waits(0.5)
        self.assertEqual(self.asked(house), "b")
        self.at(house, "b").answers(second(*TEXT))
        self.assert_whole(house, client, by="b")

    def test_in_the_end_one_clear_error(self) -> None:
        house, client = self.broken(self.BEGUN)
        for name in "bba":
            self.at(house, name).answers(error_answer(500))
        text, _, done, failed = text_of(parts(client.received())[2])
        self.assertEqual((text, done, failed), ("The quick brown fox ", False, True))
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})
        self.assert_nothing_is_left(house)

    def test_a_client_that_leaves_while_it_is_waited_for(self) -> None:
        house, client = self.broken(self.BEGUN)
        self.at(house, "b").answers(error_answer(429, "", b"Retry-After: 2"))
        self.asked(house)
        client.leaves()
        house.waits(4)
        self.assertEqual(self.asked(house), "")
        self.assertEqual(house.counted, {("499", "client_left"): 1})
        self.assert_nothing_is_left(house)

    def test_no_time_is_left_while_it_is_waited_for(self) -> None:
        house, client = self.broken(self.BEGUN, failing("retries: {attempts: 3}, timeouts: {request: 1s}"))
        for _ in range(2):
            self.at(house, "b").answers(error_answer(500))
        self.asked(house)
        house.waits(4)
        self.assertEqual(self.asked(house), "")
        self.assertIn(b"error", client.received())
        self.assertEqual(house.counted, {("200", "answer_cut"): 1})

    def test_what_the_request_is_to_blame_for_is_asked_of_nobody_else(self) -> None:
        refusal = event({"error": {"message": "Filtered.", "code": "content_filter"}})
        house, client = self.client_of(failing(), STREAMED)
        house.provider.answers(self.BEGUN + refusal)
        self.assertEqual(self.asked(house), "a")
        received = client.received()
        self.assertIn(b'"code": "content_filter"', received)
        self.assertNotIn(b"[DONE]", received)
        house, client = self.client_of(failing("fallbackOn: [content_filter]"), STREAMED)
        house.provider.answers(self.BEGUN + refusal)
        self.at(house, "b").answers(second(*TEXT))
        self.assert_whole(house, client, by="b")


class PrefillTests(ContinuationTestCase):
    BEGUN = STREAM + b"".join(EVENTS[:3])
    CONF = failing(more=PREFILLS)

    def test_the_words_so_far_are_given_to_who_goes_on_with_them(self) -> None:
        house, client = self.broken(self.BEGUN, self.CONF)
        messages = json.loads(parts(self.at(house, "b").received())[2])["messages"]
        self.assertEqual(
            messages, [*HELLO["messages"], {"role": "assistant", "content": "The quick brown fox"}]
        )
        self.at(house, "b").answers(second(" jumps over", " the lazy dog."))
        self.assert_whole(house, client, by="b")
        self.assertEqual(
            house.number("llmgateway_stream_continuations_total", way="prefill", provider="b"), 1
        )

    def test_a_refusal_is_never_shown(self) -> None:
        house, client = self.broken(self.BEGUN, self.CONF)
        refused = error_answer(400, message="This model does not support assistant message prefill.")
        self.at(house, "b").answers(refused)
        messages = json.loads(parts(self.at(house, "b").received().rpartition(b"POST ")[2])[2])["messages"]
        self.assertEqual(messages, HELLO["messages"])
        self.at(house, "b").answers(second(*TEXT))
        self.assert_whole(house, client, by="b")

    def test_not_even_where_everything_else_fails_too(self) -> None:
        house, client = self.broken(self.BEGUN, self.CONF)
        self.at(house, "b").answers(error_answer(400, message="prefill is not supported"))
        self.at(house, "b").answers(error_answer(500))
        self.at(house, "a").answers(error_answer(500))
        received = client.received()
        self.assertNotIn(b"prefill", received)
        self.assertIn(b"provider_answer_cut", received)

    def test_an_answer_that_disagrees_is_asked_for_from_the_start(self) -> None:
        house, client = self.broken(self.BEGUN, self.CONF)
        self.at(house, "b").answers(second("The quick red fox"))
        self.assertEqual(self.at(house, "b").received().count(b"POST "), 1)
        self.at(house, "b").answers(second(*TEXT))
        self.assert_whole(house, client, by="b")


TWO_CHOICES = {**STREAMED, "n": 2}


class SeveralChoicesTests(ContinuationTestCase):
    """Streams of answers of which the client asked for more than one at once."""

    def chosen(self, index: int, **more: object) -> bytes:
        return event({"id": "first", "choices": [{"index": index, "delta": {"content": "a"}, **more}]})

    def test_they_are_never_spliced(self) -> None:
        for begun in (
            self.chosen(0),
            self.chosen(0) + self.chosen(1),
            self.chosen(0, finish_reason="stop") + self.chosen(1),
            self.chosen(0, finish_reason="stop"),
        ):
            for conf in (failing(), failing(more=PREFILLS)):
                house, client = self.broken(STREAM + begun, conf, TWO_CHOICES)
                self.assertEqual(self.asked(house), "")
                received = client.received()
                self.assertIn(b"provider_answer_cut", received)
                self.assertNotIn(b"[DONE]", received)
                self.assert_nothing_is_left(house)

    def test_before_the_first_content_they_are_asked_for_elsewhere(self) -> None:
        house, client = self.broken(STREAM + said(""), failing("retries: {attempts: 1}"), TWO_CHOICES)
        both = self.chosen(0, finish_reason="stop") + self.chosen(1, finish_reason="stop")
        self.at(house, "b").answers(STREAM + both + DONE)
        text, _, done, failed = text_of(parts(client.received())[2])
        self.assertEqual((text, done, failed), ("aa", True, False))

    def test_they_are_whole_when_all_have_ended(self) -> None:
        both = self.chosen(0, finish_reason="stop") + self.chosen(1, finish_reason="stop")
        house, client = self.broken(STREAM + both, failing(), TWO_CHOICES)
        self.assertEqual(self.asked(house), "")
        self.assertEqual(text_of(parts(client.received())[2])[2:], (True, False))


class LargeEventTests(ContinuationTestCase):
    """Events that come in many reads."""

    LARGE = "x" * 600_000
    BEGUN = STREAM + said("The ")

    def test_a_break_behind_one_goes_on(self) -> None:
        for conf in (failing(), failing(more=PREFILLS)):
            house, client = self.broken(self.BEGUN + said(self.LARGE), conf)
            self.at(house, "b").answers(second("The ", self.LARGE, " end."))
            text, _, done, failed = text_of(parts(client.received())[2])
            self.assertEqual((len(text), done, failed), (len(self.LARGE) + 9, True, False))

    def test_so_does_one_within_it(self) -> None:
        house, client = self.broken(self.BEGUN + said(self.LARGE)[:400_000])
        self.at(house, "b").answers(second("The ", self.LARGE, " end."))
        text, _, done, failed = text_of(parts(client.received())[2])
        self.assertEqual((len(text), done, failed), (len(self.LARGE) + 9, True, False))

    def test_of_the_next_one_too_large_to_be_held_nothing_is_told(self) -> None:
        house, client = self.broken(self.BEGUN, failing("retries: {attempts: 1}"))
        self.at(house, "b").answers(second("The ", self.LARGE * 2, " end.")[:1_150_000])
        text, _, done, failed = text_of(parts(client.received())[2])
        self.assertEqual((text, done, failed), ("The ", False, True))
        self.assertEqual(self.at(house, "b").end, "aborted")

    def test_one_too_large_to_be_held_ends_in_an_error(self) -> None:
        house, client = self.broken(self.BEGUN + said(self.LARGE * 2)[:1_150_000])
        self.assertEqual(self.asked(house), "")
        content = unchunked(parts(client.received())[2])
        self.assertIn(b"provider_answer_cut", content[-300:])
        self.assertNotIn(b"[DONE]", content)

    def test_a_trickle_within_one_is_no_content(self) -> None:
        house, client = self.client_of(failing(more="timeouts: {idle: 5s}"), STREAMED)
        house.provider.answers(self.BEGUN + b"fffff\r\ndata: ")
        self.asked(house)
        for _ in range(4):
            house.provider.answers(b"x")
            house.waits(1)
        self.assertEqual(self.asked(house), "")
        for _ in range(2):
            if not house.provider.end:
                house.provider.answers(b"x")
            house.waits(1)
        self.assertEqual(self.asked(house), "b")
        self.at(house, "b").answers(second("The end."))
        self.assertEqual(text_of(parts(client.received())[2])[::2], ("The end.", True))

    def test_one_that_goes_on_growing_is_no_stall(self) -> None:
        house, client = self.client_of(failing(more="timeouts: {idle: 5s}"), STREAMED)
        house.provider.answers(self.BEGUN + b"ffffff\r\ndata: ")
        self.asked(house)
        for _ in range(5):
            house.provider.answers(b"x" * 1_100_000)
            house.waits(4)
        self.assertEqual(house.provider.end, "")
        house.waits(3)
        self.assertIn(b"provider_idle_timeout", client.received()[-300:])
        self.assertEqual(self.asked(house), "")
