"""How the worker's thread leaves time to the reactor's.

Both want the interpreter, and one that wants it back waits for the switch interval each time: a request that makes
six system calls beside a busy thread takes some milliseconds longer.  So while there is traffic the worker rests
more than it works.
"""

from __future__ import annotations

import time
from collections.abc import Callable

WORK_SECONDS = 0.002
"""How long the worker works at a stretch, as far as its pieces are that small."""

REST_SECONDS = 0.003
"""How long it rests then, where requests are running."""


class AbandonedError(Exception):
    """The work is no longer wanted: the gateway stops."""


class Pace:
    """Called by the worker after each small piece of its work."""

    def __init__(
        self,
        busy: Callable[[], bool],
        seconds: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make one.

        :param busy: tells whether requests are running; called in the worker's thread.
        """
        self.abandoned = False
        """Set in any thread: the work ends with its next piece."""
        self._busy = busy
        self._seconds = seconds
        self._sleep = sleep
        self._since = seconds()

    def __call__(self) -> None:
        """Rest, if it is time to.

        :raises AbandonedError: when the work is no longer wanted.
        """
        if self.abandoned:
            raise AbandonedError
        if self._seconds() - self._since < WORK_SECONDS:
            return
        if self._busy():
            self._sleep(REST_SECONDS)
        self._since = self._seconds()
