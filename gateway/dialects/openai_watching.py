"""Watching one stream in OpenAI's dialect: what it has said so far, and what of it goes to the client.

An event costs some microseconds to open, and nearly all events of a stream are alike but for one word.  So the watcher
learns what stands around the word, once, and proves it by reading the event with another word; from then on an
event that begins and ends like that is known by its word alone.
"""

from __future__ import annotations

import re
from io import StringIO

import msgspec

from gateway.dialects.dialect import SAID_LETTERS, AnswerFacts, ProviderError, StreamEvent
from gateway.dialects.openai_events import read_event, read_event_data
from gateway.dialects.sse import EventFilter, ended, event_data
from gateway.dialects.tally import Tally
from gateway.messages import TokenUsage

DONE = b"data: [DONE]\n\n"

_LESSONS = 4
"""How often a stream is learned from: its events may change once or twice, from reasoning to text, say.  One whose
events never repeat is opened event by event."""

_LESSON_BYTES = 16 * 1024
"""Of an event to be learned from.  A larger one is not one of many alike, and looking for its word takes long."""

_NOISE = re.compile(
    rb',"(?:obfuscation":"[A-Za-z0-9]*+"|sequence_number":(?:0|[1-9]\d*+))(?=[,}])',
)
"""OpenAI's padding, which hides how long the word is, and the numbers of a Responses stream.  Within a string the
quotes would be escaped."""

_WORD = re.compile(
    rb'"(?:content|text|reasoning_content|reasoning|arguments|delta)":[ ]?'
    rb'("(?:[^"\\\r\n]|\\[^\r\n])++")'
    rb"(?=[^\r\n]*+(?:\n\n|\r\n\r\n)\Z)"
)
"""A word that may be the one that changes, in an event of one line of data."""

_SAMPLE_BYTES = 256
"""Of a piece of an event too large to be held: tells words from files."""

_ENCODED = re.compile(rb"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9+/=_-]*+")
"""A file in base64; its length says nothing about its tokens."""

_ANOTHER_WORD = "?"

_decode_word = msgspec.json.Decoder(str).decode


