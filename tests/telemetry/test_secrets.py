"""A secret in every place that can hold one is nowhere in what operators read."""

from __future__ import annotations

import traceback
from pathlib import Path

import attrs
import msgspec
import pytest
from attrs import evolve
from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.task import Clock

from gateway.messages import Secret
from gateway.snapshot.describing import describe
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.exchange_record import ExchangeNames, ExchangeRecord
from gateway.telemetry.line_log import LineLog
from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import Outcome
from tests.fakes.canary import BACKEND, CANARY, snapshot_of


def test_config() -> None:
    table = snapshot_of(BACKEND).tenants["acme"]
    assert CANARY.encode() not in msgspec.json.encode(describe(table, ()))


def test_metrics() -> None:
    registry = CollectorRegistry()
    Metrics(registry).series(BACKEND.labels, "ci").finished(200, Outcome.OK, 0.8, None)
    assert CANARY.encode() not in generate_latest(registry)


def test_access_log(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    lines = LineLog("access log", LineOutput(str(path)), Clock())
    log = AccessLog(lines, lambda: 0.0)
    names = ExchangeNames(
        tenant=BACKEND.owner, provider=BACKEND.provider, provider_host=BACKEND.provider_host
    )
    record = ExchangeRecord(
        sent_model=BACKEND.model or "",
        detail=f"{BACKEND.destination} {BACKEND.keys} {BACKEND.headers}",
    )
    log.write(names, record)
    lines.stop()
    assert b"dashscope" in path.read_bytes()
    assert CANARY.encode() not in path.read_bytes()


def test_repr() -> None:
    # What is no Secret by its type (a path, a parameter, public certificates) is not meant here.
    assert BACKEND.destination.tls is not None
    tls = evolve(BACKEND.destination.tls, ca_certificates=None)
    backend = evolve(BACKEND, path=b"/", parameters=(), destination=evolve(BACKEND.destination, tls=tls))
    for shown in (
        repr(backend),
        str(backend),
        repr(snapshot_of(backend)),
        repr(attrs.asdict(backend)["headers"]),
    ):
        assert CANARY not in shown


def test_traceback() -> None:
    def fail(key: Secret) -> None:
        raise ValueError(f"no good: {key}")

    with pytest.raises(ValueError, match="no good") as raised:
        fail(Secret(CANARY))
    frames = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    shown = "".join(frames.format())
    assert "key = Secret(…)" in shown
    assert CANARY not in shown


def test_json() -> None:
    with pytest.raises(TypeError) as raised:
        msgspec.json.encode({"key": Secret(CANARY)})
    assert CANARY not in str(raised.value)
