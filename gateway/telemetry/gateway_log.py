"""The gateway's own log: what twistd's observer says, as text or as JSON, from a level on.

It goes where twistd's options say (`-n`, `--logfile`, `--syslog`); `--logger` takes all of it away from here.  A text
line is Twisted's own, but for control characters, which no terminal gets.  What Twisted tells of its own course counts
as `debug`, whatever level it gives it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO, cast

import msgspec
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    eventAsText,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from gateway.telemetry.line_output import STDOUT
from gateway.telemetry.own_lines import OwnLines
from gateway.telemetry.safe_lines import TimeTexts, safe_json, safe_text

FORMATS = ("text", "json")

LEVELS = ("debug", "info", "warn", "error")
"""Each with all that are behind it; `critical` is Twisted's word for a traceback, and never left out."""

LONGEST_VALUE = 2048
"""Characters of a field, and of a message, that are kept."""


def gateway_log(
    twistd: Mapping[str, Any], log_format: str, level: str, own_lines: OwnLines | None
) -> ILogObserver:
    """What twistd is to log with.

    :param twistd: its options.
    :param own_lines: the standard output, where `logs_to_stdout`.
    :raises OSError: where the file cannot be opened.
    """
    as_json = log_format == "json"
    observer: ILogObserver
    if own_lines is not None:
        observer = _Lines(own_lines, json_line if as_json else text_line)
    elif twistd.get("syslog"):
        observer = _Syslog(twistd.get("prefix") or "", json_line if as_json else message_lines)
    else:
        observer = FileLogObserver(_log_file(twistd), json_line if as_json else text_line)
    wanted: list[Any] = [LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(level))]
    if level != "debug":
        wanted.append(_unless_a_detail)
    return cast(ILogObserver, FilteringLogObserver(observer, wanted))


_FIRST_KIND = "log_legacy"
"""Twisted's namespace for events that were logged in its first way, which knew none."""

_OF_TWISTED = frozenset({_FIRST_KIND, "twisted.internet.base", "twisted.scripts._twistd_unix.UnixAppLogger"})
"""Who tells what Twisted itself does: that it starts and stops, and opens and closes each port."""


def _unless_a_detail(event: LogEvent) -> Any:
    is_detail = event.get("log_level") is LogLevel.info and event.get("log_namespace") in _OF_TWISTED
    return PredicateResult.no if is_detail else PredicateResult.maybe


def _namespace(event: LogEvent) -> str:
    """Who says it."""
    namespace = event.get("log_namespace")
    return str((event.get("log_system") if namespace == _FIRST_KIND else namespace) or "-")


def logs_to_stdout(twistd: Mapping[str, Any]) -> bool:
    """Tell whether twistd's options send its log to the standard output.

    :raises SystemExit: where they do so to a daemon.
    """
    if twistd.get("logger") or twistd.get("syslog") or _log_name(twistd) != STDOUT:
        return False
    if not twistd.get("nodaemon"):
        raise SystemExit("llmgateway: a daemon cannot log to the standard output: --logfile, or -n")
    return True


def _log_name(twistd: Mapping[str, Any]) -> str:
    """Of the file that twistd itself would write."""
    return twistd.get("logfile") or (STDOUT if twistd.get("nodaemon") else "twistd.log")


def _log_file(twistd: Mapping[str, Any]) -> TextIO:
    file: Any = _open_log_file(_log_name(twistd))
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda number, frame: _reactor().callFromThread(file.rotate))
    # FileLogObserver only writes and flushes, which a LogFile can.
    return cast(TextIO, file)


def _reactor() -> IReactorFromThreads:
    from twisted.internet import reactor

    return cast(IReactorFromThreads, reactor)


_open_log_file: Callable[[str], LogFile] = LogFile.fromFullPath


@implementer(ILogObserver)
class _Lines:
    """Tells the standard output."""

    def __init__(self, lines: OwnLines, as_lines: Callable[[LogEvent], str | None]) -> None:
        self._lines = lines
        self._as_lines = as_lines

    def __call__(self, event: LogEvent) -> None:
        text = self._as_lines(event)
        if text:
            self._lines.write(text)


@implementer(ILogObserver)
class _Syslog:
    """Tells syslog."""

    def __init__(self, prefix: str, as_text: Callable[[LogEvent], str | None]) -> None:
        # Here, because it is not to be had everywhere.
        from twisted.python import syslog

        observer: Any = syslog
        self._emit: Callable[[dict[str, object]], None] = observer.SyslogObserver(prefix).emit
        self._as_text = as_text

    def __call__(self, event: LogEvent) -> None:
        text = self._as_text(event)
        if text:
            self._emit(
                {
                    "message": (text.rstrip("\n"),),
                    "isError": 0,
                    "system": _namespace(event),
                    "syslogPriority": _PRIORITIES.get(event.get("log_level"), 6),
                }
            )


_PRIORITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
"""Of RFC 5424 §6.2.1; Twisted alone knows information and alarm."""


def message_lines(event: LogEvent) -> str | None:
    """What the event says, without when and who; None where it says nothing."""
    return safe_text(eventAsText(event, includeTimestamp=False, includeSystem=False)) or None


def text_line(event: LogEvent) -> str | None:
    """The event as Twisted writes it, with what a terminal acts upon escaped; None where it says nothing."""
    text = formatEventAsClassicLogText(event)
    return None if text is None else safe_text(text.rstrip("\n")) + "\n"


_times = TimeTexts()


def json_line(event: LogEvent) -> str | None:
    """The event as one line of JSON; None where it says nothing."""
    message = formatEvent(event)
    failure = event.get("log_failure")
    if not message and failure is None:
        return None
    level = event.get("log_level")
    line: dict[str, object] = {
        "time": _times.of(event["log_time"]),
        "level": level.name if level is not None else "info",
        "namespace": _namespace(event),
        "message": _plain(message),
    }
    fields = dict(_fields(event, message))
    if fields:
        line["fields"] = fields
    if isinstance(failure, Failure):
        line["traceback"] = failure.getTraceback().encode(errors="replace").decode()
    return safe_json(_encode(line)).decode() + "\n"


def _fields(event: LogEvent, message: str) -> Iterator[tuple[str, object]]:
    """What the caller has given, of the gateway's own events: of others nobody knows what may be told.

    What is all of the message says nothing more, nor does what begins with an underscore: it is other fields in words.
    """
    if not str(event.get("log_namespace")).startswith("gateway."):
        return
    for name, value in event.items():
        if name.startswith(("log_", "_")) or name in _LEGACY or value == message:
            continue
        yield name, _plain(value)


def _plain(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}
        case _:
            # Not taken apart: what a class hides in its repr is hidden here.
            return str(value)[:LONGEST_VALUE].encode(errors="replace").decode()


_LEGACY = ("message", "time", "system", "isError", "format", "failure", "why")
"""What Twisted adds to an event for observers of its first kind."""


_encode = msgspec.json.Encoder().encode
