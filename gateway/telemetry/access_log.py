"""The access log: one line of JSON for each finished exchange."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.telemetry.exchange_record import LONGEST_DETAIL, LONGEST_TEXT, ExchangeNames, ExchangeRecord
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

    def write(self, names: ExchangeNames, record: ExchangeRecord) -> None:
        """Log one exchange that has ended.  Whatever happens to the output, this does not raise."""
        try:
            result = _encode(record)
        except UnicodeEncodeError:
            _replace_surrogates(record)
            result = _encode(record)
        if len(result) > _SURELY_SHORT and _cut(record):
            result = _encode(record)
        members = names.json or _write_members(names)
        time = self._times.of(self._now()).encode()
        self._lines.write(b"".join((b'{"time":"', time, b'",', members, b",", result[1:])))


_encode = msgspec.json.Encoder().encode

_SURELY_SHORT = len(msgspec.json.encode(ExchangeRecord())) + LONGEST_TEXT
"""A result of no more bytes has no text to cut: looking at its length is cheaper than looking at each text."""


def _write_members(names: ExchangeNames) -> bytes:
    """The members of the line for these names, kept for the next line."""
    members = msgspec.structs.asdict(names)
    del members["json"]
    for name, text in members.items():
        members[name] = _without_surrogates(text)[: _LONGEST_NAMES.get(name)]
    names.json = _encode(members)[1:-1]
    return names.json


_LONGEST_NAMES = dict.fromkeys(("method", "path", "host"), LONGEST_TEXT)
"""Those that clients write; the others are as long as the configuration makes them."""


def _cut(record: ExchangeRecord) -> bool:
    """Keep the beginning of texts that are too long; tell whether there were any."""
    cut = False
    for name, longest in _LONGEST_TEXTS.items():
        text = getattr(record, name)
        if len(text) > longest:
            setattr(record, name, text[:longest])
            cut = True
    return cut


_LONGEST_TEXTS = {
    **dict.fromkeys(
        (
            "request_id",
            "asked_model",
            "sent_model",
            "request_model",
            "answered_model",
            "provider_request_id",
        ),
        LONGEST_TEXT,
    ),
    "detail": LONGEST_DETAIL,
}


def _replace_surrogates(record: ExchangeRecord) -> None:
    for name, value in msgspec.structs.asdict(record).items():
        if isinstance(value, str):
            setattr(record, name, _without_surrogates(value))


def _without_surrogates(text: str) -> str:
    """The text with question marks for what cannot be UTF-8."""
    return text.encode(errors="replace").decode()
