"""The file or pipe that a log goes to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.telemetry.line_output import LineOutput


@contextmanager
def standard_output(descriptor: int) -> Iterator[LineOutput]:
    """An output on this descriptor, which stands in for the standard output meanwhile."""
    kept = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        output = LineOutput("-")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    try:
        yield output
    finally:
        output.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"earlier\n")
    output = LineOutput(str(path))
    data = b"x" * 100_000 + b"\n"
    assert output.write(data) == len(data)
    output.close()
    assert path.read_bytes() == b"earlier\n" + data


def test_a_new_file_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    LineOutput(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


def test_rotation(tmp_path: Path) -> None:
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    output = LineOutput(str(path))
    output.write(b"one\n")
    path.rename(moved)
    output.write(b"two\n")
    output.reopen()
    output.write(b"three\n")
    output.close()
    assert moved.read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_it_knows_whether_its_file_was_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    output = LineOutput(str(path))
    assert not output.is_moved()
    path.rename(tmp_path / "access.log.1")
    assert output.is_moved()
    path.touch()
    assert output.is_moved()
    output.reopen()
    assert not output.is_moved()
    output.close()


def test_a_pipe_is_never_moved_away(tmp_path: Path, pipe: tuple[int, int]) -> None:
    with standard_output(pipe[1]) as output:
        assert not output.is_moved()


def test_a_rotation_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    output = LineOutput(str(folder / "access.log"))
    folder.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        output.reopen()
    output.write(b"still here\n")
    output.close()
    assert (tmp_path / "moved" / "access.log").read_bytes() == b"still here\n"


@pytest.mark.parametrize("name", ["no/such/folder/access.log", "."])
def test_what_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"No such file|Is a directory"):
        LineOutput(str(tmp_path / name))


def test_a_named_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device or address"):
        LineOutput(str(path))


def test_a_named_pipe_whose_reader_is_slow(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = LineOutput(str(path))
    taken = output.write(b"x" * 1_000_000)
    assert 0 < taken < 1_000_000
    assert output.write(b"x") == 0
    output.close()
    os.close(reader)


def test_a_pipe_whose_reader_is_slow_is_not_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with standard_output(writer) as output:
        taken = output.write(b"x" * 1_000_000)
        assert 0 < taken < 1_000_000
        assert output.within_line
        os.read(reader, 10_000)
        assert 0 < output.write(b"y" * 1_000_000) <= 10_000


def test_a_pipe_that_is_closed(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with standard_output(writer) as output, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), reader)
        with pytest.raises(BrokenPipeError):
            output.write(b"x\n")


def test_a_full_disk() -> None:
    output = LineOutput("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        output.write(b"x\n")
    output.close()


def test_it_knows_whether_a_line_has_ended(tmp_path: Path) -> None:
    output = LineOutput(str(tmp_path / "access.log"))
    seen = [output.within_line]
    for data in (b"one\ntw", b"o\n"):
        output.write(data)
        seen.append(output.within_line)
    output.close()
    assert seen == [False, True, False]


def test_a_closed_output_writes_nowhere(tmp_path: Path) -> None:
    # The descriptor's number is given to the next file or socket that is opened.
    output = LineOutput(str(tmp_path / "access.log"))
    output.close()
    other = tmp_path / "other"
    with other.open("wb"), pytest.raises(OSError, match="Bad file descriptor"):
        output.write(b"x\n")
    assert other.read_bytes() == b""
