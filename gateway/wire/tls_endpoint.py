"""TLS towards clients as an endpoint: `tls:8443:certificate=PATH:privateKey=PATH:clientCA=PATH`.

Twisted's own `ssl:` knows no authorities of clients and reads its files once, and its own `tls:` serves a folder
of certificates.  Twisted finds ours by the plugin `llmgateway-tls`; the gateway's options call it `tls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from gateway.wire.client_handshakes import ClientHandshakes
from gateway.wire.contexts import VERSIONS
from gateway.wire.limits import BACKLOG
from gateway.wire.tls_files import ClientAuth, TlsFiles

PLUGIN_PREFIX = "llmgateway-tls"

_FIELDS = ("certificate", "privateKey", "clientCA", "clientAuth", "minVersion", "interface", "backlog")

_CLIENT_AUTH: Mapping[str, ClientAuth] = {"require": "require", "request": "request"}


@implementer(IStreamServerEndpoint)
class TlsServerEndpoint:
    """Listens on TCP and speaks TLS there."""

    def __init__(self, reactor: Any, below: IStreamServerEndpoint, files: TlsFiles) -> None:
        """Read the files.

        :param reactor: Twisted's, of whose time is used.
        :param below: where to listen.
        :raises ValueError: with a sentence for the operator.
        """
        self._reactor = reactor
        self._below = below
        self.handshakes = ClientHandshakes(reactor, monotonic, files)
        self.proves_clients = files.client_auth == "require"
        """Nobody is served who has not shown a certificate."""

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Twisted's question."""
        return self._below.listen(TLSMemoryBIOFactory(self.handshakes, False, protocolFactory, self._reactor))


def server_endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """Twisted's `serverFromString`, with our `tls` in the place of Twisted's, which it would find first.

    :raises Exception: each kind of endpoint has its own, ours ValueError with a sentence for the operator.
    """
    if description.startswith("tls:"):
        description = PLUGIN_PREFIX + description.removeprefix("tls")
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)  # type: ignore[no-untyped-call]
    return endpoint


def endpoint_from(reactor: Any, words: tuple[str, ...], fields: Mapping[str, str]) -> TlsServerEndpoint:
    """The endpoint that a string describes.

    :param words: what has no name, which is the port.
    :param fields: what has one.
    :raises ValueError: with a sentence for the operator.
    """
    if len(words) != 1:
        raise ValueError("one port is wanted first, as in tls:8443:certificate=PATH:privateKey=PATH")
    for name in fields:
        if name not in _FIELDS:
            raise ValueError(f"{name} is none of {', '.join(_FIELDS)}")
    port = _whole_number("the port", words[0])
    backlog = _whole_number("backlog", fields.get("backlog", str(BACKLOG)))
    interface = fields.get("interface", "")
    tcp = TCP6ServerEndpoint if isIPv6Address(interface) else TCP4ServerEndpoint
    return TlsServerEndpoint(reactor, tcp(reactor, port, backlog, interface), _files(fields))


def _files(fields: Mapping[str, str]) -> TlsFiles:
    """What they say of TLS.

    :raises ValueError: with a sentence for the operator.
    """
    certificate, private_key = _path(fields, "certificate"), _path(fields, "privateKey")
    client_ca = _path(fields, "clientCA") if "clientCA" in fields else None
    if client_ca is None and "clientAuth" in fields:
        raise ValueError("clientAuth wants clientCA=PATH, the authorities that clients are believed by")
    client_auth = fields.get("clientAuth", "require")
    if client_auth not in _CLIENT_AUTH:
        raise ValueError(f"clientAuth is {client_auth!r}, and not one of {', '.join(_CLIENT_AUTH)}")
    min_version = fields.get("minVersion", "1.2")
    if min_version not in VERSIONS:
        raise ValueError(f"minVersion is {min_version!r}, and not one of {', '.join(VERSIONS)}")
    return TlsFiles(
        certificate=certificate,
        private_key=private_key,
        client_ca=client_ca,
        client_auth="none" if client_ca is None else _CLIENT_AUTH[client_auth],
        min_version=min_version,
        name=fields["certificate"],
    )


def _path(fields: Mapping[str, str], name: str) -> Path:
    if not fields.get(name):
        raise ValueError(f"{name}=PATH is missing")
    # A daemon may change its folder before the files are read again.
    return Path(fields[name]).absolute()


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} is {text!r}, and not a number")
    return int(text)
