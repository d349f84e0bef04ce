"""Clients that ask again and again, in threads of their own, until they are told to stop."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self


class Load:
    """For a `with` statement, at whose end everybody has stopped; it raises what one of them has raised."""

    def __init__(self, *asks: Callable[[], object], pause: float = 0.15) -> None:
        """Each asks in a thread of its own.

        :param pause: seconds between an answer and the next question.
        """
        self._pause = pause
        self._stopped = Event()
        self._failures: list[BaseException] = []
        self._threads = [Thread(target=self._run, args=[each]) for each in asks]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        if self._failures and error is None:
            raise self._failures[0]

    def _run(self, ask: Callable[[], object]) -> None:
        try:
            while not self._stopped.wait(self._pause):
                ask()
        except BaseException as failure:
            self._failures.append(failure)
