"""Embeddings that mean nothing and are always the same: a hash of the text, brought to length one."""

from __future__ import annotations

import struct
from base64 import b64encode
from hashlib import shake_256
from math import sqrt

DEFAULT_DIMENSIONS = 16
"""Few enough to read in a terminal; real models have some 1,500."""


def embedding(text: str, dimensions: int) -> bytes:
    """The vector of this text: 32-bit floats, little-endian, as OpenAI's base64 form holds them."""
    hashed = shake_256(text.encode()).digest(4 * dimensions)
    # Halfway between two integers no coordinate is 0, so there always is a length to divide by.
    numbers = [number + 0.5 for number in struct.unpack(f"<{dimensions}i", hashed)]
    length = sqrt(sum(number * number for number in numbers))
    return struct.pack(f"<{dimensions}f", *(number / length for number in numbers))


def as_floats(vector: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))


def as_base64(vector: bytes) -> str:
    return b64encode(vector).decode()
