"""What one exchange costs the gateway: the time of its own callbacks, and of nothing that it waits for."""

from __future__ import annotations

from gateway.telemetry.gen_ai_counts import ChunkTimes


class Effort:
    """Measures the callbacks of one exchange, one after the other.  Times are of the sweep's clock, in seconds.

    A callback begins with the read that brings it news and ends when what it makes of that is handed to a socket.
    """

    __slots__ = ("chunks", "since", "spent")

    def __init__(self, now: float | None = None) -> None:
        """Begin with the first callback, if there is one now."""
        self.since = now
        """When the callback at hand began; None between two."""
        self.spent = 0.0
        """Of those that have ended."""
        self.chunks: ChunkTimes | None = None
        """When something of an answer was read; None where nobody wants to know."""

    def begin(self, now: float) -> None:
        """A callback begins, perhaps within another one; that has ended then, but for what comes after this one."""
        if self.since is not None:
            self.spent += now - self.since
        self.since = now

    def pause(self, now: float) -> float:
        """It has ended, and perhaps the exchange before: how much it was so far."""
        if self.since is not None:
            self.spent += now - self.since
            self.since = None
        return self.spent
