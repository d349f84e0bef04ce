"""Whether an answer is the whole one, a clear error, or what no client must ever get."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from attrs import frozen

from bench.asking import Received


class Ending(StrEnum):
    """How a request ended, for its client."""

    WHOLE = "whole"
    """The right text, and all of it."""
    ERROR = "error"
    """An error that says what it is: an answer of its own, or the last event of a stream."""
    BROKEN_OFF = "broken off"
    """An answer that is no stream ended before the length that was promised: every HTTP client raises an error."""
    TRUNCATED = "TRUNCATED"
    """Less than the whole answer, and it looks like all of it."""
    WRONG = "WRONG"
    """Not what a provider may say: other words, words twice, a broken event, an error without words."""
    HANG = "HANG"


@frozen
class Verdict:
    """What a client makes of an answer."""

    ending: Ending
    told: str = ""
    """The error's code or type, or what is wrong."""
    in_band: bool = False
    """The error is an event of a stream."""
    model: str = ""
    """Whose words a whole answer has."""


def judge(received: Received, texts: Mapping[str, str], *, stream: bool) -> Verdict:
    """Judge one answer.

    :param texts: by model, the texts that are right.
    :param stream: a stream was asked for.
    """
    if received.hung:
        return Verdict(Ending.HANG, f"after {len(received.body)} bytes")
    if not received.status:
        return Verdict(Ending.WRONG, "closed without an answer")
    if received.status != 200:
        return _judge_error(received)
    by_text = {text: model for model, text in texts.items()}
    return _judge_stream(received, by_text) if stream else _judge_plain(received, by_text)


def _judge_error(received: Received) -> Verdict:
    try:
        told = _told(json.loads(received.body))
    except ValueError:
        told = ""
    if not told or not received.ended:
        return Verdict(Ending.WRONG, f"{received.status} without words")
    return Verdict(Ending.ERROR, told)


def _told(said: Any) -> str:
    """The code of an error in OpenAI's shape, or its type; empty where there is no message."""
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict) or not error.get("message"):
        return ""
    return str(error.get("code") or error.get("type") or "without a code")


def _judge_plain(received: Received, models: Mapping[str, str]) -> Verdict:
    if not received.ended:
        return Verdict(Ending.BROKEN_OFF)
    try:
        said = json.loads(received.body)
        choice = said["choices"][0]
        text, reason, model = choice["message"]["content"], choice["finish_reason"], said["model"]
    except (ValueError, LookupError, TypeError):
        return Verdict(Ending.TRUNCATED, f"200 with {len(received.body)} bytes that are no completion")
    if text not in models or not reason:
        return _shortened(text or "", models)
    if model != models[text]:
        return Verdict(Ending.WRONG, f"says that it is {model}, with the words of {models[text]}")
    return Verdict(Ending.WHOLE, model=model)


def _shortened(text: str, texts: Collection[str]) -> Verdict:
    if any(whole.startswith(text) for whole in texts):
        return Verdict(Ending.TRUNCATED, f"ends as if whole after {len(text)} letters")
    return Verdict(Ending.WRONG, f"says {text!r}")


class _Stream:
    """The events of a stream, put together."""

    def __init__(self, body: bytes) -> None:
        """:raises ValueError: with a sentence, for what an SDK could not read."""
        self.text = ""
        self.reason: str | None = None
        self.error: str | None = None
        self.done = False
        ids: set[str] = set()
        broken = ""
        for event in body.decode().split("\n\n"):
            lines = event.split("\n")
            data = "\n".join(line[5:].strip() for line in lines if line.startswith("data:"))
            if not data or "event: ping" in lines:
                continue
            if self.done or self.error is not None:
                raise ValueError("an event behind the last one")
            if data == "[DONE]":
                self.done = True
                continue
            try:
                said = json.loads(data)
            except ValueError:
                # Too large to be held, it passed in pieces: where it is cut, an error must follow.
                broken = broken or data
                continue
            if "error" in said:
                self.error = _told(said) or "without words"
                continue
            ids.add(said["id"])
            for choice in said["choices"]:
                self.text += choice["delta"].get("content") or ""
                self.reason = choice["finish_reason"] or self.reason
        if broken and self.error is None:
            raise ValueError(f"an event that is no JSON: {broken[:40]!r}")
        if len(ids) > 1:
            raise ValueError(f"{len(ids)} ids in one stream")


def _judge_stream(received: Received, models: Mapping[str, str]) -> Verdict:
    try:
        stream = _Stream(received.body)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return Verdict(Ending.WRONG, str(error))
    if not any(whole.startswith(stream.text) for whole in models):
        return Verdict(Ending.WRONG, f"says {stream.text!r}")
    if stream.error is not None:
        return Verdict(Ending.ERROR, stream.error, in_band=True)
    if not stream.done:
        return Verdict(Ending.TRUNCATED, f"neither [DONE] nor an error after {len(stream.text)} letters")
    if stream.text in models and stream.reason and received.ended:
        return Verdict(Ending.WHOLE, model=models[stream.text])
    return _shortened(stream.text, models)
