"""Health checks of providers on real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.fakes.certificates import root
from tests.whole.clients import ask
from tests.whole.documents import KEY, documents, provider, route, rule, simulated
from tests.whole.providers import Answering, Conversation, Provider, answer, saying, server_context
from tests.whole.running import Gateway, wait_until

EVERY_SECOND = {"interval": "1s", "timeout": "1s"}
MODELS = answer('{"object": "list", "data": []}')
TRUSTED = root("trusted root")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("health")
    (folder / "roots.pem").write_bytes(TRUSTED.certificate_pem)
    environment = {"SSL_CERT_FILE": str(folder / "roots.pem")}
    with Gateway(folder / "run", {}, environment=environment) as gateway:
        yield gateway


def checked(gateway: Gateway, result: str, name: str, times: int = 1) -> None:
    """Wait for so many checks that end so."""
    labels = {"tenant": "default", "provider": name, "result": result}
    wait_until(lambda: gateway.count("llmgateway_health_checks_total", **labels) >= times)


def test_who_comes_is_asked_and_who_goes_is_not(gateway: Gateway) -> None:
    with Provider(saying({"/v1/models": MODELS})) as running:
        gateway.apply({"a.yaml": documents(provider("one.test", running.port, healthCheck=EVERY_SECOND))})
        checked(gateway, "success", "one-test", times=2)
        first = running.requests[0]
        assert (first.method, first.target) == ("GET", "/v1/models")
        assert first.header("Host") == "one.test"
        assert first.header("Authorization") == f"Bearer {KEY}"
        assert running.connections == len(running.requests)
        gateway.apply({"a.yaml": documents(provider("one.test", running.port))})
        asked = len(running.requests)
        time.sleep(1.5)
        assert len(running.requests) == asked


def test_failure_and_recovery_are_told(gateway: Gateway) -> None:
    down: Answering = saying(answer("{}", "503 Service Unavailable"))
    with Provider(down) as running:
        gateway.apply({"a.yaml": documents(provider("two.test", running.port, healthCheck=EVERY_SECOND))})
        gateway.wait_for_log(r"health check of provider two-test of tenant default: failure, status 503")
        running.answering = saying(MODELS)
        gateway.wait_for_log(r"health check of provider two-test of tenant default: success")
    gateway.wait_for_log(
        r"health check of provider two-test of tenant default: failure, The provider refused"
    )
    assert KEY not in gateway.log


def test_a_provider_that_fails_its_checks_is_left_alone_until_one_succeeds(gateway: Gateway) -> None:
    with Provider(saying(answer("{}", "503 Service Unavailable"))) as running:
        patience = {"consecutiveErrors": 1, "baseEjectionTime": "1h"}
        first = provider("first.test", running.port, healthCheck=EVERY_SECOND, outlierDetection=patience)
        second = simulated("second.test", model="second-model")
        fallback = rule("all", "first.test", fallback=[{"providerHost": "second.test"}])
        gateway.apply({"a.yaml": documents(first, second, route("demo.test", fallback))})
        checked(gateway, "failure", "first-test")
        assert ask(gateway.address, host="demo.test").json()["model"] == "second-model"
        running.answering = saying({"/v1/models": MODELS, "/v1/chat/completions": answer('{"id": "first"}')})
        checked(gateway, "success", "first-test")
        assert ask(gateway.address, host="demo.test").json()["id"] == "first"
        assert [each.method for each in running.requests].count("POST") == 1


def test_a_provider_that_keeps_silent(gateway: Gateway) -> None:
    left: list[bool] = []

    def keep_silent(conversation: Conversation) -> None:
        left.append(conversation.wait_until_left())

    with Provider(keep_silent) as running:
        gateway.apply({"a.yaml": documents(provider("mute.test", running.port, healthCheck=EVERY_SECOND))})
        checked(gateway, "failure", "mute-test")
        running.wait_until(lambda: bool(left))
        assert left[0]


@pytest.mark.parametrize(
    ("name", "result"), [("good.test", "success"), ("evil.test", "failure")], ids=["good", "other name"]
)
def test_a_certificate_is_checked_as_for_clients(
    gateway: Gateway, tmp_path: Path, name: str, result: str
) -> None:
    context = server_context(TRUSTED.issue(x509.DNSName("good.test")), tmp_path)
    with Provider(saying(MODELS), context) as running:
        secured = provider(name, running.port, tls={"mode": "SIMPLE"}, healthCheck=EVERY_SECOND)
        gateway.apply({"a.yaml": documents(secured)})
        checked(gateway, result, name.replace(".", "-"))
        assert bool(running.requests) == (result == "success")


def test_the_simulator_in_this_process(gateway: Gateway) -> None:
    chat = {"operation": "chat", "body": {"messages": [{"role": "user", "content": "Hello"}]}}
    gateway.apply(
        {
            "a.yaml": documents(
                simulated("lists.test", healthCheck=EVERY_SECOND),
                simulated("chats.test", healthCheck={**chat, **EVERY_SECOND}),
            )
        }
    )
    checked(gateway, "success", "lists-test")
    checked(gateway, "success", "chats-test")


def test_a_gateway_stops_in_the_middle_of_a_check(tmp_path: Path) -> None:
    with (
        Provider(lambda conversation: None) as running,
        Gateway(
            tmp_path,
            {
                "a.yaml": documents(
                    provider("a.test", running.port, healthCheck={"interval": "1s", "timeout": "60s"})
                )
            },
        ) as gateway,
    ):
        running.wait_until(lambda: bool(running.requests))
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log
