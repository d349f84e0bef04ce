"""Real Chromium without a screen, asked over its own protocol on two pipes: nothing but the browser is needed.

https://chromedevtools.github.io/devtools-protocol: JSON messages that end with a zero byte, commands on the
browser's descriptor 3 and answers on 4.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, Self

CHROMIUM = shutil.which("chromium")

PATIENCE = 20.0

_OPTIONS = (
    "--headless",
    "--hide-scrollbars",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--remote-debugging-pipe",
)


_NUMBERED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Gives two descriptors the numbers that Chromium wants, and becomes it."""


class Browser:
    """One browser, for a `with` statement."""

    def __init__(
        self,
        folder: Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        runs_scripts: bool = True,
    ) -> None:
        """Describe it; `with` starts it.

        :param folder: for its profile; made if it is not there.
        :param runs_scripts: those of pages.
        """
        self._folder = folder
        self._size = (width, height)
        self._dark = dark
        self._runs_scripts = runs_scripts
        self._last = 0
        self._tabs: list[tuple[str, str]] = []
        """Their ids, and those of the sessions that command them."""
        self._session = ""
        self._unread = b""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        assert CHROMIUM is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()

        width, height = self._size
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", _NUMBERED, str(commands), str(answers), CHROMIUM, *_OPTIONS),
                *(f"--user-data-dir={self._folder}", f"--window-size={width},{height}", "about:blank"),
            ],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
        )
        os.close(commands)
        os.close(answers)
        try:
            self.open_tab()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def open_tab(self) -> None:
        """Open another tab: it alone is seen, and everything is done there from now on."""
        self._session = ""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._tabs.append((target, self._session))
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.command(f"{domain}.enable")
        self.resize(*self._size)
        self.command("Emulation.setScriptExecutionDisabled", value=not self._runs_scripts)
        scheme = "dark" if self._dark else "light"
        self.command(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def _end(self) -> None:
        os.close(self._commands)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)

    # -- what a user does --------------------------------------------------------------------------

    def resize(self, width: int, height: int = 900) -> None:
        """Have a window of this size, in pixels; a narrow one is a phone's."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def go(self, url: str) -> None:
        """Open a page, and wait until all that it names is there."""
        before = len(self.events("Page.loadEventFired"))
        self.command("Page.navigate", url=url)
        self.wait_until(lambda: len(self.events("Page.loadEventFired")) > before)

    def show_tab(self, number: int) -> None:
        """Go back to the tab that was opened as this one, counted from 0."""
        target, self._session = self._tabs[number]
        self.command("Target.activateTarget", targetId=target)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are waited for."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What the user reads there."""
        shown: str = self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return shown

    def click(self, selector: str) -> None:
        """Press it."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def fill(self, selector: str, value: str) -> None:
        """Type into a field."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")

    def wait_until(self, happened: Callable[[], object], within: float = PATIENCE) -> None:
        """Return as soon as this is true.

        :raises AssertionError: if it is not in time.
        """
        deadline = time.monotonic() + within
        while not happened():
            assert time.monotonic() < deadline, f"it never happened; complaints: {self.complaints()}"
            self._read(0.05)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the page, as PNG.

        :param whole: also what one would have to scroll to.
        """
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))

    # -- what happened -----------------------------------------------------------------------------

    def events(self, method: str) -> list[dict[str, Any]]:
        """Every event of this name so far."""
        self._read(0.0)
        return [event["params"] for event in self._events if event.get("method") == method]

    def requested(self) -> list[str]:
        """Every URL that was asked for."""
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]

    def complaints(self) -> list[str]:
        """What the browser's console says: errors, warnings, refusals of the Content-Security-Policy."""
        logged = [event["entry"]["text"] for event in self.events("Log.entryAdded")]
        written = [str(event["args"]) for event in self.events("Runtime.consoleAPICalled")]
        thrown = [str(event["exceptionDetails"]) for event in self.events("Runtime.exceptionThrown")]
        return logged + written + thrown

    # -- its protocol ------------------------------------------------------------------------------

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have it do something, and wait for what comes of it."""
        self._last += 1
        number = self._last
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._read(0.5)
            for event in self._events:
                if event.get("id") == number:
                    self._events.remove(event)
                    assert "error" not in event, f"{method}: {event['error']}"
                    result: dict[str, Any] = event["result"]
                    return result
        raise AssertionError(f"Chromium does not answer {method}")

    def _read(self, patience: float) -> None:
        """Take what it has said; wait so many seconds for it, if it has said nothing."""
        while select([self._answers], [], [], patience)[0]:
            data = os.read(self._answers, 1 << 20)
            assert data, "Chromium has ended"
            *messages, self._unread = (self._unread + data).split(b"\0")
            self._events += [json.loads(message) for message in messages]
            patience = 0.0
