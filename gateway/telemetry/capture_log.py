"""The capture log: what clients of some tenants asked and were answered, redacted, one line of JSON an exchange.

Nobody is in it whose tenant does not ask for it, and nobody at all without `--capture-log`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.telemetry.line_log import LineLog
from gateway.telemetry.safe_lines import TimeTexts


class CaptureRecord(msgspec.Struct, gc=False):
    """What the capture log says of one exchange; the access log's line of the same request id says the rest."""

    request_id: str
    tenant: str
    client: str
    route: str
    rule: str
    provider: str
    model: str
    """As the provider is configured; empty where the client chooses."""
    outcome: str
    stream: bool
    request: str | None
    """The body that the client sent; None where it is not kept."""
    request_cut: bool
    """More was sent than is kept."""
    response: str | None
    """The body that it was answered, a stream's words joined; None where it is not kept, or there was none."""
    response_cut: bool
    time: str = ""
    """When the exchange ended; the log fills it in."""


class CaptureLog:
    """Turns records into lines."""

    def __init__(self, lines: LineLog, now: Callable[[], float]) -> None:
        """Make a log; the parameters are those of `AccessLog`."""
        self._lines = lines
        self._now = now
        self._times = TimeTexts()

    def write(self, record: CaptureRecord) -> None:
        """Log one exchange.  Whatever happens to the output, this does not raise."""
        record.time = self._times.of(self._now())
        self._lines.write(_encode(record))


_encode = msgspec.json.Encoder().encode
