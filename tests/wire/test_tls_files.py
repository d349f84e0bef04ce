"""A listener's files: read again when they change, and left alone where they cannot be used."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent

from gateway.wire.limits import TLS_FILES_SECONDS
from gateway.wire.tls_files import TlsFiles, TlsFilesReader
from tests.fakes.certificates import root, weak_key

AUTHORITY = root("authority")
FIRST, SECOND = (AUTHORITY.issue(x509.DNSName("localhost"), common_name=name) for name in ("first", "second"))

LOCKED = FIRST.key.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
).decode()


BEGAN = time.time()
DAY = 24 * 3600.0


class Desk:
    """A reader, its files, and the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self.key = FIRST.write(folder, "server")
        self.client_ca = AUTHORITY.write(folder, "ca")[0]
        self.clock = Clock()

    def read(self) -> TlsFilesReader:
        files = TlsFiles(self.certificate, self.key, self.client_ca, "require", "1.2")
        return TlsFilesReader(
            files, self.clock.seconds, lambda *_: True, lambda *_: b"", lambda: BEGAN + self.clock.seconds()
        )

    def later(self, reader: TlsFilesReader, seconds: float = TLS_FILES_SECONDS) -> SSL.Context:
        """The context after a while."""
        self.clock.advance(seconds)
        return reader.newest()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def common_name(context: SSL.Context) -> str:
    """Of the certificate that a context shows."""
    connection = SSL.Connection(context)
    own = connection.get_certificate(as_cryptography=True)
    assert own is not None
    return own.subject.rfc4514_string()


def texts(events: Sequence[LogEvent]) -> list[str]:
    return [event["log_format"].format(**event) for event in events]


def test_files_that_stay_are_read_once(desk: Desk) -> None:
    reader = desk.read()
    assert common_name(reader.newest()) == "CN=first"
    assert desk.later(reader, 1000) is reader.newest()


def test_new_files_make_a_new_context(desk: Desk) -> None:
    reader = desk.read()
    before = reader.newest()
    SECOND.write(desk.folder, "server")
    assert reader.newest() is before, "looked at more than once a second"
    assert common_name(desk.later(reader)) == "CN=second"
    assert common_name(before) == "CN=first"


def test_written_in_place(desk: Desk) -> None:
    reader = desk.read()
    desk.certificate.write_bytes(SECOND.chain_pem)
    desk.key.write_text(SECOND.key_pem)
    assert common_name(desk.later(reader)) == "CN=second"


def test_a_link_that_is_swapped(desk: Desk) -> None:
    """As the kubelet does it: the files' own links stay, `..data` is renamed."""
    for name, identity in ("old", FIRST), ("new", SECOND):
        (desk.folder / name).mkdir()
        identity.write(desk.folder / name, "tls")
        os.utime(desk.folder / name / "tls.pem", (0, 0))
    (desk.folder / "..data").symlink_to("old")
    for path, name in (desk.certificate, "tls.pem"), (desk.key, "tls.key"):
        path.unlink()
        path.symlink_to(f"..data/{name}")
    reader = desk.read()
    (desk.folder / "next").symlink_to("new")
    (desk.folder / "next").rename(desk.folder / "..data")
    assert common_name(desk.later(reader)) == "CN=second"


def test_a_new_authority_alone(desk: Desk) -> None:
    reader = desk.read()
    before = reader.newest()
    desk.client_ca.write_bytes(root("other").certificate_pem)
    assert desk.later(reader) is not before


def test_what_cannot_be_used_changes_nothing_and_is_told_once(desk: Desk) -> None:
    reader = desk.read()
    before = reader.newest()
    with capturedLogs() as events:
        desk.certificate.write_bytes(SECOND.chain_pem)  # and its key is still on its way
        for _ in range(5):
            assert desk.later(reader) is before
    (line,) = texts(events)
    assert line.startswith("new TLS files cannot be used, the ones before them stay in use: privateKey /")
    assert "server.key does not belong to the first certificate of certificate /" in line
    with capturedLogs() as events:
        desk.key.write_text(SECOND.key_pem)
        assert common_name(desk.later(reader)) == "CN=second"
    (line,) = texts(events)
    assert line.startswith("TLS with /")
    assert "server.pem, valid until 20" in line


def test_whoever_asks_is_told_again(desk: Desk) -> None:
    reader = desk.read()
    with capturedLogs() as events:
        desk.certificate.write_text("garbage")
        reader.read_again()
        assert len(events) == 1, "at once, though nobody connects"
        reader.read_again()
        desk.later(reader)
    assert [text.startswith("new TLS files cannot be used") for text in texts(events)] == [True, True]
    with capturedLogs() as events:
        FIRST.write(desk.folder, "server")
        reader.read_again()
        reader.read_again()
    assert [text.startswith("TLS with") for text in texts(events)] == [True]


def test_when_a_certificate_ends(desk: Desk) -> None:
    reader = desk.read()
    assert reader.ends_at == pytest.approx(BEGAN + 7 * DAY, abs=3600)
    chain = AUTHORITY.issue(
        x509.DNSName("localhost"), sent_with=[root("other").issue(until=timedelta(days=3)).certificate]
    )
    chain.write(desk.folder, "server")
    desk.later(reader)
    assert reader.ends_at == pytest.approx(BEGAN + 3 * DAY, abs=3600)


