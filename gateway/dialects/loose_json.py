"""JSON as providers write it: what strict readers refuse, and clients read all the same.

That is NaN and Infinity, as Python's servers write them; numbers beyond what a float holds; half of a surrogate pair,
from a server that cuts its text into UTF-16 units.  NaN and Infinity are read as null.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import msgspec

NOT_JSON = (msgspec.DecodeError, ValueError, RecursionError)
"""What is raised for what cannot be read."""

_MOST_BYTES = 2 * 1024 * 1024
"""Takes up to a tenth of a second, in which nobody else is served.  An event is held up to half of it."""

_LONGEST_NUMBER = 400
"""Digits: more than the largest float has.  Python refuses to read some thousands, for that takes long."""

_read = msgspec.json.Decoder().decode


def read_json(text: bytes) -> Any:
    """Read any JSON, strictly if that can be done, for that is fast.

    :raise: as in `NOT_JSON`.
    """
    try:
        return _read(text)
    except msgspec.DecodeError:
        return read_loosely(text)


def read_loosely(text: bytes) -> Any:
    """Read what has been refused already.

    :raise: as in `NOT_JSON`; at once for what has no end, as nearly all that is refused, and for what is too long.
    """
    if len(text) > _MOST_BYTES or not text.rstrip().endswith((b"}", b"]")):
        raise ValueError("it is too long, or cut off, or neither an object nor a list")
    return _decoder.decode(text.decode())


def loose_value_at(text: str, place: int) -> Any:
    """The value that begins at this place, whatever comes behind it.

    :raise: as in `NOT_JSON`.
    """
    return _decoder.raw_decode(text, place)[0]


def strictly(text: bytes) -> bytes:
    """Write what has been refused so that nobody refuses it.

    :raise: as in `NOT_JSON`.
    """
    said = _finite_decoder.decode(text.decode())
    return json.dumps(said, ensure_ascii=False).encode(errors="replace")


def _nothing(_constant: str) -> None:
    return None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if isfinite(number) else None


_decoder = json.JSONDecoder(parse_constant=_nothing, parse_int=_integer)
_finite_decoder = json.JSONDecoder(parse_constant=_nothing, parse_int=_integer, parse_float=_finite)
