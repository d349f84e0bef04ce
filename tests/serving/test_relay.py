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
        self.assertEqual(house.record.provider, by)
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
        self.assertEqual(
            (house.record.request_prompt_tokens, house.record.request_completion_tokens), (10, 4)
        )

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
        self.at(house, "b").answers(STREAM + said("The quick brown fox jumps") + LAST_CHUNK)
        self.at(house, "c").answers(second(WHOLE))
        self.assert_whole(house, client, by="c")
        self.assertEqual(house.record.attempts, 3)

    def test_a_failure_of_the_next_is_the_turn_of_the_one_after_it(self) -> None:
        house, client = self.broken(self.BEGUN, failing(providers="abc"))
        self.at(house, "b").answers(error_answer(500))
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

    def test_a_malformed_event_is_passed_over(self) -> None:
        house, client = self.client_of(failing(), STREAMED)
        house.provider.answers(STREAM + EVENTS[1] + event(b'{"choices": [') + b"".join(EVENTS[2:]))
        self.assert_whole(house, client, by="a")


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


class EveryByteTests(ContinuationTestCase):
    """The recorded stream cut after each single byte."""

    def cut_everywhere(self, conf: str, answers: dict[str, bytes], otherwise: str = WHOLE) -> None:
        body_at = len(STREAM)
        for at in range(1, len(RECORDED)):
            house, client = self.client_of(conf, STREAMED)
            first = house.provider
            first.answers(RECORDED[:at])
            self.asked(house)
            if at % 2:
                first.resets()
            else:
                first.closes()
            house.clock.advance(0)
            received = client.received()
            for _ in range(4):
                for each in house.network.providers[1:]:
                    asked = each.received()
                    if asked:
                        prefilled = b'"assistant"' in asked.rpartition(b"POST ")[2]
                        each.answers(answers["prefill" if prefilled else "from_start"])
                house.clock.advance(0)
            received += client.received()
            text, ids, done, failed = text_of(parts(received)[2])
            self.assertTrue(done != failed, (at, received))
            if done:
                self.assertIn(text, (WHOLE, otherwise), at)
                self.assertEqual(len(set(ids)), 1, at)
            else:
                self.assertGreater(at, body_at)
                self.assertTrue(WHOLE.startswith(text), (at, text))
                self.assertTrue(client.is_closed)
            self.assert_nothing_is_left(house)

    def test_the_next_says_the_same(self) -> None:
        whole = second("The ", "quick brown fox jumps over the lazy", " dog.")
        self.cut_everywhere(failing(), {"from_start": whole})

    def test_the_next_goes_on(self) -> None:
        whole = second("The ", "quick brown fox jumps over the lazy", " dog.")
        self.cut_everywhere(failing(more=PREFILLS), {"from_start": whole, "prefill": whole})

    def test_the_next_says_something_else(self) -> None:
        self.cut_everywhere(failing(), {"from_start": second("Something else.")}, "Something else.")
