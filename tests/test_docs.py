"""The pages for users say what the code does, as far as a machine can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.cli import main
from gateway.resources import SourceFile, read
from gateway.resources.kinds import KINDS
from gateway.resources.shapes import BooleanOr, Field, Ignored, ListOf, MapOf, NotBuilt, Record, Shape
from gateway.tap import Options

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md"])
ARTICLE = ROOT / "tests" / "whole" / "article"

_YAML = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"\$\{(?!file:)([^}]+)\}")


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def manifests(text: str) -> list[str]:
    """The blocks of a page that are meant for conf.d."""
    blocks = (dedent(found[2]) for found in _YAML.finditer(text))
    return [block for block in blocks if block.startswith("apiVersion")]


MANIFESTS = [
    pytest.param(manifest, id=f"{path.name}-{number}")
    for path in PAGES
    for number, manifest in enumerate(manifests(path.read_text("utf-8")), 1)
]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_every_manifest_can_be_used_as_it_is(manifest: str) -> None:
    resources = read(
        [SourceFile("conf.d/page.yaml", "", manifest.encode())],
        environment=dict.fromkeys(_VARIABLE.findall(manifest), "sk-test"),
        read_file=lambda path: b"sk-test",
    )
    assert [problem for problem in resources.problems if problem.severity == "error"] == []


def test_the_complete_example_leaves_check_nothing_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = manifests(page("resources.md").partition("checks this example")[2])[0]
    (tmp_path / "example.yaml").write_text(example, "utf-8")
    for name in _VARIABLE.findall(example):
        monkeypatch.setenv(name, "sk-test")
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("0 problems; ")


def fields(shape: Shape) -> Iterator[Field]:
    """Every field below a shape, but for those that nobody reads."""
    match shape:
        case Record():
            for member in shape.fields:
                if not isinstance(member.shape, Ignored):
                    yield member
                    yield from fields(member.shape)
        case BooleanOr():
            yield from fields(shape.record)
        case ListOf():
            yield from fields(shape.item)
        case MapOf():
            yield from fields(shape.value)


def test_every_field_is_explained() -> None:
    explained, _, not_built = page("resources.md").partition("## Not built yet")
    missing = set()
    for kind in KINDS.values():
        for member in fields(kind.spec):
            text = not_built if isinstance(member.shape, NotBuilt) else explained
            # Alone, or as part of a path: `limits.bodyBytes`.
            if not re.search(rf"`([\w.]+\.)?{member.name}[.`]", text):
                missing.add(member.name)
    assert missing == set()


def test_every_option_is_explained() -> None:
    text = page("operations.md")
    names = {name.rstrip("=") for name in Options().longOpt}
    assert {"listen", "conf", "label"} <= names
    assert [name for name in names if f"`--{name}`" not in text] == []


def test_every_command_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)
    assert "check" in commands
    text = page("operations.md")
    assert [command for command in commands if f"$ llmgateway {command} " not in text] == []


def test_the_walk_through_has_the_article_word_for_word() -> None:
    shown = {stripped(block) for block in manifests(page("walk-through.md"))}
    written = {
        path.name: stripped(path.read_text("utf-8"))
        for path in ARTICLE.glob("*.yaml")
        if path.name != "step1-sleep.yaml"  # a pod with curl: the page has a shell instead
    }
    assert [name for name, manifest in written.items() if manifest not in shown] == []


def stripped(text: str) -> str:
    """Without blanks at the ends of lines, which the article has some of."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
