"""The simulator's books: what it was asked, what it answered, and how many tokens that was.

They are kept while an answer is said, so they are right whatever becomes of it: broken off, or left by its client.  To
compare with what somebody else has counted, in a drill of one's own.  `GET /books` shows them, `DELETE /books` does too
and begins new ones.
"""

from __future__ import annotations

import msgspec
from attrs import define

from gateway.messages import Headers, RequestHead, TokenUsage
from gateway.simulator import openai
from gateway.simulator.replies import JSON
from gateway.simulator.speech import count_tokens

PATH = b"/books"

MOST_LINES = 1024
"""Providers and models are the clients' to name; what comes after so many of them has a line together."""

WHOLE, BROKEN_OFF, LEFT = "whole", "broken_off", "left"


class Told(msgspec.Struct):
    """What answers have said of their own usage: all that a client can know exactly."""

    answers: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    """Part of the input."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """Part of the output."""


class Line(msgspec.Struct):
    """What was asked for one provider and one model.  `docs/simulator.md` tells each field."""

    provider: str
    model: str
    requests: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    endings: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys((WHOLE, BROKEN_OFF, LEFT), 0)
    )
    input_tokens: int = 0
    """Of prompts that the model has begun to answer."""
    output_tokens: int = 0
    """As much as was said."""
    told: Told = msgspec.field(default_factory=Told)


class Pages(msgspec.Struct):
    """All of it, as it is shown."""

    lines: list[Line]
    refused: int = 0
    """Requests that were no HTTP, or whose body could not be taken."""
    unfinished: int = 0
    """Requests whose client left before their body was whole."""


@define(eq=False)
class Account:
    """One request in the books."""

    _line: Line
    _spoken: int = 0
    """Bytes of UTF-8."""
    _made: int = 0
    """Tokens that were said."""
    _told: int = 0
    """Tokens of which it was told that they were said."""
    _has_told: bool = False
    _ended: bool = False

    def begun(self, status: int, asked: int) -> None:
        """The head of the answer was sent.

        :param asked: how many tokens the prompt has; 0 where no model answers.
        """
        line, name = self._line, str(status)
        line.statuses[name] = line.statuses.get(name, 0) + 1
        line.input_tokens += asked

    def said(self, spoken: int, usage: TokenUsage | None) -> None:
        """Some of the answer was sent.

        :param spoken: bytes of UTF-8 that the model has said in it.
        :param usage: what it tells of the answer that was not told before.
        """
        line, before = self._line, self._made
        self._spoken += spoken
        if usage is not None:
            self._told += usage.output
            told = line.told
            told.answers += not self._has_told
            told.input_tokens += usage.input
            told.cached_input_tokens += usage.cached_input
            told.output_tokens += usage.output
            told.reasoning_tokens += usage.reasoning
            self._has_told = True
        # Who counts knows better: it was cut inside a character, or is made of parts that are counted apart.
        self._made = max(count_tokens(self._spoken), self._told)
        line.output_tokens += self._made - before

    def ended(self, how: str) -> None:
        """Nothing more is sent.  Only the first time counts: who breaks off is left, too."""
        if not self._ended:
            self._ended = True
            self._line.endings[how] += 1


class Books:
    """Of one simulator."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget everything; what is being answered ends in the old books."""
        self._lines: dict[tuple[str, str], Line] = {}
        self.refused = 0
        self.unfinished = 0

    def asked(self, provider: str, model: str) -> Account:
        """Enter a request that has come whole.

        :param provider: for whom the simulator answers.
        :param model: empty where the request names none.
        """
        name = (provider, model)
        if name not in self._lines and len(self._lines) >= MOST_LINES:
            name = ("", "")
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = Line(*name)
        line.requests += 1
        return Account(line)

    def respond(self, head: RequestHead) -> tuple[int, Headers, bytes]:
        """The answer to whoever asks for the books."""
        if head.method not in (b"GET", b"DELETE"):
            return (
                405,
                [JSON],
                openai.error_body("Books are read with GET or DELETE.", "invalid_request_error"),
            )
        pages = Pages([*self._lines.values()], self.refused, self.unfinished)
        body = msgspec.json.encode(pages)
        if head.method == b"DELETE":
            self.begin_anew()
        return 200, [JSON], body
