from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answers import Answer, BrokenAnswerError, check_stream, delays_ns, sent_interval_ns, unframed
from bench.upstream import CHUNK, DONE, USAGE, framed

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(stamp: int) -> bytes:
    return CHUNK % b"%019d" % stamp


def body(*stamps: int) -> bytes:
    return b"".join(map(event, stamps)) + USAGE + DONE


def answer(*reads: bytes, times_ns: tuple[int, ...] | None = None) -> Answer:
    return Answer(reads, times_ns or tuple(range(len(reads))), 0)


@given(st.lists(st.binary(min_size=1, max_size=40)))
def test_chunks_are_put_together(chunks: list[bytes]) -> None:
    assert unframed(b"".join(map(framed, chunks)) + b"0\r\n\r\n") == b"".join(chunks)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"3\r\nabc\r\n",
        b"3\r\nabc\r\n0\r\n",
        b"3\r\nab",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"0\r\n\r\n!",
    ],
)
def test_a_chunked_body_that_is_not_whole_is_broken(broken: bytes) -> None:
    with pytest.raises(BrokenAnswerError):
        unframed(broken)


def test_an_answer_is_split_and_unframed() -> None:
    assert answer(HEAD + b"3\r\nabc\r\n", b"0\r\n\r\n").split()[1] == b"abc"
    assert answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").split()[1] == b"abc"


def test_an_error_is_shown_as_it_came() -> None:
    with pytest.raises(BrokenAnswerError, match=r"502 Bad Gateway(.|\n)*no such host"):
        answer(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 12\r\n\r\nno such host").split()


def test_a_whole_stream_passes() -> None:
    check_stream(body(1, 2, 3), 3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (event(1) + event(2), "instead of usage"),
        (event(1) + event(2) + DONE, "instead of usage"),
        (body(1), "1 events with content"),
        (body(1, 2, 3), "3 events with content"),
        (event(1) + b"data: {}\n\n" + body(2), "2 events with content, 5 in all"),
        (body(2, 1), "out of order"),
        (body(1, 1), "repeated"),
    ],
)
def test_a_stream_that_is_not_as_sent_is_broken(wrong: bytes, said: str) -> None:
    with pytest.raises(BrokenAnswerError, match=said):
        check_stream(wrong, 2)


def test_an_event_has_arrived_with_the_read_that_brought_its_content() -> None:
    first, second = framed(event(1000)), framed(event(2000))
    cut = second.index(b"2000") + 2
    came = answer(HEAD + first, second[:cut], second[cut:], times_ns=(1300, 2500, 2900))
    assert delays_ns(came) == [300, 900]


def test_the_interval_is_the_mean_of_what_was_sent() -> None:
    assert sent_interval_ns(body(1000, 2000, 4000)) == 1500
    assert sent_interval_ns(body(1000)) == 0
