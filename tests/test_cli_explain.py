"""`llmgateway explain` reads a request as the wire does, and refuses what the wire refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main

CONF = """
apiVersion: llmgateway.dev/v1
kind: LLMProvider
metadata: {name: one}
spec: {host: one.simulated, configs: {defaultConfig: {simulatorConfig: {model: small}}}}
"""


@pytest.fixture
def conf(tmp_path: Path) -> str:
    (tmp_path / "a.yaml").write_text(CONF)
    return str(tmp_path)


def test_the_host_may_have_a_port(conf: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", conf, "--host", "One.Simulated.:80", "-d", '{"messages": []}']) == 0
    assert "host one.simulated\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (["--host", "a b"], "refused    400 malformed_request: "),
        (["--host", "one.simulated", "--path", "/v1//chat"], "refused    400 malformed_request: "),
        (["--host", "one.simulated", "-X", "CONNECT"], "refused    405 method_not_allowed: "),
        (["--host", "one.simulated", "-H", "Host: two.simulated"], "refused    400 malformed_request: "),
        (["--host", "nobody"], "refused    404 no_route: "),
    ],
)
def test_what_the_wire_refuses(
    asked: list[str], refusal: str, conf: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", conf, *asked]) == 1
    assert capsys.readouterr().out.startswith(refusal)


def test_a_listener_that_no_file_names(conf: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["explain", conf, "--host", "one.simulated", "-d", '{"messages": []}', "--listener"]
    assert main([*asked, "insdie"]) == 0
    assert capsys.readouterr().err == "hint: no `gateways` names a listener 'insdie'\n"
    rules = "[{matches: [{gateways: [outside]}], backendRefs: [{providerHost: one.simulated}]}]"
    route = f"{CONF.partition('kind:')[0]}kind: LLMRoute\nmetadata: {{name: in}}\n"
    route += f"spec: {{host: in, gateways: [inside, outside], rules: {rules}}}\n"
    (Path(conf) / "r.yaml").write_text(route)
    assert main([*asked, "insdie"]) == 0
    hint = f"hint: no `gateways` names a listener 'insdie'; those of {conf} name inside, outside\n"
    assert capsys.readouterr().err == hint
    assert main([*asked, "inside"]) == 0
    assert capsys.readouterr().err == ""
