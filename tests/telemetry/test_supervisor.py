"""What whoever started the process is told, over a real socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from gateway.telemetry.supervisor import READY, STOPPING, notify


@pytest.mark.parametrize("abstract", [False, True])
def test_it_is_told(tmp_path: Path, abstract: bool) -> None:
    path = f"@llmgateway-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + path[1:] if abstract else path)
        listening.settimeout(5)
        for message in (READY, STOPPING):
            notify({"NOTIFY_SOCKET": path}, message)
            assert listening.recv(100) == message


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_nobody_asks(environment: dict[str, str]) -> None:
    notify(environment, READY)


def test_nobody_listens(tmp_path: Path) -> None:
    with capturedLogs() as log:
        notify({"NOTIFY_SOCKET": str(tmp_path / "notify")}, READY)
    (event,) = log
    assert "No such file" in event["error"]
