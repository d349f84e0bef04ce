"""What attempts have used and cost is booked to who made it, and apart where no client got anything of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.whole.clients import CHAT, STREAM, Client, ask, request
from tests.whole.documents import documents, provider, route, rule, simulated
from tests.whole.misbehaving import COMPLETION, Departure
from tests.whole.providers import Provider, answer, saying
from tests.whole.running import Gateway, wait_until

IN_DOLLARS = {"currency": "USD", "default": {"input": 1000, "output": 2000}}
IN_EUROS = {"currency": "EUR", "default": {"input": 3000, "output": 4000}}
PROMPT = 10
"""A fourth of the bytes of the messages in CHAT and in STREAM."""


def asked(name: str, **more: Any) -> dict[str, Any]:
    """A route of this name to a first provider, with a second one to fall back on."""
    fallback = [{"providerHost": f"second-{name}.test"}]
    return route(f"{name}.test", rule("all", f"first-{name}.test", fallback=fallback, **more))


def misbehaving(name: str, how: str, **more: Any) -> dict[str, Any]:
    """The first provider of that route, simulated."""
    document = simulated(f"first-{name}.test", **more)
    document["spec"]["configs"]["defaultConfig"]["simulatorConfig"]["misbehave"] = how
    return document


def counted(gateway: Gateway, metric: str, **labels: str) -> Callable[[str], float]:
    """The count of a metric with these labels and one of these types."""
    return lambda kind: gateway.count(f"llmgateway_{metric}_total", type=kind, **labels)


@pytest.mark.parametrize(
    ("prices", "currency"), [((IN_DOLLARS, IN_EUROS), ""), ((IN_DOLLARS, IN_DOLLARS), "USD")]
)
def test_a_stream_that_two_have_made(prices: tuple[Any, Any], currency: str, gateway: Gateway) -> None:
    name = f"made-{currency.lower() or 'mixed'}"
    gateway.apply(
        {
            f"{name}.yaml": documents(
                misbehaving(name, "cut-after=3", pricing=prices[0]),
                simulated(f"second-{name}.test", pricing=prices[1]),
                asked(name),
            )
        }
    )
    reply = ask(gateway.address, STREAM, host=f"{name}.test", x_request_id=name)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    line = gateway.exchange(name)
    parts = {tried["provider"]: tried["usage"] for tried in line["tried"]}
    assert list(parts) == [f"first-{name}-test", f"second-{name}-test"]
    assert [part["estimated"] for part in parts.values()] == [True, False]
    assert {part["discarded"] for part in parts.values()} == {""}
    for (who, part), price in zip(parts.items(), prices, strict=True):
        tokens, estimated = (
            counted(gateway, "tokens", provider=who),
            counted(gateway, "tokens_estimated", provider=who),
        )
        given, made = part["input_tokens"], part["output_tokens"]
        assert (tokens("input"), tokens("output")) == (given, made)
        assert (estimated("input"), estimated("output")) == ((given, made) if part["estimated"] else (0, 0))
        cost = (given * price["default"]["input"] + made * price["default"]["output"]) / 1e6
        assert part["cost"] == pytest.approx(cost)
        spent = gateway.count("llmgateway_cost_total", provider=who, currency=price["currency"])
        assert spent == pytest.approx(cost)
        assert gateway.count("llmgateway_cost_total", provider=who) == spent
    assert line["request_prompt_tokens"] == sum(part["input_tokens"] for part in parts.values())
    assert line["request_completion_tokens"] == sum(part["output_tokens"] for part in parts.values())
    assert (line["usage_estimated"], line["currency"]) == (True, currency)
    cost = sum(part["cost"] for part in parts.values()) if currency else None
    assert line["cost"] == (pytest.approx(cost) if currency else None)
    ended = {who: gateway.count("llmgateway_requests_total", provider=who) for who in parts}
    assert list(ended.values()) == [0, 1]


def assert_discarded(
    gateway: Gateway, name: str, who: str, reason: str, *, estimated: bool
) -> dict[str, Any]:
    """Metrics and log have what this attempt has used, and neither has it among what clients got."""
    (lost,) = [
        tried["usage"] for tried in gateway.exchange(name)["tried"] if tried.get("usage", {}).get("discarded")
    ]
    assert (lost["discarded"], lost["estimated"]) == (reason, estimated)
    labels = {"provider": who, "reason": reason, "estimated": str(estimated).lower()}
    tokens = counted(gateway, "discarded_tokens", **labels)
    assert (tokens("input"), tokens("output")) == (lost["input_tokens"], lost["output_tokens"])
    cost = (lost["input_tokens"] * 1000 + lost["output_tokens"] * 2000) / 1e6
    assert lost["cost"] == pytest.approx(cost)
    assert gateway.count("llmgateway_discarded_cost_total", provider=who, reason=reason) == pytest.approx(
        cost
    )
    assert gateway.count("llmgateway_tokens_total", provider=who) == 0
    assert gateway.count("llmgateway_cost_total", provider=who) == 0
    return lost  # type: ignore[no-any-return]


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "stream"])
def test_a_client_that_leaves_before_the_first_word(body: bytes, gateway: Gateway) -> None:
    name = "left-plain" if body is CHAT else "left-stream"
    departure = Departure()
    with Provider(departure) as silent:
        first = provider(f"first-{name}.test", silent.port, pricing=IN_DOLLARS)
        gateway.apply({f"{name}.yaml": documents(first, simulated(f"second-{name}.test"), asked(name))})
        with Client(gateway.address) as client:
            client.send(request(body, host=f"{name}.test", x_request_id=name))
            silent.wait_until(lambda: bool(silent.requests) and silent.requests[0].complete)
        wait_until(lambda: departure.at > 0)
    lost = assert_discarded(gateway, name, f"first-{name}-test", "left", estimated=True)
    assert (lost["input_tokens"], lost["output_tokens"]) == (PROMPT, 0)
    line = gateway.exchange(name)
    assert (line["outcome"], line["request_prompt_tokens"], line["cost"]) == ("client_left", None, None)


@pytest.mark.parametrize(("how", "reason"), [("hedge", "hedge"), ("timeout", "failed")])
def test_an_answer_that_is_not_waited_for(how: str, reason: str, gateway: Gateway) -> None:
    departure = Departure()
    with Provider(departure) as slow, Provider(saying(answer(COMPLETION))) as quick:
        late = {"firstContent": "300ms"} if how == "timeout" else None
        more = {"hedge": {"after": "300ms"}} if how == "hedge" else {}
        first = provider(f"first-{how}.test", slow.port, timeouts=late, pricing=IN_DOLLARS)
        second = provider(f"second-{how}.test", quick.port)
        gateway.apply({f"{how}.yaml": documents(first, second, asked(how, **more))})
        reply = ask(gateway.address, CHAT, host=f"{how}.test", x_request_id=how)
        assert reply.headers["x-llmgateway-backend"] == f"second-{how}-test"
        slow.wait_until(lambda: slow.finished == 1)
    lost = assert_discarded(gateway, how, f"first-{how}-test", reason, estimated=True)
    assert (lost["input_tokens"], lost["output_tokens"]) == (PROMPT, 0)
    told = json.loads(COMPLETION)["usage"]
    line = gateway.exchange(how)
    assert line["request_completion_tokens"] == told["completion_tokens"]
    assert not line["usage_estimated"]


def test_a_rest_that_says_something_else(gateway: Gateway) -> None:
    other = simulated("second-disagreed.test", model="large", pricing=IN_DOLLARS)
    begins = misbehaving("disagreed", "cut-after=3", pricing=IN_EUROS)
    rules = asked("disagreed", retries={"attempts": 1})
    gateway.apply({"disagreed.yaml": documents(begins, other, rules)})
    reply = ask(gateway.address, STREAM, host="disagreed.test", x_request_id="disagreed")
    assert b"provider_answer_cut" in reply.body
    line = gateway.exchange("disagreed")
    lost = assert_discarded(gateway, "disagreed", "second-disagreed-test", "continuation", estimated=False)
    assert lost["input_tokens"]
    assert line["request_completion_tokens"] == gateway.count(
        "llmgateway_tokens_total", provider="first-disagreed-test", type="output"
    )


def test_a_copy(gateway: Gateway) -> None:
    copies = rule("all", "mirrored.test", mirror={"providerHost": "copied.test"})
    first = simulated("mirrored.test", pricing=IN_DOLLARS)
    copied = simulated("copied.test", model="large", pricing=IN_EUROS)
    gateway.apply({"mirrored.yaml": documents(first, copied, route("mirrored-route.test", copies))})
    ask(gateway.address, CHAT, host="mirrored-route.test", x_request_id="mirrored")
    who = {"provider": "copied-test"}
    wait_until(lambda: gateway.count("llmgateway_mirrored_requests_total", outcome="ok", **who) == 1)
    tokens = counted(gateway, "discarded_tokens", reason="mirror", estimated="false", client="", **who)
    line = gateway.exchange("mirrored")
    assert tokens("input") == line["request_prompt_tokens"]
    assert tokens("output") > 0
    cost = (tokens("input") * 3000 + tokens("output") * 4000) / 1e6
    spent = gateway.count("llmgateway_discarded_cost_total", reason="mirror", currency="EUR", **who)
    assert spent == pytest.approx(cost)
    assert gateway.count("llmgateway_tokens_total", **who) == 0
    assert line["cost"] == pytest.approx(
        (line["request_prompt_tokens"] * 1000 + line["request_completion_tokens"] * 2000) / 1e6
    )
    assert "usage" not in line["tried"][0]
