"""Server-sent events at every split of the bytes, against a parser that takes one byte at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.dialects.sse import EVENT_BYTES, EventFilter, ended, event_data, events_of, with_data


class DroppingFilter(EventFilter):
    """Drops the events that say so, and remembers the data of all."""

    def __init__(self, everything_matters: bool = True) -> None:
        super().__init__()
        self.everything_matters = everything_matters
        self.seen: list[bytes] = []
        self.passed_unwatched = 0
        self.unwatched_bytes = 0

    def skims(self, events: bytes) -> bool:
        return not self.everything_matters and b"drop" not in events

    def keeps(self, event: bytes, data: bytes | None) -> bool:
        assert event_data(event) == data
        if data is None:
            return True
        self.seen.append(data)
        self.closed = data == b"last"
        return b"drop" not in data

    def oversized(self) -> None:
        self.passed_unwatched += 1

    def unwatched(self, piece: bytes) -> None:
        self.unwatched_bytes += len(piece)


def lines_of(stream: bytes) -> Iterator[bytes]:
    """Each line with its ending, which is CR, LF or CRLF."""
    line = b""
    for place in range(len(stream)):
        line += stream[place : place + 1]
        if line[-1:] == b"\n" or (line[-1:] == b"\r" and stream[place + 1 : place + 2] != b"\n"):
            yield line
            line = b""
    if line:
        yield line


def events_by_line(stream: bytes) -> Iterator[bytes]:
    event = b""
    for line in lines_of(stream):
        event += line
        if not line.strip(b"\r\n"):
            yield event
            event = b""
    if event:
        yield event


def expectation(stream: bytes) -> tuple[bytes, list[bytes]]:
    """What passes the filter, and the data that it sees."""
    passed, seen = b"", []
    for event in events_by_line(stream):
        data = event_data(event)
        if data is not None:
            seen.append(data)
        if data is None or b"drop" not in data:
            passed += event
    return passed, seen


def fed(events: EventFilter, pieces: list[bytes]) -> list[bytes]:
    return [*(events.feed(piece) for piece in pieces), events.flush()]


STREAMS = {
    "LF": b'data: {"a":1}\n\ndata: drop\n\n: comment\n\nevent: x\nid: 7\ndata: one\ndata:two\n\ndata: [DONE]\n\n',
    "CRLF": b"data: a\r\n\r\ndata: drop\r\n\r\n: comment\r\n\r\ndata: one\r\ndata:two\r\n\r\ndata: [DONE]\r\n\r\n",
    "CR": b"data: a\r\rdata: drop\r\rdata: b\r\r",
    "mixed": b"data: a\r\n\ndata: drop\n\r\ndata: b\r\r\ndata: drop\r\r\n\ndata: c\n\r",
    "byte order mark": b"\xef\xbb\xbfdata: drop\n\ndata: a\n\n",
    "blank lines": b"\n\n\r\n\ndata: drop\n\n\n\r\ndata: a\n\n\n",
    "no last line ending": b"data: a\n\ndata: drop",
    "no last blank line": b"data: a\n\ndata: b\n",
    "ends in CR": b"data: a\r\n\r\ndata: drop\r\n\r",
    "UTF-8": "data: 服务网格 😀\n\ndata: é\n\n".encode(),
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
@pytest.mark.parametrize("everything_matters", [True, False])
def test_every_split_in_two(stream: bytes, everything_matters: bool) -> None:
    passed, seen = expectation(stream)
    for place in range(len(stream) + 1):
        events = DroppingFilter(everything_matters)
        assert b"".join(fed(events, [stream[:place], stream[place:]])) == passed
        if everything_matters:
            assert events.seen == seen


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_byte_by_byte(stream: bytes) -> None:
    events = DroppingFilter()
    passed = b"".join(fed(events, [stream[place : place + 1] for place in range(len(stream))]))
    assert (passed, events.seen) == expectation(stream)


LINES = st.lists(
    st.tuples(
        st.sampled_from(
            [b"", b"", b"data: a", b"data: drop", b"data:b", b"data", b": c", b"event: x", b"id"]
        ),
        st.sampled_from([b"\n", b"\r\n", b"\r"]),
    ),
    max_size=14,
)


@given(LINES, st.sampled_from([b"", b"data: end", b"data: drop"]), st.lists(st.integers(0, 120), max_size=8))
@example([(b"data: drop", b"\r\n"), (b"", b"\r\n")], b"", [13])
def test_any_stream_at_any_splits(lines: list[tuple[bytes, bytes]], tail: bytes, places: list[int]) -> None:
    stream = b"".join(text + ending for text, ending in lines) + tail
    cuts = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    events = DroppingFilter()
    given_back = fed(events, [stream[a:b] for a, b in pairwise(cuts)])
    passed, seen = expectation(stream)
    assert b"".join(given_back) == passed
    assert events.seen == seen
    for piece in given_back[:-1]:
        if piece:
            assert not list(lines_of(piece))[-1].strip(b"\r\n"), "it must end behind a blank line"


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_whole_event_is_given_back_at_once(ending: bytes) -> None:
    events = DroppingFilter()
    event = b"data: a" + ending * 2
    assert events.feed(event) == event
    assert events.feed(event + event[:4]) == event
    assert events.feed(event[4:] + event) == event * 2
    assert events.feed(b"") == b""


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_nothing_whole_is_held_back_at_any_two_splits(ending: bytes) -> None:
    stream = (b"data: a\nid: 1\n\n: c\n\ndata: b\ndata: c\n\ndata: d\n\n").replace(b"\n", ending)
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            events = DroppingFilter()
            given_back = events.feed(stream[:first]) + events.feed(stream[first:second])
            whole = [event for event in events_by_line(stream[:second]) if event.endswith(ending * 2)]
            assert given_back == b"".join(whole)


def test_whole_events_without_interest_are_not_copied() -> None:
    chunk = b"data: a\n\ndata: b\n\n"
    assert DroppingFilter(everything_matters=False).feed(chunk) is chunk


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1000, 65_536])
def test_an_event_beyond_the_limit_passes_unwatched(ending: bytes, size: int) -> None:
    blank = ending * 2
    huge = b"data: drop " + b"x" * (3 * EVENT_BYTES) + blank
    stream = b"data: a" + blank + huge + b"data: drop" + blank + b"data: b" + blank
    events = DroppingFilter()
    fed_bytes, given_back = 0, b""
    for place in range(0, len(stream), size):
        piece = stream[place : place + size]
        fed_bytes += len(piece)
        given_back += events.feed(piece)
        assert fed_bytes - len(given_back) <= EVENT_BYTES + size, "it holds back too much"
    given_back += events.flush()
    assert events.passed_unwatched == 2, "once for the event, and once for as much again"
    assert given_back == b"data: a" + blank + huge + b"data: b" + blank
    assert events.seen == [b"a", b"drop", b"b"]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_an_event_beyond_the_limit_may_have_many_lines(ending: bytes) -> None:
    huge = b"data: x" + b"x" * EVENT_BYTES + ending + b"data: drop" + ending * 2
    for place in range(EVENT_BYTES + 2, len(huge)):
        events = DroppingFilter()
        given_back = b"".join(fed(events, [huge[:place], huge[place:]]))
        watched = (b"", [b"x" * (EVENT_BYTES + 1) + b"\ndrop"])
        assert (given_back, events.seen) in (watched, (huge, []))


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_the_end_of_an_event_beyond_the_limit_is_found_at_every_split(ending: bytes) -> None:
    stream = (
        b"data: "
        + b"x" * (EVENT_BYTES + 10)
        + ending * 2
        + b"data: drop"
        + ending * 2
        + b"data: b"
        + ending * 2
    )
    for place in range(EVENT_BYTES + 7, len(stream)):
        events = DroppingFilter()
        given_back = b"".join(fed(events, [stream[:place], stream[place:]]))
        assert given_back == stream.replace(b"data: drop" + ending * 2, b"")
        assert events.seen[-2:] == [b"drop", b"b"]


def test_an_event_that_ends_where_it_grows_beyond_the_limit() -> None:
    events = DroppingFilter()
    huge = b"data: " + b"x" * EVENT_BYTES + b"\n\r"
    assert events.feed(huge) == huge
    assert events.feed(b"data: drop\n\n") == b""


def test_flush_starts_anew() -> None:
    events = DroppingFilter()
    events.feed(b"data: x")
    assert events.flush() == b"data: x"
    assert events.flush() == b""


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\r\n\r\n", b"a"),
        (b"data: a\r\r", b"a"),
        (b"data: a", b"a"),
        (b"event: x\ndata: a\nid: 1\ndata: b\n\n", b"a\nb"),
        (b"event: x\ndata: a\n\n", b"a"),
        (b"event: x\ndata: a\nid: 1\n\n", b"a"),
        (b"event: x data: a\n\n", None),
        (b"event: data: \ndata: a\n\n", b"a"),
        (b"data:a\ndata: b\n\n", b"a\nb"),
        (b"data\ndata: b\n\n", b"\nb"),
        (b"data: a\rdata: b\n\n", b"a\nb"),
        (b"data: a\nx", b"a"),
        (b"data: data: a\n\n", b"data: a"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        (b": data: a\n\n", None),
        (b"database: a\n\n", None),
        (b"Data: a\n\n", None),
        (b"\n", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert event_data(event) == data


def test_it_tells_when_the_beginning_of_an_event_went_out() -> None:
    events = DroppingFilter()
    within = []
    for piece in (b"data: a\n\n", b"data: " + b"x" * EVENT_BYTES, b"x\n\ndata: a"):
        events.feed(piece)
        within.append(events.within_event)
    assert within == [False, True, False]


@pytest.mark.parametrize("piece_bytes", [1000, EVENT_BYTES // 3, 3 * EVENT_BYTES])
def test_it_shows_every_piece_of_an_event_that_is_too_large(piece_bytes: int) -> None:
    events = DroppingFilter()
    huge = b"data: " + b"x" * (2 * EVENT_BYTES) + b"\n\n"
    stream = b"data: a\n\n" + huge + b"data: b\n\n"
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    assert b"".join(fed(events, pieces)) == stream
    # An event that comes in one piece is as good as one that was never held.
    assert events.unwatched_bytes == (len(huge) if len(pieces) > 1 else 0)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_nothing_passes_behind_the_last_event_at_every_split(ending: bytes) -> None:
    stream = b"data: a||data: last||: c||data: b||data: ".replace(b"||", ending * 2) + b"x" * (
        EVENT_BYTES + 1
    )
    passed = b"data: a||data: last||".replace(b"||", ending * 2)
    for place in range(len(passed) + 30):
        events = DroppingFilter()
        given_back = fed(events, [stream[:place], stream[place:]])
        assert b"".join(given_back) == passed
        assert events.passed_unwatched == 0


@given(LINES, st.sampled_from([b"", b"data: end"]))
def test_the_events_of_a_whole_stream(lines: list[tuple[bytes, bytes]], tail: bytes) -> None:
    stream = b"".join(text + ending for text, ending in lines) + tail
    assert list(events_of(stream)) == list(events_by_line(stream))


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        (b"data: a\n\n", b"data: x\n\n"),
        (b"data:a\r\n\r\n", b"data: x\r\n\r\n"),
        (b"data: a\r\r", b"data: x\r\r"),
        (b"data: a", b"data: x\n\n"),
        (b"id: 1\ndata: a\ndata: b\n: c\n\n", b"id: 1\n: c\ndata: x\n\n"),
        (b"\xef\xbb\xbfdata: a\n\n", b"data: x\n\n"),
    ],
)
def test_other_data_in_an_event(event: bytes, changed: bytes) -> None:
    assert with_data(event, b"x") == changed


def test_other_data_of_several_lines() -> None:
    assert with_data(b"data: a\n\n", b"x\ny") == b"data: x\ndata: y\n\n"


@pytest.mark.parametrize("whole", [b"data: a\n\n", b"data: a\r\n\r\n", b"data: a\r\r", b"", b"data: a\n\r\n"])
def test_an_event_with_its_blank_line_is_ended(whole: bytes) -> None:
    assert ended(whole) == whole


@pytest.mark.parametrize("part", [b"data: a", b"data: a\n", b"data: a\r\n", b"data: a\r"])
def test_an_event_without_its_blank_line_is_ended(part: bytes) -> None:
    assert ended(part).startswith(part)
    assert list(events_by_line(ended(part) + b"data: b\n\n")) == [ended(part), b"data: b\n\n"]
