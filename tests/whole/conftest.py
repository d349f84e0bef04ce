"""What tests of the whole have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.whole.documents import KEY, documents, provider
from tests.whole.providers import Provider, saying
from tests.whole.running import EXAMPLES, Gateway


@pytest.fixture(scope="session", autouse=True)
def _no_proxy_of_this_machine() -> Iterator[None]:
    """Clients reach the gateway directly, whatever the machine's environment says."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the example of `llmgateway init`: two simulated providers."""
    conf = {"demo.yaml": (EXAMPLES / "demo.yaml").read_text()}
    with Gateway(tmp_path_factory.mktemp("gateway"), conf, "--access-log=-") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway without files; whatever a module's tests do to it, it must not lose its countenance."""
    with Gateway(tmp_path_factory.mktemp("gateway"), {}, "--access-log=-") as gateway:
        yield gateway
        assert gateway.count("llmgateway_requests_in_flight") == 0
        for sign in ("Traceback", "Unhandled", KEY):
            assert sign not in gateway.log


@pytest.fixture(scope="module")
def liar(gateway: Gateway) -> Iterator[Provider]:
    """A provider of that gateway, behind `liar.test`, whose `answering` tests set."""
    with Provider(saying(b"")) as running:
        gateway.apply({"liar.yaml": documents(provider("liar.test", running.port))})
        yield running
