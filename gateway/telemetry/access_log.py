"""The access log: one line of JSON for each finished exchange."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.telemetry.exchange_record import LONGEST_DETAIL, LONGEST_TEXT, ExchangeRecord
from gateway.telemetry.line_log import LineLog
from gateway.telemetry.safe_lines import TimeTexts


class AccessLog:
    """Turns records into lines."""

    def __init__(self, lines: LineLog, now: Callable[[], float]) -> None:
        """Make a log.

        :param lines: where they go.
        :param now: the time of day in seconds of Unix time: `time.time`.
        """
        self._lines = lines
        self._now = now
        self._times = TimeTexts()

    def write(self, record: ExchangeRecord) -> None:
        """Log one exchange that has ended.  Whatever happens to the output, this does not raise."""
        record.time = self._times.of(self._now())
        record.request_model = record.sent_model
        try:
            line = _encode(record)
        except UnicodeEncodeError:
            _replace_surrogates(record)
            line = _encode(record)
        if len(line) > _SURELY_SHORT and _cut(record):
            line = _encode(record)
        self._lines.write(line)


_encode = msgspec.json.Encoder().encode

_SURELY_SHORT = len(msgspec.json.encode(ExchangeRecord())) + LONGEST_TEXT
"""A line of no more bytes has no text to cut: looking at its length is cheaper than looking at each text."""


def _cut(record: ExchangeRecord) -> bool:
    """Keep the beginning of texts that are too long; tell whether there were any."""
    # One sum instead of a look at each: nearly always it is enough.
    if (
        len(record.request_id)
        + len(record.path)
        + len(record.host)
        + len(record.asked_model)
        + len(record.answered_model)
        + len(record.provider_request_id)
        + len(record.detail)
        <= LONGEST_TEXT
        and len(record.method) <= LONGEST_TEXT
        and len(record.sent_model) <= LONGEST_TEXT
    ):
        return False
    for name in _TEXTS:
        setattr(record, name, getattr(record, name)[:LONGEST_TEXT])
    record.detail = record.detail[:LONGEST_DETAIL]
    return True


_TEXTS = (
    "request_id",
    "method",
    "path",
    "host",
    "asked_model",
    "sent_model",
    "answered_model",
    "provider_request_id",
)


def _replace_surrogates(record: ExchangeRecord) -> None:
    """Put question marks for what cannot be UTF-8."""
    for name, value in msgspec.structs.asdict(record).items():
        if isinstance(value, str):
            setattr(record, name, value.encode(errors="replace").decode())
