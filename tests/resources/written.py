"""Documents for tests, read as the gateway reads them."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent, indent

from gateway.resources import LLMProvider, LLMRoute, Resources, SourceFile, read

NOTHING: Mapping[str, str] = {}


def read_text(
    text: str | bytes,
    *,
    path: str = "conf.d/x.yaml",
    folder: str = "",
    environment: Mapping[str, str] = NOTHING,
    files: Mapping[str, bytes] | None = None,
) -> Resources:
    """Read one file."""

    def read_file(name: str) -> bytes:
        if files is None or name not in files:
            raise FileNotFoundError(2, "No such file or directory", name)
        return files[name]

    content = text if isinstance(text, bytes) else dedent(text).encode()
    return read([SourceFile(path, folder, content)], environment=environment, read_file=read_file)


def document(kind: str, spec: str, name: str = "a") -> str:
    """A document whose spec begins in line 5, indented by two."""
    head = f"apiVersion: llmgateway.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
    return head + indent(dedent(spec).strip("\n"), "  ") + "\n"


def provider(spec: str, environment: Mapping[str, str] = NOTHING) -> LLMProvider:
    """The one provider with this spec and host p.example, which has no errors."""
    resources = read_text(
        document("LLMProvider", "host: p.example\n" + dedent(spec)), environment=environment
    )
    assert [str(problem) for problem in resources.problems if problem.severity == "error"] == []
    (only,) = resources.providers
    return only


def route(spec: str) -> LLMRoute:
    """The one route with this spec, which has no problems."""
    resources = read_text(document("LLMRoute", spec))
    assert [str(problem) for problem in resources.problems] == []
    (only,) = resources.routes
    return only


def problems(
    text: str | bytes, environment: Mapping[str, str] = NOTHING, files: Mapping[str, bytes] | None = None
) -> list[str]:
    """What is wrong with a file, a line each, without its name."""
    resources = read_text(text, environment=environment, files=files)
    return [str(problem).removeprefix("conf.d/x.yaml:") for problem in resources.problems]


def spec_problems(
    kind: str, spec: str, environment: Mapping[str, str] = NOTHING, files: Mapping[str, bytes] | None = None
) -> list[str]:
    """What is wrong with a spec: `line of the spec:column: path below spec: message`."""
    found = []
    for line in problems(document(kind, spec), environment, files):
        number, rest = line.split(":", 1)
        found.append(f"{int(number) - 4}:{rest.replace(' spec.', ' ', 1)}")
    return found
