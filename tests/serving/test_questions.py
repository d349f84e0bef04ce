"""A request that somebody asks about: read from JSON, judged as the wire would."""

from __future__ import annotations

import msgspec
import pytest

from gateway.errors import GatewayError
from gateway.serving.questions import Question, question_of
from gateway.wire.limits import DownstreamLimits

LIMITS = DownstreamLimits()


def test_a_body_of_json_goes_byte_for_byte() -> None:
    question = question_of(b'{"host": "demo", "body": {"messages" : [ ],"n":1e400}}')
    assert question.content() == b'{"messages" : [ ],"n":1e400}'
    head = question.head(LIMITS)
    assert (head.method, head.host, head.path, head.body_length) == (
        b"POST", "demo", b"/v1/chat/completions", 28,
    )  # fmt: skip


def test_a_body_that_is_not_json() -> None:
    assert question_of('{"host": "demo", "data": "{ö"}'.encode()).content() == "{ö".encode()


def test_without_a_body_it_is_a_get() -> None:
    head = question_of(b'{"host": "Demo.:80", "path": "/v1/models?a=b"}').head(LIMITS)
    assert (head.method, head.host, head.path, head.query) == (b"GET", "demo", b"/v1/models", b"a=b")


def test_headers_of_one_line_and_of_several() -> None:
    head = question_of(b'{"host": "a", "headers": {"X-A": " one ", "x-b": ["1", "2"]}}').head(LIMITS)
    assert head.headers[:3] == [(b"x-a", b"one"), (b"x-b", b"1"), (b"x-b", b"2")]


def test_bytes_of_a_command_line_that_are_no_text() -> None:
    assert Question(host="a", data="\udcff").content() == b"\xff"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"path": "/"}', "missing required field `host`"),
        (b'{"host": 1}', "Expected `str`, got `int` - at `$.host`"),
        (b'{"host": "a", "hots": ""}', "unknown field `hots`"),
        (b'{"host": "a", "headers": {"a": 1}}', "$.headers[...]"),
        (b'{"host": "a", "data": "b", "body": {}}', "`body` and `data`"),
        (b"[]", "Expected `object`"),
        (b"", "not valid JSON"),
        (b'{"host": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "Expected `object`"),
        (b'{"host": "a", "body": ' + b"[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_question(text: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match="The question ") as refused:
        question_of(text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (Question(host="a b"), "malformed_request"),
        (Question(host="a", path="a"), "malformed_request"),
        (Question(host="a", path="/\udcff"), "malformed_request"),
        (Question(host="a", headers={"host": "b"}), "malformed_request"),
        (Question(host="a", headers={"x": "a\r\nb: c"}), "malformed_request"),
        (Question(host="a", headers={"x:y": ""}), "malformed_request"),
        (Question(host="a", headers={"": ""}), "malformed_request"),
        (Question(host="a", method="CONNECT"), "method_not_allowed"),
        (Question(host="a", headers={"x": ("",) * 100}), "headers_too_large"),
        (Question(host="a", data="x" * 1001), "body_too_large"),
    ],
)
def test_what_the_wire_refuses(question: Question, code: str) -> None:
    with pytest.raises(GatewayError) as refused:
        question.head(DownstreamLimits(body_bytes=1000))
    assert refused.value.code == code


def test_it_travels_as_json() -> None:
    for question in (
        Question(host="a"),
        Question(host="a", path="/x?y", method="PUT", headers={"a": ("1", "2")}, data="é", listener="l"),
    ):
        assert question_of(msgspec.json.encode(question)) == question
