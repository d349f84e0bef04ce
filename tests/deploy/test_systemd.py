"""The systemd units are right as far as systemd can tell without running them, and fit the gateway's options."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.tap import Options

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
EXPOSURE = 13
"""Tenths of what `systemd-analyze security` may find at most; what is without any hardening has 96."""

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)


def settings(name: str) -> dict[str, str]:
    """The last value of each setting of a unit."""
    text = (UNITS / name).read_text().replace("\\\n", " ")
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", text))


def options() -> dict[str, str]:
    """What the service says to `twistd llmgateway`."""
    words = shlex.split(settings("llmgateway.service")["ExecStart"])
    return dict(word.removeprefix("--").split("=", 1) for word in words[words.index("llmgateway") + 1 :])


def analyze(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", command, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    twistd = tmp_path / "twistd"
    twistd.touch(mode=0o755)
    for path in UNITS.iterdir():
        written = path.read_text().replace("/opt/llmgateway/bin/twistd", str(twistd))
        (tmp_path / path.name).write_text(written)
    units = [str(tmp_path / "llmgateway.service"), str(tmp_path / "llmgateway.socket")]
    verified = analyze("verify", "--man=no", *units)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd
def test_what_the_service_may_do_is_little() -> None:
    unit = str(UNITS / "llmgateway.service")
    judged = analyze("security", "--no-pager", "--offline=yes", f"--threshold={EXPOSURE}", unit)
    assert judged.returncode == 0, judged.stdout[-500:]


def test_the_options_are_the_gateways() -> None:
    assert {f"{name}=" for name in options()} <= set(Options().longOpt)


def test_the_socket_is_the_one_that_the_service_listens_on() -> None:
    name = settings("llmgateway.socket")["FileDescriptorName"]
    assert options()["listen"] == f"systemd:domain=INET:name={name}"
    assert re.fullmatch(r"[\d.]+:\d+", settings("llmgateway.socket")["ListenStream"])  # domain INET


def test_running_answers_have_their_time() -> None:
    drain = float(options().get("drain-delay", 0)) + float(options()["drain-timeout"])
    assert float(settings("llmgateway.service")["TimeoutStopSec"]) > drain
