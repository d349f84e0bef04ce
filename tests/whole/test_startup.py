"""How the gateway starts, and how it does not: run as operators run it, from another folder."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from tests.fakes.certificates import self_signed
from tests.whole.clients import Client, Reply, ask, request
from tests.whole.documents import documents, route, rule, simulated
from tests.whole.running import ANY_PORT, PATIENCE, TWISTD, Gateway

CONF = documents(simulated("first.test"), route("*", rule("all", "first.test")))


def twistd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it until it ends by itself."""
    return subprocess.run(
        [str(TWISTD), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def refused(folder: Path, *options: str) -> str:
    """Start it where it cannot; the line that it leaves."""
    (folder / "conf.d").mkdir(exist_ok=True)
    ports = [] if any(option.startswith("--listen") for option in options) else [f"--listen={ANY_PORT}"]
    ran = twistd(folder, "-n", "--pidfile=", "llmgateway", *ports, f"--admin={ANY_PORT}", *options)
    assert ran.returncode == 1
    said = ran.stdout + ran.stderr
    assert "Traceback" not in said
    assert "listens on" not in said
    (line,) = re.findall(r"llmgateway: .*", said)
    assert said.rstrip().endswith(line)
    return str(line)


def test_it_is_a_subcommand_of_twistd(tmp_path: Path) -> None:
    assert re.search(r"(?m)^ +llmgateway +\S", twistd(tmp_path, "--help").stdout)


def test_its_version_and_what_it_runs_on(tmp_path: Path) -> None:
    ran = twistd(tmp_path, "llmgateway", "--version")
    assert ran.returncode == 0
    assert re.fullmatch(r"llmgateway \S+ \(Twisted \S+, Python \S+\)\n", ran.stdout)


def test_help_tells_every_option(tmp_path: Path) -> None:
    said = twistd(tmp_path, "llmgateway", "--help").stdout
    for option in ("conf", "listen", "admin", "label", "access-log", "drain-timeout", "root-namespace"):
        assert f"--{option}" in said
    assert "tcp:8080:interface=127.0.0.1" in said
    assert "tcp:9901:interface=127.0.0.1" in said


def test_a_missing_conf_d_tells_how_to_make_one(tmp_path: Path) -> None:
    line = refused(tmp_path, "--conf=not-here")
    assert "not-here does not exist" in line
    assert "`llmgateway init not-here`" in line


WRONG = {
    "unknown option": ("--bogus", "option --bogus not recognized"),
    "no key file": ("--listen=ssl:0:privateKey=none.pem", "none.pem"),
    "no certificate": (
        "--listen=tls:0:certificate=none.pem:privateKey=none.key",
        "none.pem cannot be read: No such file",
    ),
    "port too high": ("--listen=tcp:99999", "tcp:99999"),
    "no such folder": ("--listen=unix:missing/socket", "unix:missing/socket"),
    "log in no folder": ("--access-log=missing/log", "missing/log cannot be written: No such file"),
}
"""One of each place where it is found out; tests/test_tap.py has more."""


@pytest.mark.parametrize(("option", "reason"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_one_clear_line(option: str, reason: str, tmp_path: Path) -> None:
    assert reason in refused(tmp_path, option)


@pytest.mark.parametrize("option", ["listen", "admin"])
def test_a_port_that_is_taken_is_one_clear_line(option: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        line = refused(tmp_path, f"--{option}={endpoint}")
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    assert line.startswith(f"llmgateway: cannot listen on {endpoint}: {address} is in use; ")
    assert line.endswith(f" or choose another with --{option}")


def test_nothing_else_is_said_and_no_file_stays(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"--listen=tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        ran = twistd(tmp_path, "-n", "llmgateway", listen, f"--admin={ANY_PORT}")
    assert ran.returncode == 1
    (line,) = (ran.stdout + ran.stderr).splitlines()
    assert "llmgateway: cannot listen on" in line
    assert [path.name for path in tmp_path.iterdir()] == ["conf.d"]


def test_who_starts_a_daemon_is_told_that_it_failed(tmp_path: Path) -> None:
    """With anything but an `Exception` twistd would wait for ever."""
    (tmp_path / "conf.d").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"--listen=tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        ran = twistd(tmp_path, "llmgateway", listen, f"--admin={ANY_PORT}")
    assert ran.returncode == 1
    assert "cannot listen on" in ran.stderr
    assert not (tmp_path / "twistd.pid").exists()


def test_two_listeners_and_their_names(tmp_path: Path) -> None:
    """A route for some gateways answers at those, and at a listener without a name."""
    conf = documents(
        simulated("first.test", "inner-model"),
        simulated("second.test", "outer-model"),
        route("inner", rule("all", "first.test"), gateways=["inner"]),
        route(
            "both",
            {
                **rule("outer-rule", "second.test"),
                "matches": [{"gateways": ["outer"]}],
            },
            rule("rest", "first.test"),
        ),
    )
    listen = [f"inner={ANY_PORT}", f"outer={ANY_PORT}", ANY_PORT]
    with Gateway(tmp_path, {"a.yaml": conf}, "--access-log=-", listen=listen) as gateway:
        found = gateway.wait_for_log(r"listens on inner=(\S+), outer=(\S+), (\S+), admin on \S+")
        inner, outer, unnamed = found.groups()
        assert (gateway.log.count("listens on"), gateway.address) == (1, inner)

        def model(address: str, host: str) -> str:
            reply = ask(address, host=host)
            return str(reply.json()["model"]) if reply.status == 200 else str(reply.status)

        assert [model(each, "inner") for each in (inner, outer, unnamed)] == [
            "inner-model",
            "404",
            "inner-model",
        ]
        assert [model(each, "both") for each in (inner, outer)] == ["inner-model", "outer-model"]
        ask(outer, host="both", x_request_id="at-outer")
        assert gateway.exchange("at-outer")["listener"] == "outer"


def test_a_selector_wants_its_labels(tmp_path: Path) -> None:
    labels = {"istio": "egressgateway", "zone": "a"}
    conf = documents(
        simulated("first.test", workloadSelector={"labels": labels}),
        simulated("second.test", workloadSelector={"labels": {"istio": "ingressgateway"}}),
    )
    options = ["--label=istio=egressgateway", "--label", "zone=a", "--label=more=x"]
    with Gateway(tmp_path, {"a.yaml": conf}, *options) as gateway:
        assert ask(gateway.address, host="first.test").status == 200
        assert ask(gateway.address, host="second.test").status == 404


def test_a_unix_socket(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a.yaml": CONF}, "--access-log=-", listen=["unix:gateway.sock"]) as gateway:
        assert gateway.address == "gateway.sock"
        assert ask(str(tmp_path / "gateway.sock"), x_request_id="unix").status == 200
        assert gateway.exchange("unix")["peer"] == "unix"
        assert gateway.stop() == 0
    assert not (tmp_path / "gateway.sock").exists()


def test_tls_for_clients(tmp_path: Path) -> None:
    identity = self_signed(x509.DNSName("localhost"))
    (tmp_path / "key.pem").write_text(identity.key_pem)
    (tmp_path / "certificate.pem").write_bytes(identity.chain_pem)
    endpoint = "ssl:0:interface=127.0.0.1:privateKey=key.pem:certKey=certificate.pem"
    context = ssl.create_default_context(cadata=identity.certificate_pem.decode())
    with Gateway(tmp_path, {"a.yaml": CONF}, listen=[endpoint]) as gateway:
        with Client(gateway.address, context) as client:
            replies: list[Reply] = []
            for _ in range(3):
                client.send(request())
                replies.append(client.reply())
            assert [reply.status for reply in replies] == [200] * 3
        with Client(gateway.address) as plain:
            plain.send(request())
            assert b"HTTP/1.1 2" not in plain.rest()
        assert "Traceback" not in gateway.log


def test_a_listener_beyond_loopback_is_warned_of(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a.yaml": CONF}, listen=[ANY_PORT, "tcp:0:interface=0.0.0.0"]) as gateway:
        found = gateway.wait_for_log(r"#warn\] ANYBODY who reaches (\S+) can spend")
        assert found[1].startswith("0.0.0.0:")
        assert gateway.log.count("ANYBODY") == 1


def test_no_files_at_all_is_an_empty_gateway_that_says_so(tmp_path: Path) -> None:
    with Gateway(tmp_path, {}) as gateway:
        assert ask(gateway.address).error == "no_route"
        gateway.wait_for_log(r"#warn\][^\n]*conf\.d")


def test_a_configuration_that_is_bad_at_the_start_is_told_and_waited_out(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a.yaml": CONF.replace('"rules"', '"roules"')}) as gateway:
        gateway.wait_for_log(r"conf\.d/a\.yaml:\d+:\d+: spec\.roules: .*rules")
        assert ask(gateway.address).status in (404, 503)
        with Client(gateway.admin_address) as client:
            client.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            reply = client.reply()
        assert reply.status == 503
        assert "spec.roules" in str(reply.json()["problems"])
        gateway.apply({"a.yaml": CONF})
        assert ask(gateway.address).status == 200


def test_the_access_log_may_be_a_file(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"a.yaml": CONF}, "--access-log=access.log") as gateway:
        ask(gateway.address, x_request_id="logged")
        assert gateway.stop() == 0
    (line,) = (tmp_path / "access.log").read_text().splitlines()
    assert '"request_id":"logged"' in line
