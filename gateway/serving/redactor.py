"""Has what was gathered of exchanges redacted, in a thread and one after the other, and logs it.

That takes a millisecond or some for each.  RE2 runs beside the reactor meanwhile, and the rest is done in pieces of
some tenths of one, between which the reactor goes on.  What comes faster waits, as far as there is room.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.policy.redacting.allowance import Allowance
from gateway.policy.redacting.content import MARGIN_BYTES, Content, kept
from gateway.serving.capturing import Gathered
from gateway.serving.in_thread import InThread
from gateway.telemetry.capture_log import CaptureLog, line_of

TOGETHER_BYTES = 32 * 1024
"""Of small exchanges that the thread is given together: to hand one over costs as much as to redact 8 KiB."""

MOST_WAITING = 16 * 1024 * 1024
"""Bytes that wait to be redacted."""

STOP_SECONDS = 5.0
"""What has not been begun so long after the gateway was to stop is lost."""

_TOO_MUCH = "more is to be redacted than there is time for"

_log = Logger()


class Redactor:
    """Redacts and logs."""

    def __init__(
        self, log: CaptureLog, in_thread: InThread, seconds: Callable[[], float] = time.perf_counter
    ) -> None:
        """Make one.

        :param seconds: the time of some clock, in any thread.
        """
        self.log = log
        """Where it goes."""
        self._in_thread = in_thread
        self._seconds = seconds
        self._waiting: deque[Gathered] = deque()
        self._waiting_bytes = 0
        self._working = False
        self._stopped: Deferred[None] | None = None
        self._stop_at = float("inf")

    def take(self, gathered: Gathered) -> None:
        """Have this exchange logged, when its turn comes."""
        if self._waiting_bytes + gathered.size > MOST_WAITING:
            self.log.lose(_TOO_MUCH)
            return
        self._waiting.append(gathered)
        self._waiting_bytes += gathered.size
        if not self._working:
            self._go_on()

    def stop(self) -> Deferred[None]:
        """Tell when all is logged that can be soon."""
        if not self._working:
            return succeed(None)
        self._stop_at = self._seconds() + STOP_SECONDS
        self._stopped = Deferred()
        return self._stopped

    def _go_on(self) -> None:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and size + self._waiting[0].size <= TOGETHER_BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        self._waiting_bytes -= size
        self._working = True
        self._in_thread(lambda: [_line(gathered, self._seconds) for gathered in batch]).addBoth(
            self._redacted
        )

    def _redacted(self, lines: list[bytes | Failure] | Failure) -> None:
        self._working = False
        for line in [lines] if isinstance(lines, Failure) else lines:
            if isinstance(line, Failure):
                _log.failure("an exchange cannot be redacted, and is not kept", line)
                self.log.lose("it cannot be redacted")
            else:
                self.log.write(line)
        if self._seconds() >= self._stop_at:
            while self._waiting:
                self._waiting.popleft()
                self.log.lose(_TOO_MUCH)
        if self._waiting:
            self._go_on()
        elif self._stopped is not None:
            self._stopped.callback(None)


def _line(gathered: Gathered, seconds: Callable[[], float]) -> bytes | Failure:
    """The line of one exchange."""
    try:
        return _redacted(gathered, seconds)
    except Exception:
        return Failure()  # type: ignore[no-untyped-call]


def _redacted(gathered: Gathered, seconds: Callable[[], float]) -> bytes:
    looked_for, most, record = gathered.looked_for, gathered.most, gathered.record
    allowance = Allowance(seconds)
    if gathered.request is not None:
        record.request, record.request_cut = kept(gathered.request, most, looked_for, allowance)
    response = gathered.response
    if response is not None:
        if not isinstance(response, Content):
            data = _encode(response.whole())
            response = Content(data[: most + MARGIN_BYTES], len(data), texts_cut=response.cut)
        record.response, record.response_cut = kept(response, most, looked_for, allowance)
    return line_of(record)


_encode = msgspec.json.Encoder().encode
