"""The capture log: what clients of some tenants asked and were answered, redacted, one line of JSON an exchange.

Nobody is in it whose tenant does not ask for it, and nobody at all without `--capture-log`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.telemetry.line_log import LineLog
from gateway.telemetry.safe_lines import TimeTexts, safe_json


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
    request: str | None = None
    """The body that the client sent; None where it is not kept."""
    request_cut: bool = False
    """More was sent than is kept."""
    response: str | None = None
    """The body that it was answered, a stream's words joined; None where it is not kept, or there was none."""
    response_cut: bool = False
    time: str = ""
    """When the exchange ended."""


class CaptureLog:
    """Takes lines."""

    def __init__(self, lines: LineLog, now: Callable[[], float]) -> None:
        """Make a log.

        :param lines: which need not make them safe.
        :param now: seconds of Unix time.
        """
        self._lines = lines
        self._now = now
        self._times = TimeTexts()

    def time(self) -> str:
        """The time, as records have it."""
        return self._times.of(self._now())

    def write(self, line: bytes) -> None:
        """Log one exchange, as `line_of` has it.  Whatever happens to the output, this does not raise."""
        self._lines.write(line)

    def lose(self, reason: str) -> None:
        """Count an exchange that cannot be logged."""
        self._lines.lose(reason)


def line_of(record: CaptureRecord) -> bytes:
    """The line of one exchange; in any thread, and no other has to wait for long."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    texts = {name: msgspec.Raw(_text(text)) for name, text in fields.items() if isinstance(text, str)}
    return _encode(fields | texts)


_PIECE = 16 * 1024
"""Letters that are encoded at a time."""


def _text(text: str) -> bytes:
    pieces = (safe_json(_encode(text[at : at + _PIECE]))[1:-1] for at in range(0, len(text), _PIECE))
    return b'"%b"' % b"".join(pieces)


_encode = msgspec.json.Encoder().encode
