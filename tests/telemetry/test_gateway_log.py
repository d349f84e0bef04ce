"""The gateway's own log: text or JSON, from a level on, wherever twistd's options say."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python import log as legacy
from twisted.python import syslog
from twisted.python.logfile import LogFile
from zope.interface.verify import verifyObject

from gateway.messages import Secret
from gateway.telemetry import gateway_log as module
from gateway.telemetry.gateway_log import LONGEST_VALUE, gateway_log, logs_to_stdout
from gateway.telemetry.own_lines import OwnLines
from tests.fakes.outputs import FakeOutput

CANARY = "sk-canary-1234567890"
FOREGROUND: dict[str, Any] = {"nodaemon": True}
HOSTILE = "a\x1b[2Jb\x7fc\u202ed\x9be"


@frozen
class Plan:
    name: str
    key: bytes = field(repr=False)


class Logged:
    """Events that go to what twistd is told to log with."""

    def __init__(self, observer: ILogObserver) -> None:
        self.log = Logger("gateway.test", observer=observer)
        self.foreign = Logger("twisted.test", observer=observer)


class Written:
    """What has come to the standard output."""

    def __init__(self) -> None:
        self._output = FakeOutput()
        self._lines = OwnLines(self._output, Clock())

    def getvalue(self) -> str:
        return self._output.written.decode()

    def observer(self, log_format: str, level: str) -> ILogObserver:
        return gateway_log(FOREGROUND, log_format, level, self._lines)


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def json_log(written: Written) -> Logged:
    return Logged(written.observer("json", "debug"))


def lines(written: Written) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_it_is_what_twistd_wants(written: Written) -> None:
    verifyObject(ILogObserver, written.observer("text", "info"))


def test_a_line_of_json(json_log: Logged, written: Written) -> None:
    json_log.log.warn("{count} of {path}", count=3, path="conf.d", more=[{"a": None, "b": True}])
    (line,) = lines(written)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "warn",
        "namespace": "gateway.test",
        "message": "3 of conf.d",
        "fields": {"count": 3, "path": "conf.d", "more": [{"a": None, "b": True}]},
    }


def test_nothing_is_said_twice(json_log: Logged, written: Written) -> None:
    json_log.log.error("{problem}", problem="a.yaml:1: wrong", line=1)
    json_log.log.info("{count} changes: {_words}", count=1, _words="a added", changes=["a"])
    problem, change = lines(written)
    assert (problem["message"], problem["fields"]) == ("a.yaml:1: wrong", {"line": 1})
    assert (change["message"], change["fields"]) == ("1 changes: a added", {"count": 1, "changes": ["a"]})


def test_a_traceback_is_a_field_of_one_line(json_log: Logged, written: Written) -> None:
    try:
        raise ValueError("it broke\nin two lines")
    except ValueError:
        json_log.log.failure("an exchange failed", request_id="r1")
    (line,) = lines(written)
    assert (line["level"], line["message"]) == ("critical", "an exchange failed")
    assert line["fields"] == {"request_id": "r1"}
    assert "Traceback" in line["traceback"]
    assert "ValueError: it broke\nin two lines" in line["traceback"]


def test_no_terminal_acts_upon_it(json_log: Logged, written: Written) -> None:
    json_log.log.error("{text}\n{text}", text=HOSTILE)
    (line,) = lines(written)
    assert line["message"] == f"{HOSTILE}\n{HOSTILE}"
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", written.getvalue()) is None


def test_nor_upon_text(written: Written) -> None:
    Logged(written.observer("text", "info")).log.error("{text}", text=HOSTILE)
    assert r"[gateway.test#error] a\u001b[2Jb\u007fc\u202ed\u009be" in written.getvalue()
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", written.getvalue()) is None


def test_text_is_what_twisted_writes(written: Written) -> None:
    Logged(written.observer("text", "info")).log.info("three\nlines\nof it")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[gateway.test#info\] three\n\tlines\n\tof it\n",
        written.getvalue(),
    )


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["debug", "info", "warn", "error", "critical"]),
        ("info", ["info", "warn", "error", "critical"]),
        ("warn", ["warn", "error", "critical"]),
        ("error", ["error", "critical"]),
    ],
)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_from_a_level_on(written: Written, log_format: str, level: str, told: list[str]) -> None:
    logged = Logged(written.observer(log_format, level))
    for each in LogLevel.iterconstants():
        logged.log.emit(each, f"<{each.name}>")
    assert re.findall("<(.+?)>", written.getvalue()) == told


def test_a_secret_is_not_shown(json_log: Logged, written: Written) -> None:
    plan = Plan("a", CANARY.encode())
    json_log.log.error(
        "{key} {plan}", key=Secret(CANARY), plan=plan, plans=[plan], more={"key": Secret(CANARY)}
    )
    assert CANARY not in written.getvalue()
    assert "Plan(name='a')" in written.getvalue()


def test_a_traceback_does_not_show_what_variables_hold(json_log: Logged, written: Written) -> None:
    def fail(key: bytes) -> None:
        raise ValueError("no good")

    try:
        fail(CANARY.encode())
    except ValueError:
        json_log.log.failure("failed")
    assert CANARY not in written.getvalue()


def test_fields_of_others_are_left_out(json_log: Logged, written: Written) -> None:
    json_log.foreign.info("{a}", a=1, request="anything")
    (line,) = lines(written)
    assert (line["message"], "fields" in line) == ("1", False)


@pytest.mark.parametrize(("system", "namespace"), [({}, "-"), ({"system": "Port"}, "Port")])
def test_events_of_twisteds_first_kind(written: Written, system: dict[str, str], namespace: str) -> None:
    publisher = legacy.LogPublisher()
    publisher.addObserver(written.observer("json", "debug"))
    publisher.msg("started", 42, **system)
    (line,) = lines(written)
    assert (line["level"], line["namespace"], line["message"]) == ("info", namespace, "started 42")


@pytest.mark.parametrize(
    ("level", "told"), [("debug", ["course", "42", "ports", "broken"]), ("info", ["broken"])]
)
def test_what_twisted_does_is_a_detail(written: Written, level: str, told: list[str]) -> None:
    observer = written.observer("json", level)
    Logger("twisted.internet.base", observer=observer).info("course")
    publisher = legacy.LogPublisher()
    publisher.addObserver(observer)
    publisher.msg("42")
    Logger("twisted.scripts._twistd_unix.UnixAppLogger", observer=observer).info("ports")
    publisher.msg("broken", isError=True)
    assert [line["message"] for line in lines(written)] == told


def test_what_says_nothing_is_no_line(json_log: Logged, written: Written) -> None:
    json_log.log.info("")
    assert written.getvalue() == ""


def test_long_and_broken_texts(json_log: Logged, written: Written) -> None:
    json_log.log.info("so: {text}", text="x" * 10_000, half="a\ud800b")
    (line,) = lines(written)
    assert len(line["message"]) == len(line["fields"]["text"]) == LONGEST_VALUE
    assert line["fields"]["half"] == "a?b"


@pytest.fixture
def a_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leaves no file open, and signals as they were."""
    opened: list[LogFile] = []

    def open_log_file(path: str) -> LogFile:
        opened.append(LogFile.fromFullPath(path))
        return opened[-1]

    monkeypatch.setattr(module, "_open_log_file", open_log_file)
    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGUSR1, before)
    for file in opened:
        file.close()


