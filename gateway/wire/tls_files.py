"""A listener's certificate, key and client authorities: files that are read again when they change.

Nobody watches them.  Whoever needs a context asks for the newest, and at most once a second that costs three
`stat`: this works on every file system, follows links (a Kubernetes Secret is swapped by one), and wants neither
a thread nor a descriptor.  Files that cannot be used change nothing: the context that there is stays, and the log
says so once, and again to whoever has them looked at.  A certificate and its key are two files, so for a moment of
every renewal they do not fit.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import frozen
from OpenSSL import SSL
from twisted.logger import Logger

from gateway.wire.certificates import shown
from gateway.wire.contexts import Choice, Judge, Pem, ends_at, make_server_context
from gateway.wire.limits import CERTIFICATE_ENDS_SOON_SECONDS, TLS_FILES_SECONDS

ClientAuth: TypeAlias = Literal["none", "request", "require"]
"""Whether clients show certificates: nobody is asked, who shows one must be believed, everybody must."""


@frozen
class TlsFiles:
    """What a listener is made from."""

    certificate: Path
    """Its own certificate first, then the chain."""
    private_key: Path
    client_ca: Path | None
    """The authorities of clients; None exactly where none is asked for a certificate."""
    client_auth: ClientAuth
    min_version: str
    """The lowest version of TLS: `1.2` or `1.3`."""
    name: str = ""
    """The certificate's path as the operator has written it."""


class TlsFilesReader:
    """The context that these files make."""

    _log = Logger()

    def __init__(
        self,
        files: TlsFiles,
        seconds: Callable[[], float],
        judge: Judge,
        choose: Choice,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the files.

        :param seconds: a clock that does not jump.
        :param judge: asked about every certificate of a client's chain.
        :param choose: asked which of a client's protocols is spoken.
        :param wall_clock: seconds of Unix time.
        :raises ValueError: with a sentence for the operator.
        """
        self._files = files
        self._seconds = seconds
        self._judge = judge
        self._choose = choose
        self._wall_clock = wall_clock
        self.ends_at = 0.0
        """When the certificate that is shown ends, or the first of its chain, in seconds of Unix time."""
        self._warned = False
        """It was said that it ends soon."""
        self._fault: str | None = None
        """Why the files as they are cannot be used."""
        self._look_at = seconds() + TLS_FILES_SECONDS
        self._seen = self._look()
        self._context = self._read()
        self._warn_of_end()

    @property
    def name(self) -> str:
        """The certificate's path as the operator has written it."""
        return self._files.name

    def newest(self) -> SSL.Context:
        """The context for the next connection."""
        if self._seconds() >= self._look_at:
            self._look_again()
        return self._context

    def read_again(self) -> None:
        """Look at the files now; what is wrong with them is told whether or not it was told before."""
        fault, self._fault = self._fault, None
        if fault is not None:
            self._seen = ()
        self._warned = False
        self._look_again()

    def _look_again(self) -> None:
        self._look_at = self._seconds() + TLS_FILES_SECONDS
        # Looked at before they are read: what changes in between is seen the next time.
        seen = self._look()
        if seen != self._seen or self._fault is not None:
            self._seen = seen
            self._replace()
        self._warn_of_end()

    def _warn_of_end(self) -> None:
        left = self.ends_at - self._wall_clock()
        if self._warned or left >= CERTIFICATE_ENDS_SOON_SECONDS:
            return
        self._warned = True
        tell, ends = (self._log.warn, "ends") if left > 0 else (self._log.error, "has ended")
        tell(
            "{path} has to be renewed: its certificate, or one of its chain, {_ends} on {until:%Y-%m-%d %H:%M} UTC",
            path=str(self._files.certificate),
            until=datetime.fromtimestamp(self.ends_at, UTC),
            _ends=ends,
        )

    def _replace(self) -> None:
        try:
            self._context = self._read()
        except Exception as error:  # whatever is in a file, it must not cost a connection
            fault = str(error) if isinstance(error, ValueError) else shown(f"{type(error).__name__}: {error}")
            if fault != self._fault:
                self._fault = fault
                self._log.error(
                    "new TLS files cannot be used, the ones before them stay in use: {fault}",
                    fault=fault,
                )
        else:
            self._fault = None

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        """What changes whenever a file does, by content or by name."""
        return tuple(_identity(path) for path in self._paths())

    def _paths(self) -> list[Path]:
        files = self._files
        return [path for path in (files.certificate, files.private_key, files.client_ca) if path is not None]

    def _read(self) -> SSL.Context:
        """Make a context.

        :raises ValueError: with a sentence for the operator.
        """
        files = self._files
        certificate = _pem("certificate", files.certificate)
        context = make_server_context(
            certificate,
            _pem("privateKey", files.private_key),
            None if files.client_ca is None else _pem("clientCA", files.client_ca),
            min_version=files.min_version,
            required=files.client_auth == "require",
            judge=self._judge,
            choose=self._choose,
        )
        self.ends_at, self._warned = ends_at(certificate.data), False
        self._log.info(
            "TLS with {path}, valid until {until:%Y-%m-%d %H:%M} UTC",
            path=str(files.certificate),
            until=datetime.fromtimestamp(self.ends_at, UTC),
        )
        if is_public(files.private_key):
            self._log.warn("every user of this machine can read {path}", path=str(files.private_key))
        return context


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def is_public(path: Path) -> bool:
    """Tell whether every user of this machine can read a file."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _pem(field: str, path: Path) -> Pem:
    """A file's content.

    :raises ValueError: with a sentence for the operator.
    """
    try:
        return Pem(f"{field} {path}", path.read_bytes())
    except OSError as error:
        raise ValueError(f"{field} {path} cannot be read: {error.strerror}") from None
