"""The access log: one line of JSON for each finished exchange.

Lines are gathered and written a few times a second.  Nothing that happens to the file or pipe harms a
request: lines that cannot be written are dropped and counted, and the gateway's own log says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gateway.telemetry.line_output import LineOutput

LONGEST_TEXT = 256
"""Characters that are kept of what a client or a provider wrote."""

LONGEST_DETAIL = 1024
"""Characters that are kept of the operator's detail."""

FLUSH_SECONDS = 0.25
"""How long a line waits at most, if the output takes it."""

FLUSH_BYTES = 64 * 1024
"""Bytes that are written at once, without waiting for `FLUSH_SECONDS`."""

MOST_WAITING = 1024 * 1024
"""Bytes that may wait for a slow reader; further lines are dropped."""

COMPLAINT_SECONDS = 60.0
"""A failing output is mentioned in the gateway's log at most this often."""


class Tried(msgspec.Struct, frozen=True, gc=False):
    """One attempt, or a backend that was passed over.  No text in it is a client's or a provider's."""

    provider: str
    key: str
    """The key's name; empty for the only one."""
    outcome: str
    """As in `llmgateway_attempts_total`."""
    status: int | None
    seconds: float


class ExchangeRecord(msgspec.Struct, gc=False):
    """What the access log says of one exchange.  Serving fills it in as it learns more.

    Texts are empty and numbers None where there is nothing to say.  `docs/access-log.md` tells each field.
    """

    request_id: str = ""
    tenant: str = ""
    client: str = ""
    route: str = ""
    rule: str = ""
    provider: str = ""
    provider_host: str = ""
    method: str = ""
    path: str = ""
    """As the client sent it, its bytes as Latin-1; never with its query, where clients put keys."""
    host: str = ""
    peer: str = ""
    listener: str = ""
    code: int = 0
    """The status that the client saw; 499 where it left."""
    outcome: str = ""
    error: str = ""
    """A code of `gateway.errors.CODES`."""
    asked_model: str = ""
    """What the client wrote."""
    sent_model: str = ""
    """What the provider was asked for."""
    answered_model: str = ""
    """What the provider says has answered."""
    request_prompt_tokens: int | None = None
    request_completion_tokens: int | None = None
    stream: bool = False
    bytes_in: int = 0
    """Of the request's body."""
    bytes_out: int = 0
    """Of the answer's body."""
    duration_ms: float = 0.0
    time_to_head_ms: float | None = None
    """Until the answer's head was sent to the client."""
    attempts: int = 0
    tried: list[Tried] = []
    """Every attempt, in the order they ended."""
    provider_request_id: str = ""
    detail: str = ""
    """What only the operator should read; no secret."""
    time: str = ""
    """When the exchange ended; the log fills it in."""
    request_model: str = ""
    """ASM's name for `sent_model`; the log fills it in."""


