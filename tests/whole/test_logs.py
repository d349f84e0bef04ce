"""What a running gateway writes: its own log, the access log and its rotation, and what tenants want kept."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from select import select
from typing import Any, Self

import pytest

from tests.whole.documents import documents, route, rule, simulated
from tests.whole.running import ANY_PORT, PATIENCE, TWISTD, Gateway, wait_until

HOST = "sim.example"
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
PLAIN = documents(simulated(HOST))


def capturing(**capture: Any) -> str:
    spec = {"capture": {"request": True, "response": True, **capture}}
    tenant = {
        "apiVersion": "llmgateway.dev/v1",
        "kind": "Tenant",
        "metadata": {"name": "default"},
        "spec": spec,
    }
    return documents(simulated(HOST), tenant)


def post(connection: HTTPConnection, path: str, host: str, body: object, request_id: str = "r") -> int:
    """The answer's status, once all of it has come."""
    headers = {"Host": host, "X-Request-Id": request_id}
    connection.request("POST", path, body=json.dumps(body), headers=headers)
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


def ask(gateway: Gateway, request_id: str = "r", **more: Any) -> None:
    with closing(HTTPConnection(gateway.address, timeout=20)) as connection:
        assert post(connection, "/v1/chat/completions", HOST, {**HELLO, **more}, request_id) == 200


def logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ids(path: Path) -> list[str]:
    return [line["request_id"] for line in logged(path)]


def is_logged(path: Path, request_id: str) -> bool:
    return request_id in ids(path)


# -- the gateway's own log ---------------------------------------------------------------------------------


def test_every_line_is_json(tmp_path: Path) -> None:
    """Twisted's too, and those of a configuration that is wrong."""
    with Gateway(tmp_path, {"a.yaml": PLAIN}, "--log-format=json", "--log-level=debug") as gateway:
        ask(gateway)
        gateway.write({"b.yaml": "kind: ["})
        gateway.wait_for_log("go(es)? on with its last good")
        gateway.stop()
        gateway.wait_for_log("Server Shut Down")
        lines = [json.loads(line) for line in gateway.log.splitlines()]
    assert all({"time", "level", "namespace", "message"} <= line.keys() for line in lines)
    (listens,) = [line for line in lines if "listens on" in line["message"]]
    assert listens["fields"]["addresses"] == gateway.address
    assert listens["level"] == "info"
    (error, *_) = [line for line in lines if line["level"] == "error"]
    assert (error["fields"]["file"], error["fields"]["line"]) == ("conf.d/b.yaml", 2)
    assert {"debug", "info", "warn", "error"} >= {line["level"] for line in lines}


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_request_is_not_worth_a_line(tmp_path: Path, level: str) -> None:
    with Gateway(tmp_path, {"a.yaml": PLAIN}, f"--log-level={level}") as gateway:
        before = gateway.log
        for number in range(5):
            ask(gateway, str(number), stream=number % 2 == 0)
        gateway.admin("/metrics")
        assert gateway.log == before


