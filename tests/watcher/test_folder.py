"""What of conf.d counts, and what is said of what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from gateway.resources.sources import FILE_BYTES
from gateway.watcher.folder import Contents, Folder


def read(path: Path) -> Contents:
    return Folder(path).read()


def names(path: Path) -> list[tuple[str, str]]:
    """Tenant folder and path below conf.d of each file."""
    return [(file.folder, str(Path(file.path).relative_to(path))) for file in read(path).files]


def problems(path: Path) -> list[tuple[str, str, str | None]]:
    """File below conf.d, sentence and tenant of each problem."""
    return [
        (str(Path(each.position.file).relative_to(path)), each.message, each.tenant)
        for each in read(path).problems
    ]


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_and_tenant_folders(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "acme/p.yaml", "acme/q.yml"):
        write(tmp_path / name, name)
    assert names(tmp_path) == [("", "a.yml"), ("acme", "acme/p.yaml"), ("acme", "acme/q.yml"), ("", "b.yaml")]
    assert {file.content for file in read(tmp_path).files} >= {b"acme/p.yaml", b"b.yaml"}


@pytest.mark.parametrize(
    "name",
    [
        ".a.yaml",
        ".git/a.yaml",
        "acme/.a.yaml",
        "a.json",
        "a.yaml~",
        "a.yaml.swp",
        "acme/deeper/a.yaml",
        "README",
    ],
)
def test_what_does_not_count(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    assert read(tmp_path).files == ()
    assert read(tmp_path).problems == ()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_links_are_followed(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere" / "one.yaml", "one").parent
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (conf / "file.yaml").symlink_to(elsewhere / "one.yaml")
    (conf / "acme").symlink_to(elsewhere)
    assert names(conf) == [("acme", "acme/one.yaml"), ("", "file.yaml")]


def test_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "none")
    assert problems(tmp_path) == [("a.yaml", "is a link to nothing", "default")]


def test_a_tenants_folder_that_is_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "acme").symlink_to(tmp_path / "none")
    write(tmp_path / "file")
    (tmp_path / "beta").symlink_to(tmp_path / "file" / "below")
    (tmp_path / "notes").symlink_to(tmp_path / "file")
    assert problems(tmp_path) == [
        ("acme", "is a link to nothing", "acme"),
        ("beta", "is a link to nothing", "beta"),
    ]


def test_what_a_lost_link_leads_to_counts_when_it_comes(tmp_path: Path) -> None:
    conf = tmp_path / "conf.d"
    conf.mkdir()
    (conf / "acme").symlink_to(tmp_path / "folder")
    (conf / "a.yaml").symlink_to(tmp_path / "file")
    assert read(conf).elsewhere == {str(tmp_path / "folder"), str(tmp_path / "file")}


def test_a_file_that_vanishes_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.yaml")
    really = os.listdir
    monkeypatch.setattr(
        os, "listdir", lambda path: ["a.yaml", "gone.yaml"] if Path(path) == tmp_path else really(path)
    )
    assert names(tmp_path) == [("", "a.yaml")]
    assert problems(tmp_path) == []


def test_a_tenant_folder_that_vanishes_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme").mkdir()
    listed = os.listdir

    def vanishing(path: Path) -> list[str]:
        if Path(path) == tmp_path:
            return listed(path)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "listdir", vanishing)
    assert problems(tmp_path) == []


def test_a_fifo_does_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    assert problems(tmp_path) == [("a.yaml", "cannot be read: not a regular file", "default")]


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "acme" / "a.yaml")
    write(tmp_path / "b.yaml")
    opened = os.open

    def denied(path: Path, flags: int) -> int:
        if Path(path).name == "a.yaml":
            raise PermissionError(13, "Permission denied")
        return opened(path, flags)

    monkeypatch.setattr(os, "open", denied)
    assert problems(tmp_path) == [("acme/a.yaml", "cannot be read: Permission denied", "acme")]
    assert names(tmp_path) == [("", "b.yaml")]


def test_a_tenant_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "acme" / "a.yaml")
    listed = os.listdir

    def denied(path: Path) -> list[str]:
        if Path(path).name == "acme":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "listdir", denied)
    assert problems(tmp_path) == [("acme", "cannot be listed: Permission denied", "acme")]


def test_no_more_is_read_than_a_file_may_have(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "x" * (FILE_BYTES + 10))
    (file,) = read(tmp_path).files
    assert len(file.content) == FILE_BYTES + 1


class TestDigest:
    def test_is_the_same_for_the_same(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.yaml", "one")
        before = read(tmp_path).digest
        os.utime(path, (1, 1))
        write(tmp_path / "ignored.txt")
        assert read(tmp_path).digest == before

    def test_is_another_for_every_change_that_counts(self, tmp_path: Path) -> None:
        seen = [read(tmp_path).digest]

        def changed() -> None:
            seen.append(read(tmp_path).digest)

        path = write(tmp_path / "a.yaml", "one")
        changed()
        path.write_text("two")
        changed()
        path.rename(tmp_path / "b.yaml")
        changed()
        write(tmp_path / "acme" / "b.yaml", "two")
        changed()
        (tmp_path / "c.yaml").symlink_to("none")
        changed()
        assert len(set(seen)) == len(seen)

    def test_does_not_mix_up_where_a_file_ends(self, tmp_path: Path) -> None:
        write(tmp_path / "a.yaml", "x")
        write(tmp_path / "b.yaml", "yz")
        before = read(tmp_path).digest
        write(tmp_path / "a.yaml", "xy")
        write(tmp_path / "b.yaml", "z")
        assert read(tmp_path).digest != before


class TestConfigMap:
    """A mounted ConfigMap: links over `..data` to a hidden folder, swapped by one rename."""

    def publish(self, conf: Path, version: str, **files: str) -> None:
        for name, text in files.items():
            write(conf / f"..{version}" / f"{name}.yaml", text)
            link = conf / f"{name}.yaml"
            if not link.is_symlink():
                link.symlink_to(Path("..data") / f"{name}.yaml")
        (conf / "..new").symlink_to(f"..{version}")
        (conf / "..new").rename(conf / "..data")

    def test_each_file_counts_once(self, tmp_path: Path) -> None:
        self.publish(tmp_path, "v1", a="one", b="one")
        assert names(tmp_path) == [("", "a.yaml"), ("", "b.yaml")]

    def test_a_swap_is_another_digest(self, tmp_path: Path) -> None:
        self.publish(tmp_path, "v1", a="one")
        before = read(tmp_path).digest
        self.publish(tmp_path, "v2", a="two")
        assert read(tmp_path).digest != before

    @pytest.mark.parametrize("tenant", ["", "acme"])
    def test_a_swap_while_it_is_read_is_never_half_seen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tenant: str
    ) -> None:
        conf = tmp_path / tenant
        self.publish(conf, "v1", a="one", b="one")
        opened, swaps = os.open, [lambda: self.publish(conf, "v2", a="two", b="two")]

        def swapping(path: Path, flags: int) -> int:
            descriptor = opened(path, flags)
            if swaps:
                swaps.pop()()
            return descriptor

        monkeypatch.setattr(os, "open", swapping)
        assert [file.content for file in read(tmp_path).files] == [b"two", b"two"]

    def test_one_that_never_comes_to_rest_is_read_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.publish(tmp_path, "v0", a="0")
        opened, numbers = os.open, iter(range(1, 100))

        def swapping(path: Path, flags: int) -> int:
            number = str(next(numbers))
            self.publish(tmp_path, f"v{number}", a=number)
            return opened(path, flags)

        monkeypatch.setattr(os, "open", swapping)
        assert len(read(tmp_path).files) == 1
        assert next(numbers) == 4


def test_a_link_that_leads_to_itself_harms_nobody_else(tmp_path: Path) -> None:
    write(tmp_path / "acme/a.yaml")
    (tmp_path / "loop").symlink_to("loop")
    assert names(tmp_path) == [("acme", "acme/a.yaml")]
    ((place, sentence, tenant),) = problems(tmp_path)
    assert (place, tenant) == ("loop", "loop")
    assert sentence.startswith("cannot be listed: Too many levels of symbolic links")


def test_nor_does_a_file_that_does(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").symlink_to("x.yaml")
    ((place, sentence, tenant),) = problems(tmp_path)
    assert (place, tenant) == ("x.yaml", "default")
    assert sentence.startswith("cannot be read: Too many levels of symbolic links")


def test_a_folder_may_have_a_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "acme.yaml/a.yaml")
    assert names(tmp_path) == [("acme.yaml", "acme.yaml/a.yaml")]
    listed = os.listdir

    def denied(path: Path) -> list[str]:
        if Path(path).name == "acme.yaml":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "listdir", denied)
    assert problems(tmp_path) == [("acme.yaml", "cannot be listed: Permission denied", "acme.yaml")]


@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        (b"\xff.yaml", "default"),
        (b"acme/\xff.yaml", "acme"),
        (b"t\xff/a.yaml", "t\ufffd"),
        ("tüt/".encode() + b"\xff.yaml", "tüt"),
    ],
)
def test_a_name_that_is_not_text_is_told_and_left_out(tmp_path: Path, name: bytes, tenant: str) -> None:
    write(tmp_path / "acme/a.yaml")
    path = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"x")
    assert names(tmp_path) == [("acme", "acme/a.yaml")]
    ((place, sentence, held_back),) = problems(tmp_path)
    assert "\ufffd" in place
    assert (sentence, held_back) == ("its name is not UTF-8", tenant)


def test_a_folder_whose_name_is_not_text_is_told_once(tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"t\xff")
    os.mkdir(folder)
    assert problems(tmp_path) == []
    for name in (b"a.yaml", b"b.yaml"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"x")
    assert problems(tmp_path) == [("t\ufffd", "its name is not UTF-8", "t\ufffd")]


class TestCutShort:
    """Files that are written in place and hold only the beginning of what they held."""

    WHOLE = "one\n---\ntwo\n---\nthree\n"

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write(tmp_path / "a.yaml", self.WHOLE)

    @pytest.fixture
    def cut(self, path: Path) -> Callable[[], tuple[bytes, bool]]:
        """Reads after every grace, and tells what the file holds and whether it counts as cut short."""
        hours = count(step=3600)
        folder = Folder(path.parent, lambda: float(next(hours)))

        def read_again() -> tuple[bytes, bool]:
            folder.read()
            (file,) = folder.read().files
            return file.content, file.is_cut_short

        assert read_again() == (self.WHOLE.encode(), False)
        return read_again

    def test_what_is_cut_short(self, path: Path, cut: Callable[[], tuple[bytes, bool]]) -> None:
        for text in ("one\n---\ntwo\n", "one\n", "one\n---\n"):  # the rest may come in pieces
            path.write_text(text)
            assert cut() == (text.encode(), True)
            assert cut() == (text.encode(), True)
        path.write_text(self.WHOLE)
        assert cut() == (self.WHOLE.encode(), False)

    def test_what_is_not(self, path: Path, cut: Callable[[], tuple[bytes, bool]]) -> None:
        path.write_text("one\n")
        assert cut()[1]
        path.write_text("one\n# no more\n")
        assert cut() == (b"one\n# no more\n", False)

    def test_what_is_moved_there_is_whole(self, path: Path, cut: Callable[[], tuple[bytes, bool]]) -> None:
        path.write_text("one\n")
        assert cut()[1]
        before = read(path.parent).digest
        write(path.with_name(".new"), "one\n").rename(path)
        assert cut() == (b"one\n", False)
        assert read(path.parent).digest == before

    def test_it_is_another_digest(self, path: Path) -> None:
        hours = count(step=3600)
        folder = Folder(path.parent, lambda: float(next(hours)))
        folder.read()
        path.write_text("one\n")
        folder.read()
        as_cut_short = folder.read().digest
        assert as_cut_short != read(path.parent).digest
