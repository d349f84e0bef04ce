"""From files to a generation, and which files beside conf.d it depends on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.resources.sources import FILE_BYTES
from gateway.snapshot.generations import Generation
from gateway.watcher.folder import Folder
from gateway.watcher.loading import Loaded, LoadSettings, ReadFiles, load
from tests.fakes.conf import ROOT, any_tls, backend, key_hash, provider, route_to, tenant


def settings(**environment: str) -> LoadSettings:
    return LoadSettings(environment=environment, labels={}, root_namespace=ROOT, prepare_tls=any_tls)


def loaded(path: Path, last: Generation | None = None, **environment: str) -> Loaded:
    return load(Folder(path).read(), last, settings(**environment))


def write(path: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)


def hosts(generation: Generation) -> list[str]:
    return sorted(host for host, _ in generation.snapshot.anonymous.items())


def keyed(key: str) -> str:
    return provider("a", f"configs: {{defaultConfig: {{openAIConfig: {{apiKey: '{key}'}}}}}}")


def test_a_generation(tmp_path: Path) -> None:
    write(tmp_path, {"p.yaml": provider("a"), "acme/p.yaml": provider("b")})
    outcome = loaded(tmp_path)
    assert hosts(outcome.generation) == ["a.example", "b.example"]
    assert outcome.digest == Folder(tmp_path).read().digest
    assert not outcome.read_files.changed()


def test_the_environment(tmp_path: Path) -> None:
    write(tmp_path, {"p.yaml": keyed("${KEY}")})
    assert loaded(tmp_path, KEY="sk-1").generation.problems == ()
    assert loaded(tmp_path).generation.missing == {"default"}


def test_an_unreadable_file_keeps_its_folders_tenant(tmp_path: Path) -> None:
    write(tmp_path, {"acme/p.yaml": provider("a")})
    first = loaded(tmp_path)
    (tmp_path / "acme" / "p.yaml").unlink()
    (tmp_path / "acme" / "p.yaml").symlink_to("none")
    second = loaded(tmp_path, first.generation).generation
    assert hosts(second) == ["a.example"]
    assert second.stale == {"acme"}


@pytest.mark.parametrize("how", ["a link to nothing", "not to be listed", "a file that is a link to itself"])
def test_an_unreadable_folder_keeps_its_tenant_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its keys and its exports too: nothing says that they were taken away."""
    document = tenant("acme", f'clients: [{{name: ci, apiKeyHash: "{key_hash("sk-client-key-of-acme")}"}}]')
    write(tmp_path, {"acme/p.yaml": provider("a", 'exportTo: ["*"]'), "acme/t.yaml": document})
    write(tmp_path, {"other/r.yaml": route_to("a")})
    first = loaded(tmp_path)
    if how == "not to be listed":
        listed = os.listdir

        def denied(path: str) -> list[str]:
            if Path(path).name == "acme":
                raise PermissionError(13, "Permission denied")
            return listed(path)

        monkeypatch.setattr(os, "listdir", denied)
    elif how == "a link to nothing":
        (tmp_path / "acme").rename(tmp_path / ".acme")
        (tmp_path / "acme").symlink_to("none")
    else:
        (tmp_path / "acme" / "t.yaml").unlink()
        (tmp_path / "acme" / "t.yaml").symlink_to("t.yaml")
    second = loaded(tmp_path, first.generation).generation
    assert second.stale == {"acme"}
    client = second.snapshot.clients.by_key(b"sk-client-key-of-acme", 0)
    assert client is not None
    assert client.tenant == "acme"
    assert backend(second.snapshot, "demo", tenant="other").owner == "acme"


def test_and_every_tenant_that_it_held(tmp_path: Path) -> None:
    write(tmp_path, {"all.yaml": provider("a", namespace="acme"), "acme/p.yaml": provider("b")})
    first = loaded(tmp_path)
    (tmp_path / "all.yaml").unlink()
    os.mkfifo(tmp_path / "all.yaml")
    second = loaded(tmp_path, first.generation).generation
    assert hosts(second) == ["a.example", "b.example"]
    assert second.stale >= {"acme"}


class TestReadFiles:
    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret"
        path.write_text("one")
        return path

    def test_a_change_is_noticed(self, secret: Path) -> None:
        files = ReadFiles()
        assert files.read(str(secret)) == b"one"
        assert not files.changed()
        secret.write_text("two")
        assert files.changed()
        secret.write_text("one")
        assert not files.changed()

    def test_so_are_its_end_and_its_beginning(self, secret: Path, tmp_path: Path) -> None:
        files = ReadFiles()
        files.read(str(secret))
        secret.unlink()
        assert files.changed()
        late = ReadFiles()
        with pytest.raises(FileNotFoundError):
            late.read(str(tmp_path / "late"))
        assert not late.changed()
        (tmp_path / "late").write_text("")
        assert late.changed()

    def test_what_it_holds_is_not_kept(self, secret: Path) -> None:
        secret.write_text("canary")
        files = ReadFiles()
        files.read(str(secret))
        assert "canary" not in str(files.digests)

    def test_a_fifo_does_not_make_it_wait(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(OSError, match="not a regular file"):
            ReadFiles().read(str(tmp_path / "fifo"))

    def test_nor_does_a_device_fill_the_memory(self) -> None:
        with pytest.raises(OSError, match="not a regular file"):
            ReadFiles().read("/dev/zero")


def test_secrets_and_certificates_are_among_the_files(tmp_path: Path) -> None:
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (tmp_path / "key").write_text("sk-1\n")
    (tmp_path / "ca.pem").write_text("roots")
    spec = f"""
        endpoint: {{tls: {{caCertificates: {tmp_path}/ca.pem}}}}
        configs: {{defaultConfig: {{openAIConfig: {{apiKey: "${{file:{tmp_path}/key}}"}}}}}}
        """
    write(conf, {"p.yaml": provider("a", spec)})
    outcome = loaded(conf)
    assert outcome.generation.problems == ()
    assert outcome.read_files.digests.keys() == {f"{tmp_path}/key", f"{tmp_path}/ca.pem"}
    (tmp_path / "ca.pem").write_text("other roots")
    assert outcome.read_files.changed()


def test_a_file_beyond_reason_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"x" * (FILE_BYTES + 1))
    with pytest.raises(OSError, match="more than"):
        ReadFiles().read(str(tmp_path / "ca.pem"))
