"""The `llmgateway` command: what it prints, where, and with which exit status."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gateway import __version__
from gateway.cli import EXAMPLES, main
from gateway.resources.schema import json_schema
from tests.fakes.conf import KEYED, provider, route, route_to

HELLO = '{"messages": []}'


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "demo.yaml").write_text(provider("a") + route_to("a"))
    return folder


def run(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)


class TestCheck:
    def test_nothing_is_wrong(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("check", conf) == 0
        assert capsys.readouterr() == ("0 problems; 2 hosts of 1 tenant answered for\n", "")

    def test_every_problem_with_its_place(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (conf / "x.yaml").write_text(provider("x", "hots: 1\nport: 2"))
        (conf / "acme").mkdir()
        (conf / "acme" / "r.yaml").write_text(route_to("nobody"))
        assert run("check", conf) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{conf}/acme/r.yaml:7:")
        assert [line.split(":")[0] for line in lines[1:-1]] == [f"{conf}/x.yaml"] * 2
        assert lines[-1].startswith("3 problems; ")

    def test_a_warning_is_no_failure(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (conf / "x.yaml").write_text(
            provider("x", f"{KEYED}\nendpoint: {{tls: {{insecureSkipVerify: true}}}}")
        )
        assert run("check", conf) == 0
        assert capsys.readouterr().out.startswith(f"warning: {conf}/x.yaml:")

    def test_labels(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        selective = provider("s", f"{KEYED}\nworkloadSelector: {{labels: {{a: b}}}}") + route_to("s", "sel")
        (conf / "s.yaml").write_text(selective)
        assert run("check", conf) == 1
        assert run("check", conf, "--label", "a=b") == 0
        assert run("check", conf, "--label", "a") == 2
        assert "wants KEY=VALUE" in capsys.readouterr().err

    def test_the_root_namespace(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (conf / "s.yaml").write_text(provider("s", namespace="shared"))
        (conf / "acme").mkdir()
        (conf / "acme" / "r.yaml").write_text(route_to("s", "acme"))
        assert run("check", conf) == 1
        assert run("check", conf, "--root-namespace", "shared") == 0
        capsys.readouterr()
        assert run("check", conf, "--root-namespace", "a b") == 2
        assert "'a b' is not a tenant's name" in capsys.readouterr().err

    def test_a_certificate_that_cannot_be_used(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (conf / "ca.pem").write_text("no certificate")
        (conf / "x.yaml").write_text(provider("x", f"endpoint: {{tls: {{caCertificates: {conf}/ca.pem}}}}"))
        assert run("check", conf) == 1
        assert "spec.endpoint.tls" in capsys.readouterr().out

    def test_a_file_instead_of_its_folder(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("check", conf / "demo.yaml") == 2
        assert capsys.readouterr().err == (
            f"llmgateway: {conf}/demo.yaml is a file, and files count together: name its folder, {conf}\n"
        )

    def test_an_empty_folder(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "readme.txt").touch()
        assert run("check", tmp_path) == 0
        assert capsys.readouterr().out.startswith(f"warning: {tmp_path} holds no .yaml or .yml file: ")

    def test_a_folder_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("check", tmp_path / "none") == 2
        assert capsys.readouterr() == (
            "",
            f"llmgateway: {tmp_path}/none cannot be read: No such file or directory\n",
        )


class TestExplain:
    def test_a_request(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert (
            run("explain", conf, "--host", "Demo.:8080", "--data", HELLO, "-H", "User-Type: subscriber") == 0
        )
        out = capsys.readouterr().out
        assert out.startswith("tenant     default\nroute      demo, host demo\n")
        assert "  user-type: subscriber\n" in out
        assert "  authorization: (hidden)\n" in out
        assert "sk-of-the-provider" not in out

    def test_a_refusal(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("explain", conf, "--host", "nobody", "--data", HELLO) == 1
        assert capsys.readouterr().out == "refused    404 no_route: No route answers for the host nobody.\n"
        assert run("explain", conf, "--host", "a b", "--data", HELLO) == 1
        assert capsys.readouterr().out.startswith("refused    400 malformed_request: ")

    def test_a_hint_where_a_get_was_hardly_meant(
        self, conf: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("explain", conf, "--host", "demo") == 1
        assert "hint: without -d this is a GET" in capsys.readouterr().err
        for meant in (["-X", "GET"], ["-d", "{"]):
            assert run("explain", conf, "--host", "demo", *meant) == 1
            assert capsys.readouterr().err == ""

    def test_either_a_folder_or_a_gateway(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("explain", "--host", "demo") == 2
        assert run("explain", conf, "--against", "http://127.0.0.1:1", "--host", "demo") == 2
        assert capsys.readouterr().err.count("explain wants either DIR or --against URL") == 2

    def test_without_data_it_is_a_get(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("explain", conf, "--host", "demo", "--path", "/v1/models?x=1") == 0
        assert capsys.readouterr().out.endswith("answered   from the route: plain\n")

    def test_data_from_a_file_and_from_standard_input(
        self, conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        body = tmp_path / "body.json"
        body.write_text('{"messages": ["from a file"]}')
        assert run("explain", conf, "--host", "demo", "-d", f"@{body}") == 0
        assert "from a file" in capsys.readouterr().out
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"messages": ["piped"]}')))
        assert run("explain", conf, "--host", "demo", "-d", "@-") == 0
        assert "piped" in capsys.readouterr().out
        assert run("explain", conf, "--host", "demo", "-d", "@none") == 2
        assert capsys.readouterr().err == "llmgateway: none cannot be read: No such file or directory\n"

    def test_a_listener(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        named = "gateways: [egress]\nrules: [{backendRefs: [{providerHost: a.example}]}]"
        (conf / "r.yaml").write_text(route("named", named))
        asked = ("explain", conf, "--host", "named", "--data", HELLO, "--listener")
        assert run(*asked, "egress") == 0
        assert run(*asked, "other") == 1

    def test_a_header_that_is_none(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("explain", conf, "--host", "demo", "-H", "nonsense") == 2
        assert "a header is written as 'Name: value'" in capsys.readouterr().err

    def test_problems_go_to_standard_error(self, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (conf / "acme").mkdir()
        (conf / "acme" / "x.yaml").write_text("kind: [")
        assert run("explain", conf, "--host", "demo", "--data", HELLO) == 0
        out, err = capsys.readouterr()
        assert "x.yaml" in err
        assert "x.yaml" not in out

    def test_secrets_are_never_shown(
        self, conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("CANARY", "canary-1234567890")
        config = "{apiKey: '${CANARY}', headers: {x-a: '${CANARY}'}, parameters: {user: '${CANARY}'}}"
        secret = provider("s", f"configs: {{defaultConfig: {{openAIConfig: {config}}}}}")
        (conf / "s.yaml").write_text(secret)
        assert run("explain", conf, "--host", "s.example", "--data", HELLO) == 0
        assert run("check", conf) == 0
        out, err = capsys.readouterr()
        assert "canary-1234567890" not in out + err
        assert out.count("(hidden)") == 3


class TestInit:
    def test_writes_an_example_that_has_no_problem(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "new" / "conf.d"
        assert run("init", folder) == 0
        assert sorted(path.name for path in folder.iterdir()) == sorted(EXAMPLES)
        assert f"twistd -n --pidfile= llmgateway --conf {folder}" in capsys.readouterr().out
        assert run("check", folder) == 0
        assert run("explain", folder, "--host", "anything", "--data", HELLO) == 0

    @pytest.mark.parametrize("dangling", [False, True])
    def test_overwrites_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], dangling: bool
    ) -> None:
        mine = tmp_path / EXAMPLES[1]
        if dangling:
            mine.symlink_to(tmp_path / "none")
        else:
            mine.write_text("mine")
        assert run("init", tmp_path) == 1
        assert "is there already; nothing was written" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == [mine.name]

    def test_where_nothing_can_be_written(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").touch()
        assert run("init", tmp_path / "file") == 1
        assert capsys.readouterr().err == f"llmgateway: {tmp_path}/file cannot be written: File exists\n"


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_simulate_refuses_what_is_no_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", "--listen", "nonsense:x") == 1
    assert "nonsense:x is no endpoint" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"llmgateway {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["check"], ["explain", "conf.d"], ["check", "--against"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "usage: llmgateway" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough(conf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return spare.fileno()

    with (tmp_path / "spare").open("w") as spare:
        monkeypatch.setattr(sys, "stdout", Closed())
        assert main(["check", str(conf)]) == 1
