"""The command line of `twistd llmgateway`: what an operator may say, judged before anything starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from twisted.application.service import IService
from twisted.internet.interfaces import IReactorCore
from twisted.python import usage

from gateway.service import GatewayService, GatewaySetup, Listener
from gateway.telemetry.line_output import LineOutput

DEFAULT_LISTEN = "tcp:8080:interface=127.0.0.1"
DEFAULT_ADMIN = "tcp:9901:interface=127.0.0.1"

_NAMED = re.compile(r"([A-Za-z0-9._-]+)=(.+)", re.DOTALL)
_LABEL = re.compile(r"([^=]+)=(.*)", re.DOTALL)


class Options(usage.Options):
    """What an operator may say."""

    synopsis = "[options]"
    longdesc = (
        "An egress gateway for LLM traffic: applications send plain HTTP with nothing but messages, and the "
        "gateway fills in tenant, provider, model and key as the files in conf.d say.  Endpoints are Twisted's "
        "strings: tcp:8080, ssl:8443:privateKey=key.pem:certKey=cert.pem, unix:/run/llmgateway.sock, systemd:…"
    )
    optParameters: ClassVar = [
        ["conf", "c", "conf.d", "Folder of LLMProvider, LLMRoute and Gateway files."],
        ["admin", "a", DEFAULT_ADMIN, "Endpoint of /metrics, /healthz, /readyz and /config."],
        ["root-namespace", None, "istio-system", "Namespace whose providers every tenant sees."],
        [
            "access-log",
            None,
            None,
            "Write a JSON line for each exchange to this file, or to standard output with -.",
        ],
        ["drain-timeout", None, "30", "Seconds that running exchanges get to end after SIGTERM."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self._listen: list[tuple[str, str]] = []
        self._labels: dict[str, str] = {}
        self._admin_hosts: list[str] = []

    def opt_listen(self, value: str) -> None:
        """Endpoint for clients, ENDPOINT or NAME=ENDPOINT; may be repeated. [default: tcp:8080:interface=127.0.0.1]"""
        named = _NAMED.fullmatch(value)
        name, endpoint = named.groups() if named else ("", value)
        if name and name in (taken for taken, _ in self._listen):
            raise usage.UsageError(f"--listen: the name {name} is given twice")
        self._listen.append((name, endpoint))

    opt_l = opt_listen

    def opt_admin_host(self, value: str) -> None:
        """A name by which scrapers may ask the admin port, beside addresses and local names; may be repeated."""
        self._admin_hosts.append(value.lower())

    def opt_label(self, value: str) -> None:
        """A label that workloadSelectors of providers are compared with, KEY=VALUE; may be repeated."""
        label = _LABEL.fullmatch(value)
        if label is None:
            raise usage.UsageError(f"--label wants KEY=VALUE, not {value!r}")
        self._labels[label[1]] = label[2]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read what was said.

        :raises SystemExit: with one line that says what is wrong; twistd would print its whole help above it.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            raise SystemExit(f"llmgateway: {error} (`twistd llmgateway --help` lists the options)") from None

    def postOptions(self) -> None:
        """Judge what was said.

        :raises usage.UsageError: with a line that says what is wrong.
        """
        conf = Path(self["conf"])
        if not conf.is_dir():
            if conf.exists():
                raise usage.UsageError(f"--conf: {conf} is not a directory")
            raise usage.UsageError(
                f"--conf: {conf} does not exist; `llmgateway init {conf}` writes an example there"
            )
        # Here and not above: listing twistd's plugins must not choose the reactor.
        from twisted.internet import reactor

        listeners = tuple(
            _listener(reactor, "--listen", name, endpoint)
            for name, endpoint in self._listen or [("", DEFAULT_LISTEN)]
        )
        self.setup = GatewaySetup(
            conf=conf,
            listeners=listeners,
            admin=_listener(reactor, "--admin", "", self["admin"]),
            admin_hosts=tuple(self._admin_hosts),
            labels=self._labels,
            root_namespace=self["root-namespace"],
            access_log=_line_output("--access-log", self["access-log"]),
            drain_timeout=_seconds("--drain-timeout", self["drain-timeout"]),
        )


def makeService(options: Options) -> IService:
    """Twistd's question: the service that these options ask for."""
    from twisted.internet import reactor

    return GatewayService(reactor, options.setup)


def _line_output(option: str, path: str | None) -> LineOutput | None:
    if path is None:
        return None
    try:
        return LineOutput(path)
    except OSError as error:
        raise usage.UsageError(f"{option}: {path} cannot be written: {error.strerror}") from None


def _seconds(option: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise usage.UsageError(f"{option} wants a number of seconds, not {text!r}")
    return seconds


def _listener(reactor: IReactorCore, option: str, name: str, description: str) -> Listener:
    from twisted.internet.endpoints import serverFromString

    try:
        endpoint = serverFromString(reactor, description)
    except (
        Exception
    ) as error:  # each kind of endpoint raises what it likes: ValueError, TypeError, OSError, SSL.Error
        raise usage.UsageError(f"{option}: {description} is no endpoint: {error}") from None
    return Listener(name=name, description=description, endpoint=endpoint)
