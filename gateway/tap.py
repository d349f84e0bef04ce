"""The command line of `twistd llmgateway`: what an operator may say, judged before anything starts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from platform import python_version
from socket import AF_UNIX
from time import monotonic
from typing import Any, ClassVar

from twisted import __version__ as twisted_version
from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.internet.interfaces import IReactorCore
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized

from gateway import __version__
from gateway.messages import Secret
from gateway.resources.syntax import namespace
from gateway.service import GatewayService
from gateway.service.setup import GatewaySetup
from gateway.serving.admin_access import admin_token
from gateway.telemetry.gateway_log import FORMATS, LEVELS, gateway_log, logs_to_stdout
from gateway.telemetry.line_output import STDOUT, LineOutput
from gateway.telemetry.own_lines import OwnLines
from gateway.wire.ports import Listener
from gateway.wire.tls_endpoint import server_endpoint
from gateway.wire.tls_files import is_public

DEFAULT_LISTEN = "tcp:8080:interface=127.0.0.1"
DEFAULT_ADMIN = "tcp:9901:interface=127.0.0.1"

_log = Logger()

_NAMED = re.compile(r"([^:=]+)=(.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PLAIN_ADDRESS = re.compile(r"(?:([0-9.]+|\[[0-9A-Fa-f:.]+\])?:)?([0-9]+)")
_LABEL = re.compile(r"([^=]+)=(.*)", re.DOTALL)


class Options(usage.Options):
    """What an operator may say."""

    synopsis = "[options]"
    longdesc = (
        "An egress gateway for LLM traffic: applications send plain HTTP with nothing but messages, and the "
        "gateway fills in tenant, provider, model and key as the files in conf.d say.  Endpoints are Twisted's "
        "strings: tcp:8080, unix:/run/llmgateway.sock, systemd:…, and tls:8443:certificate=PATH:privateKey=PATH, "
        "which asks clients for certificates with clientCA=PATH."
    )
    optParameters: ClassVar = [
        ["conf", "c", "conf.d", "Folder of LLMProvider, LLMRoute, Tenant and Gateway files."],
        [
            "admin",
            "a",
            DEFAULT_ADMIN,
            "Endpoint of the live page, /metrics, /healthz, /readyz, /config, /explain and /check.",
        ],
        [
            "admin-token",
            None,
            None,
            "What opens all of the admin port but /metrics, /healthz and /readyz; `ps` shows it to everybody.",
        ],
        [
            "admin-token-file",
            None,
            None,
            "A file that holds it; else LLMGATEWAY_ADMIN_TOKEN in the environment may.",
        ],
        ["root-namespace", None, "istio-system", "Namespace whose providers every tenant sees."],
        [
            "access-log",
            None,
            None,
            "Write a JSON line for each exchange to this file, or to standard output with -.",
        ],
        [
            "capture-log",
            None,
            None,
            "Write what tenants with `capture` ask and are answered to this file, redacted; - is standard output.",
        ],
        ["log-format", None, "text", "How the gateway's own log is written: text or json."],
        ["log-level", None, "info", "From which level on: debug, info, warn or error."],
        ["drain-delay", None, "0", "Seconds after SIGTERM for which new connections are still served."],
        ["drain-timeout", None, "30", "Seconds that running exchanges get to end after that."],
    ]

    optFlags: ClassVar = [
        [
            "strict",
            None,
            "Do not start where a file of conf.d has an error; what happens later ends nothing.",
        ],
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
        if name and not _NAME.fullmatch(name):
            raise usage.UsageError(f"--listen: a name has letters, digits, `.`, `_` and `-`, unlike {name!r}")
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

    def opt_version(self) -> None:
        """Display the versions of llmgateway, Twisted and Python, and exit."""
        versions = f"Twisted {twisted_version}, Python {python_version()}"
        sys.stdout.write(f"llmgateway {__version__} ({versions})\n")
        raise SystemExit(0)

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
        log_format, level = self._log_format()
        # Here and not above: listing twistd's plugins must not choose the reactor.
        if sys.platform == "linux":
            from gateway.wire.reactor import install

            install()
        from twisted.internet import reactor

        listeners = tuple(
            _listener(reactor, "--listen", name, endpoint)
            for name, endpoint in self._listen or [("", DEFAULT_LISTEN)]
        )
        twistd: Mapping[str, Any] = self.parent or {}
        own_lines = _own_lines(reactor) if logs_to_stdout(twistd) else None
        self.log = partial(gateway_log, twistd, log_format, level, own_lines)
        access_log, capture_log = _line_outputs(self["access-log"], self["capture-log"], own_lines)
        self.setup = GatewaySetup(
            conf=conf,
            listeners=listeners,
            admin=_listener(reactor, "--admin", "", self["admin"]),
            admin_hosts=tuple(self._admin_hosts),
            admin_token=_admin_token(self["admin-token"], self["admin-token-file"]),
            labels=self._labels,
            root_namespace=_namespace(self["root-namespace"]),
            own_lines=own_lines,
            access_log=access_log,
            capture_log=capture_log,
            strict=bool(self["strict"]),
            drain_delay=_seconds("--drain-delay", self["drain-delay"]),
            drain_timeout=_seconds("--drain-timeout", self["drain-timeout"]),
        )

    def _log_format(self) -> tuple[str, str]:
        """How the gateway's own log is written, and from which level on."""
        log_format = _one_of("--log-format", self["log-format"], FORMATS)
        level = _one_of("--log-level", self["log-level"], LEVELS)
        twistd: Mapping[str, Any] = self.parent or {}
        if twistd.get("logger") and (log_format, level) != ("text", "info"):
            raise usage.UsageError("--log-format and --log-level have no say where twistd has a --logger")
        return log_format, level


