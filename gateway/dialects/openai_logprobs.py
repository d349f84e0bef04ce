"""How probable the words of an event were, for those of the words that are left of it.

    {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}            chat
    {"tokens": […], "token_logprobs": […], "top_logprobs": […], "text_offset": […]}          completions

A token of which only the end is left keeps its figures, under the letters that are left: what stands there then still
spells the text.  Where the tokens do not spell it in the first place nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from gateway.dialects.envelope import Fields

_NULL = Raw(b"null")
_OF_COMPLETIONS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
"""Lists with one item for each token."""

_open = msgspec.json.Decoder(Fields).decode
_open_list = msgspec.json.Decoder(list[Raw]).decode
_open_tokens = msgspec.json.Decoder(list[Fields]).decode
_read_word = msgspec.json.Decoder(str).decode
_read_bytes = msgspec.json.Decoder(list[int] | None).decode
_encode = msgspec.json.Encoder().encode


def logprobs_of_rest(logprobs: Raw, said: str, left: str) -> Raw:
    """What an event says of its words, of the last of them only.

    :param said: the words of the event.
    :param left: their end; anything else has no tokens there.
    """
    if bytes(logprobs) == b"null":
        return logprobs
    if not said.endswith(left):
        return _NULL
    try:
        fields = _open(logprobs)
        if "tokens" in fields:
            return Raw(_encode(_of_completions(fields, said, left)))
        if bytes(fields.get("content", _NULL)) == b"null":
            return logprobs
        return Raw(_encode({**fields, "content": _of_chat(_open_tokens(fields["content"]), said, left)}))
    except (msgspec.MsgspecError, ValueError, KeyError):  # a look-alike's own way
        return _NULL


def _of_chat(tokens: Sequence[Fields], said: str, left: str) -> list[Fields]:
    spelled = [_spelled(token) for token in tokens]
    first, end = _first_left(spelled, said, left)
    kept = list(tokens[first:])
    if end is not None:
        kept[0] = {**kept[0], "token": _word(end)}
        if bytes(kept[0].get("bytes", _NULL)) != b"null":
            kept[0]["bytes"] = Raw(_encode(list(end)))
    return kept


def _spelled(token: Fields) -> bytes:
    """A token may be a part of a letter, which only `bytes` can tell."""
    told = _read_bytes(token["bytes"]) if "bytes" in token else None
    return bytes(told) if told is not None else _read_word(token["token"]).encode()


def _of_completions(fields: Fields, said: str, left: str) -> dict[str, Raw | list[Raw]]:
    tokens = _open_list(fields["tokens"])
    first, end = _first_left([_read_word(token).encode() for token in tokens], said, left)
    kept: dict[str, Raw | list[Raw]] = dict(fields)
    for name in _OF_COMPLETIONS:
        if bytes(fields.get(name, _NULL)).startswith(b"["):
            kept[name] = _open_list(fields[name])[first:]
    if end is not None:
        kept["tokens"] = [_word(end), *tokens[first + 1 :]]
    return kept


def _first_left(spelled: Sequence[bytes], said: str, left: str) -> tuple[int, bytes | None]:
    """The number of the first token of which something is left, and what, if that is not all of it.

    :raise ValueError: the tokens are not those of the words.
    """
    text = said.encode()
    if b"".join(spelled) != text:
        raise ValueError("the tokens do not spell the words")
    gone = len(text) - len(left.encode())
    for number, each in enumerate(spelled):
        if gone < len(each) or not gone:
            return number, each[gone:] if gone else None
        gone -= len(each)
    return len(spelled), None


def _word(spelled: bytes) -> Raw:
    """As OpenAI writes a token: what is no whole letter in escapes."""
    return Raw(_encode(spelled.decode(errors="backslashreplace")))
