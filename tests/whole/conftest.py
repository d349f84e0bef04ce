"""What tests of the whole have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

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