class LoggedService(MultiService):
    """Brings its log along to the application that it becomes part of, for twistd to use."""

    def __init__(self, log: Callable[[], ILogObserver]) -> None:
        super().__init__()
        self._make_log = log

    def setServiceParent(self, parent: IServiceCollection) -> None:  # noqa: N802 -- Twisted's name
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._make_log())
        super().setServiceParent(parent)


def makeService(options: Options) -> IService:
    """Twistd's question: the service that these options ask for."""
    from twisted.internet import reactor

    # Twisted's timers go by the wall clock.  One that is set back would hold up every deadline, and every look at
    # conf.d, until it is where it was.
    reactor.seconds = monotonic  # type: ignore[method-assign]
    logged = LoggedService(options.log)
    GatewayService(reactor, options.setup).setServiceParent(logged)
    return logged


def _one_of(option: str, word: str, words: Sequence[str]) -> str:
    if word not in words:
        raise usage.UsageError(f"{option} wants one of {', '.join(words)}, not {word!r}")
    return word


def _namespace(text: str) -> str:
    try:
        return namespace(text)
    except ValueError as error:
        raise usage.UsageError(f"--root-namespace: {error}") from None


def _admin_token(given: str | None, path: str | None) -> Secret | None:
    try:
        token = admin_token(given, path, os.environ)
    except ValueError as error:
        raise usage.UsageError(str(error)) from None
    if path is not None and is_public(Path(path)):
        # Twisted keeps it until the log begins.
        _log.warn("every user of this machine can read {path}, which holds the admin token", path=path)
    return token


def _own_lines(reactor: Any) -> OwnLines:
    try:
        return OwnLines(LineOutput(STDOUT), reactor)
    except OSError:
        raise usage.UsageError("twistd logs to the standard output, and there is none: --logfile") from None


def _line_outputs(
    access_path: str | None, capture_path: str | None, own_lines: OwnLines | None
) -> tuple[LineOutput | None, LineOutput | None]:
    """Those of the access log and of the capture log."""
    access_log = _line_output("--access-log", access_path)
    capture_log = _line_output("--capture-log", capture_path, private=True)
    if capture_log is not None and capture_path is not None:
        if access_log is not None and capture_log.is_same(access_log):
            raise usage.UsageError(f"--capture-log: {capture_path} is where the access log goes")
        if capture_path != STDOUT and is_public(Path(capture_path)):
            _log.warn(
                "every user of this machine can read {path}, which gets what is asked and answered",
                path=capture_path,
            )
    if own_lines is not None:
        for output in (access_log, capture_log):
            if output is not None and output.is_same(own_lines.output):
                output.take_turns_with(own_lines.output)
    return access_log, capture_log


def _line_output(option: str, path: str | None, *, private: bool = False) -> LineOutput | None:
    if path is None:
        return None
    try:
        return LineOutput(path, private=private)
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
    from twisted.internet.endpoints import AdoptedStreamServerEndpoint

    try:
        endpoint = server_endpoint(reactor, description)
    except LookupError:  # of `systemd:`
        raise usage.UsageError(
            f"{option}: {description}: no such socket was inherited; LISTEN_FDS and LISTEN_FDNAMES tell of them, "
            "and LISTEN_PID has to be this process"
        ) from None
    except (
        Exception
    ) as error:  # each kind of endpoint raises what it likes: ValueError, TypeError, OSError, SSL.Error
        hint = _endpoint_hint(description)
        raise usage.UsageError(f"{option}: {description} is no endpoint: {hint or error}") from None
    if isinstance(endpoint, AdoptedStreamServerEndpoint) and endpoint.addressFamily == AF_UNIX:
        # It sets the mode of an inherited one to 666, and removes its file at the end.
        raise usage.UsageError(
            f"{option}: {description}: Twisted cannot share a Unix socket; TCP, or `unix:`"
        )
    return Listener(name=name, description=description, endpoint=endpoint)


def _endpoint_hint(description: str) -> str:
    """What was meant by a port, or an address and a port, alone."""
    found = _PLAIN_ADDRESS.fullmatch(description)
    if found is None:
        return ""
    host, port = found.groups()
    if not host:
        return f"did you mean tcp:{port}?"
    if host.startswith("["):
        interface = host[1:-1].replace(":", "\\:")
        return f"did you mean tcp6:{port}:interface={interface}?"
    return f"did you mean tcp:{port}:interface={host}?"
