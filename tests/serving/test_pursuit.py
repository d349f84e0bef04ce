"""Every row of the decision table through the whole gateway: who is asked, when, and what the client gets."""

from __future__ import annotations

import json

from msgspec import UNSET

from gateway.errors import GatewayError
from gateway.messages import Destination
from tests.fakes.client import Client
from tests.fakes.conf import gateway, provider, route
from tests.fakes.house import (
    ANSWER,
    HELLO,
    KEY,
    LAST_CHUNK,
    STREAM,
    House,
    answer,
    error,
    event,
    parts,
    post,
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
)

KEY_OF_A = "sk-of-a-123"


class FallbackTests(PursuitTestCase):
    def test_an_error_of_the_providers_is_tried_again_and_then_elsewhere(self) -> None:
        for status in (500, 502, 503, 504, 529):
            house, client = self.client_of(failing())
            self.assertEqual(self.asked(house), "a")
            house.provider.answers(error_answer(status))
            self.assertEqual(client.received(), b"")
            house.clock.advance(0)
            self.assertEqual(self.asked(house), "a")
            house.provider.answers(error_answer(status))
            self.assertEqual(self.asked(house), "b")
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="b", attempts=3)
            self.assertEqual(self.tried(house), [("a", "status"), ("a", "status"), ("b", "ok")])
            self.assert_nothing_is_left(house)

    def test_what_an_error_says_is_told_of_the_attempt(self) -> None:
        for code, told in (
            ("model_overloaded", "model_overloaded"),
            ("<two words>", UNSET),
            (KEY_OF_A, UNSET),
        ):
            house, client = self.client_of(failing("retries: {attempts: 1}"))
            house.provider.answers(error_answer(503, code))
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="b", attempts=2)
            self.assertEqual([each.code for each in house.record.tried], [told, UNSET])
            [labels] = [each for each in house.metrics.attempted_backends() if each.provider == "a"]
            self.assertEqual(house.metrics.attempt_statuses(labels), {503: 1})

    def test_each_attempt_is_built_anew_from_the_original(self) -> None:
        house, client = self.client_of(failing("retries: {attempts: 1}"))
        first = parts(house.provider.received())
        house.provider.answers(error_answer(500))
        second = parts(house.provider.received())
        self.assertEqual(
            (json.loads(first[2])["model"], first[1][b"authorization"]), ("a-1", b"Bearer sk-of-a-123")
        )
        self.assertEqual(
            (json.loads(second[2])["model"], second[1][b"authorization"]), ("b-1", b"Bearer sk-of-b-123")
        )
        self.assertEqual(second[1][b"host"], b"b.example")
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=2)
        self.assertEqual(house.number("llmgateway_requests_total", provider="b", model="b-1"), 1)
        self.assertEqual(house.number("llmgateway_attempts_total", provider="a", outcome="status"), 1)
        self.assertEqual(house.number("llmgateway_attempts_total", provider="b", outcome="ok"), 1)

    def test_a_connection_that_ends_before_a_head_is_tried_again(self) -> None:
        house, client = self.client_of(failing())
        house.provider.resets()
        house.clock.advance(0)
        self.asked(house)
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="a", attempts=2)
        self.assertEqual(self.tried(house), [("a", "reset"), ("a", "ok")])

    def test_an_answer_that_is_cut_is_tried_again_whatever_it_is(self) -> None:
        cut = (
            (HELLO, ANSWER[:-5]),
            (HELLO, ANSWER[:-200]),
            (STREAMED, STREAM),
            (STREAMED, STREAM + event(words(""))),
        )
        for body, begun in cut:
            house, client = self.client_of(failing(), body)
            house.provider.answers(begun)
            house.provider.closes()
            self.assertEqual(client.received(), b"")
            house.clock.advance(0)
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="a", attempts=2)

    def test_one_that_ends_properly_and_says_too_little_too(self) -> None:
        for body, less in (
            (HELLO, answer(b'{"choices": [')),
            (HELLO, answer(b"")),
            (STREAMED, STREAM + LAST_CHUNK),
            (STREAMED, STREAM + event(words("")) + LAST_CHUNK),
            (STREAMED, STREAM + b"9\r\n: hello\n\n\r\n" + LAST_CHUNK),
        ):
            house, client = self.client_of(failing(), body)
            house.provider.answers(less)
            self.assertEqual(client.received(), b"")
            house.clock.advance(0)
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="a", attempts=2)
            self.assertEqual(self.tried(house)[0], ("a", "cut"))
            self.assertEqual([each.status for each in house.record.tried], [200, 200])

    def test_an_error_that_comes_as_a_success_is_an_error(self) -> None:
        failure = {"error": {"message": "down", "code": 503}}
        for body, answered in (
            (HELLO, answer(json.dumps(failure).encode())),
            (STREAMED, STREAM + event(words("")) + event(failure)),
        ):
            house, client = self.client_of(failing("retries: {attempts: 1}"), body)
            house.provider.answers(answered)
            self.assertEqual(self.asked(house), "ab")
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="b", attempts=2)

    def test_one_that_blames_the_request_too(self) -> None:
        for code, status in (("content_filter", b"400 Bad Request"), ("model_not_found", b"404 Not Found")):
            failure = {"error": {"message": "No.", "type": "invalid_request_error", "code": code}}
            for body, answered in (
                (HELLO, answer(json.dumps(failure).encode())),
                (STREAMED, STREAM + event(words("")) + event(failure)),
            ):
                house, client = self.client_of(failing(), body)
                house.provider.answers(answered)
                self.assertEqual(self.asked(house), "a")
                first, headers, told = parts(client.received())
                self.assertEqual(first, b"HTTP/1.1 " + status)
                self.assertEqual(headers[b"x-llmgateway-error-source"], b"provider")
                self.assertEqual(json.loads(told)["error"]["code"], code)
                house, client = self.client_of(failing(f"fallbackOn: [{code}]"), body)
                house.provider.answers(answered)
                house.provider.answers(ANSWER)
                self.assert_answered(house, client, by="b", attempts=2)

    def test_a_limit_that_comes_as_a_success_is_the_keys(self) -> None:
        limited = {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}
        house, client = self.client_of(failing("retries: {attempts: 1}"), STREAMED)
        house.provider.answers(STREAM + event(limited))
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=2)
        self.assertTrue(house.live.keys.remembered())

    def test_who_cannot_be_reached_is_never_asked_twice(self) -> None:
        house, client = self.open(failing())
        network = house.network
        connect = network.connect

        def refused(destination: Destination, *rest: object) -> object:
            network.fails_with = (
                GatewayError("provider_connect_failed", "No.") if destination.address == "a.example" else None
            )
            return connect(destination, *rest)  # type: ignore[arg-type]

        self.patch(house.pools, "_connect", refused)
        client.sends(post(HELLO))
        self.assertEqual(self.asked(house), "b")
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=2)
        self.assertEqual(self.tried(house), [("a", "unreachable"), ("b", "ok")])

    def test_who_is_silent_is_never_asked_twice(self) -> None:
        for timer, kept in (("timeouts: {headers: 2s}", b""), ("retries: {perTryTimeout: 2s}", b"")):
            house, client = self.client_of(failing(timer))
            house.provider.answers(kept)
            house.waits(2.5)
            self.assertEqual(self.asked(house), "ab")
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="b", attempts=2)
            self.assertEqual(self.tried(house)[0], ("a", "silent"))
            self.assertIsNone(house.record.tried[0].status)
            self.assertEqual(house.network.providers[0].end, "aborted")

    def test_a_missed_first_content_whatever_else_comes(self) -> None:
        for timer in ("timeouts: {firstContent: 2s}", "retries: {perTryTimeout: 2s}"):
            house, client = self.client_of(failing(timer), STREAMED)
            house.provider.answers(STREAM)
            for _ in range(4):
                house.provider.answers(b"8\r\n: ping\n\n\r\n" + event(words("")))
                house.waits(0.5)
            house.waits(0.25)
            self.assertEqual(self.asked(house), "ab")
            house.provider.answers(STREAM + said("x") + DONE)
            self.assertIn(b'"x"', client.received())
            self.assertEqual(self.tried(house), [("a", "no_content"), ("b", "ok")])

    def test_a_missed_first_content_of_an_answer_that_has_not_begun(self) -> None:
        house, _ = self.client_of(failing("timeouts: {firstContent: 2s}"), STREAMED)
        house.waits(2.25)
        house.provider.answers(STREAM + said("x") + DONE)
        self.assertEqual(self.tried(house), [("a", "silent"), ("b", "ok")])

    def test_with_content_in_time_there_is_no_such_limit(self) -> None:
        house, client = self.client_of(
            failing("timeouts: {firstContent: 2s, idle: 9s}, retries: {perTryTimeout: 2s}"), STREAMED
        )
        house.provider.answers(STREAM + said("x"))
        house.waits(6)
        house.provider.answers(stopped() + DONE)
        self.assertIn(b"[DONE]", client.received())
        self.assertEqual(self.asked(house), "a")

    def test_too_long_a_conversation_is_for_the_next_only(self) -> None:
        house, client = self.client_of(failing())
        house.provider.answers(error_answer(400, "context_length_exceeded"))
        self.assertEqual(self.asked(house), "ab")
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=2)

    def test_what_is_the_requests_own_fault_is_handed_on(self) -> None:
        for status, code in (
            (400, ""),
            (400, "content_filter"),
            (404, "model_not_found"),
            (422, ""),
            (413, ""),
        ):
            house, client = self.client_of(failing())
            house.provider.answers(error_answer(status, code, b"X-More: 1"))
            received = client.received()
            self.assertEqual(parts(received)[0].split()[1], b"%d" % status)
            self.assertEqual(parts(received)[1][b"x-more"], b"1")
            self.assertEqual(parts(received)[1][b"x-llmgateway-error-source"], b"provider")
            self.assertEqual(error(received)["message"], "Simulated.")
            self.assertEqual(self.asked(house), "a")
            self.assertEqual(house.counted, {(str(status), "provider_error"): 1})

    def test_unless_the_rule_names_it(self) -> None:
        house, client = self.client_of(failing("fallbackOn: [content_filter]"))
        house.provider.answers(error_answer(400, "content_filter"))
        self.assertEqual(self.asked(house), "ab")
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=2)

    def test_a_limit_with_a_time_is_waited_for_where_that_fits(self) -> None:
        for line, seconds in ((b"Retry-After: 3", 3), (b"Retry-After-Ms: 1500", 1.5)):
            house, client = self.client_of(failing())
            house.provider.answers(error_answer(429, "", line))
            house.waits(seconds - 0.25)
            self.assertEqual(self.asked(house), "a")
            house.waits(0.5)
            self.assertEqual(self.asked(house), "a")
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="a", attempts=2)

    def test_and_not_where_it_does_not(self) -> None:
        for rule in ("", "timeouts: {request: 4s}"):
            house, client = self.client_of(failing(rule))
            house.provider.answers(error_answer(429, "", b"Retry-After: %d" % (4 if rule else 20)))
            self.assertEqual(self.asked(house), "ab")
            house.provider.answers(ANSWER)
            self.assert_answered(house, client, by="b", attempts=2)

    def test_a_limit_without_a_time_is_tried_again_after_a_while(self) -> None:
        house, client = self.client_of(failing())
        house.provider.answers(error_answer(429))
        house.clock.advance(0)
        self.assertEqual(self.asked(house), "aa")
        house.provider.answers(error_answer(429))
        self.assertEqual(self.asked(house), "b")
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=3)

    def test_a_storm_of_retries_stops_at_the_budget(self) -> None:
        house, client = self.open(failing(providers="a"))
        house.live.budgets.allows_retry = lambda *_: False  # type: ignore[method-assign]
        client.sends(post(HELLO))
        house.provider.answers(error_answer(500))
        self.assertTrue(client.received().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(self.asked(house), "a")

    def test_retries_are_counted_against_it_and_fallbacks_are_not(self) -> None:
        house, client = self.client_of(failing())
        for name in "aab":
            self.at(house, name).answers(error_answer(500))
            house.clock.advance(0)
        self.at(house, "b").answers(ANSWER)
        client.received()
        budgets = [house.live.budgets._ledgers["default", name].settled() for name in "ab"]
        self.assertEqual([(each.requests, each.retries) for each in budgets], [(1.0, 1.0), (1.0, 1.0)])

    def test_they_are_counted_before_they_wait(self) -> None:
        """Else all who fail at one moment would find the budget as it was."""
        house, client = self.client_of(failing())
        house.provider.answers(error_answer(500))
        self.assertEqual(self.asked(house), "a")
        self.assertEqual(house.live.budgets._ledgers["default", "a"].settled().retries, 1.0)
        client.leaves()

    def test_waiting_ends_with_its_client(self) -> None:
        house, client = self.client_of(failing())
        house.provider.answers(error_answer(429, "", b"Retry-After: 3"))
        client.leaves()
        house.waits(5)
        self.assertEqual(self.asked(house), "a")
        self.assertEqual(house.counted, {("499", "client_left"): 1})


class NobodyAnswersTests(PursuitTestCase):
    def all_fail(
        self, answers: list[bytes | None], rule: str = "retries: {attempts: 1}"
    ) -> tuple[House, Client]:
        """Each provider in turn answers this, or resets."""
        house, client = self.client_of(failing(rule))
        for each in answers:
            if each is None:
                house.provider.resets()
            else:
                house.provider.answers(each)
        self.assert_nothing_is_left(house)
        return house, client

    def test_the_last_ones_own_error_is_what_the_client_gets(self) -> None:
        house, client = self.all_fail(
            [error_answer(503, message="a"), error_answer(500, message="b sk-of-b-123")]
        )
        received = client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 500 "))
        self.assertEqual(error(received)["message"], "b " + "*" * 11)
        self.assertEqual(parts(received)[1][b"x-llmgateway-backend"], b"b")
        self.assertEqual(parts(received)[1][b"x-llmgateway-attempts"], b"2")
        self.assertEqual(house.counted, {("500", "provider_error"): 1})

    def test_who_answered_says_more_than_who_did_not(self) -> None:
        house, client = self.all_fail([error_answer(503, message="a"), None])
        self.assertEqual(error(client.received())["message"], "a")
        self.assertEqual(house.names.provider, "a")

    def test_our_own_error_of_the_most_telling_attempt(self) -> None:
        house, client = self.client_of(failing("retries: {attempts: 1}"))
        house.provider.answers(ANSWER[:-5])
        house.provider.closes()
        house.provider.resets()
        received = client.received()
        self.assertEqual(error(received)["code"], "provider_answer_cut")
        self.assertEqual(house.counted, {("502", "provider_failed"): 1})

    def test_a_body_that_is_not_whole_is_replaced(self) -> None:
        for begun in (error_answer(500)[:-9], error_answer(500)[:-70]):
            house, client = self.client_of(failing("retries: {attempts: 1}", "a"))
            house.provider.answers(begun)
            house.provider.closes()
            received = client.received()
            self.assertTrue(received.startswith(b"HTTP/1.1 500 "))
            self.assertIn("did not end", str(error(received)["message"]))

    def test_an_error_without_end_is_not_read_to_its_end(self) -> None:
        house, client = self.client_of(failing("retries: {attempts: 1}", "a"))
        house.provider.answers(
            b"HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(17):
            if not house.provider.end:
                house.provider.answers(piece)
        self.assertEqual(house.provider.end, "aborted")
        self.assertIn("did not end", str(error(client.received())["message"]))

    def test_the_time_for_all_of_it_together(self) -> None:
        house, client = self.client_of(failing("timeouts: {request: 5s, headers: 3s}"))
        house.waits(3.25)
        self.assertEqual(self.asked(house), "ab")
        house.waits(2)
        self.assertEqual(error(client.received())["code"], "provider_request_timeout")
        self.assertEqual(self.tried(house), [("a", "silent"), ("b", "silent")])
        self.assert_nothing_is_left(house)


class BreakerTests(PursuitTestCase):
    CONF = failing(
        "retries: {attempts: 1}", more="outlierDetection: {consecutiveErrors: 2, baseEjectionTime: 5s}"
    )

    def opened(self) -> tuple[House, Client]:
        """The breaker of `a` is open."""
        house, client = self.open(self.CONF)
        for _ in range(2):
            client.sends(post(HELLO))
            self.at(house, "a").answers(error_answer(500))
            self.at(house, "b").answers(ANSWER)
        self.asked(house)
        client.received()
        return house, client

    def test_while_it_is_open_requests_go_straight_to_the_next(self) -> None:
        house, client = self.opened()
        client.sends(post(HELLO))
        self.assertEqual(self.asked(house), "b")
        house.provider.answers(ANSWER)
        self.assertEqual(parts(client.received())[1][b"x-llmgateway-attempts"], b"1")
        self.assertEqual(self.tried(house), [("a", "open"), ("b", "ok")])

    def test_one_probe_after_the_cool_down_and_no_other(self) -> None:
        house, client = self.opened()
        house.waits(5)
        other = house.client()
        client.sends(post(HELLO))
        other.sends(post(HELLO))
        self.assertEqual(self.asked(house), "ab")
        self.at(house, "a").answers(ANSWER)
        self.at(house, "b").answers(ANSWER)
        client.sends(post(HELLO))
        self.assertEqual(self.asked(house), "a")
        self.at(house, "a").answers(ANSWER)

    def test_a_probe_whose_client_leaves_gives_it_back(self) -> None:
        house, client = self.opened()
        house.waits(5)
        client.sends(post(HELLO))
        self.assertEqual(self.asked(house), "a")
        client.leaves()
        other = house.client()
        other.sends(post(HELLO))
        self.assertEqual(self.asked(house), "a")
        self.at(house, "a").answers(ANSWER)

    def test_a_probe_that_streams_lets_others_in_at_its_first_content(self) -> None:
        house, client = self.opened()
        house.waits(5)
        client.sends(post(STREAMED))
        self.at(house, "a").answers(STREAM + said("x"))
        self.asked(house)
        other = house.client()
        other.sends(post(HELLO))
        self.assertEqual(self.asked(house), "a")
        house.provider.answers(ANSWER)
        house.network.providers[0].answers(stopped() + DONE)

    def test_all_open(self) -> None:
        house, client = self.open(self.CONF)
        for _ in range(2):
            client.sends(post(HELLO))
            self.at(house, "a").answers(error_answer(500))
            self.at(house, "b").answers(error_answer(500))
        self.asked(house)
        client.received()
        received = client.sends(post(HELLO))
        self.assertEqual(self.asked(house), "")
        self.assertTrue(received.startswith(b"HTTP/1.1 503 "))
        self.assertEqual(error(received)["code"], "no_backend_available")
        self.assertEqual(parts(received)[1][b"retry-after"], b"5")
        self.assertEqual(parts(received)[1][b"x-llmgateway-attempts"], b"0")
        self.assertEqual(house.counted[("503", "gateway_error")], 1)

    def test_all_open_and_the_least_bad_is_wanted(self) -> None:
        house, client = self.open(self.CONF.replace("retries:", "onAllOpen: leastBad, retries:"))
        for _ in range(2):
            client.sends(post(HELLO))
            self.at(house, "a").answers(error_answer(500))
            self.at(house, "b").answers(error_answer(500))
            house.waits(0.25)
        self.asked(house)
        client.received()
        client.sends(post(HELLO))
        self.assertEqual(self.asked(house), "a")
        house.provider.answers(error_answer(500))
        self.at(house, "a").answers(ANSWER)
        self.assertTrue(client.received())

    def test_limits_and_bad_requests_open_nothing(self) -> None:
        house, client = self.open(self.CONF)
        for status in (400, 429, 429, 429, 404):
            client.sends(post(HELLO))
            self.assertIn("a", self.asked(house))
            self.at(house, "a").answers(error_answer(status))
            if status == 429:
                self.at(house, "b").answers(ANSWER)
        self.assertFalse(house.live.breakers.in_trouble)


class KeyTests(PursuitTestCase):
    POOL = """
    configs:
      defaultConfig:
        openAIConfig:
          model: plain
          apiKeys: [{name: one, key: sk-number-one}, {name: two, key: sk-number-two}]
    """
    CONF = (
        provider("a", POOL)
        + provider("b")
        + route(
            "demo",
            "rules: [{fallback: [{providerHost: b.example}], backendRefs: [{providerHost: a.example}]}]",
        )
    )

    def key(self, house: House) -> bytes:
        """The key that was sent last."""
        _, _, last = house.provider.received().rpartition(b"POST ")
        return parts(last)[1][b"authorization"].removeprefix(b"Bearer ")

    def test_they_take_turns(self) -> None:
        house, client = self.open(self.CONF)
        keys = []
        for _ in range(4):
            client.sends(post(HELLO))
            keys.append(self.key(house))
            house.provider.answers(ANSWER)
        self.assertEqual(keys, [b"sk-number-one", b"sk-number-two"] * 2)

    def test_one_that_is_refused_is_dead_and_the_next_one_is_asked_with(self) -> None:
        for status in (401, 403):
            house, client = self.open(self.CONF)
            client.sends(post(HELLO))
            self.assertEqual(self.key(house), b"sk-number-one")
            house.provider.answers(error_answer(status))
            house.clock.advance(0)
            for _ in range(3):
                self.assertEqual(self.key(house), b"sk-number-two")
                house.provider.answers(ANSWER)
                client.sends(post(HELLO))
            self.assertEqual(house.access_log.records[0].tried[0].key, "one")
            house.provider.answers(ANSWER)

    def test_one_at_its_limit_rests(self) -> None:
        house, client = self.open(self.CONF)
        client.sends(post(HELLO))
        house.provider.answers(error_answer(429, "", b"Retry-After: 60"))
        house.clock.advance(0)
        self.assertEqual(self.key(house)[-3:], b"two")
        house.provider.answers(ANSWER)
        client.sends(post(HELLO))
        self.assertEqual(self.key(house)[-3:], b"two")
        house.provider.answers(ANSWER)
        house.waits(61)
        keys = set()
        for _ in range(2):
            client.sends(post(HELLO))
            keys.add(self.key(house))
            house.provider.answers(ANSWER)
        self.assertEqual(len(keys), 2)

    def test_all_dead_is_the_next_backends_turn(self) -> None:
        house, client = self.open(self.CONF)
        client.sends(post(HELLO))
        house.provider.answers(error_answer(401))
        house.clock.advance(0)
        house.provider.answers(error_answer(401))
        self.assertEqual(self.key(house), KEY)
        house.provider.answers(ANSWER)
        client.sends(post(HELLO))
        self.assertEqual(self.key(house), KEY)
        house.provider.answers(ANSWER)
        self.assertEqual(self.tried(house)[0], ("a", "open"))

    def test_with_nobody_else_to_ask_a_dead_one_is_asked_with_all_the_same(self) -> None:
        alone = "rules: [{backendRefs: [{providerHost: a.example}]}]"
        house, client = self.open(provider("a", self.POOL) + route("demo", alone))
        client.sends(post(HELLO))
        house.provider.answers(error_answer(401))
        house.clock.advance(0)
        house.provider.answers(error_answer(401))
        self.assertIn(b"HTTP/1.1 401 ", client.received())
        client.sends(post(HELLO))
        house.provider.answers(error_answer(403))
        self.assertIn(b"HTTP/1.1 403 ", client.received())
        client.sends(post(HELLO))
        house.provider.answers(ANSWER)
        self.assertIn(b"HTTP/1.1 200 ", client.received())

    def test_a_changed_file_is_a_new_key(self) -> None:
        house, client = self.open(self.CONF)
        client.sends(post(HELLO))
        house.provider.answers(error_answer(401))
        house.clock.advance(0)
        house.provider.answers(ANSWER)
        house.reads(self.CONF.replace("sk-number-one", "sk-number-1-b"))
        keys = set()
        for _ in range(2):
            client.sends(post(HELLO))
            keys.add(self.key(house))
            house.provider.answers(ANSWER)
        self.assertEqual(keys, {b"sk-number-1-b", b"sk-number-two"})


class HeadersTests(PursuitTestCase):
    def test_an_operator_may_keep_attempts_to_himself(self) -> None:
        for answered in (ANSWER, error_answer(400), STREAM + said("x") + stopped() + DONE):
            house, client = self.client_of(failing() + gateway("attemptHeaders: false"), STREAMED)
            house.provider.answers(answered)
            self.assertNotIn(b"x-llmgateway-attempts", client.received())
            self.assertEqual(house.record.attempts, 1)

    def test_an_error_of_our_own_tells_how_often_somebody_was_asked(self) -> None:
        for more, told in (("", b"4"), (gateway("attemptHeaders: false"), None)):
            house, client = self.client_of(failing("retries: {attempts: 2, backoff: {base: 1ms}}") + more)
            for _ in range(4):
                house.provider.resets()
                house.clock.advance(1)
            status, headers, _ = parts(client.received())
            self.assertEqual(status, b"HTTP/1.1 502 Bad Gateway")
            self.assertEqual(headers.get(b"x-llmgateway-attempts"), told)
            self.assertNotIn(b"x-llmgateway-backend", headers)
            self.assertEqual(house.record.attempts, 4)

    def test_so_does_one_for_want_of_time(self) -> None:
        house, client = self.client_of(failing("timeouts: {request: 1s}"))
        house.clock.advance(2)
        status, headers, _ = parts(client.received())
        self.assertEqual((status, headers[b"x-llmgateway-attempts"]), (b"HTTP/1.1 504 Gateway Timeout", b"1"))

    def test_what_was_refused_before_anybody_was_chosen_tells_nothing_of_it(self) -> None:
        _, client = self.open(failing())
        status, headers, _ = parts(client.sends(post(HELLO, host=b"nobody")))
        self.assertEqual((status, b"x-llmgateway-attempts" in headers), (b"HTTP/1.1 404 Not Found", False))


class UploadTests(PursuitTestCase):
    """A body that is streamed through can go elsewhere until some of it was sent."""

    LINES = (b"Content-Type: multipart/form-data; boundary=x", b"Content-Length: 6")
    HEAD = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: demo\r\n%b\r\n\r\n" % b"\r\n".join(LINES)

    def begun(self) -> tuple[House, Client]:
        house, client = self.open(failing())
        client.sends(self.HEAD)
        return house, client

    def test_before_its_first_byte(self) -> None:
        house, client = self.begun()
        house.provider.resets()
        house.clock.advance(0)
        house.provider.resets()
        client.sends(b"abc")
        client.sends(b"def")
        self.assertTrue(self.at(house, "b").received().endswith(b"\r\n\r\nabcdef"))
        house.provider.answers(ANSWER)
        self.assert_answered(house, client, by="b", attempts=3)

    def test_not_after_it(self) -> None:
        house, client = self.begun()
        client.sends(b"abc")
        house.provider.answers(error_answer(500))
        self.assertTrue(client.received().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(self.asked(house), "a")
