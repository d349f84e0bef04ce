"""The names in conf.d and in tenants' folders, listed at most once for each time that they change."""

from __future__ import annotations

import os
import stat

from attrs import frozen

from gateway.watcher.file_content import (
    Identity,
    Signature,
    identity_of,
    settled_signature,
    signature_of,
)


@frozen
class Listing:
    """A folder as it was listed last."""

    identity: Identity
    names: tuple[str, ...]
    """In an order that does not depend on the file system; without those that begin with a dot."""
    swapped: str | None
    """The link that a mounted ConfigMap's files lead through, and that is replaced when it changes; None elsewhere."""
    signature: Signature | None
    """None where it was so fresh that only listing it again can tell whether it has changed."""


class NotAFolderError(NotADirectoryError):
    """There is something, and it is no folder."""


def list_folder(path: str, last: Listing | None) -> Listing:
    """List a folder, unless its times tell that nothing has come or gone since.

    :param last: the same folder as it was listed last; None lists it in any case.
    :raises NotAFolderError: where it is a file.
    :raises OSError: where it is not there or cannot be listed.
    """
    before = os.stat(path)
    if not stat.S_ISDIR(before.st_mode):
        raise NotAFolderError
    if last is not None and last.signature == signature_of(before):
        return last
    names = os.listdir(path)
    return Listing(
        identity_of(before),
        tuple(sorted(name for name in names if not name.startswith("."))),
        os.path.join(path, "..data") if "..data" in names else None,
        settled_signature(before, os.stat(path)),
    )
