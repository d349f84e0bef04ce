"""The Containerfile keeps what it promises, as far as can be told without building it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from gateway.tap import Options

ROOT = Path(__file__).parents[2]
PATH = ROOT / "deploy" / "Containerfile"
KNOWN = {
    "ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """Name and the rest of each, without comments, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", PATH.read_text()).replace("\\\n", " ")
    return [(name, re.sub(r" +", " ", rest)) for name, rest in re.findall(r"(?m)^(\S+) +(.+)$", text)]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    begins = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[begins:]


def of_last_stage(name: str) -> str:
    (found,) = [rest for each, rest in last_stage() if each == name]
    return found


def test_only_known_instructions() -> None:
    assert {name for name, _ in instructions()} <= KNOWN


def test_the_base_is_pinned_and_both_stages_have_it() -> None:
    ((_, base),) = [each for each in instructions() if each[0] == "ARG"]
    assert re.fullmatch(r"PYTHON=\S+/python:3\.\d+\S*-slim-\S+", base)
    assert [rest for name, rest in instructions() if name == "FROM"] == ["${PYTHON} AS build", "${PYTHON}"]


def test_the_last_stage_has_the_installation_and_no_source() -> None:
    copies = [rest for name, rest in last_stage() if name == "COPY"]
    assert copies == ["--from=build /opt/llmgateway /opt/llmgateway"]


def test_what_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    sent = [line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / source).exists() for source in copied)


def test_nobody_by_number() -> None:
    deployment = ROOT / "deploy" / "kubernetes" / "base" / "deployment.yaml"
    pod = yaml.safe_load(deployment.read_text())["spec"]["template"]["spec"]["securityContext"]
    assert of_last_stage("USER") == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    assert pod["runAsUser"] > 0


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be parsed, listens on the ports that are exposed, and health is asked where it is told."""
    assert json.loads(of_last_stage("ENTRYPOINT")) == ["twistd", "-n", "--pidfile=", "llmgateway"]
    arguments = json.loads(of_last_stage("CMD"))
    assert arguments[0] == "--conf=/etc/llmgateway/conf.d"
    parsed = Options()
    parsed.parseOptions([f"--conf={tmp_path}", *arguments[1:]])
    listens = [listener.description for listener in (*parsed.setup.listeners, parsed.setup.admin)]
    assert [f"tcp:{port}" for port in of_last_stage("EXPOSE").split()] == listens
    assert f"'http://127.0.0.1:{parsed['admin'].removeprefix('tcp:')}/healthz'" in of_last_stage(
        "HEALTHCHECK"
    )
    assert f"WORKDIR {Path('/etc/llmgateway')}" in map(" ".join, last_stage())


def test_the_plugins_are_cached_by_the_build() -> None:
    (caching,) = [rest for name, rest in instructions() if name == "RUN" and "dropin.cache" in rest]
    assert "/opt/llmgateway/bin/twistd --help >/dev/null && touch --date=" in caching


def test_nothing_secret_is_asked_for() -> None:
    assert not re.search(r"(?i)key|secret|token|password", re.sub(r"(?m)^#.*", "", PATH.read_text()))
