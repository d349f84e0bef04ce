"""Files that somebody is writing.

Who writes a file in place empties it first, and then writes it, in pieces if it is long.  What is seen between these
mostly does not parse, and the last good stays; but nothing at all is valid, and so is what ends between two
documents.  Therefore a file that seems to be unfinished counts as it was for a short time; if nothing more comes
until then, somebody has meant it, or the disk is full: it counts as it is, and as cut short, so that no tenant is
opened by what it does not say any more (`snapshot/doubts.py`).
"""

from __future__ import annotations

import os

from gateway.watcher.file_content import FileContent

GRACE_SECONDS = 0.5
"""Longer than a writer is kept from a busy processor, and short enough for who takes something away."""


def seems_unfinished(path: str, before: FileContent, now: FileContent) -> bool:
    """Tell whether a file that has changed may be in the middle of being written.

    It is the same file and holds only the beginning of what it held; nothing is a beginning, too.  Another file in
    its place was moved there and is complete, whatever it holds; but an editor that keeps the old one as a backup
    makes a new one, which is empty at first.  A link is never made before what it leads to.
    """
    if not before.content.startswith(now.content) or before.content == now.content:
        return False
    return before.identity == now.identity or not (now.content or os.path.islink(path))