def test_a_level_leaves_out_what_is_below(tmp_path: Path) -> None:
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (conf / "a.yaml").write_text("kind: [")
    command = [
        str(TWISTD),
        "-n",
        "--pidfile=",
        "llmgateway",
        f"--listen={ANY_PORT}",
        f"--admin={ANY_PORT}",
        "--strict",
    ]
    ended = subprocess.run(
        [*command, "--log-level=error"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 1
    assert [line for line in told if "#error]" in line]
    assert not [line for line in told if "#info]" in line or "#warn]" in line]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_twistds_own_file(tmp_path: Path, log_format: str) -> None:
    """`--logfile` is what it was, and SIGUSR1 rotates it as well as the access log."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.yaml").write_text(PLAIN)
    own, access = tmp_path / "own.log", tmp_path / "access.log"
    command = [str(TWISTD), "-n", "--pidfile=", "--logfile=own.log", "llmgateway"]
    command += [f"--listen={ANY_PORT}", f"--admin={ANY_PORT}", "--access-log=access.log"]
    process = subprocess.Popen([*command, f"--log-format={log_format}"], cwd=tmp_path)
    try:
        wait_until(lambda: own.exists() and "listens on" in own.read_text())
        access.rename(tmp_path / "access.log.1")
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: access.exists() and (tmp_path / "own.log.1").exists())
        assert "listens on" in (tmp_path / "own.log.1").read_text()
        process.terminate()
        assert process.wait(20) == 0
        assert "llmgateway has stopped" in own.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_log_of_an_operators_own(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    command = [str(TWISTD), "-n", "--pidfile=", "--logger=twisted.logger.LogPublisher", "llmgateway"]
    ended = subprocess.run(
        [*command, "--log-format=json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "--log-format and --log-level have no say where twistd has a --logger" in ended.stderr


# -- the access log ----------------------------------------------------------------------------------------


def test_a_rotation_without_a_signal(tmp_path: Path) -> None:
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    with Gateway(tmp_path / "run", {"a.yaml": PLAIN}, f"--access-log={log}") as gateway:
        ask(gateway, "before")
        wait_until(lambda: is_logged(log, "before"))
        log.rename(moved)
        numbers = iter(range(1000))

        def asked_again() -> bool:
            ask(gateway, f"after-{next(numbers)}")
            return log.exists()

        wait_until(asked_again)
        gateway.stop()
    assert ids(moved)[0] == "before"
    told = ids(moved) + ids(log)
    assert told == ["before", *(f"after-{number}" for number in range(len(told) - 1))]
    assert stat.S_IMODE(log.stat().st_mode) & 0o137 == 0


def test_a_rotation_with_a_signal_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with Gateway(tmp_path / "run", {"a.yaml": PLAIN}, f"--access-log={log}") as gateway:
        for number in range(60):
            ask(gateway, str(number))
            if number % 20 == 10:
                log.rename(tmp_path / f"access.log.{number}")
                gateway.process.send_signal(signal.SIGUSR1)
                wait_until(log.exists)
        gateway.stop()
    files = [*(tmp_path / f"access.log.{number}" for number in (10, 30, 50)), log]
    assert [each for path in files for each in ids(path)] == [str(number) for number in range(60)]


def test_a_full_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Its reader has gone to sleep: requests go on, lines are dropped and counted, and what arrives is whole."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    conf = {"a.yaml": PLAIN}
    try:
        with Gateway(tmp_path / "run", conf, f"--access-log={path}", "--log-format=json") as gateway:
            with closing(HTTPConnection(gateway.address, timeout=20)) as connection:
                longest = 0.0

                def dropped() -> bool:
                    nonlocal longest
                    for _ in range(50):
                        began = time.monotonic()
                        post(connection, f"/{'x' * 250}", "nobody.example", HELLO)
                        longest = max(longest, time.monotonic() - began)
                    return gateway.count("llmgateway_access_log_lines_dropped_total") > 0

                wait_until(dropped, within=60)
            assert longest < 2
            gateway.wait_for_log('"noun":"access log"')
            *lines, _ = os.read(reader, 1 << 20).splitlines()
            assert lines
            for line in lines:
                json.loads(line)
    finally:
        os.close(reader)


class Asleep:
    """A gateway whose standard output and error are one pipe, which is read when a test wants it, and only then."""

    def __init__(self, folder: Path, conf: str, *options: str) -> None:
        (folder / "conf.d").mkdir(parents=True)
        (folder / "conf.d" / "a.yaml").write_text(conf)
        self._reader, writer = os.pipe()
        command = [
            str(TWISTD),
            "-n",
            "--pidfile=",
            "llmgateway",
            f"--listen={ANY_PORT}",
            f"--admin={ANY_PORT}",
        ]
        self.process = subprocess.Popen([*command, *options], cwd=folder, stdout=writer, stderr=writer)
        os.close(writer)
        self.read = b""
        while not (listens := re.search(rb"listens on ([\d.:]+), admin on ([\d.:]+)", self.read)):
            self.read += os.read(self._reader, 65536)
        self.address, self.admin_address = (each.decode() for each in listens.groups())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._reader)

    def ask_until_lines_are_lost(self, path: str, host: str, body: object) -> float:
        """How long the longest of all these requests took, and of the questions whether the gateway is alive."""
        longest = 0.0
        with closing(HTTPConnection(self.address, timeout=10)) as connection:
            while not self.lost():
                for _ in range(100):
                    began = time.monotonic()
                    post(connection, path, host, body)
                    longest = max(longest, time.monotonic() - began)
        return longest

    def lost(self) -> int:
        with closing(HTTPConnection(self.admin_address, timeout=10)) as admin:
            admin.request("GET", "/metrics")
            text = admin.getresponse().read().decode()
        found = re.findall(r"(?m)^llmgateway_(?:access_|capture_)?log_lines_dropped_total (\S+)", text)
        return int(sum(map(float, found)))

    def wake_up(self, *, until: bytes) -> list[bytes]:
        """All lines that were written, after this one has come."""
        while until not in self.read or not self.read.endswith(b"\n"):
            assert select([self._reader], [], [], PATIENCE)[0], self.read[-1000:]
            data = os.read(self._reader, 4000)
            assert data, self.read[-1000:]
            self.read += data
        return self.read.splitlines()


@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_a_reader_of_everything_that_has_gone_to_sleep(tmp_path: Path, path: str) -> None:
    """The own log has the same pipe: what it has to say, above all of lines that are lost, waits as well."""
    options = (f"--access-log={path}", "--log-format=json")
    with Asleep(tmp_path, PLAIN, *options) as gateway:
        assert gateway.ask_until_lines_are_lost(f"/{'x' * 250}", "nobody.example", HELLO) < 2
        for number in range(1500):  # more than waits
            (tmp_path / "conf.d" / f"{number}.yaml").write_text("kind: [")
        gateway.process.send_signal(signal.SIGHUP)
        before = gateway.lost()
        wait_until(lambda: gateway.lost() > before, within=60)
        lines = [json.loads(line) for line in gateway.wake_up(until=b"is written again")]
    told = [line["message"] for line in lines if "message" in line]
    assert any("cannot be written" in each and "its reader is too slow" in each for each in told)
    assert any("lines of this log that could not be written" in each for each in told)
    assert sum("request_id" in line for line in lines) > 1000


def test_long_lines_and_short_ones_on_one_pipe(tmp_path: Path) -> None:
    """Of a long line a part may be written, and then the rest comes next, whoever else has something to say."""
    options = ("--capture-log=-", "--log-format=json")
    asked = {"messages": [{"role": "user", "content": "long " * 8000}]}
    with Asleep(tmp_path, capturing(), *options) as gateway:
        with closing(HTTPConnection(gateway.address, timeout=10)) as connection:
            for number in range(10):
                post(connection, "/v1/chat/completions", HOST, asked, str(number))
                gateway.process.send_signal(signal.SIGHUP)
                time.sleep(0.2)
        lines = [json.loads(line) for line in gateway.wake_up(until=b'"request_id":"9"')]
    assert sum("nothing has changed" in line.get("message", "") for line in lines) > 1
    assert [len(line["request"]) > 40_000 for line in lines if "request" in line] == [True] * 10


def test_who_never_wakes_up_holds_up_no_stop(tmp_path: Path) -> None:
    with Asleep(tmp_path, PLAIN, "--access-log=-") as gateway:
        gateway.ask_until_lines_are_lost(f"/{'x' * 250}", "nobody.example", HELLO)
        gateway.process.terminate()
        assert gateway.process.wait(20) == 0


# -- what is asked and answered ------------------------------------------------------------------------------


def test_nothing_is_kept_unless_both_want_it(tmp_path: Path) -> None:
    kept, log = tmp_path / "kept.log", tmp_path / "access.log"
    with Gateway(
        tmp_path / "a", {"a.yaml": PLAIN}, f"--capture-log={kept}", f"--access-log={log}"
    ) as gateway:
        ask(gateway)
        gateway.stop()
    assert kept.read_bytes() == b""
    assert "Hello" not in log.read_text()
    with Gateway(tmp_path / "b", {"a.yaml": capturing()}) as gateway:
        gateway.wait_for_log("tenant default wants its exchanges kept: start with --capture-log for that")
        ask(gateway)


def test_what_is_kept_is_redacted(tmp_path: Path) -> None:
    kept = tmp_path / "kept.log"
    text = "I am ACME-1234, me@example.org, my key is sk-canary-abcdefghijklmnop and my card 4111 1111 1111 1111."
    redacted = "I am [redacted], [email], my key is [key] and my card [card]."
    conf = {"a.yaml": capturing(redact=[r"ACME-\d+"])}
    with Gateway(tmp_path / "run", conf, f"--capture-log={kept}", "--access-log=-") as gateway:
        for request_id, stream in (("plain", False), ("streamed", True)):
            ask(gateway, request_id, messages=[{"role": "user", "content": text}], stream=stream)
        gateway.stop()
    plain, streamed = logged(kept)
    assert (plain["request_id"], streamed["request_id"]) == ("plain", "streamed")
    for line in (plain, streamed):
        assert json.loads(line["request"])["messages"][0]["content"] == redacted
        (choice,) = json.loads(line["response"])["choices"]
        assert choice["message"]["content"] == f"I am small. You said: {redacted}"
    written = kept.read_text()
    assert not re.search("ACME|canary|example.org|4111", written)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_it_is_turned_off_and_on_while_it_runs(tmp_path: Path) -> None:
    kept = tmp_path / "kept.log"
    with Gateway(tmp_path / "run", {"a.yaml": PLAIN}, f"--capture-log={kept}") as gateway:
        for number, conf in enumerate((PLAIN, capturing(), PLAIN, capturing(samplePercent=0), capturing())):
            if number:
                gateway.apply({"a.yaml": conf})
            ask(gateway, str(number))
        gateway.wait_for_log("capture added")
        gateway.wait_for_log("capture removed")
        described = json.loads(gateway.admin("/config"))["tenants"]["default"]
        gateway.stop()
    assert ids(kept) == ["1", "4"]
    assert described["capture"]["samplePercent"] == 100


def test_both_files_are_rotated(tmp_path: Path) -> None:
    kept = tmp_path / "kept.log"
    with Gateway(tmp_path / "run", {"a.yaml": capturing()}, f"--capture-log={kept}") as gateway:
        ask(gateway, "before")
        wait_until(lambda: is_logged(kept, "before"))
        kept.rename(tmp_path / "kept.log.1")
        gateway.process.send_signal(signal.SIGUSR1)
        wait_until(kept.exists)
        ask(gateway, "after")
        gateway.stop()
    assert (ids(tmp_path / "kept.log.1"), ids(kept)) == (["before"], ["after"])


def test_every_attempt_is_told(tmp_path: Path) -> None:
    first, second = simulated("first.example"), simulated("second.example")
    first["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["misbehave"] = "status=503"
    falls_back = rule("all", "first.example", fallback=[{"providerHost": "second.example"}])
    conf = documents(first, second, route(HOST, falls_back))
    with Gateway(tmp_path, {"a.yaml": conf}, "--access-log=-") as gateway:
        ask(gateway, "r1")
        line = gateway.exchange("r1")
    *failed, answered = line["tried"]
    assert {each["outcome"] for each in failed} == {"status"}
    assert (answered["provider"], answered["outcome"], answered["status"]) == ("second-example", "ok", 200)
    times = [each["after"] for each in line["tried"]]
    assert times[0] == 0
    assert times == sorted(times)
