"""The examples: what `llmgateway init` writes, and what a checkout's own conf.d holds."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.resources import Resources, SourceFile, read

CONF_D = Path(__file__).parent.parent / "conf.d"
NAMES = ("dashscope.yaml", "demo.yaml")


def example(name: str) -> bytes:
    return files("gateway").joinpath("examples", name).read_bytes()


def read_examples(**contents: bytes) -> Resources:
    return read(
        [SourceFile(f"conf.d/{name}.yaml", "", content) for name, content in contents.items()],
        environment={"DASHSCOPE_API_KEY": "sk-test"},
        read_file=lambda path: pytest.fail(f"reads {path}"),
    )


def switched_on(commented: bytes) -> bytes:
    """The file as its own first lines say: without the `# ` of lines that explain nothing."""
    return re.sub(rb"^# ", b"", commented, flags=re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_checkout_and_the_package_have_the_same_files(name: str) -> None:
    assert (CONF_D / name).read_bytes() == example(name)


def test_the_examples_have_no_problem() -> None:
    resources = read_examples(demo=example("demo.yaml"), dashscope=example("dashscope.yaml"))
    assert resources.problems == ()
    assert {provider.host for provider in resources.providers} == {"first.simulated", "second.simulated"}
    assert {route.host for route in resources.routes} == {"*", "demo-llm-server"}


def test_the_real_provider_has_no_problem_once_it_is_switched_on() -> None:
    resources = read_examples(dashscope=switched_on(example("dashscope.yaml")))
    assert resources.problems == ()
    (provider,) = resources.providers
    assert provider.host == "dashscope.aliyuncs.com"
    assert provider.default_config is not None
    assert provider.default_config.api_keys is not None
    assert provider.default_config.api_keys[0].key.reveal() == "sk-test"