class AccessLog:
    """Writes the lines."""

    _log = Logger()

    def __init__(self, output: LineOutput, reactor: IReactorTime, now: Callable[[], float]) -> None:
        """Make a log on an open output.

        :param now: the time of day in seconds of Unix time: `time.time`.
        """
        self.lines_dropped = 0
        """How many lines could not be written since the start."""
        self._output = output
        self._reactor = reactor
        self._now = now
        self._encode = msgspec.json.Encoder().encode
        self._second = -1.0
        self._second_text = ""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._stalled = False
        self._stopped = False
        self._flush_call: IDelayedCall | None = None
        self._next_complaint = 0.0

    def write(self, record: ExchangeRecord) -> None:
        """Log one exchange that has ended.  Whatever happens to the output, this does not raise."""
        if self._stopped:
            self.lines_dropped += 1
            return
        line = self._line(record)
        if self._waiting_bytes + len(line) > MOST_WAITING:
            self._dropped(1, _TOO_SLOW)
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= FLUSH_BYTES and not self._stalled:
            self.flush()
        elif self._flush_call is None:
            self._flush_call = self._reactor.callLater(FLUSH_SECONDS, self._flush_time)

    def _flush_time(self) -> None:
        self._flush_call = None
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the output takes it."""
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None
        data = b"".join(self._waiting)
        if not data:
            return
        try:
            rest = data[self._output.write(data) :]
            self._stalled = bool(rest)
        except OSError as error:
            # What was written of a line must not run into the next one.
            rest = b"\n" if self._output.within_line else b""
            self._stalled = False
            self._dropped(_lines(data), error.strerror or str(error))
        self._waiting = [rest] if rest else []
        self._waiting_bytes = len(rest)
        if self._stalled:
            self._flush_call = self._reactor.callLater(FLUSH_SECONDS, self._flush_time)

    def reopen(self) -> None:
        """Go on in a new file of the same name: a rotation has moved the old one away.  Never raises."""
        self.flush()
        try:
            self._output.reopen()
        except OSError as error:
            self._log.error(
                "The access log {path} cannot be opened anew, the old file stays in use: {reason}",
                path=self._output.path,
                reason=error.strerror,
            )

    def stop(self) -> None:
        """Write what waits, as far as the output takes it, and close it.  Later lines are dropped."""
        self.flush()
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None
            self._dropped(_lines(b"".join(self._waiting)), _TOO_SLOW)
        self._stopped = True
        self._output.close()

    def _line(self, record: ExchangeRecord) -> bytes:
        record.time = self._time()
        record.request_model = record.sent_model
        try:
            line = self._encode(record)
        except UnicodeEncodeError:
            _replace_surrogates(record)
            line = self._encode(record)
        if len(line) > _SURELY_SHORT:
            _cut(record)
            line = self._encode(record)
        if not line.isascii() or _DELETE in line:
            line = _UNSAFE.sub(_escaped, line.decode()).encode()
        return line + b"\n"

    def _time(self) -> str:
        """The time of day as RFC 3339 has it: UTC, with milliseconds."""
        now = self._now()
        second = now // 1
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return self._second_text + _MILLISECONDS[int((now - second) * 1000)]

    def _dropped(self, lines: int, reason: str) -> None:
        self.lines_dropped += lines
        now = self._reactor.seconds()
        if now >= self._next_complaint:
            self._next_complaint = now + COMPLAINT_SECONDS
            self._log.error(
                "The access log {path} cannot be written, {lines} lines are lost so far: {reason}",
                path=self._output.path,
                lines=self.lines_dropped,
                reason=reason,
            )


_TOO_SLOW = "its reader is too slow"

_LONGEST = {
    **dict.fromkeys(("request_id", "method", "path", "host"), LONGEST_TEXT),
    **dict.fromkeys(("asked_model", "sent_model", "answered_model", "provider_request_id"), LONGEST_TEXT),
    "detail": LONGEST_DETAIL,
}

_SURELY_SHORT = len(msgspec.json.encode(ExchangeRecord())) + LONGEST_TEXT
"""A line of no more bytes has no text to cut: looking at its length is cheaper than looking at each text."""

_MILLISECONDS = tuple(f".{number:03}Z" for number in range(1000))
"""Ready-made: formatting a number would be a tenth of a line's cost."""

_DELETE = b"\x7f"

_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What JSON lets stand and a terminal or a line reader acts upon: DEL and the C1 controls, line and paragraph
separators, marks that are not seen or that turn the direction of text."""


def _lines(data: bytes) -> int:
    """How many lines these bytes hold; a line break at their beginning ends an earlier one."""
    return data.removeprefix(b"\n").count(b"\n")


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _cut(record: ExchangeRecord) -> None:
    """Keep the beginning of texts that are too long."""
    for name, longest in _LONGEST.items():
        setattr(record, name, getattr(record, name)[:longest])


def _replace_surrogates(record: ExchangeRecord) -> None:
    """Put question marks for what cannot be UTF-8."""
    for name, value in msgspec.structs.asdict(record).items():
        if isinstance(value, str):
            setattr(record, name, value.encode(errors="replace").decode())
