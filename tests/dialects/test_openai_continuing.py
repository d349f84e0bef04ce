"""Asking for the rest of a broken answer, and making it part of the same stream."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.dialects.dialect import Dialect
from gateway.dialects.envelope import open_body
from gateway.dialects.openai import OpenAI
from gateway.dialects.openai_continuing import readable, with_content, with_id, with_usage_of_all
from gateway.dialects.openai_events import read_event
from gateway.dialects.sse import events_of
from gateway.messages import TokenUsage

DIALECT: Dialect = OpenAI()


class Dropping:
    """A remainder that drops what the client has, letter by letter, and disagrees with everything else."""

    def __init__(self, had: str, *, still_due: str = "") -> None:
        self.had = had
        self.still_due = still_due

    def read(self, piece: str) -> str | None:
        same = min(len(self.had), len(piece))
        if not self.had.startswith(piece[:same]):
            return None
        self.had = self.had[same:]
        return piece[same:]

    def end(self) -> str | None:
        return None if self.had else self.still_due


# -- the request ---------------------------------------------------------------------------------------


def sent(body: bytes, said: str = "Hel", mark: str | None = None) -> bytes:
    envelope = DIALECT.prefilled(open_body(body), said, mark)
    assert open_body(envelope.body).fields == envelope.fields
    return envelope.body


def test_the_words_so_far_are_the_last_message() -> None:
    body = b'{ "model":"m","messages": [ {"role": "user", "content": "h\\u0069", "n": 1.0} ],"seed":1e0}'
    assert sent(body) == (
        b'{"model":"m","messages":[{"role": "user", "content": "h\\u0069", "n": 1.0},'
        b'{"role":"assistant","content":"Hel"}],"seed":1e0}'
    )


@pytest.mark.parametrize("mark", ["partial", "prefix"])
def test_a_mark_for_providers_that_want_one(mark: str) -> None:
    sent_body = sent(b'{"messages":[]}', 'a "b" 服', mark)
    assert json.loads(sent_body) == {"messages": [{"role": "assistant", "content": 'a "b" 服', mark: True}]}


@pytest.mark.parametrize(
    ("last", "continued"),
    [
        (
            b'{"role":"assistant","content":"Sure, "}',
            b'{"role":"assistant","content":"Sure, Hel","prefix":true}',
        ),
        (
            b'{ "content":"Sure, ","x":1.0,"role":"assistant","prefix":false}',
            b'{"content":"Sure, Hel","x":1.0,"role":"assistant","prefix":true}',
        ),
        (
            b'{"role":"assistant","content":[{"type":"text", "text":"Sure, "}]}',
            b'{"role":"assistant","content":[{"type":"text", "text":"Sure, "},{"type":"text","text":"Hel"}],'
            b'"prefix":true}',
        ),
    ],
)
def test_an_answer_that_the_client_has_begun_is_gone_on_with(last: bytes, continued: bytes) -> None:
    assert sent(b'{"messages":[' + last + b"]}", mark="prefix") == b'{"messages":[' + continued + b"]}"


@pytest.mark.parametrize(
    "last",
    [
        b'{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}',
        b'{"role":"assistant"}',
        b'{"role":"tool","content":"x"}',
        b'{"content":"x"}',
        b"7",
    ],
)
def test_another_last_message_stays_as_it_is(last: bytes) -> None:
    added = b',{"role":"assistant","content":"Hel"}]}'
    assert sent(b'{"messages":[' + last + b"]}") == b'{"messages":[' + last + added


def test_without_words_it_is_the_very_request() -> None:
    envelope = open_body(b'{ "messages":[]}')
    assert DIALECT.prefilled(envelope, "", "prefix") is envelope


# -- events --------------------------------------------------------------------------------------------


def event(*choices: object, **members: object) -> bytes:
    answer = {
        "id": "second",
        "object": "chat.completion.chunk",
        "created": 2,
        "model": "m2",
        "choices": choices,
    }
    return b"data: " + json.dumps({**answer, **members}).encode() + b"\n\n"


def words(text: str, **members: object) -> bytes:
    return event({"index": 0, "delta": {"content": text}, "finish_reason": None}, **members)


def data(of: bytes) -> Any:
    return json.loads(of.removeprefix(b"data: "))


OPENING = event({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})
THOUGHT = event({"index": 0, "delta": {"reasoning_content": "Hm"}, "finish_reason": None})
STOP = event({"index": 0, "delta": {}, "finish_reason": "stop"})
USAGE = event(usage={"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21})
DONE = b"data: [DONE]\n\n"


def test_an_event_of_another_answer() -> None:
    before = b'id: 7\r\ndata: {"id":"b", "x":[1.0, 2],"created":2,"y":"\\u0061"}\r\n\r\n'
    assert (
        with_id(before, "a", 1) == b'id: 7\r\ndata: {"id":"a","x":[1.0, 2],"created":1,"y":"\\u0061"}\r\n\r\n'
    )
    assert with_id(before, None, None) is before


@pytest.mark.parametrize(
    ("choice", "changed"),
    [
        (
            b'{"index":0,"delta":{"content":"a"},"x":1.0}',
            b'{"index":0,"delta":{"content":"b\\"\\n"},"x":1.0}',
        ),
        (b'{"delta":{"role":"assistant","content":"a"}}', b'{"delta":{"content":"b\\"\\n"}}'),
        (b'{"delta":{"reasoning":"r","content":null}}', b'{"delta":{"content":"b\\"\\n"}}'),
        (b'{"index":0,"text":"a"}', b'{"index":0,"text":"b\\"\\n"}'),
        (b'{"index":1,"delta":{"content":"a"}}', b'{"index":1,"delta":{"content":"a"}}'),
    ],
)
def test_another_text(choice: bytes, changed: bytes) -> None:
    before, after = (b'data: {"choices":[' + one + b"]}\n\n" for one in (choice, changed))
    assert with_content(before, read_event(before).content, 'b"\n') == after


def test_half_a_surrogate_pair_can_be_written() -> None:
    assert read_event(with_content(words("a"), "a", "\ud83d")).content == "\ud83d"


def test_an_event_with_half_a_letter_can_be_changed() -> None:
    halved = event({"index": 0, "delta": {"content": "a\ud83e"}}, x="\ud83e")
    given, splice = spliced(halved + STOP + DONE, Dropping("", still_due=""))
    assert not splice.disagreed
    assert data(events_of(given)[0])["id"] == "first"
    assert read_event(events_of(given)[0]).content == "a\ud83e"
    whole = words("🦊")
    assert readable(whole) is whole


def test_usage_is_summed_and_flagged() -> None:
    summed = data(with_usage_of_all(USAGE, [TokenUsage(1, 2), None, TokenUsage(10, 20)]))
    assert summed["usage"] == {"prompt_tokens": 20, "completion_tokens": 34, "total_tokens": 54}
    assert summed["llmgateway"] == {"attempts": 4, "without_usage": 1}
    details = event(
        usage={"prompt_tokens": 9, "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": 3}}
    )
    assert data(with_usage_of_all(details, [TokenUsage(1, 2)]))["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": None,
        "prompt_tokens_details": {"cached_tokens": 3},
    }


@pytest.mark.parametrize(
    ("number", "summed"), [("10.0", 11), ("1e999", None), ("1" + "0" * 5000, None), ('"ten"', "ten")]
)
def test_usage_is_summed_as_far_as_it_is_numbers(number: str, summed: object) -> None:
    odd = b'data: {"choices":[],"usage":{"prompt_tokens":%b,"completion_tokens":1}}\n\n' % number.encode()
    usage = data(with_usage_of_all(odd, [TokenUsage(1, 2)]))["usage"]
    assert usage == {"prompt_tokens": summed, "completion_tokens": 3}


def test_an_event_with_what_json_does_not_know_can_be_changed() -> None:
    odd = words("lo").replace(b"}\n\n", b',"x":[NaN,-Infinity,1e999]}\n\n')
    given, splice = spliced(odd + STOP + DONE, Dropping(""))
    assert not splice.disagreed
    first = data(events_of(given)[0])
    assert (first["id"], first["x"]) == ("first", [None, None, None])
    assert read_event(events_of(given)[0]).content == "lo"


# -- one stream of two answers -------------------------------------------------------------------------


def first_answer(*events: bytes) -> Any:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True)
    for one in events:
        watcher.feed(one.replace(b'"second"', b'"first"').replace(b'"created": 2', b'"created": 1'))
    return watcher


def spliced(
    stream: bytes, remainder: Dropping, places: list[int] | None = None, keep_usage: bool = True
) -> Any:
    """What the client gets of a second answer, fed through its own watcher, and the splice."""
    watcher = DIALECT.stream_watcher(keep_usage_chunk=keep_usage, keep_text=True, withhold_error=True)
    splice = DIALECT.stream_splice(first_answer(OPENING, words("Hel")), remainder, [None])
    cuts = [0, *sorted(min(place, len(stream)) for place in places or []), len(stream)]
    given = b"".join([splice.feed(watcher.feed(stream[a:b])) for a, b in pairwise(cuts)])
    return given + splice.feed(watcher.flush()), splice


def test_the_rest_goes_on_under_the_first_ones_name() -> None:
    stream = OPENING + THOUGHT + words("lo") + words(" world") + STOP + USAGE + DONE
    given, splice = spliced(stream, Dropping(""))
    assert not splice.disagreed
    assert [read_event(one).content for one in events_of(given)] == ["lo", " world", "", "", ""]
    chunks = [data(one) for one in events_of(given)[:-1]]
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks} == {("first", 1, "m2")}
    assert chunks[-1]["llmgateway"] == {"attempts": 2, "without_usage": 1}
    assert given.endswith(DONE)


def test_what_the_client_has_is_dropped() -> None:
    stream = OPENING + words("H") + words("ello") + words("!") + STOP + DONE
    given, _ = spliced(stream, Dropping("Hel"))
    assert [read_event(one).content for one in events_of(given)] == ["lo", "!", "", ""]


def test_so_is_what_is_told_of_its_tokens() -> None:
    tokens = [{"token": one, "logprob": -1.0, "bytes": list(one.encode())} for one in ("H", "ello", " you")]
    told = {"index": 0, "delta": {"content": "Hello you"}, "logprobs": {"content": tokens, "refusal": None}}
    given, _ = spliced(OPENING + event(told) + STOP + DONE, Dropping("Hel"))
    choice = data(events_of(given)[0])["choices"][0]
    assert choice["delta"]["content"] == "lo you"
    assert "".join(one["token"] for one in choice["logprobs"]["content"]) == "lo you"
    whole, _ = spliced(OPENING + event(told) + STOP + DONE, Dropping(""))
    assert data(events_of(whole)[0])["choices"][0]["logprobs"]["content"] == tokens


def test_an_answer_that_disagrees_goes_no_further() -> None:
    given, splice = spliced(OPENING + words("Hello") + words("No") + STOP + DONE, Dropping("Hello!"))
    assert (given, splice.disagreed) == (b"", True)
    assert splice.feed(words("a") + DONE) == b""
    given, splice = spliced(words("Hel") + STOP + DONE, Dropping("Hello"))
    assert (given, splice.disagreed) == (b"", True)
    given, splice = spliced(words("Hel") + DONE, Dropping("Hello"))
    assert (given, splice.disagreed) == (b"", True)


@pytest.mark.parametrize("ending", [STOP + DONE, STOP, STOP + USAGE + DONE, DONE, USAGE + DONE])
def test_what_is_still_due_at_the_end_comes_before_it(ending: bytes) -> None:
    call = event({"index": 0, "delta": {"content": "lo", "tool_calls": [{"index": 0}]}}, usage=None)
    given, _ = spliced(call + ending, Dropping("", still_due=" world"))
    facts = [read_event(one) for one in events_of(given)]
    assert "".join(one.content for one in facts) == "lo world"
    assert [one.tool_call for one in facts].count(True) == 1
    assert [one.done for one in facts].index(True) == len(facts) - 1
    told = [place for place, one in enumerate(facts) if one.content][-1]
    assert all(place >= told for place, one in enumerate(facts) if one.finish_reason or one.usage)


def test_completions_are_spliced_too() -> None:
    stream = event({"index": 0, "text": "Hello"}) + event({"index": 0, "text": ""}) + DONE
    given, _ = spliced(stream, Dropping("Hel", still_due="!"))
    assert [data(one)["choices"][0]["text"] for one in events_of(given)[:-1]] == ["lo", "!"]


def test_comments_and_unknown_events_pass() -> None:
    unknown = b'data: {"x":1}\n\n'
    assert spliced(b": c\n\n" + unknown, Dropping(""))[0] == b": c\n\n" + unknown


PARTS = [
    OPENING,
    THOUGHT,
    words("Hel"),
    words('lo "x"\n'),
    words(""),
    words(" é😀"),
    b": c\n\n",
    b"data: {x\n\n",
]


@given(
    st.lists(st.sampled_from(PARTS), max_size=8), st.lists(st.integers(0, 1500), max_size=8), st.booleans()
)
def test_any_answer_at_any_splits(parts: list[bytes], places: list[int], had: bool) -> None:
    text = "".join(read_event(part).content for part in parts)
    remainder = text[: len(text) // 2] if had else ""
    stream = b"".join(parts) + STOP + USAGE
    whole, _ = spliced(stream, Dropping(remainder))
    assert spliced(stream, Dropping(remainder), places)[0] == whole
    assert "".join(read_event(one).content for one in events_of(whole)) == text[len(remainder) :]
    assert whole.endswith(DONE)


def test_the_sdk_reads_one_answer_from_two() -> None:
    rest, _ = spliced(OPENING + words("Hello") + STOP + USAGE + DONE, Dropping("Hel"))
    first = [one.replace(b'"second"', b'"first"') for one in (OPENING, words("Hel"))]
    state = ChatCompletionStreamState()
    for one in [*first, *events_of(rest)[:-1]]:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(one[6:], strict=True))
    answer: ChatCompletion = state.get_final_completion()
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 21
