"""W3C Trace Context: what is one, what is none, and that nothing is changed on the way."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.telemetry.trace_context import (
    LONGEST_STATE,
    MOST_MEMBERS,
    TraceContext,
    read_trace_context,
    traceparent_of,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01".encode()


@pytest.mark.parametrize(
    ("flags", "sampled"),
    [(b"00", False), (b"01", True), (b"02", False), (b"03", True), (b"ff", True), (b"fe", False)],
)
def test_flags_of_which_one_is_known(flags: bytes, sampled: bool) -> None:
    context = read_trace_context(HEADER[:-2] + flags, None)
    assert context == TraceContext(TRACE, PARENT, sampled)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        HEADER[:-1],
        HEADER + b"0",
        HEADER + b"-",
        HEADER + b"-00",
        b" " + HEADER,
        HEADER + b"\n",
        HEADER.upper(),
        HEADER.replace(b"4bf9", b"4BF9"),
        HEADER.replace(b"-", b"_"),
        HEADER.replace(b"4bf9", b"4bfg"),
        HEADER + b", " + HEADER,
        b"ff" + HEADER[2:],
        b"0" + HEADER[2:],
        f"00-{'0' * 32}-{PARENT}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        b"01" + HEADER[2:] + b"x",
        b"01" + HEADER[2:] + b"- ",
    ],
)
def test_what_is_none(header: bytes) -> None:
    assert read_trace_context(header, b"a=1") is None


@pytest.mark.parametrize("more", [b"", b"-", b"-what-the-future-brings", b"-\xc3"[:1]])
def test_a_later_version_is_read_as_far_as_it_is_known(more: bytes) -> None:
    assert read_trace_context(b"cc" + HEADER[2:] + more, b"a=1") == TraceContext(TRACE, PARENT, True, b"a=1")


def test_without_a_parent_there_is_no_state() -> None:
    assert read_trace_context(None, b"a=1") is None


@pytest.mark.parametrize(
    "state",
    [
        b"a=1",
        b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        b"a=1, b=2\t,\tc=3",
        b"a=1,,b=2,",
        b"fw529a3039@dt=FfQ8eT1,4ever@x=!\"#$%&'()*+-./:;<>?@[]^_`{|}~",
        b"a_-*/=blanks inside",
        b"a=" + b"v" * 256,
        b"k" * 256 + b"=1",
        b"t" * 241 + b"@" + b"s" * 14 + b"=1",
        b",".join(b"k%d=1" % number for number in range(MOST_MEMBERS)),
    ],
)
def test_state_goes_on_as_it_is(state: bytes) -> None:
    context = read_trace_context(HEADER, state)
    assert context is not None
    assert context.state == state


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b",",
        b" ",
        b"a",
        b"a=",
        b"=1",
        b"A=1",
        b"4a=1",
        b"a=1,a=2",
        b"a=1=2",
        b"a=\x7f",
        b"a=\xc3\xa4",
        b"a=1\n",
        b"a=" + b"v" * 257,
        b"k" * 257 + b"=1",
        b"t" * 242 + b"@s=1",
        b"t@" + b"s" * 15 + b"=1",
        b"a@b@c=1",
        b"@a=1",
        b"a@1=1",
        b",".join(b"k%d=1" % number for number in range(MOST_MEMBERS + 1)),
        b",".join(b"k%d=%b" % (number, b"v" * 250) for number in range(LONGEST_STATE // 250 + 1)),
    ],
)
def test_state_that_is_none_is_dropped_and_the_parent_stays(state: bytes) -> None:
    assert read_trace_context(HEADER, state) == TraceContext(TRACE, PARENT, True)


@given(
    st.integers(1, 2**128 - 1).map("{:032x}".format),
    st.integers(1, 2**64 - 1).map("{:016x}".format),
    st.booleans(),
)
def test_what_is_written_is_read(trace_id: str, span_id: str, sampled: bool) -> None:
    header = traceparent_of(trace_id, span_id, sampled=sampled)
    assert len(header) == 55
    assert read_trace_context(header, None) == TraceContext(trace_id, span_id, sampled)


@given(st.one_of(st.binary(max_size=80), st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{30,33}-[0-9a-f]{15,17}-..")))
@example(HEADER)
def test_nothing_is_taken_that_the_specification_has_not(header: bytes) -> None:
    context = read_trace_context(header, None)
    if context is not None:
        assert re.match(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-|\Z)", header)
        assert header[3:35].decode() == context.trace_id != "0" * 32
        assert header[36:52].decode() == context.span_id != "0" * 16


@given(st.binary(max_size=600))
def test_no_state_ends_a_line_or_breaks_the_parent(state: bytes) -> None:
    context = read_trace_context(HEADER, state)
    assert context is not None
    assert context.state in (b"", state)
    assert not set(context.state) & {*range(9), *range(10, 32), *range(127, 256)}
