"""A provider's body that is compressed although nobody asked for it, made readable again."""

from __future__ import annotations

import zlib

MOST_BYTES = 16 * 1024 * 1024
"""Out of one read.  Sixty-four kilobytes of zeros can be made to say as many megabytes."""

_ANY_FORMAT = zlib.MAX_WBITS | 32
"""gzip or zlib, whatever the body begins with (zlib.net, `inflateInit2`)."""


class Inflating:
    """Opens a body of gzip or deflate, in pieces as it comes (RFC 9110 §8.4.1)."""

    __slots__ = ("_opener", "broken")

    def __init__(self) -> None:
        self._opener = zlib.decompressobj(_ANY_FORMAT)
        self.broken = False
        """It is not what it is said to be, or far too much of it.  Nothing more is given."""

    def feed(self, data: bytes) -> bytes:
        """What these bytes mean."""
        if self.broken:
            return b""
        try:
            opened = self._opener.decompress(data, MOST_BYTES)
        except zlib.error:
            opened, self.broken = b"", True
        if self._opener.unconsumed_tail:
            self.broken = True
        return opened


def is_readable(coding: bytes) -> bool:
    """Tell whether a body of this content coding can be opened."""
    return coding in (b"gzip", b"x-gzip", b"deflate")
