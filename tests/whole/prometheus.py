"""A real Prometheus, as a process of its own: it scrapes, records, alerts, and is asked over its API."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeAlias

import pytest
from attrs import frozen

from tests.whole.running import PATIENCE, wait_until

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")), reason="prometheus is not installed"
)

EVERY = 1.0
"""Seconds from one scrape, and from one look at the rules, to the next; a scrape may take as long, which a busy machine
needs."""

_LISTENS = re.compile(r'msg="Listening on" address=(\S+)')

Labels: TypeAlias = dict[str, str]


@frozen
class Curve:
    """One series of an answer."""

    labels: Labels
    values: Sequence[float]


class Prometheus:
    """One that runs, for a `with` statement."""

    def __init__(self, folder: Path, job: str, target: str, rules: str) -> None:
        """Write its files; `with` starts it.

        :param folder: made for it, with all that it stores.
        :param target: an address that it scrapes as this job.
        :param rules: the text of its file of rules.
        """
        folder.mkdir()
        (folder / "rules.yaml").write_text(rules, "utf-8")
        configuration = {
            "global": {
                "scrape_interval": f"{EVERY * 1000:g}ms",
                "evaluation_interval": f"{EVERY * 1000:g}ms",
            },
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yaml").write_text(json.dumps(configuration), "utf-8")
        self._command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]
        self._log: list[str] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            wait_until(lambda: bool(self._announced()) or self._process.poll() is not None)
            (address,) = self._announced()
            self._url = f"http://{address}/api/v1/"
            # It finds its target only after five seconds, whatever it is told.
            wait_until(lambda: "Server is ready" in "".join(self._log) and bool(self.now("up == 1")))
            wait_until(lambda: self.alerts() == [])
            self.began = time.time() + EVERY
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    # -- its answers -------------------------------------------------------------------------------

    def now(self, expression: str) -> list[Curve]:
        """What it is at this moment."""
        found = self._ask("query", query=expression)["result"]
        return [Curve(each["metric"], [float(each["value"][1])]) for each in found]

    def since_the_start(self, expression: str) -> list[Curve]:
        """What it has been, twice from one scrape to the next, so that nothing is missed."""
        found = self._ask("query_range", query=expression, start=self.began, end=time.time(), step=EVERY / 2)[
            "result"
        ]
        return [Curve(each["metric"], [float(value) for _, value in each["values"]]) for each in found]

    def values_of(self, label: str, series: str) -> set[str]:
        """The label's values in these series."""
        found = self._ask(f"label/{label}/values", **{"match[]": series})
        return set(found)

    def alerts(self) -> list[dict[str, Any]]:
        """Those that are pending or fire, with their annotations."""
        found: list[dict[str, Any]] = self._ask("alerts")["alerts"]
        return found

    def unwell(self) -> list[str]:
        """Why rules could not be evaluated."""
        groups: Iterable[dict[str, Any]] = self._ask("rules")["groups"]
        return [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]

    def _ask(self, what: str, **parameters: Any) -> Any:
        url = f"{self._url}{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.loads(answer.read())["data"]

    # -- its process -------------------------------------------------------------------------------

    def _announced(self) -> list[str]:
        return _LISTENS.findall("".join(self._log))

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.append(line)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
