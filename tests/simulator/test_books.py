from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.messages import TokenUsage
from gateway.simulator.books import LEFT, MOST_LINES, Books
from gateway.simulator.script import Playwright
from gateway.simulator.server import Simulator
from gateway.wire.exchanging import Exchange
from tests.fakes.downstream import RecordingConnection
from tests.simulator.requests import CHAT, HELLO, head, json

PLAIN = json(messages=HELLO, model="small")
STREAM = json(messages=HELLO, model="small", stream=True)
COUNTED = json(messages=HELLO, model="small", stream=True, stream_options={"include_usage": True})
INPUT, OUTPUT = 3, 9
"""Of the answer to HELLO by the model `small`."""


class BooksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.simulator = Simulator(self.clock, Playwright(self.clock.seconds, self.clock.seconds))

    def ask(self, body: bytes, drill: str = "", **headers: str) -> Exchange:
        """Send a whole request."""
        client = RecordingConnection()
        asked = head(CHAT, body, **({"x_simulate": drill} if drill else {}), **headers)
        exchange = self.simulator.exchange_started(asked, client.connection)
        exchange.body_received(body)
        exchange.body_ended()
        return exchange

    def page(self, method: str = "GET") -> Any:
        client = RecordingConnection()
        asked = head("/books", method=method)
        self.simulator.exchange_started(asked, client.connection).body_ended()
        assert client.status == 200
        return msgspec.json.decode(client.sent)

    def line(self) -> Any:
        (line,) = self.page()["lines"]
        return line

    def tokens(self) -> tuple[int, int, int]:
        """Asked, said, and told to have been said."""
        line = self.line()
        return line["input_tokens"], line["output_tokens"], line["told"]["output_tokens"]

    def test_a_plain_answer(self) -> None:
        self.ask(PLAIN)
        assert self.line() == {
            "provider": "simulator",
            "model": "small",
            "requests": 1,
            "statuses": {"200": 1},
            "endings": {"whole": 1, "broken_off": 0, "left": 0},
            "input_tokens": INPUT,
            "output_tokens": OUTPUT,
            "told": {
                "answers": 1,
                "input_tokens": INPUT,
                "cached_input_tokens": 0,
                "output_tokens": OUTPUT,
                "reasoning_tokens": 0,
            },
        }

    def test_a_stream_tells_its_usage_only_where_it_is_asked_for(self) -> None:
        self.ask(STREAM)
        assert self.tokens() == (INPUT, OUTPUT, 0)
        self.ask(COUNTED, "reasoning=20")
        line = self.line()
        assert line["endings"]["whole"] == 2
        told = line["told"]
        assert told["answers"] == 1
        assert told["output_tokens"] == OUTPUT + told["reasoning_tokens"]
        assert line["output_tokens"] == OUTPUT + told["output_tokens"]

    def test_what_a_client_did_not_stay_for_was_not_said(self) -> None:
        exchange = self.ask(COUNTED, "chunk-delay=1s")
        self.clock.pump([1.0] * 2)
        exchange.client_left()
        said = -(-len("I am small. ") // 4)
        assert self.tokens() == (INPUT, said, 0)
        assert self.line()["endings"]["left"] == 1

    def test_what_was_said_before_a_cut(self) -> None:
        self.ask(COUNTED, "cut-after=3").client_left()
        assert self.tokens() == (INPUT, 3, 0)
        assert self.line()["endings"] == {"whole": 0, "broken_off": 1, "left": 0}

    def test_a_plain_answer_that_is_cut_has_said_nothing(self) -> None:
        self.ask(PLAIN, "cut-after=40")
        assert self.tokens() == (INPUT, 0, 0)

    def test_errors_have_no_tokens(self) -> None:
        self.ask(PLAIN, "status=503")
        self.ask(PLAIN, "close")
        assert self.tokens() == (0, 0, 0)
        assert self.line()["statuses"] == {"503": 1}

    def test_what_never_came_whole(self) -> None:
        client = RecordingConnection().connection
        self.simulator.exchange_started(head(CHAT, PLAIN), client).client_left()
        failed = self.simulator.exchange_started(head(CHAT, PLAIN), client)
        failed.request_failed(GatewayError("body_too_large", "Too large."))
        refused = GatewayError("malformed_request", "Two Hosts.")
        self.simulator.request_refused(refused, RecordingConnection().connection)
        assert self.page() == {"lines": [], "refused": 2, "unfinished": 1}

    def test_a_line_for_each_provider_and_model(self) -> None:
        self.ask(PLAIN, x_llmgateway_provider="acme/one")
        self.ask(json(messages=HELLO, model="small+cut-after=3"), x_llmgateway_provider="acme/one")
        self.ask(json(messages=HELLO), x_llmgateway_provider="acme/two")
        told = [(line["provider"], line["model"], line["requests"]) for line in self.page()["lines"]]
        assert told == [("acme/one", "small", 2), ("acme/two", "", 1)]

    def test_new_books_are_empty_and_the_old_ones_are_shown_once_more(self) -> None:
        open_one = self.ask(COUNTED, "stall")
        assert self.page("DELETE")["lines"][0]["requests"] == 1
        open_one.client_left()
        assert self.page() == {"lines": [], "refused": 0, "unfinished": 0}


def test_any_number_of_models_is_a_limited_number_of_lines() -> None:
    books = Books()
    for number in range(MOST_LINES + 10):
        account = books.asked("simulator", f"model-{number}")
        account.begun(200, 1)
        account.said(4, TokenUsage(1, 1))
        account.ended(LEFT)
    status, _, body = books.respond(head("/books", method="GET"))
    lines = msgspec.json.decode(body)["lines"]
    assert (status, len(lines)) == (200, MOST_LINES + 1)
    assert lines[-1]["requests"] == lines[-1]["endings"]["left"] == 10


def test_books_are_not_written_by_whoever_asks() -> None:
    status, _, body = Books().respond(head("/books", b"{}"))
    assert (status, b"GET or DELETE" in body) == (405, True)