@pytest.mark.usefixtures("a_process")
@pytest.mark.parametrize("options", [{"logfile": "own.log"}, {"logfile": "own.log", "nodaemon": True}])
def test_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    monkeypatch.chdir(tmp_path)
    Logged(gateway_log(options, "json", "info", None)).log.info("hello")
    assert json.loads((tmp_path / "own.log").read_text())["message"] == "hello"
    assert callable(signal.getsignal(signal.SIGUSR1))


@pytest.mark.usefixtures("a_process")
def test_a_daemons_file_unless_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Logged(gateway_log({}, "text", "info", None)).log.info("hello")
    assert "hello" in (tmp_path / "twistd.log").read_text()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"nodaemon": True}, True),
        ({"nodaemon": True, "logfile": "-"}, True),
        ({"nodaemon": True, "logfile": "own.log"}, False),
        ({"nodaemon": True, "syslog": True}, False),
        ({"nodaemon": True, "logger": "some.factory"}, False),
        ({}, False),
    ],
)
def test_who_logs_to_the_standard_output(options: dict[str, Any], expected: bool) -> None:
    assert logs_to_stdout(options) is expected


def test_a_daemon_has_no_standard_output() -> None:
    with pytest.raises(SystemExit, match="daemon"):
        logs_to_stdout({"logfile": "-"})


@pytest.mark.parametrize(
    ("log_format", "text"), [("text", "no\n\\u001b good"), ("json", '"message":"no\\n\\u001b good"')]
)
def test_to_syslog(monkeypatch: pytest.MonkeyPatch, log_format: str, text: str) -> None:
    said: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog.syslog, "openlog", lambda *_: None)
    monkeypatch.setattr(
        syslog.SyslogObserver,
        "syslog",
        lambda self, priority, line: said.append((priority, line)),
        raising=False,
    )
    Logged(gateway_log({"syslog": True, "prefix": "llm"}, log_format, "info", None)).log.warn("no\n\x1b good")
    assert {priority for priority, _ in said} == {4}
    assert text in "\n".join(line for _, line in said).replace("[gateway.test] ", "").replace("\t", "")
