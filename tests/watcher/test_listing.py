"""A folder is listed once for each time that something comes or goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.watcher import file_content
from gateway.watcher.folder import Folder
from gateway.watcher.listing import NotAFolderError, list_folder


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the folders that are listed; their times are trusted at once."""
    found, really = list[str](), os.listdir

    def noted(path: Any) -> list[str]:
        found.append(Path(path).name)
        return really(path)

    monkeypatch.setattr(os, "listdir", noted)
    monkeypatch.setattr(file_content, "_FRESH_SECONDS", -3600.0)
    return found


def test_what_it_holds(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", ".hidden"):
        (tmp_path / name).touch()
    listing = list_folder(str(tmp_path), None)
    assert listing.names == ("a.yaml", "b.yaml")
    assert listing.swapped is None


def test_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotAFolderError):
        list_folder(str(tmp_path / "a"), None)


def test_only_the_folder_that_has_changed_is_listed(tmp_path: Path, listed: list[str]) -> None:
    conf = tmp_path / "conf.d"
    for tenant in ("one", "two"):
        (conf / tenant).mkdir(parents=True)
        (conf / tenant / "a.yaml").write_text(tenant)
    folder = Folder(conf)
    folder.read()
    listed.clear()
    folder.read(thoroughly=False)
    assert listed == []
    (conf / "two" / "b.yaml").write_text("new")
    assert len(folder.read(thoroughly=False).files) == 3
    assert listed == ["two"]
    (conf / "one" / "a.yaml").unlink()
    (conf / "two" / "b.yaml").rename(conf / "two" / "c.yaml")
    files = folder.read(thoroughly=False).files
    assert [Path(file.path).name for file in files] == ["a.yaml", "c.yaml"]


def test_another_folder_in_its_place_is_listed(tmp_path: Path, listed: list[str]) -> None:
    (tmp_path / "conf.d/one").mkdir(parents=True)
    folder = Folder(tmp_path / "conf.d")
    folder.read()
    (tmp_path / "conf.d/one").rename(tmp_path / "old")
    (tmp_path / "conf.d/one").mkdir()
    (tmp_path / "conf.d/one/a.yaml").write_text("new")
    assert len(folder.read(thoroughly=False).files) == 1


def test_thoroughly_all_are_listed(tmp_path: Path, listed: list[str]) -> None:
    (tmp_path / "one").mkdir()
    folder = Folder(tmp_path)
    folder.read()
    listed.clear()
    folder.read()
    assert listed == [tmp_path.name, "one"]


def test_one_that_has_just_changed_is_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its times may not show that it changed twice within one tick of their clock."""
    monkeypatch.setattr(file_content, "_FRESH_SECONDS", 3600.0)
    assert list_folder(str(tmp_path), None).signature is None


def test_unchanged_contents_are_the_very_same(tmp_path: Path, listed: list[str]) -> None:
    (tmp_path / "a.yaml").write_text("one")
    folder = Folder(tmp_path)
    first = folder.read()
    for thoroughly in (True, False):
        again = folder.read(thoroughly=thoroughly)
        assert again.files is first.files
        assert again == first
    (tmp_path / "a.yaml").write_text("two")
    assert folder.read(thoroughly=False).digest != first.digest
