"""What is done to the bytes of an answer that is otherwise as it should be."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

from attrs import evolve

from gateway.messages import Headers
from gateway.resources.drills import Drill
from gateway.simulator.bodies import LARGEST_WHOLE_BODY
from gateway.simulator.replies import Streamed, Whole
from gateway.simulator.steps import Begin, Blurt, End, Respond, Say, Step, Wait
from gateway.simulator.streaming import cut, stream_steps, whole_steps
from gateway.wire import responses

GARBAGE = b"\x16\x03\x01\x00\xff this is no HTTP \x00\xfe\r\n\r\n"

WRONG_BY = 10
"""Bytes by which a wrong Content-Length is wrong."""

_HEADER_BYTES = 4000
"""Of padding in one header, below what most parsers take."""


def steps_of(answer: Whole | Streamed, drill: Drill) -> Iterator[Step]:
    """The steps of an answer, with everything that the drill does to it."""
    answer = evolve(answer, headers=[*answer.headers, *_padding(drill), *_encoding(drill)])
    if isinstance(answer, Whole):
        if drill.gzip:
            answer = evolve(answer, body=gzip.compress(answer.body, mtime=0))
        # An error is no answer of the model's, which is what breaks are about.
        steps = whole_steps(answer, drill if answer.status == 200 else Drill())
    else:
        steps = stream_steps(answer, drill)
        if drill.gzip:
            steps = _compressed(steps)
        if drill.cut_after_bytes is not None:
            steps = _cut_after(steps, drill.cut_after_bytes, drill)
    if drill.content_length is not None:
        return _with_wrong_length(steps, WRONG_BY if drill.content_length == "longer" else -WRONG_BY)
    return steps if drill.trickle is None else _trickling(steps, drill.trickle)


def _padding(drill: Drill) -> Headers:
    left = drill.huge_headers or 0
    sizes = [_HEADER_BYTES] * (left // _HEADER_BYTES) + [left % _HEADER_BYTES]
    return [(b"x-padding-%d" % index, b"x" * size) for index, size in enumerate(sizes) if size]


def _encoding(drill: Drill) -> Headers:
    return [(b"content-encoding", b"gzip")] if drill.gzip else []


def _compressed(steps: Iterator[Step]) -> Iterator[Step]:
    """A stream compressed event by event, so that each can be read when it comes."""
    compressor = zlib.compressobj(wbits=31)  # gzip's framing, RFC 1952
    for step in steps:
        match step:
            case Say(data):
                packed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
                yield evolve(step, data=packed)
            case End():
                yield Say(compressor.flush())
                yield step
            case _:
                yield step


def _cut_after(steps: Iterator[Step], size: int, drill: Drill) -> Iterator[Step]:
    """A stream that is cut wherever that may be, at the latest before its last byte."""
    held: Say | None = None
    for step in steps:
        match step:
            case Say(data):
                if held:
                    yield held
                # The last byte is held back until there is another one, and with it what the event means.
                some, held = data[:-1][:size], evolve(step, data=data[-1:])
                if some:
                    yield Say(some)
                size -= len(data)
                if size < 0:
                    break
            case End():
                break
            case Wait():
                if held:
                    yield held
                    held = None
                yield step
            case _:
                yield step
    yield from cut(drill)


def _with_wrong_length(steps: Iterator[Step], by: int) -> Iterator[Step]:
    """The answer in one piece behind a head that is wrong about its length."""
    status, headers = 200, list[tuple[bytes, bytes]]()
    body = bytearray()
    for step in steps:
        match step:
            case Wait():
                yield step
            case Respond(status, headers, whole):
                body += whole
            case Begin(status, headers, _):
                pass
            case Say(data):
                body += data
            case _:
                pass
        if len(body) > LARGEST_WHOLE_BODY:
            break
    length = responses.length_line(max(len(body) + by, 0))
    yield Blurt(responses.head(status, headers, b"", length, b"") + body)


def _trickling(steps: Iterator[Step], seconds: float) -> Iterator[Step]:
    """The body byte by byte."""
    for step in steps:
        match step:
            case Respond(status, headers, body, asked, spoken, usage):
                yield Begin(status, headers, len(body), asked)
                yield from _bytes_of(Say(body, spoken, usage), seconds)
                yield End()
            case Say():
                yield from _bytes_of(step, seconds)
            case _:
                yield step


def _bytes_of(say: Say, seconds: float) -> Iterator[Step]:
    last = len(say.data) - 1
    for index in range(len(say.data)):
        yield Wait(seconds)
        byte = say.data[index : index + 1]
        yield Say(byte) if index < last else evolve(say, data=byte)
