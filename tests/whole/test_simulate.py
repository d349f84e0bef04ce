"""`llmgateway simulate`: the simulated provider as a process of its own, asked through the gateway."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.whole.clients import CHAT, STREAM, Client, ask, request
from tests.whole.documents import documents, provider, route, rule, simulated
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

            for end in ("close", "reset"):
                assert ask(gateway.address, x_simulate=end).error == "provider_reset"
            assert ask(gateway.address, STREAM, x_simulate="cut-after=2").whole is False
            stalled = ask(gateway.address, STREAM, x_simulate="stall-after=2")
            assert b"provider_idle_timeout" in stalled.body
            # The last, for the only key has to rest now.
            assert ask(gateway.address, x_simulate="status=429, retry-after=7").headers["retry-after"] == "7"


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """A well-behaved one; its address."""
    with simulating("--listen=tcp:0:interface=127.0.0.1") as port:
        yield f"127.0.0.1:{port}"


def received(address: str, drill: str, body: bytes = CHAT) -> tuple[bytes, type[Exception] | None]:
    """What comes until the connection ends, and the error with which it ends."""
    with Client(address) as client:
        client.send(request(body, x_simulate=drill))
        data = b""
        try:
            while piece := client.socket.recv(65536):
                data += piece
        except OSError as error:
            return data, type(error)
        return data, None


def test_a_close_is_a_fin_and_a_reset_is_an_rst(simulator: str) -> None:
    assert received(simulator, "close") == (b"", None)
    assert received(simulator, "reset") == (b"", ConnectionResetError)


@pytest.mark.parametrize(("cut", "end"), [("close", None), ("reset", ConnectionResetError)])
def test_a_cut_stream_is_seen_up_to_the_cut(simulator: str, cut: str, end: type[Exception] | None) -> None:
    data, error = received(simulator, f"cut-after=2, cut={cut}", STREAM)
    assert data.count(b'"delta":{"content":"') == 2
    assert not data.endswith(b"0\r\n\r\n")
    assert error is end


def test_garbage_is_no_http(simulator: str) -> None:
    data, error = received(simulator, "garbage")
    assert not data.startswith(b"HTTP")
    assert (len(data) > 10, error) == (True, None)


def test_a_compressed_answer(simulator: str) -> None:
    reply = ask(simulator, x_simulate="gzip")
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body))["object"] == "chat.completion"


def test_a_wrong_content_length_leaves_the_client_waiting_or_with_too_much(simulator: str) -> None:
    for length, surplus in (("longer", -10), ("shorter", 10)):
        with Client(simulator) as client:
            client.send(request(x_simulate=f"content-length={length}"))
            _, headers = client.head()
            length_sent = int(headers["content-length"]) + surplus
            assert len(client.exactly(length_sent)) == length_sent
            client.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.is_closed()


def test_a_trickle_takes_its_time(simulator: str) -> None:
    began = time.monotonic()
    reply = ask(simulator, x_simulate="trickle=2ms")
    assert reply.whole
    assert time.monotonic() - began > 0.002 * len(reply.body)


def test_an_outage_ends(simulator: str) -> None:
    outage = "status=503&for=500ms"
    assert ask(simulator, x_simulate=outage).status == 503
    limit = time.monotonic() + PATIENCE
    while ask(simulator, x_simulate=outage).status != 200:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_what_the_command_line_says_holds_for_every_request() -> None:
    with simulating("--listen=tcp:0:interface=127.0.0.1", "--misbehave=status=500&first=1") as port:
        assert [ask(f"127.0.0.1:{port}").status for _ in range(3)] == [500, 200, 200]


def test_misbehaviour_that_cannot_be_is_one_clear_line() -> None:
    ran = subprocess.run(
        [str(LLMGATEWAY), "simulate", "--misbehave=cut-after=3, no-done"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].endswith("'no-done' changes nothing beside 'cut-after'")


def misbehaving(host: str, misbehave: str) -> dict[str, Any]:
    """An LLMProvider that is simulated in the gateway's process, and does this wrong."""
    document = simulated(host)
    document["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["misbehave"] = misbehave
    return document


def test_providers_of_one_gateway_misbehave_each_in_its_own_way(tmp_path: Path) -> None:
    conf = documents(
        misbehaving("refusing.test", "status=418"),
        misbehaving("cut.test", "cut-after=2, cut=end"),
        simulated("well.test"),
        route("by-model.test", rule("all", {"providerHost": "well.test", "model": "small+status=420"})),
    )
    with Gateway(tmp_path, {"a.yaml": conf}) as gateway:
        assert [ask(gateway.address, host="refusing.test").status for _ in range(2)] == [418, 418]
        assert ask(gateway.address, host="by-model.test").status == 420
        assert ask(gateway.address, host="well.test").status == 200
        assert ask(gateway.address, host="cut.test").error == "provider_answer_cut"


def test_a_client_cannot_forge_what_configuration_says(tmp_path: Path) -> None:
    conf = documents(simulated("well.test"), misbehaving("once.test", "status=418&first=1"))
    with Gateway(tmp_path, {"a.yaml": conf}) as gateway:

        def forged(host: str) -> int:
            return ask(
                gateway.address,
                host=host,
                x_llmgateway_misbehave="status=500",
                x_llmgateway_provider="default/other",
            ).status

        assert forged("well.test") == 200
        assert forged("once.test") == 418
        assert forged("once.test") == 200


def test_an_endpoint_that_is_none_is_one_clear_line() -> None:
    ran = subprocess.run(
        [str(LLMGATEWAY), "simulate", "--listen=nowhere"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("llmgateway: nowhere is no endpoint: ")
    assert ran.stderr.count("\n") == 1
