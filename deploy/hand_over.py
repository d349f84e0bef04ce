#!/usr/bin/env python3
"""Holds the gateway's sockets, and replaces the process behind them without losing a connection.

    hand_over.py clients=127.0.0.1:8080 admin=127.0.0.1:9901 -- \\
        twistd -n --pidfile= llmgateway \\
        --listen systemd:domain=INET:name=clients --admin systemd:domain=INET:name=admin

The command inherits the sockets as from systemd.  On SIGHUP it is started once more; when the new process says
that it is ready (sd_notify(3)), the old one is told to stop, and ends when its exchanges have ended.  One that
ends before it was ready changes nothing.  One that ends later without having been told to is replaced, too;
clients wait meanwhile.

SIGTERM and SIGINT are passed on, a second one as well; this process ends behind its last one, with its status.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory

FIRST_DESCRIPTOR = 3
"""Of those that are inherited: sd_listen_fds(3)."""

SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class Succession:
    """The processes, one after the other."""

    def __init__(self, sockets: dict[str, socket.socket], command: Sequence[str], notify_path: str) -> None:
        self._sockets = sockets
        self._command = command
        self._notify_path = notify_path
        self._running: list[int] = []
        """In the order in which they were started."""
        self._ready: set[int] = set()
        self._told: set[int] = set()
        """Those that were sent a signal to stop."""
        self._ending = False
        self._status = 0

    @property
    def is_over(self) -> bool:
        """Nothing runs."""
        return not self._running

    @property
    def status(self) -> int:
        """Of the process that ended last."""
        return self._status

    def start(self) -> None:
        """Start one more, unless one is starting."""
        if self._ending:
            return
        if self._running and self._running[-1] not in self._ready:
            _say(f"process {self._running[-1]} is not ready yet: none is started")
            return
        actions = [
            (os.POSIX_SPAWN_DUP2, held.fileno(), number)
            for number, held in enumerate(self._sockets.values(), FIRST_DESCRIPTOR)
        ]
        environment = {
            **os.environ,
            "LISTEN_FDS": str(len(self._sockets)),
            "LISTEN_FDNAMES": ":".join(self._sockets),
            "NOTIFY_SOCKET": self._notify_path,
        }
        # LISTEN_PID is the process's own, which is known only within it.
        line = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *self._command]
        # In a group of its own: what a terminal sends to all of a group is passed on already.
        process = os.posix_spawn(line[0], line, environment, file_actions=actions, setpgroup=0)
        self._running.append(process)
        _say(f"process {process} starts")

    def newest_is_ready(self) -> None:
        """Tell its predecessors to stop."""
        if not self._running or self._running[-1] in self._ready:
            return
        newest = self._running[-1]
        self._ready.add(newest)
        _say(f"process {newest} is ready")
        for process in self._running[:-1]:
            self._tell(process, signal.SIGTERM)

    def reap(self) -> None:
        """See which have ended."""
        for process in tuple(self._running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if not ended:
                continue
            self._running.remove(process)
            code = os.waitstatus_to_exitcode(status)
            self._status = code if code >= 0 else 128 - code
            _say(f"process {process} has ended with {code}")
            successors = set(self._running) - self._told
            if process in self._ready and process not in self._told and not successors:
                self.start()

    def end(self, number: int) -> None:
        """Pass a signal on; to those that are stopping already only from the second one on."""
        for process in self._running:
            if self._ending or process not in self._told:
                os.kill(process, number)
                self._told.add(process)
        self._ending = True

    def _tell(self, process: int, number: int) -> None:
        if process not in self._told:
            self._told.add(process)
            os.kill(process, number)


def main(arguments: Sequence[str]) -> int:
    """Run until the last process has ended; return its status."""
    if "--" not in arguments[:-1] or arguments[0] == "--":
        sys.stderr.write("usage: hand_over.py NAME=HOST:PORT... -- COMMAND...\n")
        return 2
    end = arguments.index("--")
    sockets = dict(_bound(each) for each in arguments[:end])
    awake, woken = socket.socketpair()
    awake.setblocking(False)
    signal.set_wakeup_fd(awake.fileno())
    for taken in SIGNALS:
        signal.signal(taken, lambda number, frame: None)
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(f"{folder}/notify")
        succession = Succession(sockets, arguments[end + 1 :], f"{folder}/notify")
        succession.start()
        while not succession.is_over:
            happened, _, _ = select.select([woken, notified], [], [])
            if notified in happened and b"READY=1" in notified.recv(4096).splitlines():
                succession.newest_is_ready()
                _notify(b"READY=1")
            for number in woken.recv(4096) if woken in happened else b"":
                if number == signal.SIGHUP:
                    succession.start()
                elif number == signal.SIGCHLD:
                    succession.reap()
                else:
                    succession.end(number)
    return succession.status


def _bound(written: str) -> tuple[str, socket.socket]:
    name, _, address = written.partition("=")
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return name, socket.create_server((host.strip("[]"), int(port)), family=family, backlog=4096)


def _notify(message: bytes) -> None:
    """Tell our own supervisor, if there is one."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.sendto(message, "\0" + path[1:] if path.startswith("@") else path)


def _say(line: str) -> None:
    sys.stdout.write(f"hand_over: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
