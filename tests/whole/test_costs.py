"""What answers cost, in the access log and the metrics of the gateway as operators run it."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from tests.whole.documents import documents, simulated
from tests.whole.running import Gateway, wait_until


def conf(host: str, **pricing: Any) -> str:
    """A provider that answers as whatever model it is asked for."""
    document = simulated(host, pricing=pricing)
    del document["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["model"]
    return documents(document)


def ask(gateway: Gateway, host: str, request_id: str, model: str) -> None:
    with closing(HTTPConnection(gateway.address, timeout=20)) as connection:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
        connection.request("POST", "/v1/chat/completions", body, {"Host": host, "X-Request-Id": request_id})
        with connection.getresponse() as answer:
            assert answer.status == 200, answer.read()
            answer.read()


def lines(log: Path) -> dict[str, dict[str, Any]]:
    """The access log, by request id."""
    read = (json.loads(line) for line in log.read_text().splitlines())
    return {line["request_id"]: line for line in read}


def in_catalog(line: dict[str, Any]) -> float:
    """What the package itself says that this exchange has cost."""
    usage = Usage(input_tokens=line["request_prompt_tokens"], output_tokens=line["request_completion_tokens"])
    return float(
        calc_price(usage, line["answered_model"], provider_api_url="https://api.openai.com").total_price
    )


def test_the_catalog_and_names_that_clients_think_up(tmp_path: Path) -> None:
    log, host = tmp_path / "access.log", "api.openai.com"
    with Gateway(
        tmp_path / "run", {"a.yaml": conf(host, catalog="genai-prices")}, f"--access-log={log}"
    ) as gateway:
        for number in range(300):
            ask(gateway, host, f"made-up-{number}", f"made-up-{number}")
        numbers = count()

        def has_a_price() -> bool:
            ask(gateway, host, f"real-{next(numbers)}", "gpt-4o-2024-08-06")
            return gateway.count("llmgateway_cost_total", currency="USD") > 0

        wait_until(has_a_price)
        ask(gateway, host, "priced", "gpt-4o-2024-08-06")
        told = gateway.count("llmgateway_cost_total", currency="USD")
        assert gateway.stop() == 0
    logged = lines(log)
    assert {logged[f"made-up-{number}"]["cost"] for number in range(300)} == {None}
    assert logged["priced"]["cost"] == pytest.approx(in_catalog(logged["priced"]))
    assert sum(line["cost"] or 0.0 for line in logged.values()) == pytest.approx(told)


def test_a_configured_model_has_its_price_from_the_first_exchange_on(tmp_path: Path) -> None:
    log, host = tmp_path / "access.log", "api.openai.com"
    priced = documents(simulated(host, model="gpt-4o", pricing={"catalog": "genai-prices"}))
    with Gateway(tmp_path / "run", {"a.yaml": priced}, f"--access-log={log}") as gateway:
        gateway.wait_for_log("configuration applied")
        ask(gateway, host, "first", "whatever")
        assert gateway.stop() == 0
    line = lines(log)["first"]
    assert (line["answered_model"], line["currency"]) == ("gpt-4o", "USD")
    assert line["cost"] == pytest.approx(in_catalog(line))


def test_a_currency_of_ones_own(tmp_path: Path) -> None:
    log, host = tmp_path / "access.log", "own.test"
    priced = conf(host, currency="元", default={"input": 1_000_000, "output": 0})
    with Gateway(tmp_path / "run", {"a.yaml": priced}, f"--access-log={log}") as gateway:
        ask(gateway, host, "first", "m")
        tokens = gateway.count("llmgateway_cost_total", currency="元")
        assert gateway.stop() == 0
    line = lines(log)["first"]
    assert (line["cost"], line["currency"]) == (tokens, "元")
    assert tokens == line["request_prompt_tokens"]
