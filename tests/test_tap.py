"""What an operator may say to `twistd llmgateway`, and how a mistake is answered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from twisted.application.service import Application, IService
from twisted.logger import ILogObserver, Logger, LogLevel, capturedLogs, formatEvent
from twisted.python import usage
from zope.interface.verify import verifyObject

from gateway import tap
from gateway.service.setup import GatewaySetup
from gateway.tap import DEFAULT_ADMIN, DEFAULT_LISTEN, Options, makeService
from gateway.telemetry.line_output import LineOutput
from tests.fakes.certificates import root


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf.d").mkdir()
    monkeypatch.chdir(tmp_path)


def said(*options: str) -> GatewaySetup:
    parsed = Options()
    parsed.parseOptions(options)
    return parsed.setup


def refusal(*options: str) -> str:
    """The one line with which the process ends."""
    with pytest.raises(SystemExit) as end:
        Options().parseOptions(options)
    line = end.value.code
    assert isinstance(line, str)
    assert "\n" not in line
    assert line.startswith("llmgateway: ")
    return line


def test_nothing() -> None:
    setup = said()
    assert setup.conf == Path("conf.d")
    assert [(each.name, each.description) for each in setup.listeners] == [("", DEFAULT_LISTEN)]
    assert setup.admin.description == DEFAULT_ADMIN
    assert setup.labels == {}
    assert (setup.root_namespace, setup.access_log) == ("istio-system", None)
    assert (setup.drain_delay, setup.drain_timeout, setup.strict) == (0.0, 30.0, False)


def test_what_is_reached_from_elsewhere_is_asked_for() -> None:
    assert DEFAULT_LISTEN.endswith("interface=127.0.0.1")
    assert DEFAULT_ADMIN.endswith("interface=127.0.0.1")


def test_listeners() -> None:
    setup = said(
        "--listen", "tcp:0", "--listen", "egress=tcp:0:interface=127.0.0.1", "-l", "a.b_c-1=unix:/run/x"
    )
    assert [(each.name, each.description) for each in setup.listeners] == [
        ("", "tcp:0"),
        ("egress", "tcp:0:interface=127.0.0.1"),
        ("a.b_c-1", "unix:/run/x"),
    ]


def test_tls_is_our_own(tmp_path: Path) -> None:
    """Twisted's `tls` takes a folder, and would find these to be the names of no options of its own."""
    root().write(tmp_path, "server")
    endpoint = "tls:0:certificate=server.pem:privateKey=server.key:clientCA=server.pem"
    (listener,) = said(f"--listen=mtls={endpoint}").listeners
    assert (listener.name, listener.description) == ("mtls", endpoint)
    assert listener.proves_clients
    assert not said("--listen=tcp:0").listeners[0].proves_clients


def test_everything_else() -> None:
    options = ["--admin=tcp:1", "--label", "istio=egress", "--label=a=b=c", "--label=empty="]
    options += ["--root-namespace=root", "--drain-delay=5", "--drain-timeout=0.5", "--strict"]
    setup = said(*options, "--access-log=access.log")
    assert setup.admin.description == "tcp:1"
    assert setup.labels == {"istio": "egress", "a": "b=c", "empty": ""}
    assert (setup.root_namespace, setup.drain_delay, setup.drain_timeout) == ("root", 5.0, 0.5)
    assert setup.strict
    assert setup.access_log is not None
    assert Path("access.log").exists()
    setup.access_log.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--conf=none"], ["--conf: none does not exist", "llmgateway init none"]),
        (["--conf=file"], ["--conf: file is not a directory"]),
        (["--listen=tcp:x"], ["--listen: tcp:x is no endpoint"]),
        (["--listen=nonsense:1"], ["--listen: nonsense:1 is no endpoint"]),
        (["--listen=ssl:0:privateKey=none.pem"], ["--listen: ssl:0:privateKey=none.pem is no endpoint"]),
        (["--listen=a=tcp:0", "--listen=a=tcp:0"], ["--listen: the name a is given twice"]),
        (["--listen=my apps=tcp:0"], ["--listen: a name has letters, digits", "unlike 'my apps'"]),
        (["--listen=8080"], ["--listen: 8080 is no endpoint: did you mean tcp:8080?"]),
        (["--listen=:8080"], ["did you mean tcp:8080?"]),
        (["--listen=10.0.0.1:8080"], ["did you mean tcp:8080:interface=10.0.0.1?"]),
        (["--admin=[::1]:9901"], [r"did you mean tcp6:9901:interface=\:\:1?"]),
        (["--admin=tcp:x"], ["--admin: tcp:x is no endpoint"]),
        (["--listen=tls:0"], ["--listen: tls:0 is no endpoint: certificate=PATH is missing"]),
        (
            ["--listen=a=tls:certificate=x"],
            ["--listen: tls:certificate=x is no endpoint: one port is wanted"],
        ),
        (
            ["--admin=tls:0:certificate=none.pem:privateKey=none.key"],
            ["--admin: tls:0:", " is no endpoint: certificate /", "none.pem cannot be read: No such file"],
        ),
        (["--label=x"], ["--label wants KEY=VALUE, not 'x'"]),
        (["--root-namespace=a b"], ["--root-namespace: 'a b' is not a tenant's name"]),
        (["--root-namespace="], ["--root-namespace: '' is not a tenant's name"]),
        (["--label==x"], ["--label wants KEY=VALUE"]),
        (
            ["--listen=systemd:domain=INET:name=clients"],
            ["--listen: systemd:domain=INET:name=clients: no such socket was inherited", "LISTEN_PID"],
        ),
        (["--admin=systemd:domain=INET:index=0"], ["--admin: systemd:domain=INET:index=0: no such socket"]),
        (["--drain-delay=soon"], ["--drain-delay wants a number of seconds"]),
        (["--drain-timeout=soon"], ["--drain-timeout wants a number of seconds, not 'soon'"]),
        (["--drain-timeout=-1"], ["--drain-timeout"]),
        (["--drain-timeout=nan"], ["--drain-timeout"]),
        (["--drain-timeout=inf"], ["--drain-timeout"]),
        (
            ["--access-log=none/access.log"],
            ["--access-log: none/access.log cannot be written", "No such file"],
        ),
        (["--unknown"], ["unknown"]),
        (["argument"], ["argument"]),
    ],
)
def test_a_mistake_is_one_line(options: list[str], words: list[str]) -> None:
    Path("file").touch()
    line = refusal(*options)
    for each in words:
        assert each in line


