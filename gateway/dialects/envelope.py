"""A JSON body opened one level deep, judged strictly, and put together again.

The gateway decides by what it reads here, and the provider reads the same bytes with another parser.  So
everything that two parsers may understand differently is refused: a key named twice (in any spelling, as
`"mod\\u0065l"`), bytes that are not UTF-8, a byte order mark, NaN and Infinity, lone surrogates, anything
behind the object (RFC 8259 §2, §4, §8).  Numbers are not read, hence not judged: they go out digit by digit
as they came.  Nesting may be as deep as the decoder's own guard lets it (some 900 levels on CPython 3.11,
more on later ones); nothing of ours recurses into it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import NoReturn, TypeVar

import msgspec
from msgspec import Raw

from gateway.errors import GatewayError

Fields = dict[str, Raw]
"""The members of an object in the order they came, values as they stand in the text."""

MEMBERS = 256
"""Members of the outermost object; OpenAI knows some forty."""

_SHORT_BYTES = 16 * 1024
"""Has at most some three thousand members, which are opened in a millisecond."""


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A request's body of which only the outermost members are known."""

    body: bytes
    """As it came."""
    fields: Fields
    model: str | None
    """What the client asked for; None where it did not say, or said null."""
    stream: bool | None
    """None where the client did not say, or said null."""
    stream_options: Fields | None
    """Opened likewise; None where the client did not say, or said null."""
    include_usage: bool
    """The client itself asked for the usage chunk (`stream_options.include_usage`)."""

    @property
    def has_messages(self) -> bool:
        """The body is a conversation, whatever path it was posted to."""
        return "messages" in self.fields

    def model_to_send(self, model: str | None, overrides: bool) -> str | None:
        """What the provider is asked for.

        :param model: the backend's; None leaves the client's.
        :param overrides: the backend's replaces the client's; else it only fills in.
        """
        return model if model is not None and (overrides or self.model is None) else self.model

    def rewrite(self, changes: Mapping[str, object]) -> bytes:
        """The body with these members set, in place where they stand already and at the end where not.

        Values may be `msgspec.Raw`, which go out as they are.  All other members keep their order and every
        byte of their values; blanks between members are not kept.  Without changes it is the very body.
        """
        return _encode({**self.fields, **changes}) if changes else self.body


def open_body(body: bytes) -> Envelope:
    """Open a request's body.

    :raise GatewayError: `invalid_body`, with `param` where one member is to blame.
    """
    try:
        return _opened(body)
    except RecursionError:
        _refuse("The body is nested too deeply.")


def _opened(body: bytes) -> Envelope:
    if not body.isascii():
        # The decoder skips over values without looking at their UTF-8.
        try:
            body.decode()
        except UnicodeDecodeError as error:
            _refuse(f"The body is not UTF-8 (byte {error.start}).")
    try:
        fields = _open_object(body)
    except msgspec.ValidationError:
        _refuse("The body must be a JSON object.")
    except msgspec.DecodeError as error:
        _refuse(_why_not_json(body, error))

    model = _read(fields, "model", _decode_model, "a string")
    stream = _read(fields, "stream", _decode_flag, "true or false")
    options = _open_stream_options(fields)
    include_usage = False
    if options:
        asked = _read(options, "include_usage", _decode_flag, "true or false", "stream_options.")
        include_usage = asked is True
    return Envelope(body, fields, model, stream, options, include_usage)


def _open_stream_options(fields: Fields) -> Fields | None:
    raw = fields.get("stream_options")
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return _open_object(raw, "stream_options.")
    except msgspec.ValidationError:
        _refuse("`stream_options` must be an object.", "stream_options")


def _open_object(text: bytes | Raw, within: str = "") -> Fields:
    """Open one object, refusing it where a member is named twice; the decoder silently keeps the last.

    Written out again, an object without blanks and without needless escapes is exactly as long as it was,
    and a lost member makes it shorter.  Where the lengths differ the members are looked at one by one; in a
    long text at once, because a dictionary of three million members takes seconds and a gigabyte.

    :param within: what to put before the name of a member to blame.
    :raise msgspec.DecodeError: it is not JSON; `msgspec.ValidationError`, not an object.
    """
    if len(text) <= _SHORT_BYTES:
        fields = _decode(text)
        if len(fields) <= MEMBERS and len(_encode(fields)) == len(text):
            return fields
    members = msgspec.json.decode(text, type=dict[_Member, Raw], dec_hook=_member_maker())
    fields = {member.name: raw for member, raw in members.items()}
    if len(fields) != len(members):
        names = Counter(member.name for member in members)
        name = (within + names.most_common(1)[0][0])[:100]
        _refuse(f"`{name}` is given twice.", name)
    return fields


class _Member:
    """A member's name where it stands, equal to no other: so a dictionary keeps every one of them."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _member_maker() -> Callable[[type, str], _Member]:
    numbers = count(1)

    def member(wanted: type, name: str) -> _Member:
        if next(numbers) > MEMBERS:
            _refuse(f"The body has more than {MEMBERS} members.")
        return _Member(name)

    return member


_decode = msgspec.json.Decoder(Fields).decode
_decode_model = msgspec.json.Decoder(str | None)
_decode_flag = msgspec.json.Decoder(bool | None)
_encode = msgspec.json.Encoder().encode

_Value = TypeVar("_Value")


def _read(
    fields: Fields, name: str, decoder: msgspec.json.Decoder[_Value], wanted: str, within: str = ""
) -> _Value | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        _refuse(f"`{within}{name}` must be {wanted}.", within + name)


def _why_not_json(body: bytes, error: msgspec.DecodeError) -> str:
    if not body.strip():
        return "The body is empty; a JSON object is needed."
    if body.startswith(b"\xef\xbb\xbf"):
        return "The body begins with a byte order mark; JSON has none."
    reason = str(error).removeprefix("JSON is malformed: ")
    return f"The body is not valid JSON: {reason[0].lower()}{reason[1:]}."


def _refuse(sentence: str, param: str | None = None) -> NoReturn:
    raise GatewayError("invalid_body", sentence, param=param) from None
