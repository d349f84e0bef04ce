"""Bodies: what is refused, what is read, what a rewrite leaves alone."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.dialects.envelope import MEMBERS, Envelope, open_body
from gateway.errors import GatewayError


def refusal(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        open_body(body)
    assert caught.value.code == "invalid_body"
    assert caught.value.status == 400
    return caught.value


def opened(body: bytes) -> Envelope | None:
    """The envelope, or None where it is refused; any other exception escapes."""
    try:
        return open_body(body)
    except GatewayError:
        return None


REFUSED = {
    "empty": b"",
    "only blanks": b" \r\n\t",
    "array": b"[]",
    "null": b"null",
    "number": b"1",
    "string": b'"messages"',
    "form": b"model=a&stream=true",
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16 with mark": '{"a":1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "invalid UTF-8 in a value": b'{"a":"\xff"}',
    "invalid UTF-8 in a key": b'{"\xff":1}',
    "invalid UTF-8 in a nested key": b'{"a":[{"\xc3":1}]}',
    "overlong UTF-8": b'{"a":"\xc0\x80"}',
    "surrogate as UTF-8": b'{"a":"\xed\xa0\x80"}',
    "NaN": b'{"a":NaN}',
    "nested NaN": b'{"a":[{"b":NaN}]}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "trailing text": b'{"a":1}x',
    "trailing object": b'{"a":1}{}',
    "trailing NUL": b'{"a":1}\x00',
    "truncated": b'{"a":[1,2',
    "trailing comma": b'{"a":1,}',
    "comment": b'{"a":1/**/}',
    "single quotes": b"{'a':1}",
    "leading zero": b'{"a":01}',
    "bare point": b'{"a":1.}',
    "plus sign": b'{"a":+1}',
    "control character": b'{"a":"\n"}',
    "unknown escape": b'{"a":"\\x41"}',
    "lone high surrogate": b'{"a":"\\ud800 "}',
    "lone high surrogate at the end": b'{"a":"\\ud800"}',
    "lone low surrogate": b'{"a":"\\udc00"}',
    "nested lone surrogate": b'{"a":[{"b":"\\ud800\\u0041"}]}',
    "lone surrogate in a key": b'{"\\ud800":1}',
    "deep arrays": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and open": b'{"a":' + b"[" * 100_000,
    "deep stream options": b'{"stream_options":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_json_is_refused(body: bytes) -> None:
    assert refusal(body).param is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty; a JSON object is needed."),
        (b"[]", "The body must be a JSON object."),
        (b"\xef\xbb\xbf{}", "The body begins with a byte order mark; JSON has none."),
        (b'{"a":"\xff"}', "The body is not UTF-8 (byte 6)."),
        (b'{"a":NaN}', "The body is not valid JSON: invalid character (byte 5)."),
        (b'{"a":' * 100_000, "The body is nested too deeply."),
        (b'{"a":1,"a":2}', "`a` is given twice."),
    ],
)
def test_a_refusal_says_why(body: bytes, sentence: str) -> None:
    assert refusal(body).message == sentence


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"model":"a","model":"a"}', "model"),
        (b'{"mod\\u0065l":"allowed","model":"forbidden"}', "model"),
        (b'{"model":"allowed","\\u006d\\u006F\\u0064\\u0065\\u006C":"forbidden"}', "model"),
        (b'{"messages":[],"x":{},"messages":[{}]}', "messages"),
        (b'{ "stream" : true , "stream" : false }', "stream"),
        (b'{"\\"":1,"\\u0022":2}', '"'),
        (b'{"a\\/b":1,"a/b":2}', "a/b"),
        (b'{"":1,"":2}', ""),
        ('{"é":1,"\\u00e9":2}'.encode(), "é"),
        (b'{"stream_options":{"include_usage":true,"include_usage":false}}', "stream_options.include_usage"),
        (
            b'{"stream_options":{"include_usage":true,"include\\u005fusage":false}}',
            "stream_options.include_usage",
        ),
        # blanks that are as long as the member that the decoder lost
        (b'{"a":1,"a":1,"b": 1 }', "a"),
    ],
)
def test_a_member_named_twice_is_refused_in_any_spelling(body: bytes, param: str) -> None:
    assert refusal(body).param == param


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":{"model":1,"model":2},"b":{"model":3}}',
        b'{"model":"\\"model\\":1,\\"model\\":2"}',
        b'{"a":"}","b":"{\\"a\\":1","c":[",\\"a\\":"]}',
        b'{"mod\\u0065l":"a"}',
        b'{"Model":"a","model":"b"}',
        b'\n{\t"model" :\r"a" , "b":[ 1 , 2 ]}\n\n',
        b"{}",
        b" { } ",
    ],
)
def test_what_only_looks_like_a_repetition_is_not_one(body: bytes) -> None:
    assert len(open_body(body).fields) == len(json.loads(body))


def test_a_long_name_is_not_repeated_in_full() -> None:
    name = "n" * 10_000
    error = refusal(f'{{"{name}":1,"{name}":2}}'.encode())
    assert error.param == "n" * 100
    assert len(error.message) < 200


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("padding", [0, 100_000])
@pytest.mark.parametrize("within", ["", '"stream_options":'])
def test_only_so_many_members_are_opened(blank: str, padding: int, within: str) -> None:
    def body(members: int) -> bytes:
        text = f",{blank}".join(
            f'"{number}":"{"x" * padding if number == 0 else ""}"' for number in range(members)
        )
        return f"{{{within}{{{text}}}}}".encode() if within else f"{{{text}}}".encode()

    assert opened(body(MEMBERS)) is not None
    assert refusal(body(MEMBERS + 1)).message == f"The body has more than {MEMBERS} members."


@pytest.mark.parametrize("name", ['"a"', '"\\u0061"'])
def test_a_repetition_in_a_long_body_is_refused(name: str) -> None:
    body = f'{{"a":1,"messages":["{"x" * 100_000}"],{name}:2}}'.encode()
    assert refusal(body).param == "a"


@pytest.mark.parametrize("depth", [1, 50, 200])
def test_reasonable_nesting_is_accepted(depth: int) -> None:
    body = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    assert open_body(body).rewrite({"model": "m"}) == body[:-1] + b',"model":"m"}'


def test_recursion_never_escapes_however_full_the_stack_is() -> None:
    # Every depth around the guard's limit: some steps of opening go one frame deeper than others.
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 10):
        inner = b"[" * depth + b"]" * depth
        for body in (b'{ "a":' + inner + b"}", b'{"stream_options": {"a":' + inner + b"} }"):
            opened(body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":1}', "model"),
        (b'{"model":["a"]}', "model"),
        (b'{"stream":"true"}', "stream"),
        (b'{"stream":1}', "stream"),
        (b'{"stream_options":true}', "stream_options"),
        (b'{"stream_options":[]}', "stream_options"),
        (b'{"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
    ],
)
def test_wrong_types_of_what_is_read_are_refused(body: bytes, param: str) -> None:
    assert refusal(body).param == param


def test_what_is_read() -> None:
    envelope = open_body(
        b'{"messages":[],"model":"q\\u0077en","stream":true,"stream_options":{"include_usage":true}}'
    )
    assert envelope.model == "qwen"
    assert envelope.stream is True
    assert envelope.include_usage
    assert envelope.has_messages


@pytest.mark.parametrize("body", [b"{}", b'{"model":null,"stream":null,"stream_options":null}'])
def test_null_says_nothing(body: bytes) -> None:
    envelope = open_body(body)
    assert (envelope.model, envelope.stream, envelope.stream_options) == (None, None, None)
    assert not envelope.include_usage
    assert not envelope.has_messages
    assert not open_body(b'{"stream_options":{"include_usage":null}}').include_usage


@pytest.mark.parametrize(
    ("asked", "configured", "overrides", "sent"),
    [
        ("a", "b", True, "b"),
        ("a", "b", False, "a"),
        (None, "b", False, "b"),
        (None, "b", True, "b"),
        ("a", None, True, "a"),
        (None, None, True, None),
    ],
)
def test_the_model_to_send(
    asked: str | None, configured: str | None, overrides: bool, sent: str | None
) -> None:
    envelope = open_body(json.dumps({"model": asked}).encode())
    assert envelope.model_to_send(configured, overrides) == sent


def test_a_rewrite_without_changes_is_the_very_body() -> None:
    body = b' { "a" : 1 }\n'
    assert open_body(body).rewrite({}) is body


def test_a_rewrite_keeps_order_and_every_byte_of_other_values() -> None:
    body = (
        '{"temperature":1.0,"n":1e5,"big":123456789012345678901234567890,"model":"a",'
        '"esc":"\\u0041\\/é😀\\ud83d\\ude00","o":{ "b" : [1, 2 ],"a":-0.0E+1 },"model2":null}'
    ).encode()
    assert (
        open_body(body).rewrite({"model": 'q"é', "new": Raw(b"[1.50]")})
        == body.replace(b'"model":"a"', '"model":"q\\"é"'.encode()).removesuffix(b"}") + b',"new":[1.50]}'
    )


def test_a_rewrite_leaves_the_original_alone() -> None:
    envelope = open_body(b'{"model":"a"}')
    assert envelope.rewrite({"model": "b"}) == b'{"model":"b"}'
    assert envelope.rewrite({"model": "c"}) == b'{"model":"c"}'
    assert envelope.body == b'{"model":"a"}'


# Text that json can write as UTF-8; the first names make collisions likely.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.sampled_from(["a", "model", 'a":1,"b', "{", "\\", "/", "é"]) | TEXT
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 2, "\t"]),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]),
    }
)


def opened_unless_types_are_wrong(document: dict[str, object], body: bytes) -> Envelope | None:
    read = {"model": str, "stream": bool, "stream_options": dict}
    wrong = [name for name, type_ in read.items() if not isinstance(document.get(name), type_ | None)]
    if wrong:
        assert refusal(body).param in wrong
        return None
    return open_body(body)


@given(st.dictionaries(NAMES, VALUES, max_size=6), st.dictionaries(NAMES, VALUES, max_size=3), STYLES)
def test_a_rewritten_document_is_what_json_expects(
    document: dict[str, object], changes: dict[str, object], style: dict[str, object]
) -> None:
    body = json.dumps(document, **style).encode()  # type: ignore[arg-type]
    envelope = opened_unless_types_are_wrong(document, body)
    if envelope is not None:
        expected = {**document, **changes}
        rewritten = json.loads(envelope.rewrite({k: Raw(json.dumps(v).encode()) for k, v in changes.items()}))
        assert rewritten == expected
        assert list(rewritten) == list(expected)


def spelled(name: str, escaped: bool) -> str:
    if not escaped:
        return json.dumps(name)
    units = name.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2)) + '"'


@given(
    st.lists(st.tuples(NAMES, VALUES, st.booleans()), min_size=1, max_size=5),
    st.sampled_from(["", " ", "\n", " \t\r\n"]),
)
def test_members_are_counted_exactly(members: list[tuple[str, object, bool]], blank: str) -> None:
    members = [member for member in members if member[0] not in ("model", "stream", "stream_options")]
    text = f",{blank}".join(
        f"{spelled(name, escaped)}{blank}:{blank}{json.dumps(value)}" for name, value, escaped in members
    )
    body = f"{{{blank}{text}{blank}}}".encode()
    names = [name for name, _, _ in members]
    if len(set(names)) == len(names):
        assert list(open_body(body).fields) == names
    else:
        assert names.count(str(refusal(body).param)) > 1


@given(st.binary(max_size=60) | st.text('{}[]",:\\u01dabmodel \n', max_size=40).map(str.encode))
def test_whatever_comes_is_opened_or_refused(body: bytes) -> None:
    envelope = opened(body)
    if envelope is not None:
        assert list(json.loads(body)) == list(envelope.fields)
