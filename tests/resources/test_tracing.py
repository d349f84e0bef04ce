"""`tracing` of the Gateway document."""

from __future__ import annotations

import pytest

from gateway.messages import Secret
from gateway.resources import tracing
from gateway.resources.tracing import TracingSettings
from tests.resources.written import read_text, spec_problems


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{}", ["1:3: tracing.endpoint: is missing"]),
        (
            "{endpoint: collector:4318, sampleRatio: 1.5}",
            [
                "1:13: tracing.endpoint: must be an http or https URL",
                "1:39: tracing.sampleRatio: must be 0 to 1, not 1.5",
            ],
        ),
        (
            "{endpoint: 'http://user:pass@c', headers: {host: x}}",
            [
                "1:13: tracing.endpoint: has a user, a query or a fragment: write credentials into `headers`",
                "1:55: tracing.headers.host: is the exporter's own",
            ],
        ),
        ("{endpoint: 'http://c:99999'}", ["1:13: tracing.endpoint: is no URL"]),
        ("{endpoint: 'https:///v1'}", ["1:13: tracing.endpoint: names no host"]),
    ],
)
def test_problems(written: str, expected: list[str]) -> None:
    assert spec_problems("Gateway", f"tracing: {written}") == expected


def test_everything_it_can_say() -> None:
    found = read_text(
        """
        apiVersion: llmgateway.dev/v1
        kind: Gateway
        spec:
          tracing: {endpoint: "https://collector:4318", headers: {X-Key: "${KEY}"}, sampleRatio: 0.25}
        """,
        environment={"KEY": "s"},
    )
    assert found.problems == ()
    assert found.gateway is not None
    assert found.gateway.tracing == TracingSettings("https://collector:4318", {"x-key": Secret("s")}, 0.25)


def test_without_the_sdk_it_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_EXPORTER", "opentelemetry.nowhere.at.all")
    assert spec_problems("Gateway", "tracing: {endpoint: 'http://c'}") == [
        "1:3: tracing: needs the OpenTelemetry SDK, which is not installed: "
        "pip install '.[otlp]' where llmgateway's source is"
    ]
