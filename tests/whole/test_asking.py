"""`llmgateway explain` and `check` with `--against`: a running gateway is asked, and nothing happens to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole.clients import Client, ask
from tests.whole.documents import documents, provider, route, rule, simulated
from tests.whole.running import PATIENCE, Gateway

KEY = "sk-canary-of-the-gateway"


def conf(*models: str) -> str:
    """Providers that take turns under one route, and one whose key the gateway alone knows."""
    backends = [{"providerHost": f"{model}.test", "weight": 1} for model in models]
    return documents(
        *(simulated(f"{model}.test", model) for model in models),
        route("both.test", rule("turns", *backends)),
        provider("keyed.test", 1, key="${KEY}"),
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("asked")
    with Gateway(folder / "run", {"a.yaml": conf("one", "two")}, environment={"KEY": KEY}) as gateway:
        yield gateway
        assert "Traceback" not in gateway.log


def llmgateway(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does, without the gateway's environment."""
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={},
        check=False,
    )


def test_explain_asks_for_live_turns_and_takes_none(gateway: Gateway) -> None:
    def next_turn() -> str:
        told = llmgateway(
            "explain", "--against", gateway.admin_url, "--host", "both.test", "-d", '{"messages": []}'
        )
        assert (told.returncode, told.stderr) == (0, "")
        (line,) = [line for line in told.stdout.splitlines() if "its turn" in line]
        return line.split()[1].removesuffix(".test,")

    first = next_turn()
    assert next_turn() == first
    assert ask(gateway.address, host="both.test").json()["model"] == first
    second = next_turn()
    assert second != first
    assert ask(gateway.address, host="both.test").json()["model"] == second


def test_explain_hides_what_is_secret(gateway: Gateway) -> None:
    told = llmgateway(
        "explain", "--against", gateway.admin_url, "--host", "keyed.test", "-d", '{"messages": []}'
    )
    assert "  authorization: (hidden)\n" in told.stdout
    assert KEY not in told.stdout


def test_a_refusal_is_exit_status_1(gateway: Gateway) -> None:
    told = llmgateway("explain", "--against", gateway.admin_url, "--host", "nobody.test")
    assert told.returncode == 1
    assert told.stdout.startswith("refused    404 no_route: ")


def test_a_listener_that_there_is_not_is_wrong_usage(gateway: Gateway) -> None:
    told = llmgateway(
        "explain", "--against", gateway.admin_url, "--host", "both.test", "--listener", "insdie"
    )
    assert told.returncode == 2
    assert "There is no listener named insdie; none has a name." in told.stderr


def test_check_tells_what_would_change_and_changes_nothing(gateway: Gateway, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a.yaml").write_text(conf("one", "two"))
    checked = llmgateway("check", mine, "--against", gateway.admin_url)
    assert checked.stdout.startswith("nothing would change"), checked
    assert checked.returncode == 0

    before = gateway.count("llmgateway_config_reloads_total"), gateway.admin("/config"), gateway.log
    (mine / "a.yaml").write_text(conf("one", "two", "three"))
    checked = llmgateway("check", mine, "--against", gateway.admin_url)
    assert checked.returncode == 0, checked
    assert "would change: default: route" in checked.stdout
    assert "provider three" in checked.stdout
    (mine / "acme").mkdir()
    (mine / "acme" / "b.yaml").write_text("kind: [")
    checked = llmgateway("check", mine, "--against", gateway.admin_url)
    assert checked.returncode == 1
    assert f"{mine}/acme/b.yaml:" in checked.stdout
    assert "acme: added (is not served: its files were never good)" in checked.stdout
    assert before == (gateway.count("llmgateway_config_reloads_total"), gateway.admin("/config"), gateway.log)
    assert KEY not in checked.stdout


def test_where_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(conf("one"))
    checked = llmgateway("check", tmp_path, "--against", "http://127.0.0.1:1")
    assert (checked.returncode, checked.stdout) == (2, "")
    assert checked.stderr.startswith("llmgateway: http://127.0.0.1:1 cannot be asked: Connection was refused")
    for nonsense in ("127.0.0.1:9901", "ftp://127.0.0.1", "http://"):
        checked = llmgateway("check", tmp_path, "--against", nonsense)
        assert checked.returncode == 2
        assert checked.stderr.startswith(f"llmgateway: {nonsense} cannot be asked: "), checked.stderr
        assert "Traceback" not in checked.stderr
    checked = llmgateway("check", tmp_path, "--against", "127.0.0.1:9901")
    assert "a URL is wanted, such as http://127.0.0.1:9901" in checked.stderr


def test_a_port_that_is_not_the_admin_port(gateway: Gateway) -> None:
    told = llmgateway("explain", "--against", gateway.url, "--host", "both.test")
    assert told.returncode == 2
    assert "has refused the question with 40" in told.stderr


def test_a_question_with_curl_s_means(gateway: Gateway) -> None:
    question = json.dumps({"host": "both.test", "body": {"messages": []}}).encode()
    with Client(gateway.admin_address) as client:
        client.send(
            b"POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Accept: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(question), question)
        )
        explanation = client.reply().json()
    assert explanation["refusal"] is None
    assert {"about": "rule", "text": "turns"} in explanation["decisions"]
