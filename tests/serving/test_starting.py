"""Why a gateway does not start, in one line."""

from __future__ import annotations

from errno import EACCES, EADDRINUSE
from typing import Any

import pytest
from twisted.internet.error import CannotListenError

from gateway.serving.starting import NotStarted, cannot_listen
from gateway.wire.ports import Listener


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            CannotListenError("10.0.0.1", 80, OSError(EADDRINUSE, "Address already in use")),
            "10.0.0.1:80 is in use; end the process that listens there, or choose another with --admin",
        ),
        (
            CannotListenError("", 80, OSError(EADDRINUSE, "Address already in use")),
            "port 80 is in use; end the process that listens there, or choose another with --admin",
        ),
        (
            CannotListenError("10.0.0.1", 80, OSError(EACCES, "Permission denied")),
            f"Couldn't listen on 10.0.0.1:80: [Errno {EACCES}] Permission denied.",
        ),
        (ValueError("no such thing"), "no such thing"),
    ],
)
def test_a_port_that_cannot_be_bound(error: Exception, reason: str) -> None:
    endpoint: Any = object()
    line = cannot_listen(Listener("", "tcp:80", endpoint), "--admin", error).code
    assert line == f"llmgateway: cannot listen on tcp:80: {reason}"


def test_twistd_tells_whoever_waits_for_a_daemon_and_nobody_sees_a_traceback() -> None:
    """twistd reports what is an `Exception`; the interpreter ends with the line of a `SystemExit`."""
    assert issubclass(NotStarted, Exception)
    assert issubclass(NotStarted, SystemExit)
