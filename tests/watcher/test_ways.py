"""What is to be watched, so that nothing on the way to a path changes unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.watcher.ways import Counting, ways_to


def counted(path: Path, place: str) -> dict[str, tuple[set[str], set[str]]]:
    """Names that count and those that turn, by folder below `path`."""
    return {
        str(Path(folder).relative_to(path)): (set(counting.names), set(counting.turns))
        for folder, counting in ways_to([str(path / place)]).items()
    }


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    assert counted(tmp_path, "key") == {".": ({"key"}, set())}


@pytest.mark.parametrize("place", ["a/b/key", "a/../a/./b//key"])
def test_a_folder_that_is_not_there(tmp_path: Path, place: str) -> None:
    (tmp_path / "a").mkdir()
    assert counted(tmp_path, place) == {"a": ({"b"}, {"b"})}


def test_links_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "v1" / "deep").mkdir(parents=True)
    (tmp_path / "v1" / "deep" / "real").touch()
    (tmp_path / "v1" / "key").symlink_to("deep/real")
    (tmp_path / "now").symlink_to(tmp_path / "v1")
    assert counted(tmp_path, "now/key") == {
        ".": ({"now"}, {"now"}),
        "v1": ({"key"}, {"key"}),
        "v1/deep": ({"real"}, set()),
    }


def test_a_link_to_nothing_and_one_to_itself(tmp_path: Path) -> None:
    (tmp_path / "lost").symlink_to("none")
    (tmp_path / "loop").symlink_to("loop")
    assert counted(tmp_path, "lost") == {".": ({"lost", "none"}, {"lost", "none"})}
    assert counted(tmp_path, "loop") == {".": ({"loop"}, {"loop"})}


def test_several_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    places = [str(tmp_path / name) for name in ("one", "two")]
    assert ways_to(places) == {str(tmp_path): Counting(frozenset({"one", "two"}), frozenset({"two"}))}
