"""An output of a log whose state a test decides."""

from __future__ import annotations

from gateway.telemetry.line_output import LineOutput, Turn


class FakeOutput(LineOutput):
    """An output whose state a test decides."""

    def __init__(self) -> None:
        self.path = "access.log"
        self._turn = Turn()
        self.written = b""
        self.writes = 0
        self.room: int | None = None
        self.error: OSError | None = None
        self.closed = False
        self.reopened = 0
        self.moved = False
        self.looks = 0

    def _write(self, data: bytes) -> int:
        self.writes += 1
        if self.error is not None:
            raise self.error
        taken = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= taken
        self.written += data[:taken]
        return taken

    def is_moved(self) -> bool:
        self.looks += 1
        return self.moved

    def reopen(self) -> None:
        self.reopened += 1
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True

    def lines(self) -> list[bytes]:
        return [line for line in self.written.splitlines() if line]