def test_the_service() -> None:
    options = Options()
    options.parseOptions([])
    verifyObject(IService, makeService(options))


def test_a_service_that_never_started_leaves_nothing_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    options = Options()
    options.parseOptions([])
    makeService(options)
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1


def in_twistd(twistd: Mapping[str, object], *options: str) -> Options:
    """The options as twistd has them parsed, below its own."""
    parsed = Options()
    parsed.parent = usage.Options()
    parsed.parent.update({"nodaemon": True, **twistd})
    parsed.parseOptions(options)
    return parsed


def test_the_log_goes_to_the_application(capfd: pytest.CaptureFixture[str]) -> None:
    application = Application("llmgateway")
    options = in_twistd({}, "--log-format", "json", "--log-level", "warn")
    makeService(options).setServiceParent(application)
    observer = application.getComponent(ILogObserver)
    log = Logger("gateway.test", observer=observer)
    log.info("not this")
    log.warn("but this")
    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "but this"


def test_a_log_of_an_operators_own() -> None:
    in_twistd({"logger": "some.factory"})
    with pytest.raises(SystemExit, match="no say where twistd has a --logger"):
        in_twistd({"logger": "some.factory"}, "--log-format", "json")


@pytest.mark.parametrize(
    ("option", "words"),
    [("--log-format=yaml", "text, json"), ("--log-level=loud", "debug, info, warn, error")],
)
def test_words_of_the_log(option: str, words: str) -> None:
    assert words in refusal(option)


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False), (0o600, False)])
def test_an_admin_token_that_everybody_can_read_is_warned_of(mode: int, warned: bool) -> None:
    token = Path("token")
    token.write_text("token-of-the-admin-port")
    token.chmod(mode)
    with capturedLogs() as events:
        said("--admin-token-file=token")
    told = ["every user of this machine can read token, which holds the admin token"] * warned
    assert [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn] == told


def test_the_capture_log_is_for_its_owner_alone() -> None:
    setup = said("--capture-log", "captured.log")
    assert setup.capture_log is not None
    setup.capture_log.close()
    assert Path("captured.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_capture_log_that_everybody_can_read_is_warned_of(mode: int, warned: bool) -> None:
    captured = Path("captured.log")
    captured.touch()
    captured.chmod(mode)
    with capturedLogs() as events:
        setup = said("--capture-log=captured.log")
    assert setup.capture_log is not None
    setup.capture_log.close()
    told = [
        "every user of this machine can read captured.log, which gets what is asked and answered"
    ] * warned
    assert [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn] == told


@pytest.mark.parametrize(
    ("access", "capture"),
    [("-", "-"), ("-", "/dev/stdout"), ("one.log", "one.log"), ("one.log", "link.log")],
)
def test_one_output_is_not_for_two(access: str, capture: str) -> None:
    Path("link.log").symlink_to("one.log")
    said_no = refusal(f"--access-log={access}", f"--capture-log={capture}")
    assert f"--capture-log: {capture} is where the access log goes" in said_no


@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_logs_take_turns_at_the_standard_output(path: str) -> None:
    options = in_twistd({}, f"--access-log={path}", "--capture-log=captured.log")
    own_lines, access_log, capture_log = (
        options.setup.own_lines,
        options.setup.access_log,
        options.setup.capture_log,
    )
    assert own_lines is not None
    assert access_log is not None
    assert capture_log is not None
    assert access_log.takes_turns_with(own_lines.output)
    assert not capture_log.takes_turns_with(own_lines.output)


def test_without_a_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: str) -> LineOutput:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(tap, "LineOutput", closed)
    with pytest.raises(SystemExit, match="there is none: --logfile"):
        in_twistd({})
