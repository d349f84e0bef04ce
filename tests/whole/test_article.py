"""The article's walk-through, word for word: its manifests, its commands, its outputs.

`article/` holds what it prints, unedited; `article_walk.py` does what it tells, in a network of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.whole.article_walk import ARTICLE
from tests.whole.running import ROOT

Seen = dict[str, Any]
"""What article_walk.py tells."""

QUESTION = '[\n        {"role": "user", "content": "请介绍你自己"}\n    ]'
"""The messages of every curl, byte for byte."""

DASHSCOPE, MOONSHOT = "dashscope.aliyuncs.com", "api.moonshot.cn"


def namespace() -> list[str]:
    """The command that makes a network and mounts of one's own."""
    for tool in ("unshare", "ip", "mount", "curl"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here")
    wanted = ["sh", "-c", "ip link set lo up && mount --bind /etc/hosts /etc/hosts"]
    said = ""
    for root in ([], ["--map-root-user"]):
        command = ["unshare", *root, "--net", "--mount"]
        tried = subprocess.run([*command, *wanted], capture_output=True, text=True)
        if tried.returncode == 0:
            return command
        said = tried.stderr.strip()
    return pytest.skip(f"no network and mounts of its own can be had here: {said}")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    walked = subprocess.run(
        [
            *namespace(),
            sys.executable,
            "-m",
            "tests.whole.article_walk",
            str(tmp_path_factory.mktemp("walk")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert walked.returncode == 0, walked.stderr
    told: Seen = json.loads(walked.stdout)
    return told


def output(name: str) -> str:
    """What the article shows."""
    return (ARTICLE / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "curl", ["step2 by hosts", "step2 by proxy", "step3-everybody by hosts", "step3-subscriber by hosts"]
)
def test_every_curl_prints_what_the_article_shows(curl: str, seen: Seen) -> None:
    assert seen["curls"][curl] == [output(curl.split()[0])]


def test_half_of_the_traffic_goes_to_each_provider(seen: Seen) -> None:
    printed = Counter(seen["curls"]["step4 by hosts"])
    assert printed == {output("step4-dashscope"): 20, output("step4-moonshot"): 20}


@pytest.mark.parametrize(
    ("provider", "path", "key"),
    [
        (DASHSCOPE, "/compatible-mode/v1/chat/completions", "sk-dashscope"),
        (MOONSHOT, "/v1/chat/completions", "sk-moonshot"),
    ],
)
def test_each_provider_gets_what_is_its_own(provider: str, path: str, key: str, seen: Seen) -> None:
    for request in seen["requests"][provider]:
        assert request["method"] == "POST"
        assert request["target"] == path
        assert request["server_name"] == provider
        assert request["headers"]["host"] == provider
        assert request["headers"]["authorization"] == f"Bearer {key}"
        assert request["headers"]["content-type"] == "application/json"


def test_the_model_is_filled_in_and_the_messages_are_untouched(seen: Seen) -> None:
    requests = seen["requests"][DASHSCOPE]
    assert all(QUESTION in request["body"] for request in requests)
    bodies = [json.loads(request["body"]) for request in requests]
    models = ["qwen-1.8b-chat", "qwen-1.8b-chat", "qwen-1.8b-chat", "qwen-turbo", *["qwen-1.8b-chat"] * 20]
    assert [body["model"] for body in bodies] == models
    assert {json.loads(request["body"])["model"] for request in seen["requests"][MOONSHOT]} == {
        "moonshot-v1-8k"
    }
    for body in bodies:
        assert body == {"messages": json.loads(QUESTION), "model": body["model"], "stream": False}


def test_kubernetes_own_resources_are_passed_over_with_a_warning(seen: Seen) -> None:
    skipped = re.findall(
        r"conf\.d/(\S+?):\d+:\d+: kind: (\S+ \S+) is not a resource of this gateway", seen["log"]
    )
    assert set(skipped) == {
        ("ServiceAccount-sleep.yaml", "v1 ServiceAccount"),
        ("ServiceAccount-sleep.yaml", "v1 Service"),
        ("ServiceAccount-sleep.yaml", "apps/v1 Deployment"),
        ("Service-demo-llm-server.yaml", "v1 Service"),
    }
    assert "#error" not in seen["log"]


def test_no_key_is_shown(seen: Seen) -> None:
    assert "sk-" not in seen["log"] + seen["metrics"]


def test_it_stops_when_it_is_told(seen: Seen) -> None:
    assert seen["status"] == 0
