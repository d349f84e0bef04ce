"""What the simulated model says to a chat: words, or a tool call, or a refusal, after some reasoning if need be."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from attrs import field, frozen

from gateway.messages import Headers, TokenUsage
from gateway.resources.drills import Drill
from gateway.simulator import openai
from gateway.simulator.bodies import Spoken, counted_answer, reply_to, stream, tokens_of, whole_text
from gateway.simulator.errors import prefill_refused, require_room
from gateway.simulator.openai import ChatRequest, Json, Message, tells_usage
from gateway.simulator.replies import Answer
from gateway.simulator.speech import Speech, speak
from gateway.simulator.telling import StreamedUsage, told_whole

_THOUGHT = "The user said something, so something has to be said. "
_REFUSAL = "I am sorry, I cannot help with that."


def chat(request: ChatRequest, identity: str, headers: Headers, drill: Drill) -> Answer:
    """Answer a chat.

    :raises RequestError: where the prompt is too long, or ends with words that the model will not go on from.
    """
    texts = [message.text for message in request.messages]
    prompt_tokens = tokens_of(texts)
    require_room(prompt_tokens, drill, "messages")
    said = _said(request, identity, drill)
    reasoning_tokens = said.reasoning.tokens if said.reasoning else 0
    cached = min(drill.cached, prompt_tokens)
    counted = TokenUsage(prompt_tokens, said.tokens, cached, reasoning_tokens)
    identity = f"chatcmpl-{identity}"
    model = openai.model_in(request.model)
    if not request.stream:
        top = openai.head_fields(identity, "chat.completion", model)
        choice = openai.chat_choice(said.message(), said.finish_reason)
        told = told_whole(counted, drill.usage)
        return counted_answer(headers, {**top, "choices": [choice]}, prompt_tokens, said.size, told)
    role = openai.chat_delta({"role": "assistant", "content": ""})
    return stream(
        headers,
        openai.head_fields(identity, "chat.completion.chunk", model),
        opening=[role],
        content=((openai.chat_delta(delta), size) for delta, size in said.deltas(drill.chunks)),
        finish=openai.chat_delta({}, said.finish_reason),
        asked=prompt_tokens,
        usage=StreamedUsage(counted, drill.usage, is_asked=tells_usage(request)),
        empty=openai.chat_delta({"content": ""}),
        role=role,
    )


@frozen
class _Said:
    """All that one answer says."""

    reasoning: Speech | None
    speech: Speech
    """The text, the refusal, or the tool call's arguments."""
    kind: str
    """The field it stands in: `content`, `refusal` or `tool_calls`."""
    call: Json = field(factory=dict)
    """The tool call without its arguments."""
    pieces: int | None = None
    """In how many pieces the arguments come; None for what is no tool call."""

    @property
    def tokens(self) -> int:
        return self.speech.tokens + (self.reasoning.tokens if self.reasoning else 0)

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        return self.speech.size + (self.reasoning.size if self.reasoning else 0)

    @property
    def finish_reason(self) -> str:
        if self.speech.is_cut_short:
            return "length"
        return "tool_calls" if self.kind == "tool_calls" else "stop"

    def message(self) -> Json:
        """As a whole answer has it."""
        text = whole_text(self.speech)
        said: Json = {self.kind: text}
        if self.kind == "tool_calls":
            said = {"tool_calls": [self._call(text)]}
        if self.reasoning is not None:
            said["reasoning_content"] = whole_text(self.reasoning)
        return said

    def deltas(self, number: int | None) -> Iterator[Spoken]:
        """As a stream has it, each with content.

        :param number: in how many pieces the text comes; None is one a word.
        """
        reasoning = self.reasoning.pieces(None) if self.reasoning is not None else iter(())
        thoughts = (_spoken("reasoning_content", piece) for piece in reasoning)
        if self.kind != "tool_calls":
            return chain(thoughts, (_spoken(self.kind, piece) for piece in self.speech.pieces(number)))
        return chain(thoughts, self._call_deltas())

    def _call_deltas(self) -> Iterator[Spoken]:
        """The call by its name, then its arguments, cut wherever a piece happens to end."""
        yield {"tool_calls": [{"index": 0, **self._call("")}]}, 0
        text = whole_text(self.speech)
        number = min(self.pieces or 1, len(text))
        for index in range(number):
            piece = text[index * len(text) // number : (index + 1) * len(text) // number]
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, len(piece.encode())

    def _call(self, arguments: str) -> Json:
        return {**self.call, "function": {"name": self.call["function"], "arguments": arguments}}


def _spoken(field: str, piece: str) -> Spoken:
    return {field: piece}, len(piece.encode())


def _said(request: ChatRequest, identity: str, drill: Drill) -> _Said:
    reasoning = speak(_THOUGHT, words=drill.reasoning, most_tokens=None) if drill.reasoning else None
    most_tokens = request.max_completion_tokens or request.max_tokens
    last = request.messages[-1]
    asked = next((each.text for each in reversed(request.messages) if each.role == "user"), last.text)
    if last.role == "assistant" and drill.prefill == "refuse":
        raise prefill_refused()
    if drill.refusal:
        return _Said(reasoning, speak(_REFUSAL, words=None, most_tokens=most_tokens), "refusal")
    if drill.tool_call is not None:
        call: Json = {"id": f"call_{identity}", "type": "function", "function": _tool(request)}
        arguments = openai.compact({"said": asked})
        speech = speak(arguments, words=None, most_tokens=most_tokens)
        return _Said(reasoning, speech, "tool_calls", call, drill.tool_call)
    text = reply_to(openai.model_in(request.model), asked, drill)
    speech = speak(text, words=drill.words, most_tokens=most_tokens)
    if _goes_on(last, drill):
        speech = speech.again_after(last.text) if drill.prefill == "repeat" else speech.after(last.text)
    return _Said(reasoning, speech, "content")


def _goes_on(last: Message, drill: Drill) -> bool:
    """Tell whether the answer goes on with the words of the request's last message."""
    if last.role != "assistant" or drill.prefill == "ignore":
        return False
    return drill.prefill != "marked" or last.partial or last.prefix


def _tool(request: ChatRequest) -> str:
    """The first tool that the client offers; a made-up one if it offers none."""
    return next((tool.function.name for tool in request.tools or () if tool.function), "simulated")
