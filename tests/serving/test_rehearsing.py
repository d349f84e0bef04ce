"""A dry run: what would come of other files, told in the words of who proposes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from attrs import evolve

from gateway.resources import SourceFile, file_reading
from gateway.resources.file_reading import FileReading
from gateway.serving.rehearsing import Proposal, ProposedFile, Rehearsal, proposal_from, proposal_of, rehearse
from gateway.snapshot.differing import Change
from gateway.watcher.folder import Folder
from gateway.watcher.loading import Loaded, LoadSettings, load
from tests.fakes.conf import KEYED, ROOT, any_tls, provider, route_to

CONF = Path("/etc/llmgateway/conf.d")


def settings(**environment: str) -> LoadSettings:
    return LoadSettings(environment=environment, labels={}, root_namespace=ROOT, prepare_tls=any_tls)


def proposal(files: Mapping[str, str], folder: str = "mine") -> Proposal:
    return Proposal(folder, tuple(ProposedFile(path, text.encode()) for path, text in files.items()))


def running(files: Mapping[str, str], folder: Path, **environment: str) -> Loaded:
    """What a gateway runs on whose conf.d this folder is."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return load(Folder(folder).read(), None, settings(**environment))


def rehearsed(files: Mapping[str, str], last: Loaded | None = None, conf: Path = CONF) -> Rehearsal:
    return rehearse(proposal(files), last, conf, settings())


def test_what_would_change(tmp_path: Path) -> None:
    files = {"acme/p.yaml": provider("a") + route_to("a"), "beta/p.yaml": provider("b")}
    last = running(files, tmp_path)
    files["acme/p.yaml"] = provider("a") + provider("c")
    rehearsal = rehearsed(files, last, tmp_path)
    assert rehearsal.problems == ()
    assert rehearsal.changes == (Change("acme", "changed", ("route demo removed", "provider c added")),)
    assert rehearsal.text().splitlines() == [
        "would change: acme: route demo removed, provider c added",
        "0 problems; 3 hosts of 2 tenants would be answered for",
    ]


def test_nothing_would_change(tmp_path: Path) -> None:
    files = {"acme/p.yaml": provider("a")}
    rehearsal = rehearsed(files, running(files, tmp_path), tmp_path)
    assert rehearsal.changes == ()
    assert rehearsal.text().startswith(
        "nothing would change, as far as can be told without comparing secrets\n"
    )