class OpenAIStreamWatcher(EventFilter):
    """Implements `StreamWatcher` for chat, completions, Responses, speech, images and transcriptions."""

    __slots__ = (
        "_before",
        "_behind",
        "_ended",
        "_has_choices",
        "_keep_usage_chunk",
        "_lessons",
        "_letters",
        "_noisy",
        "_speaking",
        "_tally",
        "_text",
        "_withhold_error",
        "_word_is_text",
        "answered_model",
        "choices",
        "contents",
        "created",
        "error",
        "error_event",
        "finish_reason",
        "finished",
        "has_content",
        "id",
        "malformed",
        "other",
        "size",
        "tool_calls",
    )

    def __init__(self, keep_usage_chunk: bool, keep_text: bool, withhold_error: bool, choices: int) -> None:
        super().__init__()
        self._keep_usage_chunk = keep_usage_chunk
        self._withhold_error = withhold_error
        self._text = StringIO() if keep_text else None
        self._letters = 0
        self._before = b""
        """What stands before the word in an event that was learned; empty if none was."""
        self._behind = b""
        self._noisy = False
        """That event had some of `_NOISE`, which is left out of both."""
        self._word_is_text = False
        self._lessons = _LESSONS
        self._has_choices = False
        self._speaking: set[int] = set()
        """The choices that have said something and not that they ended."""
        self._ended: set[int] = set()
        """Those that have said that they ended."""
        self._tally: Tally | None = None
        """What its counts add up to; None where there was none."""
        self.choices = choices
        self.answered_model: str | None = None
        self.id: str | None = None
        self.created: int | None = None
        self.has_content = False
        self.contents = 0
        self.size = 0
        self.finished = False
        self.finish_reason: str | None = None
        self.tool_calls = False
        self.other = False
        self.malformed = 0
        self.error: ProviderError | None = None
        self.error_event = b""

    @property
    def usage(self) -> TokenUsage | None:
        return None if self._tally is None else self._tally.usage()

    def facts(self) -> AnswerFacts:
        tally = self._tally
        if tally is None:
            return AnswerFacts(None, self.answered_model, size=self.size)
        uncounted = self.size > tally.covered
        return AnswerFacts(tally.usage(), self.answered_model, size=self.size, uncounted=uncounted)

    @property
    def text(self) -> str | None:
        return None if self._text is None else self._text.getvalue()

    @property
    def whole(self) -> bool:
        if self.error is not None:
            return False
        if self.finished:
            return True
        return self.finish_reason is not None and not self._speaking and len(self._ended) >= self.choices

    def flush(self) -> bytes:
        cut_within = self.within_event
        rest = super().flush()
        # What has no data is a comment, or the first letters of a line.
        rest = b"" if event_data(rest) is None else ended(rest)
        if not (self.whole and self._has_choices and not self.finished):
            return rest
        self.finished = self.closed = True
        return (b"\n\n" if cut_within else b"") + rest + DONE

    def skims(self, events: bytes) -> bool:
        before, behind = self._before, self._behind
        if not before:
            return False
        start, stop = len(before), -len(behind)
        words = ""
        for event in events[:-2].split(b"\n\n"):
            if self._noisy:
                event = _NOISE.sub(b"", event)
            if not (event.startswith(before) and event.endswith(behind)):
                return False
            try:
                words += _decode_word(event[start:stop])
            except (msgspec.DecodeError, UnicodeDecodeError):
                return False
        if words:
            self.contents += 1
            self.size += len(words) if words.isascii() else len(words.encode(errors="replace"))
        if self._text is not None and self._word_is_text:
            self._keep(words)
        return True

    def keeps(self, event: bytes, data: bytes | None) -> bool:
        said = read_event_data(event, data)
        if said.malformed:
            self.malformed += 1
            return False
        self.id = self.id or said.id
        self.created = self.created or said.created
        self.answered_model = self.answered_model or said.model
        self.finished = self.finished or said.done
        if said.usage is not None:
            self._count(said.usage, said)
        if said.error is not None:
            self.error, self.error_event = said.error, ended(event)
            self.closed = True
            return not self._withhold_error
        if said.is_content:
            self._take(event, said)
        if said.choices is not None:
            self._has_choices = True
            if said.ended:
                self._speaking.difference_update(said.ended)
                self._ended.update(said.ended)
                self.finish_reason = said.finish_reason or self.finish_reason
                # Whatever still comes, though nothing should, is opened: it may begin a choice anew.
                self._before = b""
                self._lessons = 0
        elif data is not None and data.startswith(b"[DONE]"):
            self.closed = True
        # The extra chunk is the one without choices; look-alikes report usage beside the last words.
        return said.usage is None or self._keep_usage_chunk or said.choices != 0

    def _count(self, usage: TokenUsage, said: StreamEvent) -> None:
        tally = self._tally
        if tally is None:
            tally = self._tally = Tally()
        size = self.size + said.size
        if said.choices:
            choice = (said.speaking or said.ended or (0,))[-1]
            tally.take(usage, choice, said.size, size, within=said.within_choice)
        else:
            tally.take_total(usage, size)

    def unwatched(self, piece: bytes) -> None:
        middle = len(piece) // 2
        if _ENCODED.fullmatch(piece[middle : middle + _SAMPLE_BYTES]) is None:
            self.size += len(piece)

    def oversized(self) -> None:
        self.has_content = self.other = True
        self.contents += 1

    def _take(self, event: bytes, said: StreamEvent) -> None:
        self.has_content = True
        self.contents += 1
        self.size += said.size
        self.tool_calls = self.tool_calls or said.tool_call
        self.other = self.other or said.other
        self._speaking.update(said.speaking)
        if said.content and self._text is not None:
            self._keep(said.content)
        if self._lessons and len(event) <= _LESSON_BYTES and not (said.ended or said.usage):
            self._learn(event, said)

    def _keep(self, words: str) -> None:
        assert self._text is not None
        self._letters += len(words)
        if self._letters <= SAID_LETTERS:
            self._text.write(words)
        else:
            self._text = None

    def _learn(self, event: bytes, said: StreamEvent) -> None:
        """Find the word of an event of which only that will change, from all that is read of it."""
        bare = _NOISE.sub(b"", event[:-2])
        if self._before and bare.startswith(self._before) and bare.endswith(self._behind):
            return  # it is known, and came beside one that is not
        self._lessons -= 1
        self._noisy = len(bare) < len(event) - 2
        another = msgspec.structs.replace(
            said, content=_ANOTHER_WORD if said.content else "", size=len(_ANOTHER_WORD)
        )
        for found in _WORD.finditer(bare + event[-2:]):
            before, behind = bare[: found.start(1)], bare[found.end(1) :]
            changed = before + b'"%b"' % _ANOTHER_WORD.encode() + behind + event[-2:]
            if read_event(changed) == another:
                self._before, self._behind = before, behind
                self._word_is_text = said.content != ""
                return
