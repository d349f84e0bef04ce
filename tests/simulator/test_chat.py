from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.resources.drills import Drill
from gateway.simulator.answers import answer
from gateway.simulator.replies import Streamed, Whole
from tests.simulator.requests import CHAT, HELLO, head, json

TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
ALL = "I am simulator-1. You said: Hello there"


def whole(drill: Drill, **fields: object) -> Whole:
    body = json(**{"messages": HELLO, **fields})
    answered = answer(head(CHAT, body), body, drill)
    assert isinstance(answered, Whole)
    return answered


def choice(drill: Drill, **fields: object) -> Any:
    answered = whole(drill, **fields)
    ChatCompletion.model_validate_json(answered.body, strict=True)
    return msgspec.json.decode(answered.body)["choices"][0]


def deltas(drill: Drill, **fields: object) -> list[dict[str, Any]]:
    """What the content events of a stream bring."""
    body = json(**{"messages": HELLO, "stream": True, **fields})
    answered = answer(head(CHAT, body), body, drill)
    assert isinstance(answered, Streamed)
    found = []
    for event in answered.content:
        data = event.data.removeprefix(b"data: ")
        ChatCompletionChunk.model_validate_json(data)
        found.append(msgspec.json.decode(data)["choices"][0]["delta"])
    return found


def text_of(drill: Drill, *said: str, **of_the_last: object) -> str:
    """The text for a request that ends with these words of the assistant's; the same one plain and streamed."""
    messages = [*HELLO, *({"role": "assistant", "content": each, **of_the_last} for each in said)]
    plain: str = choice(drill, messages=messages)["message"]["content"]
    assert "".join(delta["content"] for delta in deltas(drill, messages=messages)) == plain
    return plain


@pytest.mark.parametrize("size", range(len(ALL) + 1))
def test_it_goes_on_with_its_own_words_wherever_they_end(size: int) -> None:
    assert text_of(Drill(), ALL[:size]) == ALL[size:]


@pytest.mark.parametrize(
    ("said", "rest"),
    [
        ("I am first-small. ", "You said: Hello there"),
        ("I am first-small.", " You said: Hello there"),
        ("I am first-small. You said: Hello there", ""),
        ("I am first-small. You said: Hello there, and more", ""),
    ],
)
def test_it_goes_on_with_anothers_words(said: str, rest: str) -> None:
    assert text_of(Drill(), said) == rest


def test_it_goes_on_with_a_long_speech() -> None:
    drill = Drill(words=30)
    everything = text_of(drill)
    for words in (1, 7, 15, 29):
        said = " ".join(everything.split()[:words]) + " "
        assert text_of(drill, said) == everything[len(said) :]


def test_only_what_is_new_counts_as_an_answer() -> None:
    usage = msgspec.json.decode(
        whole(Drill(), messages=[*HELLO, {"role": "assistant", "content": ALL[:20]}]).body
    )["usage"]
    assert usage == {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}


def test_prefill_is_refused() -> None:
    refused = whole(Drill(prefill="refuse"), messages=[*HELLO, {"role": "assistant", "content": "I "}])
    assert refused.status == 400
    assert b"does not support assistant message prefill" in refused.body
    assert whole(Drill(prefill="refuse")).status == 200


def test_prefill_is_repeated() -> None:
    drill = Drill(prefill="repeat")
    assert text_of(drill, "I am simulator-1. You ") == ALL
    assert text_of(drill, "I am simu") == ALL
    assert text_of(drill, ALL) == ALL
    assert text_of(drill, "I am first-small. ") == "I am first-small. You said: Hello there"


def test_prefill_is_ignored() -> None:
    assert text_of(Drill(prefill="ignore"), "I am ") == ALL


@pytest.mark.parametrize("mark", ["partial", "prefix"])
def test_prefill_has_to_be_marked(mark: str) -> None:
    drill = Drill(prefill="marked")
    assert text_of(drill, "I am ") == ALL
    assert text_of(drill, "I am ", **{mark: True}) == ALL[5:]


def test_other_words_are_the_same_ones_every_time_and_go_on_by_place() -> None:
    drill = Drill(other_words=True)
    assert text_of(drill) == "In other words: Hello there is what simulator-1 was told."
    assert text_of(drill, "I am simulator-1. ") == "Hello there is what simulator-1 was told."


def test_reasoning_comes_first() -> None:
    drill = Drill(reasoning=3)
    assert [next(iter(delta)) for delta in deltas(drill)] == ["reasoning_content"] * 3 + ["content"] * 7
    message = choice(drill)["message"]
    assert (message["reasoning_content"], message["content"]) == ("The user said ", ALL)
    usage = msgspec.json.decode(whole(drill).body)["usage"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 4}
    assert usage["completion_tokens"] == 4 + 10


def test_a_refusal() -> None:
    drill = Drill(refusal=True)
    said = "I am sorry, I cannot help with that."
    assert choice(drill)["message"]["refusal"] == said
    assert choice(drill)["message"]["content"] is None
    assert "".join(delta["refusal"] for delta in deltas(drill)) == said


@pytest.mark.parametrize(("asked", "pieces"), [(1, 1), (3, 3), (1000, 22)])
def test_a_tool_call_comes_in_pieces(asked: int, pieces: int) -> None:
    first, *rest = (delta["tool_calls"][0] for delta in deltas(Drill(tool_call=asked), tools=TOOLS))
    assert first["function"] == {"name": "look_up", "arguments": ""}
    assert first["id"].startswith("call_")
    assert len(rest) == pieces
    arguments = "".join(each["function"]["arguments"] for each in rest)
    assert msgspec.json.decode(arguments) == {"said": "Hello there"}


def test_a_whole_tool_call() -> None:
    called = choice(Drill(tool_call=3))
    assert called["finish_reason"] == "tool_calls"
    (call,) = called["message"]["tool_calls"]
    assert call["function"] == {"name": "simulated", "arguments": '{"said":"Hello there"}'}
    assert called["message"]["content"] is None
