"""The one reference to the snapshot that new requests run on."""

from __future__ import annotations

from gateway.snapshot.snapshot import Snapshot


class CurrentSnapshot:
    """Holds the snapshot.  A request reads it once, at its head, and keeps what it got to its end."""

    __slots__ = ("snapshot",)

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        """None until the first configuration has been compiled.  Swapped by one assignment."""