def test_one_that_ends_soon_is_warned_of_once(desk: Desk) -> None:
    reader = desk.read()
    with capturedLogs() as events:
        desk.later(reader, 6 * DAY - 60)
        assert events == []
        for _ in range(3):
            desk.later(reader, 120)
    (event,) = events
    assert event["log_level"] is LogLevel.warn
    assert (
        f"{desk.certificate} has to be renewed: its certificate, or one of its chain, ends on 20"
        in formatEvent(event)
    )
    with capturedLogs() as events:
        reader.read_again()
        assert len(events) == 1, "whoever asks is told again"
        SECOND.write(desk.folder, "server")
        desk.later(reader)
    assert [event["log_level"] for event in events] == [LogLevel.warn, LogLevel.info, LogLevel.warn]


def test_one_that_has_ended(desk: Desk) -> None:
    AUTHORITY.issue(x509.DNSName("localhost"), until=-timedelta(hours=1)).write(desk.folder, "server")
    with capturedLogs() as events:
        desk.read()
    assert [event["log_level"] for event in events] == [LogLevel.info, LogLevel.error]
    assert "has ended on" in formatEvent(events[1])


def test_files_that_vanish_and_come_back(desk: Desk) -> None:
    reader = desk.read()
    before = reader.newest()
    with capturedLogs() as events:
        desk.certificate.rename(desk.folder / "away")
        assert desk.later(reader) is before
        assert desk.later(reader) is before
        (desk.folder / "away").rename(desk.certificate)
        desk.later(reader)
        desk.later(reader)
    told, recovered = texts(events)
    assert told.endswith("server.pem cannot be read: No such file or directory")
    assert recovered.startswith("TLS with ")


def test_a_read_that_failed_is_tried_again_though_nothing_changed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = desk.read()
    SECOND.write(desk.folder, "server")
    with monkeypatch.context() as disk:
        disk.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert common_name(desk.later(reader)) == "CN=first"
    assert common_name(desk.later(reader)) == "CN=second"


def test_whatever_a_library_says_of_new_files_costs_no_connection(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = desk.read()
    before = reader.newest()
    monkeypatch.setattr(Path, "read_bytes", lambda path: (_ for _ in ()).throw(UnsupportedAlgorithm("odd")))
    desk.key.touch()
    with capturedLogs() as events:
        assert desk.later(reader) is before
        assert desk.later(reader) is before
    (line,) = texts(events)
    assert line.endswith("stay in use: UnsupportedAlgorithm: odd")


def test_a_change_while_it_reads_is_seen_the_next_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = desk.read()
    real = Path.read_bytes

    def read_and_swap(path: Path) -> bytes:
        data = real(path)
        if path == desk.client_ca:
            monkeypatch.setattr(Path, "read_bytes", real)
            SECOND.write(desk.folder, "server")
        return data

    desk.client_ca.touch()
    monkeypatch.setattr(Path, "read_bytes", read_and_swap)
    assert common_name(desk.later(reader)) == "CN=first"
    assert common_name(desk.later(reader)) == "CN=second"


@pytest.mark.parametrize(
    ("name", "contents", "sentence"),
    [
        ("certificate", None, "certificate {} cannot be read: No such file or directory"),
        ("certificate", "", "certificate {} holds no PEM certificate, or one that is damaged"),
        ("key", None, "privateKey {} cannot be read: No such file or directory"),
        ("key", "secret", "privateKey {} holds no PEM private key, or one that is damaged"),
        (
            "key",
            LOCKED,
            "privateKey {} has a passphrase, and nobody is there to type it: remove it with `openssl pkey`",
        ),
        ("client_ca", None, "clientCA {} cannot be read: No such file or directory"),
        ("client_ca", "garbage", "clientCA {} holds no PEM certificate, or one that is damaged"),
    ],
)
def test_what_cannot_be_used_at_start(name: str, contents: str | None, sentence: str, desk: Desk) -> None:
    path: Path = getattr(desk, name)
    path.unlink()
    if contents is not None:
        path.write_text(contents)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence.format(path))}$") as raised:
        desk.read()
    assert raised.value.__cause__ is None


def test_a_key_of_somebody_else(desk: Desk) -> None:
    desk.key.write_text(SECOND.key_pem)
    with pytest.raises(ValueError, match="does not belong to the first certificate of certificate /"):
        desk.read()


def test_a_certificate_that_is_too_weak(desk: Desk) -> None:
    AUTHORITY.issue(key=weak_key()).write(desk.folder, "server")
    with pytest.raises(
        ValueError, match=r"^certificate .*server.pem has a key or a signature that is too weak"
    ):
        desk.read()


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_key_that_everybody_can_read_is_told(mode: int, told: bool, desk: Desk) -> None:
    desk.key.chmod(mode)
    with capturedLogs() as events:
        desk.read()
    warnings = [text for text in texts(events) if text.startswith("every user of this machine can read /")]
    assert len(warnings) == told


def test_nothing_of_a_key_is_told(desk: Desk) -> None:
    reader = desk.read()
    body = FIRST.key_pem.splitlines()[1]
    with capturedLogs() as events:
        desk.key.write_text(FIRST.key_pem.replace("-----END", "-----ENDE"))
        desk.later(reader)
    assert events
    assert body not in repr(events)
