"""The file or pipe that a log goes to."""

from __future__ import annotations

import os
import resource
import socket
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


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process grows beyond it, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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


def test_of_what_a_pipe_has_no_room_for_a_whole_line_is_the_last(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lines = b"".join(b"%d %b\n" % (number, b"x" * 700) for number in range(1000))
    with standard_output(writer) as output:
        taken = output.write(lines)
        assert 0 < taken < len(lines)
        assert not output.within_line
        assert os.read(reader, 1 << 20).endswith(b"x\n")


def test_a_line_longer_than_a_pipe_takes_at_once_is_ended_before_anybody_elses(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with standard_output(writer) as one, standard_output(writer) as other:
        assert one.is_same(other)
        one.take_turns_with(other)
        long = b"x" * 1_000_000 + b"\n"
        taken = one.write(long)
        assert (one.within_line, other.within_line) == (True, False)
        read = b""
        while taken < len(long):
            read += os.read(reader, 50_000)
            assert other.write(b"other\n") == 0
            taken += one.write(long[taken:])
        read += os.read(reader, 50_000)
        assert other.write(b"other\n") == 6
        while not read.endswith(b"other\n"):
            read += os.read(reader, 50_000)
        assert read == long + b"other\n"


def test_a_line_that_nobody_will_end_does_not_run_into_the_next(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with standard_output(writer) as other:
        with standard_output(writer) as one:
            one.take_turns_with(other)
            taken = one.write(b"x" * 1_000_000 + b"\n")
            assert other.write(b"other\n") == 0
        assert os.read(reader, 1 << 20) == b"x" * taken
        assert other.write(b"other\n") == 6
        assert os.read(reader, 100) == b"\nother\n"


def test_who_comes_while_somebody_writes_does_not_wait(tmp_path: Path) -> None:
    one = LineOutput(str(tmp_path / "log"))
    other = LineOutput(str(tmp_path / "log"))
    one.take_turns_with(other)
    with other._turn.lock:
        assert one.write(b"a line\n") == 0
    assert one.write(b"a line\n") == 7
    one.close()
    other.close()


def test_a_pipe_is_opened_once_more_so_that_nobody_else_stops_waiting(pipe: tuple[int, int]) -> None:
    """Between a poll and a write other processes may fill it."""
    _, writer = pipe
    with standard_output(writer) as output:
        assert not os.get_blocking(output._descriptor)
        assert os.get_blocking(writer)


def test_a_socket_as_the_standard_output() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, standard_output(theirs.fileno()) as output:
        taken = output.write(b"a line\n" * 1_000_000)
        assert 0 < taken < 7_000_000
        ours.recv(1 << 20)
        assert output.write(b"a line\n" * 1_000_000) > 0


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


def test_what_a_full_disk_took_of_a_line_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    output = LineOutput(str(path))
    with room_for(25):
        assert output.write(b"0123456789\n" * 3) == 22
        with pytest.raises(OSError, match="File too large"):
            output.write(b"0123456789\n")
    assert path.read_bytes() == b"0123456789\n" * 2
    output.write(b"more\n")
    output.close()
    assert path.read_bytes() == b"0123456789\n" * 2 + b"more\n"


def test_not_where_somebody_else_has_written_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "access.log"
    output = LineOutput(str(path))
    write = os.write

    def crowded(descriptor: int, data: bytes) -> int:
        taken = write(descriptor, data)
        if taken < len(data):
            with room_for(100), path.open("ab") as other:
                other.write(b"!")
        return taken

    with room_for(25), monkeypatch.context() as patched:
        patched.setattr(os, "write", crowded)
        assert output.write(b"0123456789\n" * 3) == 25
    assert path.read_bytes() == b"0123456789\n" * 2 + b"012!"
    with room_for(25), pytest.raises(OSError, match="File too large"):
        output.write(b"3456789\n")
    output.write(b"more\n")
    output.close()
    assert path.read_bytes() == b"0123456789\n" * 2 + b"012!\nmore\n"


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
