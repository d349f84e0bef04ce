"""The gateway as operators run it: `twistd -n llmgateway` as a process of its own, started from another folder."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "gateway" / "examples"
TWISTD = Path(sys.executable).parent / "twistd"
ANY_PORT = "tcp:0:interface=127.0.0.1"

PATIENCE = 20.0
"""Seconds until a thing that was to happen is taken for one that will not."""


def wait_until(happened: Callable[[], bool], within: float = PATIENCE) -> None:
    """Return as soon as this is true.

    :raises AssertionError: if it is not in time.
    """
    deadline = time.monotonic() + within
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


_LISTENS = re.compile(r"llmgateway \S+ listens on (?:[\w.-]+=)?(\S+?)(?:, .*)?, admin on ([^\s\"]+)")
_READ = re.compile(r"configuration (applied|partly applied|rejected), ")

_log = logging.getLogger("twistd")


class Gateway:
    """One running gateway, for a `with` statement; it is gone when that ends, however it ends."""

    def __init__(
        self,
        folder: Path,
        conf: Mapping[str, str],
        *options: str,
        listen: Sequence[str] = (ANY_PORT,),
        admin: str = ANY_PORT,
        environment: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        """Write its files; `with` starts it.

        :param folder: where it runs and has its conf.d; made if it is not there.
        :param conf: what conf.d holds: file name -> text.
        :param options: further ones for the command line.
        :param environment: all of it, beside PATH.
        :param within: a command line that runs the rest of its arguments, such as `ip netns exec …`.
        """
        self.folder = folder
        self.conf = folder / "conf.d"
        self.conf.mkdir(parents=True)
        self.write(conf)
        ports = [f"--listen={endpoint}" for endpoint in listen]
        self._command = [*within, str(TWISTD), "-n", "--pidfile=", "llmgateway", *ports]
        self._command += [f"--admin={admin}", "--conf=conf.d", *options]
        self._environment = {"PATH": os.environ["PATH"], **(environment or {})}
        self._lines: list[str] = []
        self._read = Condition()
        self._ended = False

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            self.address, self.admin_address = self.wait_for_log(_LISTENS).groups()
        except BaseException:
            self._kill()
            raise
        self.url = f"http://{self.address}"
        self.admin_url = f"http://{self.admin_address}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    # -- its log -----------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """All that it has written, to standard output and error, so far."""
        with self._read:
            return "".join(self._lines)

    def wait_for_log(self, pattern: str | re.Pattern[str], times: int = 1) -> re.Match[str]:
        """The match of a pattern in the log, as soon as there is one.

        :param times: wait for so many matches, and return the last of them.
        :raises AssertionError: with the log, if there is none in time or the process has ended.
        """

        def matches() -> list[re.Match[str]]:
            return list(re.finditer(pattern, "".join(self._lines)))

        with self._read:
            self._read.wait_for(lambda: len(matches()) >= times or self._ended, PATIENCE)
            found = matches()
            assert len(found) >= times, f"no {pattern!r} in the log:\n" + "".join(self._lines)
            return found[times - 1]

    def exchange(self, request_id: str) -> dict[str, Any]:
        """The line of the access log for the exchange with this `x-request-id`, once it has ended.

        Wants the option `--access-log=-`.
        """
        line = self.wait_for_log(rf'(?m)^{{"time":.*"request_id":"{re.escape(request_id)}".*$')[0]
        fields: dict[str, Any] = json.loads(line)
        return fields

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            text = line.decode()
            _log.info(text.rstrip())
            with self._read:
                self._lines.append(text)
                self._read.notify_all()
        with self._read:
            self._ended = True
            self._read.notify_all()

    # -- its files ---------------------------------------------------------------------------------

    def write(self, conf: Mapping[str, str]) -> None:
        """Put files into conf.d as `kubectl` and good editors do: whole or not at all."""
        for name, text in conf.items():
            written = self.conf / f".{name}.written"
            written.write_text(text, encoding="utf-8")
            written.rename(self.conf / name)

    def apply(self, conf: Mapping[str, str]) -> None:
        """Put files into conf.d and wait until the gateway runs on what it has read."""
        before = len(_READ.findall(self.log))
        self.write(conf)
        self.wait_for_log(_READ, times=before + 1)

    # -- its numbers -------------------------------------------------------------------------------

    def admin(self, path: str) -> str:
        """A page of the admin port."""
        with urllib.request.urlopen(self.admin_url + path, timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
            return text

    def count(self, metric: str, **labels: str) -> float:
        """The sum over all series of a metric that have these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.admin("/metrics"))
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    # -- its end -----------------------------------------------------------------------------------

    def stop(self) -> int:
        """Ask it to stop, as an operator does, and return its exit status."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
