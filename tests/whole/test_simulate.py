"""`llmgateway simulate`: the simulated provider as a process of its own, asked through the gateway."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.whole.clients import STREAM, ask
from tests.whole.documents import documents, provider
from tests.whole.running import PATIENCE, TWISTD, Gateway

LLMGATEWAY = TWISTD.parent / "llmgateway"


@contextmanager
def simulating(*options: str) -> Iterator[int]:
    """A simulator on a port of its own; that port."""
    running = subprocess.Popen(
        [str(LLMGATEWAY), "simulate", *options],
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line.startswith("simulating a provider on 127.0.0.1:")
        yield int(line.rpartition(":")[2])
        running.terminate()
        assert running.wait(PATIENCE) == 0
    finally:
        running.kill()
        running.communicate()


def test_as_a_provider_on_a_port_of_its_own(tmp_path: Path) -> None:
    with simulating("--listen=tcp:0:interface=127.0.0.1") as port:
        conf = documents(provider("provider.test", port, timeouts={"idle": "300ms"}))
        with Gateway(tmp_path, {"a.yaml": conf}, "--access-log=-") as gateway:
            reply = ask(gateway.address, x_request_id="plain")
            assert (reply.status, reply.json()["model"]) == (200, "small")
            assert gateway.exchange("plain")["request_completion_tokens"] > 0

            streamed = ask(gateway.address, STREAM)
            assert streamed.whole
            assert streamed.body.endswith(b"data: [DONE]\n\n")

            assert ask(gateway.address, x_simulate="status=429, retry-after=7").headers["retry-after"] == "7"
            assert ask(gateway.address, x_simulate="reset").error == "provider_reset"
            assert ask(gateway.address, STREAM, x_simulate="cut-after=2").whole is False
            stalled = ask(gateway.address, STREAM, x_simulate="stall-after=2")
            assert b"provider_idle_timeout" in stalled.body


def test_an_endpoint_that_is_none_is_one_clear_line() -> None:
    ran = subprocess.run(
        [str(LLMGATEWAY), "simulate", "--listen=nowhere"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("llmgateway: nowhere is no endpoint: ")
    assert ran.stderr.count("\n") == 1