class TestRunningFiles:
    """What came of them is taken for the same files of a proposal."""

    FILES = MappingProxyType(
        {
            "acme/p.yaml": provider("a"),
            "beta/p.yaml": provider("b", "hots: 1"),
            "c.yaml": provider("c", KEYED.replace("sk-of-the-provider", '"${KEY}"')),
        }
    )

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Every file that is read, by its path below conf.d."""
        read = list[str]()

        def noted(source: SourceFile, *arguments: Any) -> FileReading:
            read.append("/".join(Path(source.path).parts[-2:]) if source.folder else Path(source.path).name)
            return file_reading.read_file(source, *arguments)

        monkeypatch.setattr("gateway.resources.reading.read_file", noted)
        return read

    def test_only_what_is_different_is_read(self, tmp_path: Path, read: list[str]) -> None:
        last = running(self.FILES, tmp_path, KEY="sk-1")
        read.clear()
        proposed = {**self.FILES, "acme/p.yaml": provider("z"), "acme/q.yaml": provider("a")}
        rehearsal = rehearse(proposal(proposed), last, tmp_path, settings(KEY="sk-1"))
        assert read == ["acme/p.yaml", "acme/q.yaml"]
        fresh = rehearse(proposal(proposed), evolve(last, readings={}), tmp_path, settings(KEY="sk-1"))
        assert rehearsal == fresh
        assert [problem.position.file for problem in rehearsal.problems] == ["mine/beta/p.yaml"]

    def test_of_another_name_it_is_another_file(self, tmp_path: Path, read: list[str]) -> None:
        last = running(self.FILES, tmp_path, KEY="sk-1")
        read.clear()
        rehearse(proposal({"beta/q.yaml": provider("a")}), last, tmp_path, settings(KEY="sk-1"))
        assert read == ["beta/q.yaml"]

    def test_what_stands_for_something_else_now_is_read(self, tmp_path: Path, read: list[str]) -> None:
        last = running(self.FILES, tmp_path, KEY="sk-1")
        read.clear()
        rehearse(proposal(self.FILES), last, tmp_path, settings(KEY="sk-2"))
        assert read == ["c.yaml"]

    def test_what_runs_stays_as_it_is(self, tmp_path: Path) -> None:
        last = running(self.FILES, tmp_path, KEY="sk-1")
        generation, readings = last.generation, dict(last.readings)
        hosts = [host for host, _ in generation.snapshot.anonymous.items()]
        granted = dict(generation.granted)
        rehearse(proposal({"acme/p.yaml": provider("z")}), last, tmp_path, settings(KEY="sk-1"))
        assert dict(last.readings) == readings
        assert dict(generation.granted) == granted
        assert [host for host, _ in generation.snapshot.anonymous.items()] == hosts
        assert rehearse(proposal(self.FILES), last, tmp_path, settings(KEY="sk-1")).changes == ()


def test_problems_name_files_as_their_owner_does() -> None:
    rehearsal = rehearsed({"p.yaml": provider("a", "hots: 1"), "q.yaml": "kind: ["})
    assert [problem.position.file for problem in rehearsal.problems] == ["mine/p.yaml", "mine/q.yaml"]
    assert rehearsal.errors == 2
    assert rehearsal.text().startswith("mine/p.yaml:")


def test_so_do_their_messages() -> None:
    (problem,) = rehearsed({"p.yaml": provider("a"), "q.yaml": provider("a", host="b.example")}).problems
    assert str(problem) == "mine/q.yaml:4:12: metadata.name: a provider named a is at mine/p.yaml:4:12 too"


def test_a_path_that_only_looks_like_the_folder_stays() -> None:
    spec = "configs: {defaultConfig: {openAIConfig: {apiKey: '${file:/x/conf.d/key}'}}}"
    (problem,) = rehearse(
        proposal({"p.yaml": provider("a", spec)}), None, Path("conf.d"), settings()
    ).problems
    assert "the file /x/conf.d/key cannot be read" in problem.message


def test_a_broken_file_counts_for_what_it_holds_in_the_running_gateway(tmp_path: Path) -> None:
    """Though the two call it by different names."""
    both = {"all.yaml": provider("a", namespace="acme") + provider("b", namespace="other")}
    rehearsal = rehearsed({"all.yaml": "kind: ["}, running(both, tmp_path), tmp_path)
    standing = "goes on with its last good configuration"
    assert {(change.tenant, standing in change.details) for change in rehearsal.changes} >= {
        ("acme", True), ("other", True),
    }  # fmt: skip
    assert rehearsal.hosts == 2


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "p.yaml").symlink_to("nowhere")
    (tmp_path / "q.yaml").write_text(provider("a"))
    proposed = proposal_from(tmp_path, Folder(tmp_path).read())
    assert [file.path for file in proposed.files] == ["q.yaml"]
    rehearsal = rehearse(proposed, None, CONF, settings())
    assert [str(problem) for problem in rehearsal.problems] == [
        f"{tmp_path}/acme/p.yaml:1:1: is a link to nothing"
    ]
    assert rehearsal.problems[0].tenant == "acme"


def test_a_proposal_travels_as_json(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_bytes(b"\xff")
    (tmp_path / "r.yaml").symlink_to("nowhere")
    proposed = proposal_from(tmp_path, Folder(tmp_path).read())
    assert proposal_of(msgspec.json.encode(proposed)) == proposed
    rehearsal = rehearse(proposed, None, CONF, settings())
    assert msgspec.json.decode(msgspec.json.encode(rehearsal), type=Rehearsal) == rehearsal


@pytest.mark.parametrize(
    "path", ["../../etc/x.yaml", "/etc/x.yaml", "a/b/c.yaml", "", "\n.yaml", "A B/x.yaml", ".hidden/x.yaml"]
)
def test_any_path_is_only_a_name(path: str) -> None:
    rehearsal = rehearsed({path: provider("a")})
    assert rehearsal.problems == () or all(problem.tenant for problem in rehearsal.problems)


def test_nothing_of_a_secret_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-in-a-file: [")
    spec = f"""
    path: "/v1/${{file:{secret}}}"
    endpoint: {{address: "${{ADDRESS}}", tls: {{caCertificates: {secret}}}}}
    configs: {{defaultConfig: {{openAIConfig: {{apiKey: "${{file:{secret}}}", headers: {{x-a: "${{CANARY}}"}}}}}}}}
    """
    environment = {"ADDRESS": "canary not a host", "CANARY": "canary\nof two lines"}

    def refuse(settings: object) -> None:
        raise ValueError("caCertificates holds no certificate")

    hostile = LoadSettings(environment=environment, labels={}, root_namespace=ROOT, prepare_tls=refuse)
    rehearsal = rehearse(proposal({"p.yaml": provider("a", spec)}), None, CONF, hostile)
    assert rehearsal.errors
    assert "canary" not in rehearsal.text()
    assert b"canary" not in msgspec.json.encode(rehearsal)


def test_a_running_key_cannot_be_guessed(tmp_path: Path) -> None:
    last = running({"p.yaml": provider("a")}, tmp_path)
    right, wrong = (
        rehearsed({"p.yaml": provider("a", KEYED.replace("sk-of-the-provider", guess))}, last, tmp_path)
        for guess in ("sk-of-the-provider", "sk-something-else")
    )
    assert right == wrong
