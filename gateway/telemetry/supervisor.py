"""What whoever started the process is told: sd_notify(3), the protocol of systemd's `Type=notify`.

A supervisor that listens gives the path of its socket in `NOTIFY_SOCKET`; a leading `@` means Linux's abstract
names.  Each message is one datagram of `NAME=value` lines.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from twisted.logger import Logger

_log = Logger()

READY = b"READY=1"
"""Ports are bound, files are read, requests are served."""

STOPPING = b"STOPPING=1"
"""The end has begun."""


def notify(environment: Mapping[str, str], message: bytes) -> None:
    """Tell the supervisor; nothing happens where there is none."""
    path = environment.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.sendto(message, socket.MSG_DONTWAIT, address)
    except OSError as error:
        _log.warn("NOTIFY_SOCKET cannot be told anything: {error}", error=str(error))
