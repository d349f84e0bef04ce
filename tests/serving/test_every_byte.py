"""Every break at every byte: recorded streams, cut after each single byte.

What the client has is whole or followed by an error event, whatever it was made of and however it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from gateway.snapshot.generations import Generation
from tests.fakes.client import Client
from tests.fakes.house import LAST_CHUNK, STREAM, House, parts, post, unchunked
from tests.serving.pursuing import STREAMED, PursuitTestCase, failing

FROM_START = failing()
PREFILL = failing(more="prefill: true")


@frozen
class Style:
    """How a provider writes its events."""

    line_end: str = "\n"
    ascii: bool = True
    """Everything else in `\\u` escapes."""


def stream(name: str, deltas: Iterable[object], reason: str = "stop", style: Style = Style()) -> bytes:
    """A whole stream, each event in a chunk of its own."""
    choices = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    events: list[Any] = [{"id": name, "created": 1, "choices": [choice]} for choice in choices]
    events.append({"id": name, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
    written = [json.dumps(each, ensure_ascii=style.ascii, separators=(",", ":")) for each in events]
    framed = b""
    for data in (*written, "[DONE]"):
        text = f"data: {data}{style.line_end * 2}".encode()
        framed += b"%x\r\n%b\r\n" % (len(text), text)
    return STREAM + framed + LAST_CHUNK


def spoken(*texts: str) -> list[object]:
    """What says these, after an opening."""
    return [{"role": "assistant", "content": ""}, *({"content": each} for each in texts)]


def called(*arguments: str) -> list[object]:
    """What calls a tool with these."""
    return [{"tool_calls": [{"index": 0, "function": {"arguments": each}}]} for each in arguments]


@frozen
class Heard:
    """What a client makes of a stream."""

    text: str
    reasoning: str
    arguments: str
    """Of the tool call."""
    ids: frozenset[str]
    done: bool
    failed: bool


def heard(received: bytes) -> Heard:
    """Read it as an SDK does."""
    text = reasoning = arguments = ""
    ids, done, failed = set(), False, False
    for each in unchunked(received).removesuffix(b"<end>").replace(b"\r\n", b"\n").split(b"\n\n"):
        if not each.startswith(b"data: "):
            continue
        assert not done, "an event behind the last one"
        assert not failed, "an event behind the error"
        if each == b"data: [DONE]":
            done = True
            continue
        value = json.loads(each.removeprefix(b"data: "))
        if "error" in value:
            failed = True
            continue
        ids.add(value["id"])
        for choice in value["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            reasoning += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls", ()):
                arguments += call["function"]["arguments"]
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return Heard(text, reasoning, arguments, frozenset(ids), done, failed)


class EveryByteTests(PursuitTestCase):
    def house_like(self, generation: Generation) -> tuple[House, Client]:
        """A new house with a configuration that was read before."""
        house = self.house(None)
        house.current.snapshot = generation.snapshot
        house.pools.adopt(generation.snapshot.destinations)
        return house, house.client()

    def cut_everywhere(
        self, conf: str, recorded: bytes, second: bytes, judge: Callable[[Heard], None]
    ) -> None:
        """Cut it; whoever is asked then answers with the second stream.

        :param judge: asserts that what was heard is right.
        """
        generation = House(conf).generation
        assert generation is not None
        for at in range(1, len(recorded)):
            house, client = self.house_like(generation)
            client.sends(post(STREAMED))
            first = house.provider
            first.answers(recorded[:at])
            if at % 2:
                first.resets()
            else:
                first.closes()
            received = client.received()
            for _ in range(4):
                house.clock.advance(0)
                for each in house.network.providers[1:]:
                    if each.received():
                        each.answers(second)
            received += client.received()
            told = heard(parts(received)[2])
            try:
                self.assertTrue(told.done != told.failed)
                self.assertLessEqual(len(told.ids), 1)
                judge(told)
                self.assert_nothing_is_left(house)
            except AssertionError as error:
                raise AssertionError(f"cut after {at} bytes, {recorded[:at][-60:]!r}: {told}") from error

    def is_whole(self, text: str, reasoning: str = "") -> Callable[[Heard], None]:
        """Whatever was cut, the client has all of the text, and what it has of the reasoning is of one answer."""

        def judge(told: Heard) -> None:
            self.assertEqual((told.text, told.done), (text, True))
            self.assertTrue(reasoning.startswith(told.reasoning))

        return judge

    # -- words ---------------------------------------------------------------------------------------------

    TEXT = ("The quick ", "brown fox ", "jumps.")
    WHOLE = "".join(TEXT)

    def test_the_next_says_the_same(self) -> None:
        second = stream("second", spoken("The ", "quick brown fox jumps", "."))
        self.cut_everywhere(
            FROM_START, stream("first", spoken(*self.TEXT)), second, self.is_whole(self.WHOLE)
        )

    def test_the_next_goes_on(self) -> None:
        second = stream("second", spoken("The ", "quick brown fox jumps", "."))
        self.cut_everywhere(PREFILL, stream("first", spoken(*self.TEXT)), second, self.is_whole(self.WHOLE))

    def test_the_next_says_something_else(self) -> None:
        def judge(told: Heard) -> None:
            if told.done:
                self.assertIn(told.text, (self.WHOLE, "Something else."))
            else:
                self.assertTrue(self.WHOLE.startswith(told.text))

        second = stream("second", spoken("Something else."))
        self.cut_everywhere(FROM_START, stream("first", spoken(*self.TEXT)), second, judge)

    def test_lines_that_end_in_crlf(self) -> None:
        style = Style(line_end="\r\n")
        first, second = (stream(name, spoken(*self.TEXT), style=style) for name in ("first", "second"))
        for conf in (FROM_START, PREFILL):
            self.cut_everywhere(conf, first, second, self.is_whole(self.WHOLE))

    LETTERS = ("Ein Füchs", "lein 🦊", " 跳过 ", "é.")

    def test_letters_of_several_bytes(self) -> None:
        texts = spoken(*self.LETTERS)
        for style in (Style(ascii=False), Style(ascii=True)):
            first = stream("first", texts, style=style)
            second = stream(
                "second", spoken("Ein", " Füchslein", " 🦊 跳", "过 é."), style=Style(ascii=False)
            )
            for conf in (FROM_START, PREFILL):
                self.cut_everywhere(conf, first, second, self.is_whole("".join(self.LETTERS)))

    def test_a_letter_whose_halves_come_in_two_events(self) -> None:
        first = stream("first", spoken("Ein \ud83e", "\udd8a", "."))
        for texts in (("Ein ", "🦊."), ("Ein \ud83e", "\udd8a.")):
            for conf in (FROM_START, PREFILL):
                second = stream("second", spoken(*texts))
                self.cut_everywhere(conf, first, second, self.is_whole("Ein 🦊."))

    # -- reasoning -----------------------------------------------------------------------------------------

    def test_reasoning_before_the_words(self) -> None:
        thoughts = [{"reasoning_content": each} for each in ("Let me ", "see.")]
        first = stream("first", [*thoughts, *spoken(*self.TEXT)])
        second = stream("second", [{"reasoning_content": "Let me see."}, *spoken(*self.TEXT)])
        for conf in (FROM_START, PREFILL):
            self.cut_everywhere(conf, first, second, self.is_whole(self.WHOLE, "Let me see."))

    # -- tool calls ----------------------------------------------------------------------------------------

    def test_a_tool_call_is_never_made_of_two(self) -> None:
        mine, others = ('{"city', '": "Rome"}'), ('{"town": ', '"Pisa"}')

        def judge(told: Heard) -> None:
            whole = ("".join(mine), "".join(others))
            if told.done:
                self.assertEqual(told.text, "Let me see. ")
                self.assertIn(told.arguments, whole)
            else:
                self.assertTrue("Let me see. ".startswith(told.text))
                self.assertTrue(any(each.startswith(told.arguments) for each in whole))
                self.assertNotEqual(told.arguments, "", "without a part of a call it can go on")

        first = stream("first", [*spoken("Let me ", "see. "), *called(*mine)], "tool_calls")
        second = stream("second", [*spoken("Let me see. "), *called(*others)], "tool_calls")
        for conf in (FROM_START, PREFILL):
            self.cut_everywhere(conf, first, second, judge)
