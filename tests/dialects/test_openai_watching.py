"""Watching a stream in OpenAI's dialect: what passes, and what the watcher knows, at every split of the bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.dialects import openai_watching
from gateway.dialects.dialect import SAID_LETTERS, Dialect, ErrorKind, StreamWatcher
from gateway.dialects.openai import OpenAI
from gateway.dialects.openai_events import read_event
from gateway.dialects.sse import EVENT_BYTES, ended, events_of
from gateway.messages import TokenUsage

DIALECT: Dialect = OpenAI()


def chunk(choices: str, usage: str | None = "null", model: str = "gpt-4o") -> bytes:
    said = "" if usage is None else f',"usage":{usage}'
    return (
        f'data: {{"id":"c","object":"chat.completion.chunk","model":"{model}","choices":{choices}{said}}}\n\n'
    ).encode()


def delta(text: str, usage: str | None = "null") -> bytes:
    return chunk(f'[{{"index":0,"delta":{{"content":{json.dumps(text)}}},"finish_reason":null}}]', usage)


COUNTS = '{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}'
USAGE_CHUNK = chunk("[]", COUNTS)
DONE = b"data: [DONE]\n\n"
MALFORMED = b"data: {not json}\n\n"
CHAT = [
    chunk("[]", None, model=""),  # Azure's first: what its content filter said of the prompt
    delta(""),
    delta('Say "usage":{"prompt_tokens":1} and [DONE] 服务'),
    b": keep-alive\n\n",
    MALFORMED,
    delta("!"),
    USAGE_CHUNK,
    DONE,
]


def watched(watcher: StreamWatcher, pieces: list[bytes]) -> bytes:
    return b"".join([watcher.feed(piece) for piece in pieces]) + watcher.flush()


def in_two(stream: bytes) -> list[list[bytes]]:
    return [[stream[:place], stream[place:]] for place in range(len(stream) + 1)]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_only_the_extra_usage_chunk_is_dropped_at_every_split(ending: bytes) -> None:
    stream = b"".join(CHAT).replace(b"\n", ending)
    expected = b"".join(event for event in CHAT if event not in (USAGE_CHUNK, MALFORMED)).replace(
        b"\n", ending
    )
    for pieces in in_two(stream):
        watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
        assert watched(watcher, pieces) == expected
        assert watcher.usage == TokenUsage(9, 12)
        assert watcher.answered_model == "gpt-4o"
        assert watcher.finished
        assert watcher.malformed == 1


def test_a_client_that_asked_gets_every_byte_at_every_split() -> None:
    stream = b"".join(CHAT).replace(MALFORMED, b"")
    for pieces in in_two(stream):
        watcher = DIALECT.stream_watcher(keep_usage_chunk=True)
        assert watched(watcher, pieces) == stream
        assert (watcher.usage, watcher.finished) == (TokenUsage(9, 12), True)


def test_each_event_leaves_when_it_came() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    for event in CHAT:
        assert watcher.feed(event) == (b"" if event in (USAGE_CHUNK, MALFORMED) else event)
    assert watcher.flush() == b""


def test_usage_beside_the_last_words_is_read_and_kept() -> None:
    last = chunk('[{"index":0,"delta":{},"finish_reason":"stop"}]', COUNTS)
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    assert watched(watcher, [delta("a"), last, DONE]) == delta("a") + last + DONE
    assert watcher.usage == TokenUsage(9, 12)


def test_moonshots_usage_within_the_choice() -> None:
    last = chunk(f'[{{"index":0,"delta":{{}},"finish_reason":"stop","usage":{COUNTS}}}]', None)
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    assert watched(watcher, [delta("a", None), last, DONE]) == delta("a", None) + last + DONE
    assert watcher.usage == TokenUsage(9, 12)


def counted(*counts: tuple[int, int]) -> TokenUsage | None:
    """What is known after words with these counts of tokens beside them."""
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    for given_, made in counts:
        watcher.feed(delta("word ", json.dumps({"prompt_tokens": given_, "completion_tokens": made})))
    return watcher.usage


def test_counts_of_all_so_far_replace_one_another() -> None:
    assert counted((9, 1), (9, 2), (9, 3)) == TokenUsage(9, 3)
    assert counted((9, 5), (9, 5), (9, 9)) == TokenUsage(9, 9)


def test_counts_of_each_event_alone_are_added() -> None:
    assert counted((9, 1), (9, 1), (9, 1), (0, 1)) == TokenUsage(9, 4)
    assert counted((9, 2), (0, 1), (0, 2)) == TokenUsage(9, 5)


def test_a_count_that_is_not_repeated_stays() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    first = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}
    watcher.feed(delta("word", json.dumps(first)) + chunk("[]", '{"completion_tokens":5}'))
    assert watcher.usage == TokenUsage(9, 5, cached_input=4)


def told(made: int, **more: object) -> str:
    return json.dumps({"prompt_tokens": 9, "completion_tokens": made, **more})


def of_choice(index: int, text: str, usage: str, reason: str = "null", more: str = "") -> bytes:
    content = f'{{"content":{json.dumps(text)}}}' if text else "{}"
    return chunk(f'[{{"index":{index},"delta":{content},"finish_reason":{reason}{more}}}]', usage)


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ([delta("w " * made, told(made)) for made in (20, 15, 18)], TokenUsage(9, 53)),
        ([delta("a", told(1)), delta("b", told(1)), delta("c", told(2))], TokenUsage(9, 2)),
        ([delta("a", told(1)), delta("b", told(1)), delta("c", told(1)), USAGE_CHUNK], TokenUsage(9, 12)),
        (
            [delta("a", told(1)), delta("b"), of_choice(0, "", '{"completion_tokens":42}', '"stop"')],
            TokenUsage(9, 42),
        ),
        (
            [of_choice(index, "w ", told(made)) for made in range(1, 11) for index in (0, 1)],
            TokenUsage(9, 20),
        ),
        (
            [
                of_choice(index, "", "null", '"stop"', f',"usage":{told(made)}')
                for index, made in ((0, 5), (1, 7))
            ],
            TokenUsage(9, 12),
        ),
        (
            [delta("w ", told(1, completion_tokens_details={"reasoning_tokens": 1}))] * 10,
            TokenUsage(9, 10, reasoning=10),
        ),
        (
            [delta("w ", told(1, prompt_tokens_details={"cached_tokens": 4}))] * 10,
            TokenUsage(9, 10, cached_input=4),
        ),
        ([delta("word"), chunk("[]", "{}"), chunk("[]", told(0, prompt_tokens=0))], None),
        ([delta("word"), chunk("[]", told(10**30, prompt_tokens=10**400))], None),
    ],
    ids=range(10),
)
def test_how_its_counts_add_up_in_any_chunks(events: list[bytes], usage: TokenUsage | None) -> None:
    stream = b"".join(events)
    for pieces in (events, [stream], [stream[at : at + 7] for at in range(0, len(stream), 7)]):
        watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
        watched(watcher, pieces)
        assert watcher.usage == usage
        assert watcher.facts().usage == usage


@pytest.mark.parametrize(
    ("events", "uncounted"),
    [
        ([], False),
        ([delta("a")], False),
        ([delta("a"), USAGE_CHUNK], False),
        ([delta("a", told(1))], False),
        ([delta("a", told(1)), chunk('[{"index":0,"delta":{},"finish_reason":"stop"}]'), DONE], False),
        ([delta("a", told(1)), delta("b"), USAGE_CHUNK], False),
        ([delta("a", told(1)), delta("b")], True),
        ([delta("", told(0)), delta("b")], True),
        ([delta("a", told(1)), delta("b", told(0))], True),
        ([delta("a"), USAGE_CHUNK, delta("b")], True),
        ([delta("a", told(1)), *[delta("b")] * 5], True),
    ],
)
def test_it_knows_whether_its_counts_are_of_all_that_came(events: list[bytes], uncounted: bool) -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    watched(watcher, events)
    facts = watcher.facts()
    assert facts.uncounted is uncounted
    assert facts.size == sum(event.count(b'"a"') + event.count(b'"b"') for event in events)


@given(
    st.lists(
        st.builds(
            of_choice,
            st.sampled_from([0, 1]),
            st.sampled_from(["", "a", "word "]),
            st.sampled_from(
                ["null", "{}", "[1]", '"x"', told(3), told(1), told(-1), told(10**400), '{"a":1e999}']
            ),
        )
        | st.sampled_from([USAGE_CHUNK, MALFORMED, DONE]),
        max_size=12,
    ),
    st.lists(st.integers(0, 2500), max_size=12),
)
def test_whatever_is_counted_is_counted_alike_at_any_splits(events: list[bytes], places: list[int]) -> None:
    event_by_event = DIALECT.stream_watcher(keep_usage_chunk=False)
    watched(event_by_event, events)
    _, watcher = watch(b"".join(events), places)
    assert watcher.facts() == event_by_event.facts()


def said_number(member: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"b"}}],%b}\n\n' % member.encode()


@pytest.mark.parametrize(
    "event",
    [
        said_number('"x":1e999'),
        said_number('"x":NaN'),
        said_number('"logprobs":{"a":[-Infinity]}'),
        said_number(f'"x":1{"0" * 5000}'),
        said_number('"usage":{"prompt_tokens":1e999}'),
    ],
    ids=range(5),
)
def test_an_event_with_a_number_that_nobody_can_hold_loses_no_word(event: bytes) -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True)
    assert watched(watcher, [delta("a"), event, delta("c")]) == delta("a") + event + delta("c")
    assert (watcher.text, watcher.size, watcher.malformed) == ("abc", 3, 0)


def test_how_long_the_answer_is() -> None:
    def piece(**said: object) -> bytes:
        return chunk(json.dumps([{"index": 0, "delta": said}], ensure_ascii=False))

    stream = [
        piece(role="assistant", content=""),
        piece(content="网关"),
        *(piece(reasoning_content=f"thought {number}") for number in range(20)),
        *(piece(content=f"word {number}服") for number in range(20)),
        piece(
            tool_calls=[
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        ),
        *(
            piece(tool_calls=[{"index": 0, "function": {"arguments": f'{{"a{number}'}}])
            for number in range(20)
        ),
        chunk('[{"index":0,"delta":{},"finish_reason":"stop"}]'),
        USAGE_CHUNK,
        DONE,
    ]
    size = 6 + 190 + 190 + 1 + 90
    whole = b"".join(stream)
    for pieces in ([whole], stream, [whole[at : at + 7] for at in range(0, len(whole), 7)]):
        watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
        watched(watcher, pieces)
        assert watcher.size == size


def test_the_last_usage_counts() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    for tokens in (1, 2, 3):
        watcher.feed(delta("a", f'{{"prompt_tokens":9,"completion_tokens":{tokens}}}'))
    assert watcher.usage == TokenUsage(9, 3)


@pytest.mark.parametrize(
    "event",
    [
        chunk("[]"),
        chunk("[]", None),
        chunk("[]", "{}"),
        chunk("[]", '{"prompt_tokens":"many"}'),
        chunk("null", COUNTS),
        b'data: {"usage":' + COUNTS.encode() + b"}\n\n",
        b'data: {"error":{"message":"overloaded","code":null}}\n\n',
        b": garbage prompt_tokens\n\n",
        b"event: ping\n\n",
        b'event: ping\ndata: {"type":"ping"}\n\n',
        chunk('"x"', COUNTS),
        chunk('[{"delta":"x"}]'),
    ],
    ids=range(12),
)
def test_everything_else_passes_untouched(event: bytes) -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    watcher.feed(delta("a"))
    assert watcher.feed(event) == event
    assert not watcher.finished


@pytest.mark.parametrize(
    ("stream", "finished"),
    [
        (delta("a") + DONE, True),
        (delta("a") + b"data:[DONE]\r\n\r\n", True),
        (delta("a") + b"data: [DONE]", True),
        (delta("a") + b"data: [DONE]\n", True),
        (DONE, True),
        (delta("[DONE]"), False),
        (delta("a"), False),
        (b"", False),
    ],
)
def test_a_chat_stream_is_finished_by_done(stream: bytes, finished: bool) -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    assert watched(watcher, [stream]) == ended(stream)
    assert watcher.finished is finished


def test_a_usage_chunk_without_its_blank_line_is_dropped_at_the_end() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    assert watched(watcher, [delta("a"), USAGE_CHUNK.rstrip()]) == delta("a")
    assert watcher.usage == TokenUsage(9, 12)


def responses_event(type_: str, **members: object) -> bytes:
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **members})}\n\n".encode()


@pytest.mark.parametrize("ending", ["completed", "incomplete", "failed"])
@pytest.mark.parametrize("counted", [True, False])
def test_a_responses_stream_at_every_split(ending: str, counted: bool) -> None:
    counts = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7} if counted else None
    stream = (
        responses_event("response.created", response={"id": "r", "model": "gpt-5", "usage": None})
        + responses_event("response.output_text.delta", delta='response.completed "usage"')
        + responses_event("response.output_text.delta", delta="b")
        + responses_event(f"response.{ending}", response={"id": "r", "model": "gpt-5", "usage": counts})
    )
    for pieces in in_two(stream):
        watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
        assert watched(watcher, pieces) == stream
        assert watcher.finished
        assert watcher.answered_model == "gpt-5"
        assert watcher.usage == (TokenUsage(3, 4) if counted else None)


def test_a_responses_stream_that_breaks_off_is_not_finished() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    created = responses_event("response.created", response={"model": "gpt-5"})
    watched(watcher, [created, responses_event("response.output_text.delta", delta="a")])
    assert not watcher.finished


def said(text: str, index: int = 0, reason: str = "null") -> bytes:
    return chunk(
        f'[{{"index":{index},"delta":{{"content":{json.dumps(text)}}},"finish_reason":{reason}}}]', None
    )


def choice(delta_: str, reason: str = "null", index: int = 0) -> bytes:
    return chunk(f'[{{"index":{index},"delta":{delta_},"finish_reason":{reason}}}]', None)


def padded(text: str, padding: str) -> bytes:
    return said(text).replace(b"}\n\n", b',"obfuscation":' + json.dumps(padding).encode() + b"}\n\n")


OPENING = choice('{"role":"assistant","content":""}')
STOP = choice("{}", '"stop"')
ERROR = b'data: {"error":{"message":"overloaded","code":"server_error"}}\n\n'
HALVES = [choice('{"content":"\\ud83d"}'), choice('{"content":"\\ude00"}')]
ANYTHING = [
    *CHAT,
    *HALVES,
    OPENING,
    STOP,
    ERROR,
    said("b"),
    said('"quoted" \n\\ 😀', 0),
    padded("a", "x7"),
    padded("b", "y"),
    padded("c", ""),
    padded("d", 'x"'),
    said("other", 1),
    said("last", 0, '"length"'),
    said("", 1, '"stop"'),
    choice('{"reasoning_content":"Hm"}'),
    choice('{"reasoning_content":"Well"}'),
    choice('{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}'),
    choice('{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}'),
    choice('{"content":null,"tool_calls":[]}', '"null"'),
    b'event: error\ndata: {"message":"no"}\n\n',
    b"data: [1]\n\n",
]


def watch(stream: bytes, places: list[int]) -> tuple[bytes, StreamWatcher]:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True, withhold_error=True)
    cuts = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return watched(watcher, [stream[a:b] for a, b in pairwise(cuts)]), watcher


def known(watcher: StreamWatcher) -> dict[str, object]:
    names = (
        "usage answered_model id created has_content finished finish_reason tool_calls other malformed error "
        "error_event text whole"
    )
    return {name: getattr(watcher, name) for name in names.split()}


def expectation(events: list[bytes]) -> tuple[bytes, dict[str, object]]:
    """What passes and what is known, told event by event."""
    passed, text, finish_reason, usage, error, error_event = b"", "", None, None, None, b""
    ids, models, times, speaking, ended = [], [], [], set[int](), False
    content = tools = other = finished = False
    malformed = 0
    for event in events:
        facts = read_event(event)
        if facts.malformed:
            malformed += 1
            continue
        ids.append(facts.id)
        models.append(facts.model)
        times.append(facts.created)
        usage = facts.usage or usage
        if facts.error is not None:
            error, error_event = facts.error, event
            break
        content, tools, other = content or facts.is_content, tools or facts.tool_call, other or facts.other
        text += facts.content
        speaking = (speaking | set(facts.speaking)) - set(facts.ended)
        ended = ended or facts.choices is not None
        finish_reason = facts.finish_reason or finish_reason
        if not (facts.usage is not None and facts.choices == 0):
            passed += event
        if facts.done:
            finished = True
            break
    whole = error is None and (finished or (finish_reason is not None and not speaking))
    if whole and not finished:
        passed, finished = passed + DONE, True
    return passed, {
        "usage": usage,
        "answered_model": next(filter(None, models), None),
        "id": next(filter(None, ids), None),
        "created": next(filter(None, times), None),
        "has_content": content,
        "finished": finished,
        "finish_reason": finish_reason,
        "tool_calls": tools,
        "other": other,
        "malformed": malformed,
        "error": error,
        "error_event": error_event,
        "text": text,
        "whole": whole,
    }


@given(st.lists(st.sampled_from(ANYTHING), max_size=14), st.lists(st.integers(0, 2500), max_size=12))
@example([delta("a"), delta("b"), delta(""), delta("c\n"), STOP, delta("d"), DONE], [150, 400])
@example([delta("a"), *HALVES, delta("c")], [])
def test_any_events_at_any_splits(events: list[bytes], places: list[int]) -> None:
    passed, watcher = watch(b"".join(events), places)
    assert (passed, known(watcher)) == expectation(events)


WHOLE = [OPENING, *(said(word) for word in ("Hel", "lo", " wor", "ld", " 😀\n")), STOP, USAGE_CHUNK, DONE]


def test_the_end_at_every_byte() -> None:
    """Whatever the byte that a stream ends at, the client has whole events, and the watcher knows what of it."""
    stream = b"".join(WHOLE)
    for place in range(len(stream) + 1):
        passed, watcher = watch(stream[:place], [])
        told = stream.index(STOP) + len(STOP) - 2 <= place
        assert watcher.whole is told
        assert passed.endswith(DONE) is told
        given = b"".join(WHOLE[:-2])
        assert given.startswith(passed.removesuffix(DONE).rstrip())
        text = "".join(read_event(event).content for event in passed.split(b"\n\n"))
        assert text == watcher.text


def call(arguments: str) -> bytes:
    function = f'{{"index":0,"function":{{"arguments":{json.dumps(arguments)}}}}}'
    return choice(f'{{"tool_calls":[{function}]}}')


def thought(text: str) -> bytes:
    return choice(f'{{"content":null,"reasoning_content":{json.dumps(text)}}}')


def spoken(text: str) -> bytes:
    number = {"sequence_number": len(text), "item_id": "m", "delta": text, "logprobs": []}
    return (
        responses_event("response.output_text.delta", **number).replace(b'": ', b'":').replace(b', "', b',"')
    )


def padded_by_length(text: str) -> bytes:
    return padded(text, "x" * (9 - len(text)))


@pytest.mark.parametrize(
    ("made", "text"),
    [(said, 'abc d\né"x"'), (padded_by_length, 'abc d\né"x"'), (call, ""), (thought, ""), (spoken, "")],
)
def test_a_stream_is_known_by_its_words_alone_after_the_first(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[str], bytes], text: str
) -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True)
    for event in (OPENING, made("a")):
        watcher.feed(event)
    monkeypatch.setattr(openai_watching, "read_event_data", None)
    several = made("c ") + made("d\n") + made("é")
    for event in (made("b"), several, made('"x"')):
        assert watcher.feed(event) is event
    assert watcher.text == text
    assert watcher.has_content
    assert watcher.tool_calls is (made is call)
    with pytest.raises(TypeError):
        watcher.feed(said("d", 1))


@pytest.mark.parametrize(
    "events",
    [
        # A choice begins anew.
        [said("a"), said("b"), STOP, said("c")],
        # What is known by its word would hide what else is in it, or what changed since.
        [delta("a", COUNTS), chunk("[]", '{"prompt_tokens":1}'), delta("b", COUNTS)],
        [padded("a", "x"), padded("b", "y").replace(b'"y"', b'"y","error":"no"')],
        [said("a"), said("b").replace(b'"b"', b'"b","tool_calls":[{}]')],
        [said("a"), said("b").replace(b'"b"', b'"b","x":"\xff"')],
        [spoken("a"), spoken("b").replace(b'_number":1', b'_number":01')],
        [spoken("a"), spoken("b").replace(b'_number":1', b'_number":1.5')],
        [said("a", 1), said("b", 1), said("c"), said("d", 1), said("e")],
        [said("a"), said(""), thought("b"), thought(""), call("c"), call(""), said("d")],
    ],
    ids=range(9),
)
def test_what_is_known_by_its_words_is_known_as_well(events: list[bytes]) -> None:
    stream = b"".join(events)
    boundaries = [stream.index(event) for event in events]
    passed, watcher = watch(stream, boundaries)
    assert (passed, known(watcher)) == expectation(events)


@pytest.mark.parametrize(
    "lookalike",
    [
        said("a").replace(b'"model"', b'"content":"a","model"'),
        said("a").replace(b'"model"', b'"text":"a","reasoning":"a","model"'),
        said("a").replace(b'"content"', b'"content":"a","content"'),
        said("a").replace(b'"delta"', b'"text":"a","delta"'),
        choice('{"content":"a","reasoning_content":"a"}'),
        choice('{"content":"","reasoning":"a","reasoning_content":"a"}'),
    ],
)
def test_the_right_word_is_learned(lookalike: bytes) -> None:
    first = lookalike
    for place in range(len(first)):
        second = first[:place] + first[place:].replace(b'"a"', b'"b"', 1)
        watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True)
        watcher.feed(first)
        watcher.feed(second)
        watcher.feed(second)
        assert watcher.text == read_event(first).content + 2 * read_event(second).content


@pytest.mark.parametrize("made_of", ["a", '"'])
def test_text_is_kept_up_to_a_limit(made_of: str) -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True)
    piece = made_of * (EVENT_BYTES // 4)
    kept = []
    for more in (*[piece] * (SAID_LETTERS // len(piece)), "b", "c"):
        assert watcher.feed(said(more)) == said(more)
        kept.append(watcher.text)
    assert kept[-3:] == [made_of * SAID_LETTERS, None, None]


def test_text_is_not_kept_unless_asked_for() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    watcher.feed(said("a") + said("b"))
    assert (watcher.text, watcher.has_content) == (None, True)


def test_content_is_what_a_user_waits_for() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    for event in (OPENING, b": hello\n\n", b'event: ping\ndata: {"type":"ping"}\n\n', delta(""), USAGE_CHUNK):
        watcher.feed(event)
        assert not watcher.has_content
    watcher.feed(said("a"))
    assert watcher.has_content


@pytest.mark.parametrize("done", [b"", DONE])
def test_an_answer_that_says_why_it_ends_gets_its_done(done: bytes) -> None:
    passed, watcher = watch(said("a") + STOP + done, [])
    assert passed == said("a") + STOP + DONE
    assert watcher.whole
    assert watcher.finished


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\r"])
def test_done_is_an_event_of_its_own(ending: bytes) -> None:
    passed, _ = watch(said("a") + STOP.rstrip() + ending, [])
    assert [read_event(event).done for event in events_of(passed)] == [False, False, True]


@pytest.mark.parametrize("reason", ['""', '"null"', "null", "0", "{}"])
def test_what_is_no_reason_to_end(reason: str) -> None:
    passed, watcher = watch(said("a", 0, reason), [])
    assert passed == said("a", 0, reason)
    assert not watcher.whole
    assert watcher.finish_reason is None


def test_all_choices_must_end() -> None:
    passed, watcher = watch(said("a") + said("b", 1) + STOP, [])
    assert not watcher.whole
    assert watcher.finish_reason == "stop"
    assert watcher.other
    passed, watcher = watch(said("a") + said("b", 1) + STOP + choice("{}", '"stop"', 1), [])
    assert watcher.whole
    assert passed.endswith(DONE)


def test_all_choices_that_were_asked_for_must_end() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, choices=2)
    whole = []
    for event in (said("a"), STOP, said("b", 1), choice("{}", '"stop"', 1)):
        watcher.feed(event)
        whole.append(watcher.whole)
    assert whole == [False, False, False, True]
    assert watcher.flush() == DONE


def test_nothing_passes_behind_done() -> None:
    passed, _ = watch(said("a") + DONE + b": c\n\n" + said("b") + DONE, [])
    assert passed == said("a") + DONE


@pytest.mark.parametrize("withheld", [True, False])
def test_an_error_event_is_the_last(withheld: bool) -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, withhold_error=withheld)
    passed = watched(watcher, [said("a") + ERROR + said("b") + DONE])
    assert passed == said("a") + (b"" if withheld else ERROR)
    assert watcher.error is not None
    assert watcher.error.code == "server_error"
    assert watcher.error_event == ERROR
    assert not watcher.whole
    assert not watcher.finished


def test_an_error_event_without_its_blank_line_is_given_one() -> None:
    _, watcher = watch(said("a") + ERROR.rstrip(), [])
    assert watcher.error_event == ERROR


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_some_reasons_to_end_are_errors(reason: str) -> None:
    passed, watcher = watch(said("a") + choice("{}", f'"{reason}"') + DONE, [])
    assert passed == said("a")
    assert watcher.error is not None
    assert watcher.error.kind is ErrorKind.OTHER


def test_a_failed_response_is_an_error_and_the_end() -> None:
    failed = responses_event(
        "response.failed", response={"error": {"code": "rate_limit_exceeded", "message": "Slow."}}
    )
    passed, watcher = watch(failed, [])
    assert passed == b""
    assert watcher.error is not None
    assert watcher.error.kind is ErrorKind.RATE
    assert watcher.finished
    assert not watcher.whole


@pytest.mark.parametrize("last", ["speech.audio.done", "image_generation.completed", "transcript.text.done"])
def test_other_streams_end_in_an_event_of_their_own(last: str) -> None:
    piece = responses_event("transcript.text.delta", delta="a")
    passed, watcher = watch(piece, [])
    assert passed == piece
    assert watcher.has_content
    assert watcher.other
    assert not watcher.whole
    passed, watcher = watch(piece + responses_event(last), [])
    assert passed == piece + responses_event(last)
    assert watcher.whole


def test_the_bytes_of_an_event_are_no_content_until_it_is_whole() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True)
    watcher.feed(said("a"))
    large = said("b" * 400_000)
    for at in range(0, len(large) - 2, 1000):
        assert watcher.feed(large[at : min(at + 1000, len(large) - 2)]) == b""
    assert watcher.contents == 1
    assert watcher.feed(large[-2:]) == large
    assert (watcher.contents, watcher.text) == (2, "a" + "b" * 400_000)
    assert not watcher.other


def test_of_one_too_large_to_be_held_every_so_many_bytes_are_content() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    grown = []
    for _ in range(40):
        watcher.feed(b"data: " + b"x" * (EVENT_BYTES // 8))
        grown.append(watcher.contents)
    assert grown == [0] * 7 + [1] * 8 + [2] * 8 + [3] * 8 + [4] * 8 + [5]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("w" * 1_500_000, True),
        ("word " * 300_000, True),
        ("网关" * 250_000, True),
        (base64.b64encode(hashlib.sha512(b"x").digest() * 20_000).decode(), False),
    ],
    ids=range(4),
)
def test_how_long_an_event_is_that_is_too_large_to_be_held(text: str, counts: bool) -> None:
    event = said(text)
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False)
    watched(watcher, [event[at : at + 65536] for at in range(0, len(event), 65536)])
    if counts:
        assert watcher.size == len(event)
    else:
        assert watcher.size < len(event) // 10


def test_an_event_too_large_to_read_cannot_be_continued() -> None:
    watcher = DIALECT.stream_watcher(keep_usage_chunk=False, keep_text=True)
    watcher.feed(said("a") + STOP + b"data: " + b"x" * EVENT_BYTES)
    assert watcher.has_content
    assert watcher.other
    assert watcher.within_event
    assert watcher.flush() == b"\n\n" + DONE
